//! The words of commands as bash reads them (POSIX quotes, and `$'…'`), for "copy as cURL" and
//! commands in scripts.
//!
//! A variable has a value that only the shell knows, so it is refused. A backquote at the end of a
//! line continues it, as in PowerShell.

use std::iter::Peekable;
use std::str::Chars;

use super::lines::wrong;
use crate::cli::exit::Usage;

/// A command: its words, and the line in which it begins.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ShellCommand {
    pub(super) words: Vec<Vec<u8>>,
    pub(super) line: usize,
}

/// Splits a text into commands; redirections and what follows a pipe are left out.
///
/// # Errors
/// When a quote has no end, or a word has a variable.
pub(super) fn commands(text: &str) -> Result<Vec<ShellCommand>, Usage> {
    let mut scanner = ShellScanner::new(text);
    while let Some(c) = scanner.next() {
        scanner.read(c)?;
    }
    scanner.end_command();
    Ok(scanner.commands)
}

struct ShellScanner<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    commands: Vec<ShellCommand>,
    command: ShellCommand,
    /// The word that is being read; `Some` after an empty quote too.
    word: Option<Vec<u8>>,
    /// True behind a pipe or a redirection.
    is_skipped: bool,
}

impl<'a> ShellScanner<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.chars().peekable(),
            line: 1,
            commands: Vec::new(),
            command: ShellCommand::default(),
            word: None,
            is_skipped: false,
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn read(&mut self, c: char) -> Result<(), Usage> {
        match c {
            '\n' | ';' | '&' => self.end_command(),
            c if c.is_whitespace() => self.end_word(),
            '|' | '>' | '<' => self.skip(),
            '#' if self.word.is_none() => self.skip_comment(),
            '\\' | '`' if self.continues() => {}
            '\\' => {
                let escaped = self.next();
                self.extend(escaped);
            }
            '\'' => self.single_quoted()?,
            '"' => self.double_quoted()?,
            '$' if self.rest.next_if_eq(&'\'').is_some() => self.ansi_quoted()?,
            '$' | '`' => self.plain_dollar(c)?,
            c => self.extend(Some(c)),
        }
        Ok(())
    }

    /// Takes the line break behind a `\`, if there is one.
    fn continues(&mut self) -> bool {
        if self.rest.peek() == Some(&'\r') {
            self.rest.next();
        }
        let is_break = self.rest.peek() == Some(&'\n');
        if is_break {
            self.next();
        }
        is_break
    }

    fn extend(&mut self, c: Option<char>) {
        let word = self.word.get_or_insert_default();
        if let Some(c) = c {
            let mut buffer = [0; 4];
            word.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
        }
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        if self.is_skipped {
            return;
        }
        if self.command.words.is_empty() {
            self.command.line = self.line;
        }
        self.command.words.push(word);
    }

    fn end_command(&mut self) {
        self.end_word();
        self.is_skipped = false;
        let command = std::mem::take(&mut self.command);
        if !command.words.is_empty() {
            self.commands.push(command);
        }
    }

    /// Skips the words behind a pipe or a redirection. A number in front of it is its own.
    fn skip(&mut self) {
        let is_number = |word: &Vec<u8>| word.iter().all(u8::is_ascii_digit);
        if self.word.as_ref().is_some_and(is_number) {
            self.word = None;
        }
        self.end_word();
        self.is_skipped = true;
        self.rest.next_if_eq(&'&');
    }

    fn skip_comment(&mut self) {
        while self.rest.next_if(|&c| c != '\n').is_some() {}
    }

    fn single_quoted(&mut self) -> Result<(), Usage> {
        let start = self.line;
        self.extend(None);
        loop {
            match self.next() {
                None => return Err(unclosed(start, '\'')),
                Some('\'') => return Ok(()),
                c => self.extend(c),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<(), Usage> {
        let start = self.line;
        self.extend(None);
        loop {
            match self.next() {
                None => return Err(unclosed(start, '"')),
                Some('"') => return Ok(()),
                Some('\\') if self.continues() => {}
                Some('\\') => {
                    let escaped = self.rest.next_if(|c| matches!(c, '"' | '\\' | '$' | '`'));
                    self.extend(Some(escaped.unwrap_or('\\')));
                }
                Some(c @ ('$' | '`')) => self.plain_dollar(c)?,
                c => self.extend(c),
            }
        }
    }

    /// Reads a `$` that is no variable.
    fn plain_dollar(&mut self, c: char) -> Result<(), Usage> {
        let begins = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '{' | '(' | '@' | '?');
        if c == '$' && !self.rest.peek().is_some_and(begins) {
            self.extend(Some(c));
            return Ok(());
        }
        let name: String = self
            .rest
            .clone()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let problem = format!(
            "`{c}{name}` has a value that only the shell knows: write the value, or use single \
             quotes"
        );
        Err(wrong(self.line, problem))
    }

    /// Reads `$'…'`.
    fn ansi_quoted(&mut self) -> Result<(), Usage> {
        let start = self.line;
        self.extend(None);
        loop {
            match self.next() {
                None => return Err(unclosed(start, '\'')),
                Some('\'') => return Ok(()),
                Some('\\') => self.ansi_escape(),
                c => self.extend(c),
            }
        }
    }

    fn ansi_escape(&mut self) {
        let Some(c) = self.next() else { return };
        match c {
            'n' => self.extend(Some('\n')),
            't' => self.extend(Some('\t')),
            'r' => self.extend(Some('\r')),
            'a' => self.extend(Some('\x07')),
            'b' => self.extend(Some('\x08')),
            'e' | 'E' => self.extend(Some('\x1b')),
            'f' => self.extend(Some('\x0c')),
            'v' => self.extend(Some('\x0b')),
            'x' => {
                let byte = self.number(16, 2);
                self.byte(byte);
            }
            'u' => self.code_point(4),
            'U' => self.code_point(8),
            '0'..='7' => {
                let first = c.to_digit(8).unwrap_or_default();
                let rest = self.octal_rest(first);
                self.byte(rest);
            }
            c => self.extend(Some(c)),
        }
    }

    fn octal_rest(&mut self, first: u32) -> u32 {
        let mut value = first;
        for _ in 0..2 {
            let Some(digit) = self.rest.next_if(|c| c.is_digit(8)) else {
                break;
            };
            value = value * 8 + digit.to_digit(8).unwrap_or_default();
        }
        value
    }

    fn number(&mut self, radix: u32, digits: usize) -> u32 {
        let mut value = 0;
        for _ in 0..digits {
            let Some(digit) = self.rest.next_if(|c| c.is_digit(radix)) else {
                break;
            };
            value = value * radix + digit.to_digit(radix).unwrap_or_default();
        }
        value
    }

    fn code_point(&mut self, digits: usize) {
        let value = self.number(16, digits);
        self.extend(Some(char::from_u32(value).unwrap_or('\u{FFFD}')));
    }

    fn byte(&mut self, byte: u32) {
        let word = self.word.get_or_insert_default();
        word.push(byte.to_le_bytes()[0]);
    }
}

fn unclosed(line: usize, quote: char) -> Usage {
    wrong(line, format!("the quote {quote} has no end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_bash() {
        for (text, expected) in [
            ("a  'b c'\t\"d e\"", &["a", "b c", "d e"][..]),
            (r#"'a'"b"c\ d '' """#, &["abc d", "", ""]),
            (r#""\"\\\$\`\n" '\'"#, &["\"\\$`\\n", "\\"]),
            ("a \\\n  b \\\r\n c `\n d", &["a", "b", "c", "d"]),
            (r"$'a\u0021\x41\'\n\101\\' x$'\t'", &["a!A'\nA\\", "x\t"]),
            ("a$ 5$ \"$\" $.", &["a$", "5$", "$", "$."]),
            ("a # comment 'x", &["a"]),
            ("a#b 2>/dev/null", &["a#b"]),
            ("a 2>&1 | jq '.x'", &["a"]),
            ("é'ß'", &["éß"]),
        ] {
            let found = commands(text).unwrap();
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            let words: Vec<_> = found[0]
                .words
                .iter()
                .map(|word| str::from_utf8(word).unwrap())
                .collect();
            assert_eq!(words, expected, "{text}");
        }
    }

    #[test]
    fn commands_end_at_operators_and_lines() {
        let found = commands("a b;\nc 'd\ne' & f && g | h\n\ni").unwrap();
        let seen: Vec<_> = found.iter().map(|c| (c.words.len(), c.line)).collect();
        assert_eq!(seen, [(2, 1), (2, 2), (1, 3), (1, 3), (1, 5)]);
    }

    #[test]
    fn what_only_the_shell_knows_is_refused_with_its_line() {
        for (text, expected) in [
            (
                "a\n$TOKEN",
                "line 2: `$TOKEN` has a value that only the shell knows",
            ),
            ("\"${TOKEN}\"", "line 1: `$` has a value"),
            ("a `date`", "line 1: ``date` has a value"),
            ("'a\nb", "line 1: the quote ' has no end"),
            ("a\n\"b", "line 2: the quote \" has no end"),
            ("$'a", "line 1: the quote ' has no end"),
        ] {
            let refused = commands(text).unwrap_err().to_string();
            assert!(refused.starts_with(expected), "{text}: {refused}");
        }
    }
}
