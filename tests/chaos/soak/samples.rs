//! The figures of each second and replica.

use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::driver::Driver;
use crate::judge::is_valid;
use crate::ledger::{Entry, Fate, Kind, Ledger, Verdict};
use crate::soak::account::Account;
use crate::soak::stack::Stack;
use crate::soak::windows::Windows;

/// The figures of a replica in a second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Seconds since the soak began.
    pub(crate) second: f64,
    pub(crate) replica: usize,
    pub(crate) memory_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) allowed: usize,
    pub(crate) denied: usize,
    pub(crate) failed: usize,
    /// Valid requests that did not pass, for any reason.
    pub(crate) not_passed: usize,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) in_flight: usize,
    /// The name of the fault; empty for none.
    pub(crate) fault: &'static str,
}

/// The figures of a soak, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(pub(crate) Vec<Sample>);

/// Takes samples, and judges the requests of each second.
#[derive(Clone)]
pub(crate) struct Sampler {
    processes: Arc<[AtomicU32; 2]>,
    driver: Arc<Driver>,
    ledger: Arc<Ledger>,
    windows: Arc<Mutex<Windows>>,
    account: Arc<Mutex<Account>>,
    samples: Arc<Mutex<Samples>>,
}

impl Sampler {
    /// Returns a sampler of a stack.
    pub(crate) fn new(
        stack: &Stack,
        windows: &Arc<Mutex<Windows>>,
        account: &Arc<Mutex<Account>>,
    ) -> Self {
        Self {
            processes: Arc::clone(&stack.processes),
            driver: Arc::clone(&stack.driver),
            ledger: Arc::clone(&stack.ledger),
            windows: Arc::clone(windows),
            account: Arc::clone(account),
            samples: Arc::default(),
        }
    }

    /// Takes a sample each second until it is aborted.
    pub(crate) async fn run(self) {
        let mut beat = interval(Duration::from_secs(1));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            self.sample();
        }
    }

    /// Takes a sample, and judges the requests since the last one.
    pub(crate) fn sample(&self) {
        let now = Instant::now();
        let (entries, fates) = self.ledger.take();
        let (mut windows, mut account) =
            (self.windows.lock().unwrap(), self.account.lock().unwrap());
        for entry in &entries {
            account.add(entry, &fates[entry.credential], &mut windows);
        }
        drop(account);
        let mut samples = self.samples.lock().unwrap();
        for replica in 0..self.processes.len() {
            let process = self.processes[replica].load(Ordering::Relaxed);
            let of_it = entries.iter().filter(|it| it.lane / LANES == replica);
            let mut sample = Sample {
                second: windows.seconds(now),
                replica,
                fault: windows.name(now),
                in_flight: (0..LANES)
                    .map(|lane| self.driver.in_flight(replica * LANES + lane))
                    .sum(),
                ..Sample::of_process(process)
            };
            sample.count(of_it, &fates);
            samples.0.push(sample);
        }
    }

    /// Returns the samples so far.
    pub(crate) fn samples(&self) -> Samples {
        self.samples.lock().unwrap().clone()
    }
}

impl Sample {
    fn of_process(id: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        let open = fs::read_dir(format!("/proc/{id}/fd"));
        Self {
            memory_kib: field("VmRSS:"),
            threads: field("Threads:") as usize,
            descriptors: open.map_or(0, |open| open.count()),
            ..Self::default()
        }
    }

    fn count<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>, fates: &[Fate]) {
        let mut latencies = Vec::new();
        for entry in entries {
            match entry.verdict {
                Verdict::Allowed => self.allowed += 1,
                Verdict::Denied(_) => self.denied += 1,
                Verdict::Failed(_) => self.failed += 1,
            }
            let valid = entry.kind == Kind::Fresh && is_valid(entry, &fates[entry.credential]);
            self.not_passed += usize::from(valid && entry.verdict != Verdict::Allowed);
            latencies.push(entry.answered - entry.sent);
        }
        latencies.sort_unstable();
        let below = |percent: usize| latencies.get(latencies.len() * percent / 100).copied();
        self.p50 = below(50).unwrap_or_default();
        self.p99 = below(99).unwrap_or_default();
    }
}

impl Samples {
    /// Returns one line for each second and replica.
    pub(crate) fn csv(&self) -> String {
        let mut text = "second,replica,memory_kib,descriptors,threads,allowed,denied,failed,valid_not_passed,p50_us,p99_us,in_flight,fault\n".to_owned();
        for it in &self.0 {
            let (second, replica, memory, fault) =
                (it.second, it.replica + 1, it.memory_kib, it.fault);
            let (descriptors, threads, in_flight) = (it.descriptors, it.threads, it.in_flight);
            let (allowed, denied, failed) = (it.allowed, it.denied, it.failed);
            let (not_passed, p50, p99) = (it.not_passed, it.p50.as_micros(), it.p99.as_micros());
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{second:.1},{replica},{memory},{descriptors},{threads},{allowed},{denied},{failed},{not_passed},{p50},{p99},{in_flight},{fault}"
            );
        }
        text
    }

    /// Returns the samples of a replica.
    pub(crate) fn of(&self, replica: usize) -> impl Iterator<Item = &Sample> {
        self.0
            .iter()
            .filter(move |sample| sample.replica == replica)
    }
}

/// The connections of the driver to each replica.
const LANES: usize = 2;
