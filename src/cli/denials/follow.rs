//! `countersign denials --follow`: new denials as they come, from one replica or from all.
//!
//! The addresses of a `dns:///` name are looked up repeatedly, because a restarted replica has
//! another one.

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Args;
use super::watch::{Replica, Watcher};
use crate::cli::client::Target;
use crate::cli::output::{self, is_output_closed};

/// Prints new denials until interrupted, or until every watch has ended.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let header = args.admin.header()?;
    let targets = args.admin.targets(&header).await?;
    let watcher = Watcher::new(args, header);
    watcher.list(&targets);
    let mut known: HashSet<_> = targets.iter().map(|target| target.name.clone()).collect();
    let begun = begin_all(&watcher, targets).await?;
    watcher.print_head()?;
    let watches = begun.into_iter().map(|replica| watcher.follow(replica));
    let mut watches: FuturesUnordered<_> = watches.collect();
    let has_name = args.admin.names_addresses();
    let mut lookups = interval(LOOKUP_INTERVAL);
    lookups.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some((name, error)) = watches.next() => {
                let is_last = watches.is_empty() && !has_name;
                if is_last || is_output_closed(&error) {
                    return Err(error);
                }
                output::note(&format!("warning: no longer watching {name}: {error:#}"));
                known.remove(&name);
            }
            _ = lookups.tick(), if has_name => {
                // No denial is printed meanwhile.
                let lookup = timeout(LOOKUP_TIMEOUT, args.admin.targets(watcher.header()));
                let Ok(Ok(targets)) = lookup.await else {
                    continue;
                };
                watcher.list(&targets);
                for target in targets {
                    if known.insert(target.name.clone()) {
                        watches.push(watcher.follow(Replica::found(target)));
                    }
                }
            }
        }
    }
}

/// Begins a watch of every replica at the same time. A replica that does not answer is called again
/// later.
///
/// # Errors
/// If no replica answers: the error of the first.
async fn begin_all(watcher: &Watcher<'_>, targets: Vec<Target>) -> anyhow::Result<Vec<Replica>> {
    let begun = targets.into_iter().map(|target| watcher.begin(target));
    let begun = join_all(begun).await;
    if begun.iter().all(|(_, watch)| watch.is_err()) {
        let errors = begun.into_iter().filter_map(|(_, watch)| watch.err());
        return Err(errors.into_iter().next().unwrap_or_else(no_target));
    }
    let replicas = begun.into_iter().map(|(target, watch)| match watch {
        Ok(watch) => Replica::watched(target, watch),
        Err(error) => {
            let name = &target.name;
            output::note(&format!(
                "warning: replica {name} did not answer, and is called again: {error:#}"
            ));
            Replica::found(target)
        }
    });
    Ok(replicas.collect())
}

fn no_target() -> anyhow::Error {
    anyhow::anyhow!("there is no replica")
}

/// The time between two lookups of a name.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(5);

/// The longest time for a lookup.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);
