//! The words of commands as Windows reads them: cmd.exe removes carets, then the program splits its
//! command line at quotes (Chrome's "copy as cURL (cmd)").

use super::lines::wrong;
use super::shell_words::ShellCommand;
use crate::cli::exit::Usage;

/// Returns true for a text with carets as cmd.exe uses them.
pub(super) fn is_script(text: &str) -> bool {
    text.contains("^\"") || text.lines().any(|line| line.trim_end().ends_with('^'))
}

/// Splits a text into commands.
///
/// # Errors
/// When a quote has no end.
pub(super) fn commands(text: &str) -> Result<Vec<ShellCommand>, Usage> {
    let mut commands = Vec::new();
    for (command, line) in without_carets(text) {
        let words = arguments(&command).ok_or_else(|| wrong(line, "a quote has no end"))?;
        if !words.is_empty() {
            commands.push(ShellCommand { words, line });
        }
    }
    Ok(commands)
}

/// Returns the command lines that cmd.exe passes on, with the line in which each begins. A caret
/// makes the next character plain, and continues a line at its end.
fn without_carets(text: &str) -> Vec<(String, usize)> {
    let text = text.replace("\r\n", "\n");
    let mut commands = vec![(String::new(), 1)];
    let mut line = 1;
    let mut is_quoted = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        line += usize::from(c == '\n');
        let Some((command, _)) = commands.last_mut() else {
            break;
        };
        match c {
            '^' if !is_quoted => match rest.next() {
                Some('\n') => {
                    line += 1;
                    // A second line break is plain.
                    command.extend(rest.next_if_eq(&'\n'));
                }
                plain => command.extend(plain),
            },
            '\n' | '&' | '|' if !is_quoted => commands.push((String::new(), line)),
            c => {
                is_quoted ^= c == '"';
                command.push(c);
            }
        }
    }
    commands
}

/// Splits a command line as C programs on Windows do; `None` if a quote has no end.
fn arguments(command: &str) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    let mut rest = command.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                let mut count = 1;
                while rest.next_if_eq(&'\\').is_some() {
                    count += 1;
                }
                let before_quote = rest.peek() == Some(&'"');
                let kept = if before_quote { count / 2 } else { count };
                let word = word.get_or_insert_default();
                word.push_str(&"\\".repeat(kept));
                if before_quote && count % 2 == 1 {
                    word.extend(rest.next());
                }
            }
            '"' if is_quoted && rest.next_if_eq(&'"').is_some() => {
                word.get_or_insert_default().push('"');
            }
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !is_quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let bytes = words.into_iter().map(String::into_bytes).collect();
    (!is_quoted).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_that_chrome_copies_are_read() {
        let new = "curl ^\"https://h/?a=b^&c=%^7Ed^\" ^\r\n  -H ^\"authorization: OAuth \
                   realm=^\\^\"x y^\\^\"^\" ^\r\n  --data-raw ^\"1^\r\n\r\n2^\"";
        let expected = [
            "curl",
            "https://h/?a=b&c=%7Ed",
            "-H",
            "authorization: OAuth realm=\"x y\"",
            "--data-raw",
            "1\n2",
        ];
        assert_eq!(words(new), expected);
        let old = "curl \"https://h/?a=b&c=^d\" ^\n  -H \"authorization: OAuth realm=\\\"x y\\\"\" \
                   --data-raw \"a\"\"b\"";
        let expected = [
            "curl",
            "https://h/?a=b&c=^d",
            "-H",
            "authorization: OAuth realm=\"x y\"",
            "--data-raw",
            "a\"b",
        ];
        assert_eq!(words(old), expected);
    }

    #[test]
    fn backslashes_count_only_before_a_quote() {
        assert_eq!(words(r#"a\b\\c "d\\" e\"f"#), [r"a\b\\c", r"d\", "e\"f"]);
    }

    #[test]
    fn commands_are_told_apart_and_a_quote_must_end() {
        let found = commands("a ^\n b &\nc \"&\" d").unwrap();
        let seen: Vec<_> = found.iter().map(|c| (c.words.len(), c.line)).collect();
        assert_eq!(seen, [(2, 1), (3, 3)]);
        let refused = commands("a\nb \"c").unwrap_err();
        assert_eq!(refused.to_string(), "line 2: a quote has no end");
    }

    fn words(text: &str) -> Vec<String> {
        let found = commands(text).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        let text = |word: &Vec<u8>| String::from_utf8(word.clone()).unwrap();
        found[0].words.iter().map(text).collect()
    }
}
