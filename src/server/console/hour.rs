//! The section about the last hour: totals and charts, the most frequent reasons and causes, and
//! the busiest consumers.

use std::time::Duration;

use super::chart::{self, BarChart, ShownReason};
use super::display;
use crate::clock::UnixTime;
use crate::diagnostics::{
    ConsumerHour, Diagnostics, HourReport, MinuteReport, ResultCounts, WordTally,
};

/// The decisions of the last hour.
pub(super) struct HourPanel {
    /// The time from which decisions are counted.
    pub(super) since: UnixTime,
    /// True if this process started within the hour.
    pub(super) is_partial: bool,
    /// The width of the part of the charts before this process started.
    pub(super) uncounted: usize,
    /// The number of requests by result.
    pub(super) results: ResultCounts,
    /// The chart by result.
    pub(super) result_chart: BarChart,
    /// The chart of refused requests by reason.
    pub(super) reason_chart: BarChart,
    /// The most frequent reasons.
    pub(super) reasons: Vec<ShownReason>,
    /// The most frequent causes.
    pub(super) causes: Vec<WordTally>,
    /// The busiest consumers.
    pub(super) consumers: Vec<ConsumerHour>,
    /// The axis of the charts: the first, the middle and the last minute.
    pub(super) axis: [String; 3],
    /// The decisions by five minutes, for people who cannot see the charts.
    pub(super) rows: Vec<HourRow>,
}

/// The decisions of five minutes.
pub(super) struct HourRow {
    /// The beginning.
    pub(super) begin: UnixTime,
    /// The number of requests by result.
    pub(super) results: ResultCounts,
}

impl HourPanel {
    /// Reads the decisions of the last hour.
    pub(super) fn load(diagnostics: &Diagnostics) -> Self {
        let hour = diagnostics.hour();
        let reasons = chart::legend(&hour);
        let mut causes = hour.causes_by_frequency();
        causes.truncate(CAUSES);
        Self {
            since: hour.since,
            is_partial: hour.since == diagnostics.since(),
            uncounted: chart::uncounted(&hour),
            results: hour.results(),
            result_chart: BarChart::of_results(&hour),
            reason_chart: BarChart::of_reasons(&hour, &reasons),
            reasons,
            causes,
            consumers: diagnostics.busiest_consumers(CONSUMERS),
            axis: axis(&hour),
            rows: rows(&hour),
        }
    }

    /// Describes the chart by result in words.
    pub(super) fn result_text(&self) -> String {
        let ResultCounts {
            allowed,
            denied,
            would_deny,
            failed,
        } = self.results;
        format!(
            "{} allowed, {} denied, {} would be denied, {} failed; at most {} a minute.",
            display::grouped(allowed),
            display::grouped(denied),
            display::grouped(would_deny),
            display::grouped(failed),
            display::grouped(self.result_chart.highest)
        )
    }

    /// Describes the chart by reason in words.
    pub(super) fn reason_text(&self) -> String {
        let reasons = self.reasons.iter().map(|reason| {
            let count = display::grouped(reason.tally.total());
            format!("{count} {}", reason.tally.name)
        });
        let reasons: Vec<_> = reasons.collect();
        if reasons.is_empty() {
            "None.".to_owned()
        } else {
            let highest = display::grouped(self.reason_chart.highest);
            format!("{}; at most {highest} a minute.", reasons.join(", "))
        }
    }
}

/// Returns the labels of an axis that is 60 minutes long.
fn axis(hour: &HourReport) -> [String; 3] {
    let begin = hour
        .minutes
        .first()
        .map_or(hour.since, |minute| minute.begin);
    [0, 30, 60].map(|nth| display::time_of_day(&begin.plus(Duration::from_mins(nth))))
}

/// Adds up the decisions of each five minutes, the newest first.
fn rows(hour: &HourReport) -> Vec<HourRow> {
    let fives = hour.minutes.chunks(5).filter_map(|minutes| {
        let results = minutes.iter().map(MinuteReport::results);
        Some(HourRow {
            begin: minutes.first()?.begin,
            results: results.fold(ResultCounts::default(), ResultCounts::plus),
        })
    });
    let mut rows: Vec<_> = fives.collect();
    rows.reverse();
    rows
}

/// The number of causes.
const CAUSES: usize = 6;

/// The number of consumers, which fit beside the charts.
const CONSUMERS: usize = 8;
