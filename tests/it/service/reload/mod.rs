//! Reloads of the real program: what changes, what stays, and what is refused.

mod certificates;
mod configuration;
mod secrets;

use std::time::Duration;

use crate::support::process::eventually;
use crate::support::program::Countersign;

/// Reloads by SIGHUP alone.
const BY_SIGNAL: &str = "reload.interval = \"0s\"\n";

/// The numbers of reloads so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reloads {
    succeeded: u64,
    refused: u64,
}

impl Reloads {
    async fn of(countersign: &Countersign) -> Self {
        let metrics = countersign.metrics().await;
        let count = |result: &str| {
            let name = format!("countersign_config_reloads_total{{result=\"{result}\"}} ");
            let count = metrics.lines().find_map(|line| line.strip_prefix(&name));
            count.unwrap().parse().unwrap()
        };
        Self {
            succeeded: count("success"),
            refused: count("failure"),
        }
    }
}

/// Sends SIGHUP, and waits for a reload that succeeds.
async fn reload(countersign: &Countersign) {
    let before = Reloads::of(countersign).await;
    countersign.hang_up();
    let after = next(countersign, before).await;
    assert_eq!(after.succeeded, before.succeeded + 1, "{after:?}");
}

/// Sends SIGHUP, and waits for a reload that is refused; returns its mistakes.
async fn refused_reload(countersign: &Countersign) -> String {
    let before = Reloads::of(countersign).await;
    countersign.hang_up();
    let after = next(countersign, before).await;
    assert_eq!(after.refused, before.refused + 1, "{after:?}");
    refusal(countersign, after.refused).await
}

/// Returns the mistakes of the refused reload of that number, counted from 1.
async fn refusal(countersign: &Countersign, number: u64) -> String {
    eventually("the log of a refused reload", PATIENCE, async || {
        let log = countersign.log();
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut mistakes = events.filter_map(|event| Some(event["mistakes"].as_str()?.to_owned()));
        mistakes.nth(usize::try_from(number).unwrap() - 1)
    })
    .await
}

/// Waits until there were more reloads.
async fn next(countersign: &Countersign, before: Reloads) -> Reloads {
    eventually("a reload", PATIENCE, async || {
        let now = Reloads::of(countersign).await;
        (now != before).then_some(now)
    })
    .await
}

const PATIENCE: Duration = Duration::from_secs(30);
