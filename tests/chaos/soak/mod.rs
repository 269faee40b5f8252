//! The soak: two replicas at a steady load for as long as wanted, and faults at random among them.
//! `scripts/soak` runs it.
//!
//! The first minute measures the rate that the machine can answer, and the rest runs at 70 % of it.
//! Every request is judged when it is answered, so that the memory of a run does not grow with its
//! length.
//!
//! | file | content |
//! |---|---|
//! | `options.rs` | the command line |
//! | `stack.rs`, `store.rs` | two replicas, on Redis with Sentinels behind proxies |
//! | `load.rs` | the saturation, and the steady load |
//! | `faults.rs`, `windows.rs` | the faults in the order of a seed, and when each one happened |
//! | `account.rs` | the judgement of every request |
//! | `samples.rs` | the figures of each second, and their file |
//! | `verdict.rs` | the limits, and the tables |
//! | `picture.rs` | the picture |

mod account;
mod faults;
mod load;
mod options;
mod picture;
mod samples;
mod stack;
mod store;
mod verdict;
mod windows;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::admin::ReadBack;
use crate::report::replace_between;
use crate::soak::account::Account;
use crate::soak::faults::Deck;
use crate::soak::load::Load;
use crate::soak::options::Options;
use crate::soak::samples::{Sampler, Samples};
use crate::soak::stack::Stack;
use crate::soak::verdict::Verdict;
use crate::soak::windows::Windows;

/// Everything that a soak measured.
pub(crate) struct Soaked {
    options: Options,
    /// Requests per second that the machine answers, and those of the load.
    saturation: f64,
    rate: f64,
    samples: Samples,
    windows: Windows,
    account: Account,
    read_back: ReadBack,
    /// Requests that were not sent, because too many were in flight.
    unsent: usize,
}

/// Runs a soak, prints its tables and writes its files.
pub(crate) async fn main(arguments: &[String]) -> ExitCode {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(mistake) => {
            eprintln!("error: {mistake}");
            return ExitCode::from(64);
        }
    };
    let limit = options.length() + SPARE;
    let Ok(soaked) = timeout(limit, soak(options)).await else {
        eprintln!("error: the soak did not end within {} s", limit.as_secs());
        return ExitCode::FAILURE;
    };
    let verdict = Verdict::of(&soaked);
    let text = verdict.markdown(&soaked);
    println!("{text}");
    save(&soaked, &text);
    ExitCode::from(u8::from(!verdict.holds()))
}

async fn soak(options: Options) -> Soaked {
    let mut stack = Stack::start().await;
    let windows = Arc::new(Mutex::new(Windows::default()));
    let load = Arc::new(Load::new(Arc::clone(&stack.driver)));
    let account = Arc::new(Mutex::new(Account::default()));
    let sampler = Sampler::new(&stack, &windows, &account);
    let mut tasks = JoinSet::new();
    tasks.spawn(sampler.clone().run());

    let measuring = options.measuring();
    windows.lock().unwrap().begin_measuring();
    let saturation = load.saturation(measuring, &stack.ledger).await;
    let rate = saturation * SHARE;
    eprintln!("saturation {saturation:.0}/s; the load is {rate:.0}/s");
    tasks.spawn(Arc::clone(&load).steady(rate));
    tasks.spawn(stack.admin.clone().churn(WRITES));
    sleep(SETTLE).await;
    windows.lock().unwrap().end_measuring();

    let end = Instant::now() + options.length().saturating_sub(measuring);
    let mut deck = Deck::of(options.seed);
    deck.deal_until(end, &mut stack, &windows).await;

    tasks.shutdown().await;
    // Requests in flight end by themselves.
    sleep(Duration::from_millis(500)).await;
    sampler.sample();
    let read_back = stack.admin.read_back().await;
    let (windows, account) = (windows.lock().unwrap(), account.lock().unwrap());
    Soaked {
        options,
        saturation,
        rate,
        samples: sampler.samples(),
        windows: windows.clone(),
        account: account.clone(),
        read_back,
        unsent: load.unsent(),
    }
}

/// Writes the figures, the picture and the text into target/soak, and with `--write` also into the
/// documentation.
fn save(soaked: &Soaked, text: &str) {
    let directory = project().join("target/soak");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("seconds.csv"), soaked.samples.csv()).unwrap();
    fs::write(directory.join("faults.csv"), soaked.windows.csv()).unwrap();
    fs::write(directory.join("soak.md"), text).unwrap();
    let picture = picture::svg(soaked);
    fs::write(directory.join("soak.svg"), &picture).unwrap();
    eprintln!("the figures and the picture are in {}", directory.display());
    if soaked.options.write {
        fs::write(project().join("docs/performance/soak.svg"), picture).unwrap();
        replace_between(
            "<!-- scripts/soak: begin -->",
            "<!-- scripts/soak: end -->",
            text,
        );
    }
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The load as a share of the saturation.
const SHARE: f64 = 0.7;

/// The time to start, to end the last fault and to read back every write.
const SPARE: Duration = Duration::from_secs(300);

/// The pause between administrative writes.
const WRITES: Duration = Duration::from_millis(500);

/// The time after the measurement of the saturation that is not judged.
const SETTLE: Duration = Duration::from_secs(2);
