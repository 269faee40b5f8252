//! The times of the faults.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::Instant;

use crate::soak::faults::Fault;

/// The faults of a soak, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    /// The beginning of the soak.
    pub(crate) begun: Instant,
    /// The end of the measurement of the saturation; `None` before.
    pub(crate) measured: Option<Instant>,
    pub(crate) all: Vec<Window>,
}

/// A fault with its times and its cost.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) fault: &'static Fault,
    pub(crate) began: Instant,
    /// The end of the fault; `None` while it lasts.
    pub(crate) ended: Option<Instant>,
    /// The moment when the Sentinels named another primary.
    pub(crate) switched: Option<Instant>,
    /// Valid requests that did not pass.
    pub(crate) failed: usize,
    /// The last of them.
    pub(crate) last: Option<Instant>,
    /// The reason why the fault did not happen as it should.
    pub(crate) problem: Option<String>,
}

/// The place of a request among the faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the load is steady.
    Measuring,
    /// Far from all faults.
    Calm,
    /// In the window with this index.
    Fault(usize),
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            measured: None,
            all: Vec::new(),
        }
    }
}

impl Windows {
    /// Notes that the measurement of the saturation begins.
    pub(crate) fn begin_measuring(&mut self) {
        self.begun = Instant::now();
    }

    /// Notes that the load is steady.
    pub(crate) fn end_measuring(&mut self) {
        self.measured = Some(Instant::now());
    }

    /// Notes that a fault begins.
    pub(crate) fn begin(&mut self, fault: &'static Fault) {
        self.all.push(Window {
            fault,
            began: Instant::now(),
            ended: None,
            switched: None,
            failed: 0,
            last: None,
            problem: None,
        });
    }

    /// Notes that the Sentinels named another primary.
    pub(crate) fn switch(&mut self) {
        if let Some(window) = self.all.last_mut() {
            window.switched = Some(Instant::now());
        }
    }

    /// Notes that the last fault ends.
    pub(crate) fn end(&mut self, outcome: Result<(), String>) {
        if let Some(window) = self.all.last_mut() {
            window.ended = Some(Instant::now());
            window.problem = outcome.err();
        }
    }

    /// Notes that Redis was not whole again after the last fault.
    pub(crate) fn unsettled(&mut self, problem: String) {
        if let Some(window) = self.all.last_mut() {
            window.problem.get_or_insert(problem);
        }
    }

    /// Returns the place of a request that was sent at a moment.
    pub(crate) fn place(&self, sent: Instant) -> Place {
        if self.measured.is_none_or(|measured| sent < measured) {
            return Place::Measuring;
        }
        let found = self.all.iter().rposition(|window| window.contains(sent));
        found.map_or(Place::Calm, Place::Fault)
    }

    /// Returns the name of the fault at a moment.
    pub(crate) fn name(&self, at: Instant) -> &'static str {
        match self.place(at) {
            Place::Measuring => "measuring",
            Place::Calm => "",
            Place::Fault(index) => self.all[index].fault.name,
        }
    }

    /// Returns the seconds from the beginning of the soak to a moment.
    pub(crate) fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.begun).as_secs_f64()
    }

    /// Returns one line for each fault.
    pub(crate) fn csv(&self) -> String {
        let mut text =
            "fault,began_s,ended_s,valid_not_passed,recovered_after_s,problem\n".to_owned();
        for window in &self.all {
            let name = window.fault.name;
            let (began, ended) = (self.seconds(window.began), self.seconds(window.until()));
            let (failed, took) = (window.failed, window.interruption().as_secs_f64());
            let problem = window.problem.as_deref().unwrap_or_default();
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{name},{began:.2},{ended:.2},{failed},{took:.2},{problem}"
            );
        }
        text
    }
}

impl Window {
    /// Returns the moment until which valid requests may fail; the end of time while the fault lasts.
    pub(crate) fn until(&self) -> Instant {
        let Some(ended) = self.ended else {
            return self.began + Duration::from_secs(3600);
        };
        let cleared = ended + self.fault.recovers;
        match self.switched {
            // The promise counts from the loss of the primary.
            Some(_) => cleared.max(self.began + FAILOVER),
            None => cleared,
        }
    }

    /// Returns the time from the beginning to the last valid request that did not pass.
    pub(crate) fn interruption(&self) -> Duration {
        let last = self.last.unwrap_or(self.began);
        last.saturating_duration_since(self.began)
    }

    /// Returns whether a request that was sent at a moment may be allowed wrongly: until a second
    /// after a switch, a replica may not know the new primary, and the former one accepts writes.
    pub(crate) fn excuses(&self, sent: Instant) -> bool {
        let until = match (self.fault.switches, self.ended, self.switched) {
            (true, None, None) => return sent >= self.began,
            (true, _, Some(switched)) => switched + Duration::from_secs(1),
            (false, ..) | (true, Some(_), None) => return false,
        };
        (self.began..until).contains(&sent)
    }

    fn contains(&self, sent: Instant) -> bool {
        // A request may be in flight when the fault begins.
        sent + crate::driver::DEADLINE >= self.began && sent < self.until()
    }
}

/// The time in which checks pass again after the loss of a primary: five seconds, and 1.5 s for
/// Sentinels that notice the loss after two seconds.
const FAILOVER: Duration = Duration::from_millis(6_500);
