//! Bar charts of the decisions of each minute, as numbers for an SVG.
//!
//! A chart is [`WIDTH`] wide and [`HEIGHT`] high in its own units. The page stretches it to any size,
//! so it contains no text: axes and legends are HTML beside it.

use std::time::Duration;

use crate::diagnostics::{HourReport, MinuteReport, ResultCounts, WordTally};

/// A bar chart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BarChart {
    /// The bars with a count, from left to right.
    pub(super) bars: Vec<ChartBar>,
    /// The highest count of a minute.
    pub(super) highest: u64,
}

/// The bar of one minute.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChartBar {
    /// The left edge.
    pub(super) x: usize,
    /// The parts, from bottom to top.
    pub(super) parts: Vec<BarPart>,
}

/// A part of a bar.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BarPart {
    /// The class of its color.
    pub(super) class: &'static str,
    /// The upper edge.
    pub(super) y: u64,
    /// The height.
    pub(super) height: u64,
}

/// A reason in the legend.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShownReason {
    /// The class of its color.
    pub(super) class: &'static str,
    /// The number of requests.
    pub(super) tally: WordTally,
}

impl BarChart {
    /// Draws the decisions of each minute by result.
    pub(super) fn of_results(hour: &HourReport) -> Self {
        Self::of(hour, |minute| {
            let ResultCounts {
                allowed,
                denied,
                would_deny,
                failed,
            } = minute.results();
            vec![
                ("allow", allowed),
                ("would", would_deny),
                ("deny", denied),
                ("fail", failed),
            ]
        })
    }

    /// Draws the refused requests of each minute by reason. `shown` is the legend; all other
    /// reasons share a color.
    pub(super) fn of_reasons(hour: &HourReport, shown: &[ShownReason]) -> Self {
        let named: Vec<_> = shown
            .iter()
            .filter(|reason| reason.class != OTHER)
            .collect();
        Self::of(hour, |minute| {
            let mut left = minute.results().refused();
            let mut parts = Vec::new();
            for reason in &named {
                let count = minute.with_reason(reason.tally.name);
                left = left.saturating_sub(count);
                parts.push((reason.class, count));
            }
            parts.push((OTHER, left));
            parts
        })
    }

    fn of(hour: &HourReport, counts: impl Fn(&MinuteReport) -> Vec<(&'static str, u64)>) -> Self {
        let minutes: Vec<_> = hour.minutes.iter().map(counts).collect();
        let total = |counts: &Vec<(_, u64)>| counts.iter().map(|(_, count)| count).sum();
        let highest = minutes.iter().map(total).max().unwrap_or_default();
        let bars = minutes.iter().enumerate().map(|(nth, counts)| ChartBar {
            x: nth * BAR_WIDTH,
            parts: parts(counts, highest),
        });
        Self {
            bars: bars.filter(|bar| !bar.parts.is_empty()).collect(),
            highest,
        }
    }
}

/// Stacks the parts of a bar. Each count above 0 is visible.
fn parts(counts: &[(&'static str, u64)], highest: u64) -> Vec<BarPart> {
    let mut top = HEIGHT;
    let mut parts = Vec::new();
    for &(class, count) in counts.iter().filter(|(_, count)| *count > 0) {
        let height = scaled(count, highest).max(VISIBLE);
        top = top.saturating_sub(height);
        parts.push(BarPart {
            class,
            y: top,
            height,
        });
    }
    parts
}

/// Returns the height of a count. Leaves room for a few parts that are higher than their count.
fn scaled(count: u64, highest: u64) -> u64 {
    let room = u128::from(HEIGHT - PARTS * VISIBLE);
    let height = u128::from(count) * room / u128::from(highest.max(1));
    u64::try_from(height).unwrap_or(HEIGHT)
}

/// Returns the reasons of the legend: the most frequent ones.
pub(super) fn legend(hour: &HourReport) -> Vec<ShownReason> {
    let reasons = hour.reasons().into_iter().take(SHOWN_REASONS);
    reasons
        .enumerate()
        .map(|(nth, tally)| ShownReason {
            class: REASONS.get(nth).copied().unwrap_or(OTHER),
            tally,
        })
        .collect()
}

/// Returns the width of the minutes before counting began.
pub(super) fn uncounted(hour: &HourReport) -> usize {
    let before = |minute: &&MinuteReport| minute.begin.plus(Duration::from_mins(1)) <= hour.since;
    hour.minutes.iter().filter(before).count() * BAR_WIDTH
}

/// The width of a chart: 60 minutes.
pub(super) const WIDTH: usize = 60 * BAR_WIDTH;

/// The height of a chart.
pub(super) const HEIGHT: u64 = 1000;

/// The width of a bar and of the gap after it.
const BAR_WIDTH: usize = 10;

/// The smallest height that is visible.
const VISIBLE: u64 = 20;

/// The most parts of a bar.
const PARTS: u64 = 5;

/// The classes of the reasons with colors of their own.
const REASONS: [&str; 4] = ["r1", "r2", "r3", "r4"];

/// The class of all other reasons.
const OTHER: &str = "r0";

/// The reasons of the legend.
const SHOWN_REASONS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;

    fn tally(name: &'static str, denied: u64) -> WordTally {
        WordTally {
            name,
            denied,
            would_deny: 0,
        }
    }

    fn hour(minutes: Vec<MinuteReport>) -> HourReport {
        HourReport {
            since: UnixTime::from_secs(0),
            minutes,
            causes: Vec::new(),
        }
    }

    #[test]
    fn parts_are_stacked_and_small_ones_stay_visible() {
        let busy = MinuteReport {
            allowed: 1_000_000,
            refused: vec![tally("unsigned", 1)],
            ..MinuteReport::default()
        };
        let chart = BarChart::of_results(&hour(vec![MinuteReport::default(), busy]));
        assert_eq!(chart.highest, 1_000_001);
        let [bar] = &*chart.bars else {
            panic!("{chart:?}")
        };
        let edges: Vec<_> = bar
            .parts
            .iter()
            .map(|part| (part.class, part.y, part.height))
            .collect();
        assert_eq!(bar.x, 10);
        assert_eq!(edges, [("allow", 101, 899), ("deny", 81, 20)]);
    }

    #[test]
    fn a_full_hour_of_the_largest_counts_fits() {
        let most = MinuteReport {
            allowed: u64::MAX / 8,
            refused: vec![tally("unsigned", u64::MAX / 8)],
            failed: vec![tally("deadline", 1)],
            ..MinuteReport::default()
        };
        let chart = BarChart::of_results(&hour(vec![most; 60]));
        assert!(chart.bars.iter().all(|bar| bar.x + BAR_WIDTH <= WIDTH));
        let tops = chart.bars.iter().flat_map(|bar| &bar.parts);
        assert!(tops.clone().all(|part| part.y + part.height <= HEIGHT));
        assert_eq!(chart.bars.len(), 60);
    }

    #[test]
    fn the_most_frequent_reasons_have_colors_and_all_others_share_one() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let refused = names.iter().enumerate();
        let minute = MinuteReport {
            refused: refused
                .map(|(nth, name)| tally(name, 10 - nth as u64))
                .collect(),
            ..MinuteReport::default()
        };
        let hour = hour(vec![minute]);
        let legend = legend(&hour);
        let classes: Vec<_> = legend
            .iter()
            .map(|reason| (reason.tally.name, reason.class))
            .collect();
        assert_eq!(
            classes,
            [
                ("a", "r1"),
                ("b", "r2"),
                ("c", "r3"),
                ("d", "r4"),
                ("e", "r0"),
                ("f", "r0")
            ]
        );
        let chart = BarChart::of_reasons(&hour, &legend);
        let parts = &chart.bars[0].parts;
        assert_eq!(parts.len(), 5);
        assert_eq!(parts[4].class, "r0");
        assert_eq!(chart.highest, 49);
    }
}
