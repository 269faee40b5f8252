//! The limits of a soak, and its tables.

use std::time::Duration;

use crate::report::grouped;
use crate::soak::Soaked;
use crate::soak::faults::FAULTS;
use crate::soak::samples::Sample;

/// The judgement of a soak.
pub(crate) struct Verdict(Vec<Limit>);

/// A limit, and the figure that it bounds.
struct Limit {
    judged: &'static str,
    limit: String,
    measured: String,
    holds: bool,
}

impl Verdict {
    /// Judges a soak.
    pub(crate) fn of(soaked: &Soaked) -> Self {
        let mut limits = of_answers(soaked);
        limits.extend(of_interruptions(soaked));
        limits.push(of_latency(soaked));
        limits.extend(of_resources(soaked));
        Self(limits)
    }

    /// Returns whether every limit holds.
    pub(crate) fn holds(&self) -> bool {
        self.0.iter().all(|limit| limit.holds)
    }

    /// Returns the text for the documentation.
    pub(crate) fn markdown(&self, soaked: &Soaked) -> String {
        let (options, account) = (&soaked.options, &soaked.account);
        let build = if cfg!(debug_assertions) {
            ", a debug build"
        } else {
            ""
        };
        let mut lines = vec![
            format!(
                "{} minutes, seed {}{build}: {} requests, {} of them valid, at {:.0}/s, which is 70 % of the {:.0}/s that the machine answered; {} faults.",
                options.minutes,
                options.seed,
                grouped(account.requests),
                grouped(account.valid),
                soaked.rate,
                soaked.saturation,
                soaked.windows.all.len(),
            ),
            String::new(),
            "![Latency, answers, memory and descriptors over time, with the faults](performance/soak.svg)".to_owned(),
            String::new(),
            "| judged | limit | measured |".to_owned(),
            "|---|---|---|".to_owned(),
        ];
        lines.extend(self.0.iter().map(Limit::line));
        lines.extend([
            "".to_owned(),
            FAULT_HEAD.to_owned(),
            "|---|---|---|---|---|".to_owned(),
        ]);
        lines.extend(fault_lines(soaked));
        lines.join("\n") + "\n"
    }
}

impl Limit {
    fn new(judged: &'static str, limit: impl Into<String>, measured: String, holds: bool) -> Self {
        let limit = limit.into();
        Self {
            judged,
            limit,
            measured,
            holds,
        }
    }

    fn none(judged: &'static str, count: usize, of: usize) -> Self {
        let measured = format!("{} of {}", grouped(count), grouped(of));
        // Without such requests, nothing is proven.
        Self::new(judged, "0", measured, count == 0 && of > 0)
    }

    fn line(&self) -> String {
        let Self {
            judged,
            limit,
            measured,
            holds,
        } = self;
        let bold = if *holds { "" } else { "**" };
        format!("| {judged} | {limit} | {bold}{measured}{bold} |")
    }
}

fn of_answers(soaked: &Soaked) -> Vec<Limit> {
    let account = &soaked.account;
    let back = &soaked.read_back;
    let lost = back.creations + back.revocations + back.unread;
    let mut limits = Vec::new();
    for (judged, tally) in [
        ("tampered requests allowed", account.tampered),
        ("replays allowed", account.replays),
        ("requests with revoked credentials allowed", account.revoked),
    ] {
        let mut limit = Limit::none(judged, tally.wrong, tally.sent);
        if tally.excused > 0 {
            limit.measured += &format!(", and {} until a second after a failover", tally.excused);
        }
        limits.push(limit);
    }
    limits.push(Limit::none(
        "acknowledged writes lost",
        lost,
        back.acknowledged,
    ));
    limits
}

fn of_interruptions(soaked: &Soaked) -> Vec<Limit> {
    let account = &soaked.account;
    let free = soaked.windows.all.iter().filter(|it| !it.fault.interrupts);
    let calm = account.calm;
    let mut outside = Limit::none(
        "valid requests that failed outside of faults",
        calm.wrong,
        calm.sent,
    );
    for (answer, count) in &account.calm_failures {
        outside.measured += &format!("; {count} × {}", answer.replace('|', "/"));
    }
    let without: usize = free.map(|window| window.failed).sum();
    let problems: Vec<_> = soaked
        .windows
        .all
        .iter()
        .filter_map(|it| it.problem.clone())
        .collect();
    let unsent = grouped(soaked.unsent);
    vec![
        outside,
        Limit::new(
            "valid requests that failed in faults that interrupt nothing",
            "0",
            grouped(without),
            without == 0,
        ),
        Limit::new(
            "faults that did not happen as they should",
            "0",
            format!("{} {}", problems.len(), problems.join("; "))
                .trim()
                .to_owned(),
            problems.is_empty(),
        ),
        Limit::new(
            "requests not sent, because 1,024 were in flight",
            "–",
            unsent,
            true,
        ),
    ]
}

fn of_latency(soaked: &Soaked) -> Limit {
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| soaked.account.latency.below(share));
    let measured = format!(
        "{} (p50 {}, p99.9 {})",
        milliseconds(p99),
        milliseconds(p50),
        milliseconds(p999)
    );
    Limit::new(
        "p99 outside of faults",
        milliseconds(P99),
        measured,
        p99 <= P99,
    )
}

/// The first replica runs all the time; the second one is restarted.
fn of_resources(soaked: &Soaked) -> Vec<Limit> {
    let mib = |sample: &Sample| sample.memory_kib as f64 / 1024.0;
    let figures: [Figure<'_>; 3] = [
        ("resident memory of the first replica, MiB", MEMORY, &mib),
        ("its descriptors", DESCRIPTORS, &|it| it.descriptors as f64),
        ("its threads", 0.0, &|it| it.threads as f64),
    ];
    let calm: Vec<_> = soaked
        .samples
        .of(0)
        .filter(|sample| sample.fault.is_empty())
        .collect();
    let quarter = calm.len() / 4;
    let (first, last) = (&calm[..quarter], &calm[calm.len() - quarter..]);
    figures
        .map(|(judged, growth, of)| {
            let (before, after) = (median(first, of), median(last, of));
            Limit::new(
                judged,
                format!("+{:.0} %", growth * 100.0),
                format!("{before:.1} in the first quarter, {after:.1} in the last"),
                after <= before * (1.0 + growth),
            )
        })
        .into()
}

type Figure<'a> = (&'static str, f64, &'a dyn Fn(&Sample) -> f64);

fn median(samples: &[&Sample], of: &dyn Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<_> = samples.iter().map(|sample| of(sample)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn fault_lines(soaked: &Soaked) -> Vec<String> {
    let mut lines = Vec::new();
    for fault in FAULTS {
        let of_it = || {
            let all = soaked.windows.all.iter();
            all.filter(|window| window.fault.name == fault.name)
        };
        if of_it().count() == 0 {
            continue;
        }
        let failed: usize = of_it().map(|window| window.failed).sum();
        let longest = of_it().map(|window| window.interruption()).max();
        let longest = longest.unwrap_or_default().as_secs_f64();
        lines.push(format!(
            "| {} | {} | {} | {} | {longest:.1} s |",
            fault.letter,
            fault.text,
            of_it().count(),
            grouped(failed)
        ));
    }
    lines
}

fn milliseconds(latency: Duration) -> String {
    format!("{:.1} ms", latency.as_secs_f64() * 1000.0)
}

const FAULT_HEAD: &str = "| | fault | times | valid requests that did not pass | longest time from its beginning to the last of them |";

/// The limit of the p99: the driver, Redis and two replicas share the machine.
const P99: Duration = Duration::from_millis(50);

/// The limits of growth.
const MEMORY: f64 = 0.2;
const DESCRIPTORS: f64 = 0.2;
