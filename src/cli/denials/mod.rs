//! `countersign denials`: the recent denials of one replica, or of all.

mod follow;
mod list;
mod progress;
mod show;
mod watch;

use std::process::ExitCode;

use countersign::v1;
use prost_types::Timestamp;

use super::client::AdminArgs;
use super::moment;
use super::output;
use super::paging::Paging;
use super::replicas;

/// The arguments of `countersign denials`.
#[derive(Debug, clap::Args)]
#[command(after_help = replicas::EXIT_STATUS)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// Decision id of one denial to show, from the client's response [default: list all]
    #[arg(value_name = "DECISION_ID", conflicts_with_all = ["follow", "consumer_key", "reason", "cause", "since", "until"])]
    decision_id: Option<String>,
    /// Print new denials until interrupted, with --since also those before; JSON is one object a line
    #[arg(long, short, conflicts_with_all = ["until", "limit"])]
    follow: bool,
    #[command(flatten)]
    filter: Filter,
    /// Only denials from this time on: a duration before now such as 10m, a time such as
    /// 2026-01-31T12:00:00Z, or Unix seconds [default: all]
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<Timestamp>,
    /// Only denials before this time, written as for --since [default: all]
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    until: Option<Timestamp>,
    #[command(flatten)]
    paging: Paging,
}

/// The denials to list or follow.
#[derive(Clone, Debug, clap::Args)]
struct Filter {
    /// Only denials with this consumer key [default: all]
    #[arg(
        long,
        value_name = "KEY",
        default_value = "",
        hide_default_value = true
    )]
    consumer_key: String,
    /// Only denials for this reason, for example signature_mismatch [default: all]
    #[arg(
        long,
        value_name = "REASON",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    /// Only signature mismatches with this cause, for example scheme, or none if it is unknown
    /// [default: all]
    #[arg(
        long,
        value_name = "CAUSE",
        default_value = "",
        hide_default_value = true
    )]
    cause: String,
}

impl Filter {
    fn is_set(&self) -> bool {
        let filters = [&self.consumer_key, &self.reason, &self.cause];
        filters.iter().any(|filter| !filter.is_empty())
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(id) = &args.decision_id {
        return show::run(&args.admin, id).await;
    }
    if args.follow {
        return follow::run(&args).await;
    }
    list::run(&args).await
}

/// Returns the cells of a denial.
fn row(denial: &v1::Denial) -> Vec<String> {
    vec![
        output::time(denial.decision_time),
        denial.decision_id.clone(),
        result(denial).to_owned(),
        denial.reason.clone(),
        denial.causes.join("+"),
        denial.consumer_key.clone(),
        request_line(denial),
    ]
}

/// Returns the cells of a denial after the replica that it is from.
fn located_row(replica: &str, denial: &v1::Denial) -> Vec<String> {
    let mut cells = row(denial);
    cells.insert(0, replica.to_owned());
    cells
}

fn request_line(denial: &v1::Denial) -> String {
    format!("{} {}{}", denial.http_method, denial.host, denial.path)
}

/// Returns the result as the log and dynamic metadata name it.
fn result(denial: &v1::Denial) -> &'static str {
    match denial.mode() {
        v1::RouteMode::Shadow => "would_deny",
        v1::RouteMode::Enforce | v1::RouteMode::Unspecified => "deny",
    }
}

/// The columns of [`located_row`]; those of [`row`] are all but the first.
const COLUMNS: [&str; 8] = [
    "REPLICA",
    "TIME",
    "DECISION",
    "RESULT",
    "REASON",
    "CAUSE",
    "CONSUMER KEY",
    "REQUEST",
];
