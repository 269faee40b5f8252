//! A run: replicas under traffic and administrative writes, with a fault in the middle.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::admin::{Admin, ReadBack};
use crate::driver::{Driver, Target};
use crate::judge::{Judgement, Marks};
use crate::ledger::Ledger;
use crate::replica::Replica;
use crate::row::Allowance;

/// Replicas under traffic.
pub(crate) struct Run {
    pub(crate) replicas: Vec<Replica>,
    pub(crate) admin: Admin,
    ledger: Arc<Ledger>,
    /// The driver and the administrator; aborted when dropped.
    tasks: JoinSet<()>,
    began: Option<Instant>,
    cleared: Option<Instant>,
    excused: Option<Instant>,
}

/// The traffic of a run.
#[derive(Clone)]
pub(crate) struct Load {
    /// The receivers of requests; empty stands for the check listener of every replica.
    pub(crate) targets: Vec<Target>,
    /// Requests per second.
    pub(crate) rate: f64,
    /// The pause between administrative writes; zero stands for no writes.
    pub(crate) writes: Duration,
}

/// The measurements of a row.
pub(crate) struct Evidence {
    /// The ledger and its moments; none for a row without traffic.
    judged: Option<(LedgerCopy, Marks)>,
    pub(crate) read_back: Option<ReadBack>,
    /// Observations for the table.
    pub(crate) notes: Vec<String>,
    /// Broken expectations of the row itself.
    pub(crate) broken: Vec<String>,
}

type LedgerCopy = (Vec<crate::ledger::Entry>, Vec<crate::ledger::Fate>);

impl Default for Load {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            rate: 300.0,
            writes: Duration::from_millis(150),
        }
    }
}

impl Run {
    /// Creates credentials, starts the default traffic, and returns after it has run for a while.
    pub(crate) async fn start(replicas: Vec<Replica>) -> Self {
        Self::start_with(replicas, Load::default()).await
    }

    /// Starts with other traffic.
    pub(crate) async fn start_with(replicas: Vec<Replica>, load: Load) -> Self {
        let ledger = Arc::new(Ledger::default());
        let admin = Admin::of(&replicas, Arc::clone(&ledger));
        for replica in &replicas {
            let ready = replica.is_ready_within(Duration::from_secs(20)).await;
            assert!(ready, "not ready: {:?}", replica.readiness().await);
        }
        admin.prepare().await;
        let targets = match load.targets {
            targets if targets.is_empty() => direct(&replicas),
            targets => targets,
        };
        let driver = Arc::new(Driver::new(targets, admin.clone(), Arc::clone(&ledger)));
        let mut tasks = JoinSet::new();
        tasks.spawn(driver.drive(load.rate));
        if !load.writes.is_zero() {
            tasks.spawn(admin.clone().write(load.writes));
        }
        warm_up(&ledger).await;
        Self {
            replicas,
            admin,
            ledger,
            tasks,
            began: None,
            cleared: None,
            excused: None,
        }
    }

    /// Notes that the fault begins now.
    pub(crate) fn fault_begins(&mut self) {
        self.began = Some(Instant::now());
    }

    /// Notes that the fault ends now.
    pub(crate) fn fault_ends(&mut self) {
        self.cleared = Some(Instant::now());
    }

    /// Excuses what is wrongly allowed among requests sent from the beginning of the fault until this
    /// moment, for example until a second after a switch.
    pub(crate) fn excuse_until(&mut self, moment: Instant) {
        self.excused = Some(moment);
    }

    /// Continues the traffic for so many seconds, ends it, and reads back every acknowledged write.
    pub(crate) async fn finish(&mut self, seconds: f64) -> Evidence {
        sleep(Duration::from_secs_f64(seconds)).await;
        let ended = Instant::now();
        self.tasks.shutdown().await;
        // Writes in flight end by themselves; their acknowledgements count.
        sleep(Duration::from_millis(300)).await;
        let read_back = self.admin.read_back().await;
        let began = self.began.unwrap_or(ended);
        let marks = Marks {
            began,
            cleared: self.cleared.unwrap_or(began),
            ended,
            excused: self.excused,
        };
        Evidence {
            judged: Some((self.ledger.read(), marks)),
            read_back: Some(read_back),
            notes: Vec::new(),
            broken: Vec::new(),
        }
    }
}

impl Evidence {
    /// Returns the evidence of a row without traffic.
    pub(crate) fn without_traffic() -> Self {
        Self {
            judged: None,
            read_back: None,
            notes: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Returns the evidence of a row that cannot run on this machine, which fails the row.
    pub(crate) fn not_run(why: &str) -> Self {
        let mut evidence = Self::without_traffic();
        evidence.broken.push(format!("not run: {why}"));
        evidence
    }

    /// Fails the row if more valid requests got no verdict or were refused by the fence.
    #[must_use]
    pub(crate) fn at_most(mut self, most: usize) -> Self {
        let judgement = self.judge(&Allowance::NOTHING);
        let failed = judgement.map_or(0, |judgement| judgement.failed + judgement.fenced);
        self.must(
            failed <= most,
            format!("at most {most} valid requests fail, not {failed}"),
        );
        self
    }

    /// Fails the row if an acknowledged revocation does not hold, although it admits lost writes.
    #[must_use]
    pub(crate) fn revocations_hold(mut self) -> Self {
        let undone = self.read_back.as_ref().map_or(0, |it| it.revocations);
        self.must(
            undone == 0,
            format!("no acknowledged revocation undone, not {undone}"),
        );
        self
    }

    /// Adds an observation for the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Fails the row unless an expectation of its own holds.
    pub(crate) fn must(&mut self, holds: bool, expectation: impl Into<String>) {
        if !holds {
            self.broken
                .push(format!("expected: {}", expectation.into()));
        }
    }

    /// Fails the row if a smaller share of the valid requests passes in a part of the run, in seconds
    /// since the fault began.
    #[must_use]
    pub(crate) fn passes(mut self, least: f64, part: Range<f64>) -> Self {
        let passed = self.passed(part.clone());
        let (least_percent, percent) = (least * 100.0, passed * 100.0);
        let Range { start, end } = part;
        let of = format!("of the valid requests pass from {start:.1} s to {end:.1} s");
        self.note(format!("{percent:.0} % {of}"));
        let expected = format!("{least_percent:.0} % {of}, not {percent:.1} %");
        self.must(passed >= least, expected);
        self
    }

    fn passed(&self, part: Range<f64>) -> f64 {
        let Some(((entries, fates), marks)) = &self.judged else {
            return 0.0;
        };
        let at = |seconds| marks.began + Duration::from_secs_f64(seconds);
        Judgement::passed((entries, fates), at(part.start)..at(part.end))
    }

    /// Judges the ledger.
    pub(crate) fn judge(&self, allowance: &Allowance) -> Option<Judgement> {
        let (ledger, marks) = self.judged.as_ref()?;
        Some(Judgement::of(ledger, marks, allowance))
    }
}

/// Returns two connections to each replica, so that both of its threads answer.
pub(crate) fn direct(replicas: &[Replica]) -> Vec<Target> {
    let addresses = replicas.iter().map(|replica| replica.check);
    addresses
        .flat_map(|address| [Target::check(address), Target::check(address)])
        .collect()
}

/// Waits until the traffic passes, which takes longer on a busy machine.
async fn warm_up(ledger: &Ledger) {
    let end = Instant::now() + WARMEST;
    loop {
        sleep(WARM).await;
        let (fresh, allowed) = ledger.fresh_since(Instant::now() - WARM);
        if (fresh > 0 && allowed * 10 >= fresh * 8) || Instant::now() > end {
            return;
        }
    }
}

/// The time of traffic before the fault, at least and at most.
const WARM: Duration = Duration::from_millis(1200);
const WARMEST: Duration = Duration::from_secs(20);
