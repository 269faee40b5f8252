//! The latency that a check adds to a request through a real Envoy: without a check, and with the
//! empty server, Countersign and the peer in Python, at the same rates.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Serialize;

use crate::calls;
use crate::envoy::{Envoy, SignedGet};
use crate::floor::Floor;
use crate::load::{self, Outcome, Pace};
use crate::process::{Countersign, Process, Redis, directory, free_address};
use crate::report::{Latency, micros, save};

/// Options of `hop`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Turns
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Seconds at each rate
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Requests per second, comma-separated
    #[arg(long, value_delimiter = ',', default_value = "250,500,1000,2000,4000")]
    rates: Vec<f64>,
    /// Worker threads of every server except the one in Python
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Path of Envoy
    #[arg(long, default_value = "target/envoy/1.40.0/envoy")]
    envoy: PathBuf,
    /// Directory of the Python packages of the peer
    #[arg(long, default_value = "target/bench-python")]
    python: PathBuf,
    /// JSON file for the figures
    #[arg(long, default_value = "target/bench/hop.json")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report {
    envoy: String,
    peer: String,
    workers: usize,
    turns: usize,
    seconds: f64,
    runs: Vec<Run>,
    direct: Vec<DirectRun>,
}

/// One server at one rate in one turn.
#[derive(Debug, Serialize)]
struct Run {
    server: &'static str,
    turn: usize,
    offered: f64,
    #[serde(flatten)]
    latency: Latency,
}

/// One server without Envoy, in the closed loop.
#[derive(Debug, Serialize)]
struct DirectRun {
    server: &'static str,
    turn: usize,
    rate: f64,
    cpu_us: f64,
}

/// One server with an Envoy in front.
struct Route {
    server: &'static str,
    envoy: Envoy,
    /// The rate at which the server falls behind.
    saturated_at: f64,
}

/// Runs the measurement.
pub(crate) fn run(args: &Args) {
    let dir = tempfile::tempdir().unwrap();
    let servers = Servers::start(dir.path(), args);
    let runs = through_envoy(&mut servers.routes(dir.path(), args), args);
    let direct = (0..args.turns)
        .flat_map(|turn| servers.direct(turn, args))
        .collect();
    let report = Report {
        envoy: version(Command::new(&args.envoy).arg("--version")),
        peer: version(python(&args.python).args(["-c", VERSIONS])),
        workers: args.workers,
        turns: args.turns,
        seconds: args.seconds,
        runs,
        direct,
    };
    save(&args.out, &report);
}

fn through_envoy(routes: &mut [Route], args: &Args) -> Vec<Run> {
    for route in &*routes {
        at_rate(route, 250.0, Duration::from_secs(1));
    }
    let mut runs = Vec::new();
    for turn in 0..args.turns {
        for &offered in &args.rates {
            let able = |route: &&mut Route| offered < route.saturated_at;
            for route in routes.iter_mut().filter(able) {
                runs.extend(run_at_rate(route, turn, offered, args.seconds));
            }
        }
    }
    runs
}

/// Measures a server at one rate; `None` if it falls behind.
fn run_at_rate(route: &mut Route, turn: usize, offered: f64, seconds: f64) -> Option<Run> {
    let outcome = at_rate(route, offered, Duration::from_secs_f64(seconds));
    if outcome.percentile(0.5) > SATURATED || !outcome.is_allowed(route.server) {
        route.saturated_at = offered;
        return None;
    }
    Some(Run {
        server: route.server,
        turn,
        offered,
        latency: Latency::of(&outcome),
    })
}

fn at_rate(route: &Route, rate: f64, limit: Duration) -> Outcome {
    let calls = SignedGet::signed(
        route.envoy.address,
        &calls::accounts(),
        (rate * limit.as_secs_f64()) as usize,
    );
    load::run(route.envoy.address, calls, Pace::Open(rate), limit)
}

/// The servers of the comparison.
struct Servers {
    #[expect(dead_code, reason = "ends the process when it is dropped")]
    redis: Redis,
    floor: Floor,
    with_redis: Countersign,
    embedded: Countersign,
    peer: Peer,
}

impl Servers {
    fn start(dir: &Path, args: &Args) -> Self {
        let redis = Redis::start(&directory(dir, "redis-data"));
        let url = format!("redis://{}", redis.address);
        Self {
            floor: Floor::start(args.workers),
            with_redis: Countersign::start(&directory(dir, "redis"), &url, args.workers),
            embedded: Countersign::start(
                &directory(dir, "embedded"),
                "embedded:bench.redb",
                args.workers,
            ),
            peer: Peer::start(&args.python, &url),
            redis,
        }
    }

    fn routes(&self, dir: &Path, args: &Args) -> Vec<Route> {
        let servers = [
            ("none", None),
            ("floor", Some(self.floor.address)),
            ("embedded", Some(self.embedded.address)),
            ("redis", Some(self.with_redis.address)),
            ("python", Some(self.peer.address)),
        ];
        let route = |(server, address)| {
            let envoy = Envoy::start(&fs::canonicalize(&args.envoy).unwrap(), dir, address);
            Route {
                server,
                envoy,
                saturated_at: f64::INFINITY,
            }
        };
        servers.map(route).into()
    }

    fn direct(&self, turn: usize, args: &Args) -> Vec<DirectRun> {
        let servers = [
            ("floor", self.floor.address, &self.floor.process),
            ("redis", self.with_redis.address, &self.with_redis.process),
            ("python", self.peer.address, &self.peer.process),
        ];
        let limit = Duration::from_secs_f64(args.seconds);
        let measure = |(server, address, process): (_, _, &Process)| {
            let most = if server == "python" {
                4_000.0
            } else {
                100_000.0
            };
            let calls = calls::allowed((most * args.seconds) as usize);
            let before = process.cpu();
            let outcome = load::run(address, calls, Pace::Closed, limit);
            assert!(
                outcome.is_allowed(server) || server == "python",
                "{server} did not respond in time"
            );
            let cpu_us = micros(process.cpu() - before) / outcome.latencies.len() as f64;
            DirectRun {
                server,
                turn,
                rate: outcome.rate(),
                cpu_us,
            }
        };
        servers.map(measure).into()
    }
}

/// The peer in Python. It is one process, since an interpreter runs on one core.
struct Peer {
    process: Process,
    address: SocketAddr,
}

impl Peer {
    fn start(packages: &Path, redis: &str) -> Self {
        let mut connection = redis::Client::open(redis)
            .unwrap()
            .get_connection()
            .unwrap();
        let mut seeds = redis::pipe();
        for account in calls::accounts() {
            seeds.set(format!("peer:consumer:{}", account.key), &account.secret);
            seeds.set(
                format!("peer:token:{}:{}", account.key, account.token),
                &account.token_secret,
            );
        }
        seeds.exec(&mut connection).unwrap();
        let address = free_address();
        let mut command = python(packages);
        command
            .arg("benches/peer/server.py")
            .arg(address.to_string())
            .arg(redis)
            .stderr(Stdio::null());
        Self {
            process: Process::start(&mut command, address),
            address,
        }
    }
}

fn python(packages: &Path) -> Command {
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn version(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Prints the versions of the peer's packages.
const VERSIONS: &str = "
import platform
from importlib.metadata import version
names = ['grpcio', 'oauthlib', 'redis', 'hiredis', 'uvloop']
print(', '.join(['Python ' + platform.python_version()] + [name + ' ' + version(name) for name in names]))";

/// The median latency of a server that falls behind. It is not measured at higher rates.
const SATURATED: Duration = Duration::from_millis(50);
