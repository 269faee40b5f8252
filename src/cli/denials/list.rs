//! `countersign denials`: a list, the newest denial first.

use std::cmp::Reverse;
use std::process::ExitCode;

use countersign::v1;
use countersign::v1::diagnostics_service_client::DiagnosticsServiceClient;
use prost_types::Timestamp;

use super::{Args, COLUMNS, Filter, located_row, row};
use crate::cli::client::{AdminChannel, refused};
use crate::cli::output::{self, List};
use crate::cli::replicas::{self, Located};

/// Lists denials of one replica as they arrive, or those of all replicas by time.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (found, code) = if args.admin.names_replicas() {
        list_all(args).await?
    } else {
        (list_one(args).await?, ExitCode::SUCCESS)
    };
    let is_filtered = args.filter.is_set() || args.since.is_some() || args.until.is_some();
    if !found && is_filtered {
        output::note(NO_MATCH);
    }
    Ok(code)
}

/// Returns true if there was a denial.
async fn list_one(args: &Args) -> anyhow::Result<bool> {
    let client = DiagnosticsServiceClient::new(args.admin.connect().await?);
    let times = [args.since, args.until];
    let found = std::cell::Cell::new(false);
    let page = async |size, token| {
        let (denials, next) = page(&args.filter, times, &client, size, token).await?;
        found.set(found.get() || !denials.is_empty());
        Ok((denials, next))
    };
    let denials = List::new(args.admin.output, &COLUMNS[1..], output::stdout());
    args.paging.print(denials, page, row).await?;
    Ok(found.get())
}

/// Returns true if there was a denial, and the exit status.
async fn list_all(args: &Args) -> anyhow::Result<(bool, ExitCode)> {
    let fetch = async |channel| {
        let client = DiagnosticsServiceClient::new(channel);
        let times = [args.since, args.until];
        let page = async |size, token| page(&args.filter, times, &client, size, token).await;
        args.paging.fetch(page).await
    };
    let mut answers = replicas::ask(&args.admin, fetch).await?;
    let mut denials = Vec::new();
    for (target, fetched) in answers.given.drain(..) {
        denials.extend(fetched.into_iter().map(|item| Located {
            replica: target.name.clone(),
            item,
        }));
    }
    denials.sort_by_key(|denial| {
        let time = denial.item.decision_time.unwrap_or_default();
        Reverse((time.seconds, time.nanos))
    });
    denials.truncate(args.paging.limit());
    let mut list = List::new(args.admin.output, &COLUMNS, output::stdout());
    list.page(&denials, |denial| {
        located_row(&denial.replica, &denial.item)
    })?;
    list.end()?;
    Ok((!denials.is_empty(), answers.exit_code()))
}

/// Fetches a page of the denials from the first of two times on, and before the second.
pub(super) async fn page(
    filter: &Filter,
    [start_time, end_time]: [Option<Timestamp>; 2],
    client: &DiagnosticsServiceClient<AdminChannel>,
    page_size: i32,
    page_token: String,
) -> anyhow::Result<(Vec<v1::Denial>, String)> {
    let request = v1::ListDenialsRequest {
        page_size,
        page_token,
        consumer_key: filter.consumer_key.clone(),
        reason: filter.reason.clone(),
        cause: filter.cause.clone(),
        start_time,
        end_time,
    };
    let answer = client.clone().list_denials(request).await;
    let page = answer.map_err(refused)?.into_inner();
    Ok((page.denials, page.next_page_token))
}

/// The problem in a client's response is coarser than the reason.
const NO_MATCH: &str = "no recent denial of this replica matches; docs/decisions.md lists the reasons and \
                        docs/debugging.md the causes (clients see signature_invalid for \
                        signature_mismatch, unknown_consumer and others)";
