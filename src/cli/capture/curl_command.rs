//! curl commands, as browsers copy them and as people write them.

use super::cmd_words;
use super::curl_options::CurlOptions;
use super::form::FORM;
use super::http_message;
use super::lines::wrong;
use super::request::{CapturedRequest, split_scheme};
use super::shell_words::{self, ShellCommand};
use crate::cli::exit::Usage;

/// Returns true for a line that begins a curl command, behind a prompt or not.
pub(super) fn is_begin(line: &[u8]) -> bool {
    prompt_len(line).is_some()
}

/// Parses the commands of a script.
///
/// # Errors
/// When a quote has no end, a value is only known to the shell, or a command has no URL.
pub(super) fn parse(script: &str) -> Result<Vec<CapturedRequest>, Usage> {
    let script = without_prompts(script);
    let commands = if cmd_words::is_script(&script) {
        cmd_words::commands(&script)?
    } else {
        shell_words::commands(&script)?
    };
    commands
        .iter()
        .filter_map(|command| Some((arguments(command)?, command.line)))
        .map(|(words, line)| request(&CurlOptions::of(words), line))
        .collect()
}

/// Returns the words behind `curl`; `None` for other commands.
fn arguments(command: &ShellCommand) -> Option<&[Vec<u8>]> {
    let before = command
        .words
        .iter()
        .take_while(|word| is_before_program(word));
    let (program, words) = command.words.get(before.count()..)?.split_first()?;
    is_curl(program).then_some(words)
}

/// Returns true for a word that may be in front of a program.
fn is_before_program(word: &[u8]) -> bool {
    let is_known = [&b"time"[..], b"sudo", b"env", b"exec"].contains(&word);
    is_known || (word.contains(&b'=') && !is_curl(word))
}

fn is_curl(word: &[u8]) -> bool {
    let program = word.rsplit(|&byte| matches!(byte, b'/' | b'\\')).next();
    matches!(program, Some(b"curl" | b"curl.exe"))
}

fn without_prompts(script: &str) -> String {
    let lines = script.split_inclusive('\n');
    lines
        .map(|line| &line[prompt_len(line.as_bytes()).unwrap_or(0)..])
        .collect()
}

/// Returns the length of the prompt in front of a curl command (`$ `, `PS C:\>`); `None` for a line
/// that begins none.
fn prompt_len(line: &[u8]) -> Option<usize> {
    let is_edge = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'>';
    let start = (0..line.len()).find(|&at| {
        let is_start = at == 0 || is_edge(&line[at - 1]);
        is_start && line[at..].split(is_edge).next().is_some_and(is_curl)
    })?;
    let prompt = line[..start].trim_ascii_end();
    let is_prompt = matches!(
        prompt.trim_ascii().last(),
        None | Some(b'$' | b'%' | b'#' | b'>')
    );
    is_prompt.then_some(start)
}

fn request(options: &CurlOptions, line: usize) -> Result<CapturedRequest, Usage> {
    let url = match &options.urls[..] {
        [url] => url,
        [] => return Err(wrong(line, "the curl command has no URL")),
        urls => {
            let problem = format!("the curl command has {} URLs: keep one", urls.len());
            return Err(wrong(line, problem));
        }
    };
    let mut request = CapturedRequest {
        method: method(options),
        ..CapturedRequest::default()
    };
    add_headers(&mut request, &options.headers, line)?;
    request
        .set_url(&with_query(url, options))
        .map_err(|error| wrong(line, error.to_string()))?;
    add_body(&mut request, options);
    Ok(request)
}

fn method(options: &CurlOptions) -> Vec<u8> {
    let has_body = !options.data.is_empty() || options.unread_body.is_some();
    let is_upload = options.unread_body.as_deref() == Some("--upload-file");
    let default: &[u8] = match () {
        () if options.is_get => b"GET",
        () if options.is_head => b"HEAD",
        () if is_upload => b"PUT",
        () if has_body => b"POST",
        () => b"GET",
    };
    options.method.clone().unwrap_or_else(|| default.to_vec())
}

/// Adds the headers. `Name:` removes a header that curl would send, and `Name;` sends an empty one.
fn add_headers(
    request: &mut CapturedRequest,
    headers: &[Vec<u8>],
    line: usize,
) -> Result<(), Usage> {
    for text in headers {
        if let Some(header) = http_message::header(text) {
            if !header.value.is_empty() {
                request.headers.push(header);
            }
        } else if let Some(name) = text.strip_suffix(b";") {
            request.push(name, b"");
        } else if !text.starts_with(b"@") {
            return Err(wrong(
                line,
                "a header of the curl command is not `Name: value`",
            ));
        }
    }
    Ok(())
}

/// Returns the URL with its scheme, and with the parts that options add to its query.
fn with_query(url: &[u8], options: &CurlOptions) -> Vec<u8> {
    let mut url = if split_scheme(url).is_some() || contains_scheme(url) {
        url.to_vec()
    } else {
        [b"http://", url].concat()
    };
    let data = options.data.iter().filter(|_| options.is_get);
    for part in data.chain(&options.query) {
        url.push(if url.contains(&b'?') { b'&' } else { b'?' });
        url.extend_from_slice(part);
    }
    url
}

fn contains_scheme(url: &[u8]) -> bool {
    url.windows(3).any(|part| part == b"://")
}

fn add_body(request: &mut CapturedRequest, options: &CurlOptions) {
    if let Some(option) = &options.unread_body {
        request.unknown.push(format!(
            "the body: `{option}` of curl reads or builds it, and it is not opened here"
        ));
        let is_form = option.starts_with("--data");
        if is_form {
            request.push_default("Content-Type", FORM);
        }
        return;
    }
    let has_body = !options.data.is_empty() && !options.is_get;
    request.body = Some(match has_body {
        true if options.is_json => options.data.concat(),
        true => options.data.join(&b'&'),
        false => Vec::new(),
    });
    let is_removed = |header: &Vec<u8>| header.eq_ignore_ascii_case(b"Content-Type:");
    if has_body && !options.headers.iter().any(is_removed) {
        let default = if options.is_json { JSON } else { FORM };
        request.push_default("Content-Type", default);
    }
}

const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use countersign::oauth::Scheme;

    use super::*;

    #[test]
    fn the_command_that_a_browser_copies_is_read_on_every_system() {
        let bash = "curl 'https://api.example.com/photos?a=b&c=%7Ed' \\\n  -X 'PUT' \\\n  -H 'accept: */*' \
                    \\\n  -H $'authorization: OAuth realm=\"it\\'s\\u0021\"' \\\n  --data-raw 'x=1&y=2' \\\n  --compressed";
        let cmd = "curl ^\"https://api.example.com/photos?a=b^&c=%^7Ed^\" ^\r\n  -X ^\"PUT^\" ^\r\n  -H \
                   ^\"accept: */*^\" ^\r\n  -H ^\"authorization: OAuth realm=^\\^\"it's^!^\\^\"^\" ^\r\n  \
                   --data-raw ^\"x=1^&y=2^\" ^\r\n  --compressed";
        let powershell = "PS C:\\> curl.exe 'https://api.example.com/photos?a=b&c=%7Ed' `\r\n -X PUT `\r\n \
                          -H 'accept: */*' -H \"authorization: OAuth realm=\\\"it's!\\\"\" -d 'x=1&y=2'";
        for script in [bash, cmd, powershell] {
            let requests = parse(script).unwrap();
            let [request] = &requests[..] else {
                panic!("{script}: {requests:?}")
            };
            assert_eq!(
                (&request.method[..], &request.target[..], request.scheme),
                (&b"PUT"[..], &b"/photos?a=b&c=%7Ed"[..], Some(Scheme::Https)),
                "{script}"
            );
            assert_eq!(request.values("host"), [b"api.example.com"]);
            let authorization = request.values("authorization");
            assert_eq!(authorization, [b"OAuth realm=\"it's!\""], "{script}");
            assert_eq!(request.values("content-type"), [FORM.as_bytes()]);
            assert_eq!(request.body.as_deref(), Some(&b"x=1&y=2"[..]));
        }
    }

    #[test]
    fn options_decide_method_query_and_body() {
        for (command, method, target, body) in [
            ("curl h", "GET", "/", Some("")),
            ("curl -d a=1 -d b=2 h/x", "POST", "/x", Some("a=1&b=2")),
            ("curl -G -d a=1 h/x?y=2", "GET", "/x?y=2&a=1", Some("")),
            ("curl -I h", "HEAD", "/", Some("")),
            ("curl --json '{}' h", "POST", "/", Some("{}")),
            ("curl -T file h/f", "PUT", "/f", None),
            ("curl -F a=b h", "POST", "/", None),
            ("curl -d @f h", "POST", "/", None),
            ("curl --url-query a=b h/", "GET", "/?a=b", Some("")),
        ] {
            let requests = parse(command).unwrap();
            let request = &requests[0];
            assert_eq!(request.method, method.as_bytes(), "{command}");
            assert_eq!(request.target, target.as_bytes(), "{command}");
            assert_eq!(
                request.body.as_deref(),
                body.map(str::as_bytes),
                "{command}"
            );
            assert_eq!(request.unknown.is_empty(), body.is_some(), "{command}");
            assert_eq!(request.scheme, Some(Scheme::Http), "{command}");
        }
    }

    #[test]
    fn a_header_can_be_empty_or_removed() {
        let requests = parse("curl h -d a -H 'Content-Type:' -H 'X-Empty;' -H @file").unwrap();
        let request = &requests[0];
        assert_eq!(request.values("x-empty"), [b""]);
        assert!(request.values("content-type").is_empty());
    }

    #[test]
    fn other_commands_are_no_requests() {
        let script =
            "cd /tmp\nexport A=b\ntime curl h/1 | jq .\n\n/usr/bin/curl h/2 > out; echo curl";
        let targets: Vec<_> = parse(script)
            .unwrap()
            .into_iter()
            .map(|r| r.target)
            .collect();
        assert_eq!(targets, [b"/1", b"/2"]);
    }

    #[test]
    fn a_command_that_is_no_request_is_refused_with_its_line() {
        for (script, expected) in [
            ("\ncurl -v", "line 2: the curl command has no URL"),
            ("curl a b", "line 1: the curl command has 2 URLs: keep one"),
            (
                "curl h -H nonsense",
                "line 1: a header of the curl command is not `Name: value`",
            ),
            (
                "curl ftp://h/",
                "line 1: the URL ftp://h/ is not complete: expected http:// or",
            ),
            (
                "curl h -H \"X: $Y\"",
                "line 1: `$Y` has a value that only the shell knows",
            ),
        ] {
            let refused = parse(script).unwrap_err().to_string();
            assert!(refused.starts_with(expected), "{script}: {refused}");
        }
    }

    #[test]
    fn a_line_begins_a_command_behind_any_prompt() {
        for line in [
            "curl https://h/",
            "$ curl h",
            "user@host:~$ curl h",
            "# curl h",
            "PS C:\\Users> curl.exe h",
            "C:\\Users\\me>curl h",
            "/usr/bin/curl h",
            "  curl h",
        ] {
            assert!(is_begin(line.as_bytes()), "{line}");
        }
        for line in ["curling", "GET / HTTP/1.1", "", "the curl command"] {
            assert!(!is_begin(line.as_bytes()), "{line}");
        }
    }
}
