//! What a refusal costs beside an allowance of the same size: nobody may be able to make the service work harder by sending
//! what it refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign::oauth::{RsaPrivateKey, SignatureMethod, Signer, SigningKey};
use serde::Serialize;

use crate::calls::{self, Account, Question};
use crate::load::{self, Outcome, Pace};
use crate::process::{Countersign, Redis, directory};
use crate::report::{micros, save};

/// How refusals are measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Turns
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// The most seconds that each kind of request takes in a turn
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Worker threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Only kinds whose name has this in it, and what they are compared with
    #[arg(long, default_value = "")]
    only: String,
    /// Where the figures are written, as JSON
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
    /// Where the log went.
    log: &'static str,
    turn: usize,
    rate: f64,
    cpu_us: f64,
    redis_cpu_us: f64,
}

/// A kind of request.
struct Kind {
    name: &'static str,
    /// The kind that is allowed and of the same size.
    like: &'static str,
    /// What becomes of it.
    fate: Fate,
    /// How many are made for a turn.
    count: usize,
    make: fn(&Ground, usize) -> Vec<Bytes>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Allowed,
    Denied,
    /// A gRPC status.
    Failed,
}

/// What requests are made from.
struct Ground {
    accounts: Vec<Account>,
    rsa: RsaPrivateKey,
}

/// Runs it.
pub(crate) fn run(args: &Args) {
    let dir = tempfile::tempdir().unwrap();
    let redis = Redis::start(&directory(dir.path(), "redis-data"));
    let url = format!("redis://{}", redis.address);
    let (first, second) = (directory(dir.path(), "null"), directory(dir.path(), "file"));
    fs::copy(crate::process::key_file(&first), second.join("master.key")).unwrap();
    let log = fs::File::create(second.join("log")).unwrap();
    let servers = [
        (
            "null",
            Countersign::start_logging(&first, &url, args.workers, Stdio::null()),
        ),
        (
            "file",
            Countersign::start_logging(&second, &url, args.workers, log.into()),
        ),
    ];
    servers[0].1.add_accounts();
    let ground = Ground {
        accounts: calls::accounts(),
        rsa: rsa_consumer(dir.path(), &servers[0].1),
    };
    let asked = |kind: &&Kind| kind.name.contains(&args.only) || args.only.is_empty();
    let wanted: Vec<_> = KINDS.iter().filter(asked).map(|kind| kind.like).collect();
    let mut runs = Vec::new();
    for turn in 0..args.turns {
        for kind in KINDS
            .iter()
            .filter(|kind| asked(kind) || wanted.contains(&kind.name))
        {
            for (log, server) in &servers {
                let (cpu, redis_cpu) = (server.process.cpu(), redis.process.cpu());
                let outcome = kind.ask(server, &ground, args.seconds);
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
    save(
        &args.out,
        &Report {
            workers: args.workers,
            turns: args.turns,
            seconds: args.seconds,
            runs,
        },
    );
}

impl Kind {
    fn ask(&self, server: &Countersign, ground: &Ground, seconds: f64) -> Outcome {
        let calls = (self.make)(ground, (self.count as f64 * seconds) as usize);
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
        let all = match self.fate {
            Fate::Allowed => allowed,
            // The first of a replay is none.
            Fate::Denied => denied + allowed.min(1),
            Fate::Failed => failed,
        };
        assert_eq!(
            all,
            allowed + denied + failed,
            "{}: {allowed} allowed, {denied} denied, {failed} failed",
            self.name
        );
        outcome
    }
}

/// A consumer that signs with RSA, and its key.
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

// What is sent.

fn get(ground: &Ground, count: usize) -> Vec<Bytes> {
    signed(&Question::default(), ground, count)
}

fn signed(question: &Question, ground: &Ground, count: usize) -> Vec<Bytes> {
    ground
        .accounts
        .iter()
        .cycle()
        .take(count)
        .map(|account| question.signed(&account.signer()))
        .collect()
}

/// Signed by accounts that were changed so that they are none.
fn changed(ground: &Ground, count: usize, change: impl Fn(&mut Account, usize)) -> Vec<Bytes> {
    let question = Question::default();
    let accounts = ground
        .accounts
        .iter()
        .cycle()
        .take(count)
        .cloned()
        .enumerate();
    let call = |(n, mut account): (usize, Account)| {
        change(&mut account, n);
        question.signed(&account.signer())
    };
    accounts.map(call).collect()
}

/// A name that nobody asked for before.
fn new_name() -> String {
    let mut random = [0; 12];
    countersign::clock::Entropy::fill(&countersign::clock::SystemEntropy, &mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn rsa(ground: &Ground, count: usize) -> Vec<Bytes> {
    (0..count)
        .map(|_| Question::default().signed(&rsa_signer(ground)))
        .collect()
}

/// As long as a signature, and none.
fn rsa_garbage(ground: &Ground, count: usize) -> Vec<Bytes> {
    let question = Question::default();
    let genuine = question.authorization(&rsa_signer(ground), calls::HOST);
    let (before, _) = genuine.split_once("oauth_signature=\"").unwrap();
    let with = |n: usize| {
        let mut signature = [0x5a; 256];
        signature[8..16].copy_from_slice(&n.to_be_bytes());
        let encoded = STANDARD
            .encode(signature)
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        question.with(&format!("{before}oauth_signature=\"{encoded}\""))
    };
    (0..count).map(with).collect()
}

fn rsa_signer(ground: &Ground) -> Signer<'_> {
    let key = SigningKey::Rsa(&ground.rsa);
    Signer {
        consumer_key: RSA.as_bytes(),
        token: None,
        method: SignatureMethod::RsaSha256,
        key,
    }
}

/// A form of so many parameters: with those of the query and of the header.
fn form(parameters: usize) -> Question {
    let body: Vec<_> = (0..parameters)
        .map(|n| format!("name{n}=value{n}"))
        .collect();
    let content_type = "application/x-www-form-urlencoded";
    Question {
        method: "POST",
        content_type,
        body: body.join("&").into_bytes(),
        ..Question::default()
    }
}

/// With three of the query and six or seven of the header it stays below a thousand.
const MOST_IN_FORM: usize = 980;

fn upload(length: usize) -> Question {
    Question {
        method: "POST",
        content_type: "application/octet-stream",
        body: vec![b'x'; length],
        ..Question::default()
    }
}

fn form_upload(length: usize) -> Question {
    let body = format!("name={}", "x".repeat(length - 5)).into_bytes();
    Question {
        content_type: "application/x-www-form-urlencoded",
        body,
        ..upload(0)
    }
}

/// One message again and again: what is refused before its nonce is looked at is refused as often as it comes.
fn again(call: Bytes, count: usize) -> Vec<Bytes> {
    vec![call; count]
}

/// A signed header whose nonce is longer than any may be.
fn long_authorization(ground: &Ground, length: usize) -> String {
    let genuine = Question::default().authorization(&ground.accounts[0].signer(), calls::HOST);
    genuine.replacen(
        "oauth_nonce=\"",
        &format!("oauth_nonce=\"{}", "n".repeat(length)),
        1,
    )
}

const KINDS: &[Kind] = &[
    Kind {
        name: GET,
        like: GET,
        fate: Fate::Allowed,
        count: 60_000,
        make: get,
    },
    Kind {
        name: "unknown consumer, another each time",
        like: GET,
        fate: Fate::Denied,
        count: 60_000,
        make: |ground, count| changed(ground, count, |account, _| account.key = new_name()),
    },
    Kind {
        name: "unknown consumer, the same each time",
        like: GET,
        fate: Fate::Denied,
        count: 60_000,
        make: |ground, count| {
            changed(ground, count, |account, _| {
                account.key = "bench-nobody".to_owned()
            })
        },
    },
    Kind {
        name: "unknown token, another each time",
        like: GET,
        fate: Fate::Denied,
        count: 60_000,
        make: |ground, count| changed(ground, count, |account, _| account.token = new_name()),
    },
    Kind {
        name: "wrong signature",
        like: GET,
        fate: Fate::Denied,
        count: 60_000,
        make: |ground, count| changed(ground, count, |account, _| account.secret.push('!')),
    },
    Kind {
        name: "replay",
        like: GET,
        fate: Fate::Denied,
        count: 60_000,
        make: |ground, count| again(get(ground, 1).remove(0), count),
    },
    Kind {
        name: "malformed header",
        like: GET,
        fate: Fate::Denied,
        count: 60_000,
        make: |_, count| {
            again(
                Question::default().with("OAuth oauth_consumer_key=\"a\" \"b"),
                count,
            )
        },
    },
    Kind {
        name: RSA_GET,
        like: RSA_GET,
        fate: Fate::Allowed,
        count: 1_500,
        make: rsa,
    },
    Kind {
        name: "RSA garbage",
        like: RSA_GET,
        fate: Fate::Denied,
        count: 30_000,
        make: rsa_garbage,
    },
    Kind {
        name: FORM,
        like: FORM,
        fate: Fate::Allowed,
        count: 4_000,
        make: |ground, count| signed(&form(MOST_IN_FORM), ground, count),
    },
    Kind {
        name: "form of 980 parameters, wrong signature",
        like: FORM,
        fate: Fate::Denied,
        count: 10_000,
        make: |ground, count| {
            let account = Account {
                secret: "wrong".to_owned(),
                ..ground.accounts[0].clone()
            };
            again(form(MOST_IN_FORM).signed(&account.signer()), count)
        },
    },
    Kind {
        name: "form of 1,000 parameters and the header's: too many",
        like: FORM,
        fate: Fate::Denied,
        count: 20_000,
        make: |ground, count| {
            let authorization =
                Question::default().authorization(&ground.accounts[0].signer(), calls::HOST);
            again(form(1_000).with(&authorization), count)
        },
    },
    Kind {
        name: BODY,
        like: BODY,
        fate: Fate::Allowed,
        count: 150,
        make: |ground, count| signed(&upload(1 << 20), ground, count),
    },
    Kind {
        name: "form of 1 MiB, wrong signature",
        like: FORM_BODY,
        fate: Fate::Denied,
        count: 1_000,
        make: |ground, count| {
            let account = Account {
                secret: "wrong".to_owned(),
                ..ground.accounts[0].clone()
            };
            again(form_upload(1 << 20).signed(&account.signer()), count)
        },
    },
    Kind {
        name: FORM_BODY,
        like: FORM_BODY,
        fate: Fate::Allowed,
        count: 100,
        make: |ground, count| signed(&form_upload(1 << 20), ground, count),
    },
    Kind {
        name: "form above the cap",
        like: FORM_BODY,
        fate: Fate::Denied,
        count: 2_000,
        make: |ground, count| {
            again(
                form_upload((1 << 20) + 1024).signed(&ground.accounts[0].signer()),
                count,
            )
        },
    },
    Kind {
        name: "message of 3 MiB, above the decode limit",
        like: BODY,
        fate: Fate::Failed,
        count: 2_000,
        make: |ground, count| again(upload(3 << 20).signed(&ground.accounts[0].signer()), count),
    },
    Kind {
        name: HEADER,
        like: HEADER,
        fate: Fate::Allowed,
        count: 5_000,
        make: |ground, count| {
            signed(
                &Question {
                    padding: 64 << 10,
                    ..Question::default()
                },
                ground,
                count,
            )
        },
    },
    Kind {
        name: "Authorization of 64 KiB, not OAuth's syntax",
        like: HEADER,
        fate: Fate::Denied,
        count: 20_000,
        make: |_, count| {
            again(
                Question::default().with(&format!("OAuth {}", "a".repeat(64 << 10))),
                count,
            )
        },
    },
    Kind {
        name: "Authorization of 64 KiB, a nonce too long",
        like: HEADER,
        fate: Fate::Denied,
        count: 20_000,
        make: |ground, count| {
            again(
                Question::default().with(&long_authorization(ground, 64 << 10)),
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

/// With fewer made for a turn, each takes long.
const MANY: usize = 12_000;

/// The consumer that signs with RSA.
const RSA: &str = "bench-rsa";
