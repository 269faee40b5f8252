//! The cost of a denial beside an allowed check of the same size. A client must not be able to load
//! the service with requests that it denies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign::oauth::{RsaPrivateKey, SignatureMethod, Signer, SigningKey};
use serde::Serialize;

use crate::calls::{self, Account, SampleRequest};
use crate::load::{self, Answer, Outcome, Pace};
use crate::process::{Countersign, Redis, directory, key_file};
use crate::report::{micros, save};

/// Options of `deny`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Turns
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Seconds per kind of request in a turn, at most
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Worker threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Measure only kinds whose name contains this, and the kinds that they are compared with
    #[arg(long, default_value = "")]
    only: String,
    /// JSON file for the figures
    #[arg(long, default_value = "target/bench/deny.json")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report {
    workers: usize,
    turns: usize,
    seconds: f64,
    runs: Vec<Run>,
}

/// One kind of request in one turn.
#[derive(Debug, Serialize)]
struct Run {
    kind: &'static str,
    like: &'static str,
    /// The destination of the log.
    log: &'static str,
    turn: usize,
    rate: f64,
    cpu_us: f64,
    redis_cpu_us: f64,
}

/// A kind of request.
struct RequestKind {
    name: &'static str,
    /// The allowed kind of the same size.
    like: &'static str,
    /// The expected result.
    expected: Answer,
    /// The number of requests per second of a turn.
    count: usize,
    make: fn(&Signers, usize) -> Vec<Bytes>,
}

/// The accounts and the key that sign the requests.
struct Signers {
    accounts: Vec<Account>,
    rsa: RsaPrivateKey,
}

/// Runs the measurement.
pub(crate) fn run(args: &Args) {
    let dir = tempfile::tempdir().unwrap();
    let redis = Redis::start(&directory(dir.path(), "redis-data"));
    let servers = start_servers(dir.path(), &redis, args.workers);
    let signers = Signers {
        accounts: calls::accounts(),
        rsa: rsa_consumer(dir.path(), &servers[0].1),
    };
    let mut runs = Vec::new();
    for turn in 0..args.turns {
        for kind in chosen_kinds(&args.only) {
            for (log, server) in &servers {
                let (cpu, redis_cpu) = (server.process.cpu(), redis.process.cpu());
                let outcome = kind.measure(server, &signers, args.seconds);
                let each = |used| micros(used) / outcome.latencies.len() as f64;
                runs.push(Run {
                    kind: kind.name,
                    like: kind.like,
                    log,
                    turn,
                    rate: outcome.rate(),
                    cpu_us: each(server.process.cpu() - cpu),
                    redis_cpu_us: each(redis.process.cpu() - redis_cpu),
                });
            }
        }
    }
    let report = Report {
        workers: args.workers,
        turns: args.turns,
        seconds: args.seconds,
        runs,
    };
    save(&args.out, &report);
}

/// Starts two servers with the same records, one without a log and one with its log in a file.
fn start_servers(dir: &Path, redis: &Redis, workers: usize) -> [(&'static str, Countersign); 2] {
    let url = format!("redis://{}", redis.address);
    let (first, second) = (directory(dir, "null"), directory(dir, "file"));
    fs::copy(key_file(&first), second.join("master.key")).unwrap();
    let log = fs::File::create(second.join("log")).unwrap();
    let without_log = Countersign::start_logging(&first, &url, workers, Stdio::null());
    let with_log = Countersign::start_logging(&second, &url, workers, log.into());
    without_log.add_accounts();
    [("null", without_log), ("file", with_log)]
}

/// Lists the kinds whose name contains `part`, and the kinds that they are compared with.
fn chosen_kinds(part: &str) -> impl Iterator<Item = &'static RequestKind> {
    let is_chosen = |kind: &&RequestKind| kind.name.contains(part);
    let compared: Vec<_> = KINDS
        .iter()
        .filter(is_chosen)
        .map(|kind| kind.like)
        .collect();
    KINDS
        .iter()
        .filter(move |kind| kind.name.contains(part) || compared.contains(&kind.name))
}

impl RequestKind {
    fn measure(&self, server: &Countersign, signers: &Signers, seconds: f64) -> Outcome {
        let calls = (self.make)(signers, (self.count as f64 * seconds) as usize);
        let pace = if self.count < MANY {
            Pace::Gentle
        } else {
            Pace::Closed
        };
        let outcome = load::run(
            server.address,
            calls,
            pace,
            Duration::from_secs_f64(seconds),
        );
        let Outcome {
            allowed,
            denied,
            failed,
            ..
        } = outcome;
        let as_expected = match self.expected {
            Answer::Allowed => allowed,
            // The first request of a replay is allowed.
            Answer::Denied => denied + allowed.min(1),
            Answer::Failed => failed,
        };
        assert_eq!(
            as_expected,
            allowed + denied + failed,
            "{}: {allowed} allowed, {denied} denied, {failed} failed, which should all be {:?}",
            self.name,
            self.expected
        );
        outcome
    }
}

/// Creates a consumer that signs with RSA, and returns its key.
fn rsa_consumer(dir: &Path, server: &Countersign) -> RsaPrivateKey {
    let (private, public) = (dir.join("rsa.pem"), dir.join("rsa-public.pem"));
    let openssl = |args: &[&str], into: &Path| {
        let done = Command::new("openssl")
            .args(args)
            .arg("-out")
            .arg(into)
            .stderr(Stdio::null())
            .status();
        assert!(done.unwrap().success(), "openssl {args:?} failed");
    };
    openssl(
        &[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ],
        &private,
    );
    openssl(
        &["pkey", "-in", private.to_str().unwrap(), "-pubout"],
        &public,
    );
    let public = public.to_str().unwrap();
    server.admin(&[
        "consumer",
        "create",
        "--name=RSA",
        "--consumer-key",
        RSA,
        "--no-secret",
        "--rsa-public-key",
        public,
    ]);
    RsaPrivateKey::from_pem(&fs::read_to_string(private).unwrap()).unwrap()
}

// === Requests ===

fn get(signers: &Signers, count: usize) -> Vec<Bytes> {
    signed(&SampleRequest::default(), signers, count)
}

fn signed(sample: &SampleRequest, signers: &Signers, count: usize) -> Vec<Bytes> {
    signers
        .accounts
        .iter()
        .cycle()
        .take(count)
        .map(|account| sample.signed(&account.signer()))
        .collect()
}

/// Signs by accounts that `change` has made wrong.
fn changed(signers: &Signers, count: usize, change: impl Fn(&mut Account, usize)) -> Vec<Bytes> {
    let sample = SampleRequest::default();
    let accounts = signers
        .accounts
        .iter()
        .cycle()
        .take(count)
        .cloned()
        .enumerate();
    let call = |(n, mut account): (usize, Account)| {
        change(&mut account, n);
        sample.signed(&account.signer())
    };
    accounts.map(call).collect()
}

/// Returns a name that no request had before.
fn new_name() -> String {
    let mut random = [0; 12];
    countersign::clock::Entropy::fill(&countersign::clock::SystemEntropy, &mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn rsa(signers: &Signers, count: usize) -> Vec<Bytes> {
    (0..count)
        .map(|_| SampleRequest::default().signed(&rsa_signer(signers)))
        .collect()
}

/// Signs with random bytes of the length of a signature.
fn rsa_garbage(signers: &Signers, count: usize) -> Vec<Bytes> {
    let sample = SampleRequest::default();
    let genuine = sample.authorization(&rsa_signer(signers), calls::HOST);
    let (before, _) = genuine.split_once("oauth_signature=\"").unwrap();
    let with = |n: usize| {
        let mut signature = [0x5a; 256];
        signature[8..16].copy_from_slice(&n.to_be_bytes());
        let encoded = STANDARD
            .encode(signature)
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        sample.with(&format!("{before}oauth_signature=\"{encoded}\""))
    };
    (0..count).map(with).collect()
}

fn rsa_signer(signers: &Signers) -> Signer<'_> {
    let key = SigningKey::Rsa(&signers.rsa);
    Signer {
        consumer_key: RSA.as_bytes(),
        token: None,
        method: SignatureMethod::RsaSha256,
        key,
    }
}

/// Returns a request with a form of that many parameters.
fn form(parameters: usize) -> SampleRequest {
    let body: Vec<_> = (0..parameters)
        .map(|n| format!("name{n}=value{n}"))
        .collect();
    let content_type = "application/x-www-form-urlencoded";
    SampleRequest {
        method: "POST",
        content_type,
        body: body.join("&").into_bytes(),
        ..SampleRequest::default()
    }
}

/// With three parameters of the query and six or seven of the header, fewer than the limit of a
/// thousand.
const MOST_IN_FORM: usize = 980;

fn upload(length: usize) -> SampleRequest {
    SampleRequest {
        method: "POST",
        content_type: "application/octet-stream",
        body: vec![b'x'; length],
        ..SampleRequest::default()
    }
}

fn form_upload(length: usize) -> SampleRequest {
    let body = format!("name={}", "x".repeat(length - 5)).into_bytes();
    SampleRequest {
        content_type: "application/x-www-form-urlencoded",
        body,
        ..upload(0)
    }
}

/// Repeats one check: a check that is denied before its nonce is claimed is denied each time.
fn again(call: Bytes, count: usize) -> Vec<Bytes> {
    vec![call; count]
}

/// Returns a signed header whose nonce is longer than allowed.
fn long_authorization(signers: &Signers, length: usize) -> String {
    let genuine =
        SampleRequest::default().authorization(&signers.accounts[0].signer(), calls::HOST);
    genuine.replacen(
        "oauth_nonce=\"",
        &format!("oauth_nonce=\"{}", "n".repeat(length)),
        1,
    )
}

const KINDS: &[RequestKind] = &[
    RequestKind {
        name: GET,
        like: GET,
        expected: Answer::Allowed,
        count: 60_000,
        make: get,
    },
    RequestKind {
        name: "unknown consumer, a new one each time",
        like: GET,
        expected: Answer::Denied,
        count: 60_000,
        make: |signers, count| changed(signers, count, |account, _| account.key = new_name()),
    },
    RequestKind {
        name: "unknown consumer, the same each time",
        like: GET,
        expected: Answer::Denied,
        count: 60_000,
        make: |signers, count| {
            changed(signers, count, |account, _| {
                account.key = "bench-nobody".to_owned()
            })
        },
    },
    RequestKind {
        name: "unknown token, a new one each time",
        like: GET,
        expected: Answer::Denied,
        count: 60_000,
        make: |signers, count| changed(signers, count, |account, _| account.token = new_name()),
    },
    RequestKind {
        name: "wrong signature",
        like: GET,
        expected: Answer::Denied,
        count: 60_000,
        make: |signers, count| changed(signers, count, |account, _| account.secret.push('!')),
    },
    RequestKind {
        name: "replay",
        like: GET,
        expected: Answer::Denied,
        count: 60_000,
        make: |signers, count| again(get(signers, 1).remove(0), count),
    },
    RequestKind {
        name: "malformed header",
        like: GET,
        expected: Answer::Denied,
        count: 60_000,
        make: |_, count| {
            again(
                SampleRequest::default().with("OAuth oauth_consumer_key=\"a\" \"b"),
                count,
            )
        },
    },
    RequestKind {
        name: RSA_GET,
        like: RSA_GET,
        expected: Answer::Allowed,
        count: 1_500,
        make: rsa,
    },
    RequestKind {
        name: "random bytes as RSA signature",
        like: RSA_GET,
        expected: Answer::Denied,
        count: 30_000,
        make: rsa_garbage,
    },
    RequestKind {
        name: FORM,
        like: FORM,
        expected: Answer::Allowed,
        count: 4_000,
        make: |signers, count| signed(&form(MOST_IN_FORM), signers, count),
    },
    RequestKind {
        name: "form of 980 parameters, wrong signature",
        like: FORM,
        expected: Answer::Denied,
        count: 10_000,
        make: |signers, count| {
            let account = Account {
                secret: "wrong".to_owned(),
                ..signers.accounts[0].clone()
            };
            again(form(MOST_IN_FORM).signed(&account.signer()), count)
        },
    },
    RequestKind {
        name: "form of 1,000 parameters, above the limit",
        like: FORM,
        expected: Answer::Denied,
        count: 20_000,
        make: |signers, count| {
            let authorization =
                SampleRequest::default().authorization(&signers.accounts[0].signer(), calls::HOST);
            again(form(1_000).with(&authorization), count)
        },
    },
    RequestKind {
        name: BODY,
        like: BODY,
        expected: Answer::Allowed,
        count: 150,
        make: |signers, count| signed(&upload(1 << 20), signers, count),
    },
    RequestKind {
        name: "form of 1 MiB, wrong signature",
        like: FORM_BODY,
        expected: Answer::Denied,
        count: 1_000,
        make: |signers, count| {
            let account = Account {
                secret: "wrong".to_owned(),
                ..signers.accounts[0].clone()
            };
            again(form_upload(1 << 20).signed(&account.signer()), count)
        },
    },
    RequestKind {
        name: FORM_BODY,
        like: FORM_BODY,
        expected: Answer::Allowed,
        count: 100,
        make: |signers, count| signed(&form_upload(1 << 20), signers, count),
    },
    RequestKind {
        name: "form of 1 MiB and 1 KiB, above the limit",
        like: FORM_BODY,
        expected: Answer::Denied,
        count: 2_000,
        make: |signers, count| {
            again(
                form_upload((1 << 20) + 1024).signed(&signers.accounts[0].signer()),
                count,
            )
        },
    },
    RequestKind {
        name: "gRPC message of 3 MiB, above the limit",
        like: BODY,
        expected: Answer::Failed,
        count: 2_000,
        make: |signers, count| again(upload(3 << 20).signed(&signers.accounts[0].signer()), count),
    },
    RequestKind {
        name: HEADER,
        like: HEADER,
        expected: Answer::Allowed,
        count: 5_000,
        make: |signers, count| {
            signed(
                &SampleRequest {
                    padding: 64 << 10,
                    ..SampleRequest::default()
                },
                signers,
                count,
            )
        },
    },
    RequestKind {
        name: "Authorization of 64 KiB, malformed",
        like: HEADER,
        expected: Answer::Denied,
        count: 20_000,
        make: |_, count| {
            again(
                SampleRequest::default().with(&format!("OAuth {}", "a".repeat(64 << 10))),
                count,
            )
        },
    },
    RequestKind {
        name: "Authorization of 64 KiB, nonce too long",
        like: HEADER,
        expected: Answer::Denied,
        count: 20_000,
        make: |signers, count| {
            again(
                SampleRequest::default().with(&long_authorization(signers, 64 << 10)),
                count,
            )
        },
    },
];

const GET: &str = "allowed GET";
const RSA_GET: &str = "allowed GET, RSA-SHA256";
const FORM: &str = "allowed form of 980 parameters";
const BODY: &str = "allowed body of 1 MiB";
const FORM_BODY: &str = "allowed form of 1 MiB";
const HEADER: &str = "allowed GET with a header of 64 KiB";

/// Kinds with fewer requests per second are slow, and get fewer in flight.
const MANY: usize = 12_000;

/// The key of the consumer that signs with RSA.
const RSA: &str = "bench-rsa";
