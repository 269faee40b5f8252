//! The options of a curl command, as far as they decide the request.

use super::form;

/// The part of a curl command that decides the request.
#[derive(Debug, Default)]
pub(super) struct CurlOptions {
    pub(super) urls: Vec<Vec<u8>>,
    pub(super) method: Option<Vec<u8>>,
    pub(super) headers: Vec<Vec<u8>>,
    /// The parts of the body, or with `-G` of the query.
    pub(super) data: Vec<Vec<u8>>,
    /// The parts that `--url-query` adds to the query.
    pub(super) query: Vec<Vec<u8>>,
    pub(super) is_get: bool,
    pub(super) is_head: bool,
    pub(super) is_json: bool,
    /// The option that takes the body from a file or builds one that is random.
    pub(super) unread_body: Option<String>,
}

impl CurlOptions {
    /// Reads the words behind `curl`. Options that do not decide the request are skipped, unknown
    /// ones as if they had no value.
    pub(super) fn of(words: &[Vec<u8>]) -> Self {
        let mut options = Self::default();
        let mut words = words.iter();
        let mut are_urls = false;
        while let Some(word) = words.next() {
            match &word[..] {
                b"--" if !are_urls => are_urls = true,
                [b'-', b'-', name @ ..] if !are_urls => {
                    let name = String::from_utf8_lossy(name).into_owned();
                    let value = LONG_WITH_VALUE.contains(&&*name).then(|| words.next());
                    options.set(&name, value.flatten());
                }
                [b'-', flags @ ..] if !flags.is_empty() && !are_urls => {
                    options.set_short(flags, &mut words);
                }
                url => options.urls.push(url.to_vec()),
            }
        }
        options
    }

    /// Reads `-sSd VALUE` or `-dVALUE`.
    fn set_short<'w>(&mut self, flags: &[u8], words: &mut impl Iterator<Item = &'w Vec<u8>>) {
        for (at, flag) in flags.iter().enumerate() {
            let long = SHORT.iter().find(|(short, _)| short == flag);
            let name = long.map_or("", |(_, name)| name);
            if !SHORT_WITH_VALUE.contains(flag) {
                self.set(name, None);
                continue;
            }
            let attached = flags[at + 1..].to_vec();
            if attached.is_empty() {
                self.set(name, words.next());
            } else {
                self.set(name, Some(&attached));
            }
            return;
        }
    }

    fn set(&mut self, name: &str, value: Option<&Vec<u8>>) {
        let text = || value.cloned().unwrap_or_default();
        match name {
            "url" => self.urls.push(text()),
            "request" => self.method = Some(text()),
            "header" => self.headers.push(text()),
            "data" | "data-ascii" | "data-binary" => self.add_data(name, text()),
            "data-raw" => self.data.push(text()),
            "json" => {
                self.is_json = true;
                self.add_data(name, text());
            }
            "data-urlencode" => self.add_encoded(&text()),
            "url-query" => self.query.extend(encoded(&text())),
            "form" | "form-string" | "upload-file" => self.unread_body = Some(format!("--{name}")),
            "get" => self.is_get = true,
            "head" => self.is_head = true,
            _ => {}
        }
    }

    fn add_data(&mut self, name: &str, text: Vec<u8>) {
        if text.starts_with(b"@") {
            self.unread_body = Some(format!("--{name} {}", String::from_utf8_lossy(&text)));
        } else {
            self.data.push(text);
        }
    }

    fn add_encoded(&mut self, text: &[u8]) {
        match encoded(text) {
            Some(part) => self.data.push(part),
            None => {
                let text = String::from_utf8_lossy(text);
                self.unread_body = Some(format!("--data-urlencode {text}"));
            }
        }
    }
}

/// Encodes the value of `--data-urlencode`; `None` if it is in a file.
fn encoded(text: &[u8]) -> Option<Vec<u8>> {
    let sign = text.iter().position(|byte| matches!(byte, b'=' | b'@'));
    let (name, value) = match sign {
        Some(at) if text[at] == b'@' => return None,
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (&b""[..], text),
    };
    let value = form::encoded(value);
    let equals: &[u8] = if name.is_empty() { b"" } else { b"=" };
    Some([name, equals, value.as_bytes()].concat())
}

/// The short options that decide the request, with their long names.
const SHORT: [(u8, &str); 7] = [
    (b'X', "request"),
    (b'H', "header"),
    (b'd', "data"),
    (b'F', "form"),
    (b'T', "upload-file"),
    (b'G', "get"),
    (b'I', "head"),
];

/// The short options with a value.
const SHORT_WITH_VALUE: &[u8] = b"AbcCdDeEFHKmoPQrtTuUwxXyYz";

/// The long options with a value.
const LONG_WITH_VALUE: &[&str] = &[
    "url",
    "request",
    "header",
    "data",
    "data-ascii",
    "data-binary",
    "data-raw",
    "json",
    "data-urlencode",
    "url-query",
    "form",
    "form-string",
    "upload-file",
    "user",
    "user-agent",
    "referer",
    "cookie",
    "cookie-jar",
    "proxy",
    "proxy-user",
    "proxy-header",
    "output",
    "output-dir",
    "write-out",
    "max-time",
    "connect-timeout",
    "retry",
    "retry-delay",
    "retry-max-time",
    "cacert",
    "capath",
    "cert",
    "cert-type",
    "key",
    "key-type",
    "pass",
    "ciphers",
    "tls13-ciphers",
    "tls-max",
    "resolve",
    "connect-to",
    "interface",
    "range",
    "limit-rate",
    "max-redirs",
    "max-filesize",
    "dump-header",
    "config",
    "trace",
    "trace-ascii",
    "stderr",
    "unix-socket",
    "abstract-unix-socket",
    "oauth2-bearer",
    "aws-sigv4",
    "noproxy",
    "preproxy",
    "socks5",
    "socks5-hostname",
    "socks4",
    "dns-servers",
    "doh-url",
    "expect100-timeout",
    "keepalive-time",
    "local-port",
    "netrc-file",
    "speed-limit",
    "speed-time",
    "time-cond",
    "request-target",
    "pinnedpubkey",
    "crlfile",
    "engine",
    "egd-file",
    "hostpubmd5",
    "alt-svc",
    "hsts",
    "etag-save",
    "etag-compare",
    "rate",
    "variable",
    "parallel-max",
    "create-file-mode",
    "continue-at",
    "quote",
    "proto",
    "proto-redir",
    "proto-default",
    "service-name",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_every_spelling() {
        for command in [
            &["-X", "PUT", "-H", "a: b", "-d", "c=d", "https://h/"][..],
            &["-XPUT", "-Ha: b", "-dc=d", "https://h/"],
            &[
                "-sSkXPUT",
                "-vH",
                "a: b",
                "-isd",
                "c=d",
                "--url",
                "https://h/",
            ],
            &[
                "--request",
                "PUT",
                "--header",
                "a: b",
                "--data-raw",
                "c=d",
                "--",
                "https://h/",
            ],
            &[
                "-o",
                "out",
                "--max-time",
                "5",
                "-u",
                "x:y",
                "-XPUT",
                "-H",
                "a: b",
                "--compressed",
                "-w",
                "%{http_code}",
                "--data-ascii",
                "c=d",
                "https://h/",
            ],
        ] {
            let options = of(command);
            assert_eq!(options.urls, [b"https://h/"], "{command:?}");
            assert_eq!(options.method.as_deref(), Some(&b"PUT"[..]), "{command:?}");
            assert_eq!(options.headers, [b"a: b"], "{command:?}");
            assert_eq!(options.data, [b"c=d"], "{command:?}");
            assert_eq!(options.unread_body, None, "{command:?}");
        }
    }

    #[test]
    fn values_are_encoded_as_curl_encodes_them() {
        let options = of(&["--data-urlencode", "a=b c/~", "--data-urlencode", "=x y"]);
        assert_eq!(options.data, [&b"a=b%20c%2F~"[..], b"x%20y"]);
        let query = of(&["--url-query", "q=a b"]).query;
        assert_eq!(query, [b"q=a%20b"]);
    }

    #[test]
    fn a_body_in_a_file_is_named() {
        for (command, expected) in [
            (&["-d", "@body.json"][..], "--data @body.json"),
            (&["--data-urlencode", "a@b.txt"], "--data-urlencode a@b.txt"),
            (&["-F", "a=b"], "--form"),
            (&["-T", "file"], "--upload-file"),
        ] {
            assert_eq!(of(command).unread_body.as_deref(), Some(expected));
        }
        assert_eq!(of(&["--data-raw", "@a"]).data, [b"@a"]);
    }

    fn of(words: &[&str]) -> CurlOptions {
        let words: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        CurlOptions::of(&words)
    }
}
