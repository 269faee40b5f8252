//! Records for `scripts/test` what a test run writes, and the secrets that must not be in it.
//! `scripts/lib/leaks.py` then searches the one for the other.
//!
//! Nothing is recorded unless the variable `TEST_OUTPUT` names a directory.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Output;
use std::sync::{LazyLock, Mutex, Once};
use std::time::Duration;

use serde_json::Value;

use crate::support::http::Response;

/// Returns `true` if this run is recorded.
pub(crate) fn is_recording() -> bool {
    RECORDING.is_some()
}

/// Plants a secret: no output may contain it.
///
/// Short texts are left out, because they may be in an output by chance.
pub(crate) fn secret(text: &str) {
    static KNOWN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    if text.len() < SHORTEST_SECRET || !is_recording() {
        return;
    }
    if KNOWN.lock().unwrap().insert(text.to_owned()) {
        append(SECRETS, format!("{}\n", Value::from(text)).as_bytes());
    }
}

/// Plants every secret in the JSON output of a command.
pub(crate) fn secrets_of(json: &Value) {
    if let Some(fields) = json.as_object() {
        for (name, value) in fields {
            match value.as_str().filter(|_| name.ends_with("secret")) {
                Some(text) => secret(text),
                None => secrets_of(value),
            }
        }
    }
    json.as_array().into_iter().flatten().for_each(secrets_of);
}

/// Records what the program wrote to standard error.
pub(crate) fn errors_of(output: &Output) {
    record("output/errors", &output.stderr);
}

/// Records a line of the program's log.
pub(crate) fn log_line(of: &str, line: &str) {
    if of == COUNTERSIGN {
        record("output/log", format!("{line}\n").as_bytes());
    }
}

/// Returns `true` for a line of the program's log that is there only because the run is recorded.
pub(crate) fn is_only_recorded(line: &str) -> bool {
    let is_fine = [r#""level":"TRACE""#, r#""level":"DEBUG""#];
    is_recording() && is_fine.iter().any(|level| line.contains(level))
}

/// Records a refusal, and plants the secrets and cookies that a success carries.
pub(crate) fn response(response: &Response) {
    if !is_recording() {
        return;
    }
    if response.status >= 400 {
        record("output/refusals", format!("{response:?}\n").as_bytes());
    }
    for part in response.body.split('&') {
        if let Some(token_secret) = part.strip_prefix("oauth_token_secret=") {
            secret(token_secret);
        }
    }
    let cookies = response
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    for (_, cookie) in cookies {
        let pair = cookie.split(';').next().unwrap_or_default();
        secret(pair.split_once('=').map_or("", |(_, value)| value));
    }
}

/// Records the `Debug` form of something.
pub(crate) fn debug_form(what: &str, shown: &str) {
    record("output/debug", format!("{what}: {shown}\n").as_bytes());
}

/// Records what the ops listener shows to everyone.
pub(crate) fn ops(address: SocketAddr) {
    if !is_recording() {
        return;
    }
    for path in ["/metrics", "/readyz"] {
        let mut answer = Vec::new();
        // A listener that has ended shows nothing.
        let _ = ask(address, path, &mut answer);
        record("output/ops", &answer);
    }
}

fn ask(address: SocketAddr, path: &str, answer: &mut Vec<u8>) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n"
    )?;
    stream.read_to_end(answer).map(drop)
}

/// Records the events of the services in this process, at every level.
pub(crate) fn own_log() {
    static ONCE: Once = Once::new();
    if !is_recording() {
        return;
    }
    ONCE.call_once(|| {
        let log = open("output/own-log");
        let started = tracing_subscriber::fmt()
            .with_env_filter(EVENTS)
            .with_ansi(false)
            .with_writer(Mutex::new(log))
            .try_init();
        started.unwrap();
    });
}

/// The filter of the program's log in a recorded run.
pub(crate) const LOG_FILTER: (&str, &str) = ("COUNTERSIGN_LOG__FILTER", EVENTS);

/// Every event, except those of each frame and each read: gigabytes in the tests of floods.
const EVENTS: &str = "trace,h2=info,hyper=info,hyper_util=info,tokio_util=info";

fn record(file: &str, bytes: &[u8]) {
    if is_recording() {
        append(file, bytes);
    }
}

/// Appends in one call, so that parallel tests do not mix their lines.
fn append(file: &str, bytes: &[u8]) {
    open(file).write_all(bytes).unwrap();
}

fn open(file: &str) -> File {
    let path = RECORDING.as_ref().unwrap().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
}

static RECORDING: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os("TEST_OUTPUT").map(PathBuf::from));

const SECRETS: &str = "secrets";
const COUNTERSIGN: &str = "countersign";
const SHORTEST_SECRET: usize = 12;
const PATIENCE: Duration = Duration::from_secs(2);

mod tests {
    use std::path::Path;
    use std::process::Command;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::support::process::project;

    const PLANTED: &str = "a/planted+secret=1";

    #[test]
    fn the_search_finds_a_secret_in_every_form() {
        for leak in [
            PLANTED.to_owned(),
            "a%2Fplanted%2Bsecret%3D1".to_owned(),
            "a%2fplanted%2bsecret%3d1".to_owned(),
            "a%252Fplanted%252Bsecret%253D1".to_owned(),
            STANDARD.encode(PLANTED),
            PLANTED.bytes().map(|byte| format!("{byte:02x}")).collect(),
            format!("{:?}", PLANTED.as_bytes()),
        ] {
            let (found, said) = search(&format!("before {leak} after\n"));
            assert!(!found, "{leak} was not found: {said}");
            assert!(said.contains("output/log:2"), "{said}");
            assert!(!said.contains(&leak), "the report repeats it: {said}");
        }
    }

    #[test]
    fn the_search_passes_what_has_no_secret() {
        let (passed, said) = search("a planted secret\n");
        assert!(passed && said.contains("1 secret"), "{said}");
    }

    #[test]
    fn the_search_refuses_to_search_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (passed, said) = run(directory.path());
        assert!(!passed && said.contains("no secret"), "{said}");
    }

    fn search(line: &str) -> (bool, String) {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("output");
        fs::create_dir(&output).unwrap();
        fs::write(output.join("log"), format!("a line\n{line}")).unwrap();
        let secrets = format!("{}\n", Value::from(PLANTED));
        fs::write(directory.path().join(SECRETS), secrets).unwrap();
        run(directory.path())
    }

    fn run(directory: &Path) -> (bool, String) {
        let ended = Command::new("python3")
            .arg(project("scripts/lib/leaks.py"))
            .arg(directory)
            .output()
            .unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        (ended.status.success(), said)
    }
}
