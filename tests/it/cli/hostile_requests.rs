//! Requests that are made to cost much when they are explained. A running service explains with the
//! same code.

use std::process::{Command, Stdio};

use crate::support::program::program;

/// A path of slashes, values and names that would be copied many times, and JSON whose arrays repeat
/// a long name.
#[test]
fn explaining_takes_little_memory() {
    let commas = format!("{}={}", "!".repeat(29_500), ",".repeat(29_500));
    let long_key = format!("{{\"{}\":[1{}]}}", "k".repeat(31_000), ",1".repeat(16_000));
    let longest_key = format!("{{\"{}\":[1{}]}}", "!".repeat(62_000), ",1".repeat(200));
    let nested = format!("{{\"k\":{}{}}}", "[".repeat(100), "]".repeat(100));
    let empty = format!("{{\"{}\":[[]{}]}}", "k".repeat(1000), ",[]".repeat(20_000));
    let short: Vec<_> = (0..200).map(|at| format!("p{at}=,;[]~*")).collect();
    for (name, request) in [
        ("commas", of_query(&commas)),
        ("slashes", get(&"/".repeat(58_000))),
        ("parameters", of_query(&short.join("&"))),
        ("long key", of_json(&long_key)),
        ("longest key", of_json(&longest_key)),
        ("nested arrays", of_json(&nested)),
        ("empty arrays", of_json(&empty)),
    ] {
        let peak = peak_memory_mib(&request);
        assert!(peak < 128, "{name}: {peak} MiB");
    }
}

fn of_query(query: &str) -> String {
    get(&format!("/photos?{query}"))
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{HEADERS}\r\n")
}

fn of_json(body: &str) -> String {
    format!(
        "POST /photos HTTP/1.1\r\n{HEADERS}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Explains a request of a consumer with profiles, and returns the peak memory of the program.
fn peak_memory_mib(request: &str) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("request");
    std::fs::write(&file, request).unwrap();
    let mut python = Command::new("python3");
    let python = python.arg("-c").arg(MEASURE);
    let python = python.arg(program().get_program()).arg("explain").arg(file);
    let output = python
        .args(["--scheme", "https", "--at", "1700000000"])
        .args(["--consumer-secret", "secret", "--compat", "slash-plain"])
        .args(["--compat", "repeated-once", "--output", "json"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let (status, peak) = printed.trim().split_once(' ').unwrap();
    assert_eq!(status, "1", "the request is refused");
    peak.parse::<u64>().unwrap() / 1024
}

/// Runs its arguments, and prints their exit status and peak memory in KiB.
const MEASURE: &str = "\
import resource, subprocess, sys
ended = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(ended.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";

const HEADERS: &str = "Host: api.example.com\r\nAuthorization: OAuth oauth_consumer_key=\"k\", \
    oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"1700000000\", oauth_nonce=\"n\", \
    oauth_signature=\"AAAAAAAAAAAAAAAAAAAAAAAAAAA%3D\"\r\n";
