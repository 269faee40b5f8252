//! `countersign report`: counts of each consumer's requests on one replica since its start.

use std::process::ExitCode;

use countersign::v1;
use countersign::v1::diagnostics_service_client::DiagnosticsServiceClient;

use super::client::{AdminArgs, refused};
use super::output::{self, Format, List};
use super::paging::Paging;

/// The arguments of `countersign report`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    paging: Paging,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { admin, paging } = args;
    let mut client = DiagnosticsServiceClient::new(admin.connect().await?);
    let about = v1::ListConsumerReportsRequest {
        page_size: 1,
        page_token: String::new(),
    };
    let about = client.list_consumer_reports(about).await;
    let about = about.map_err(refused)?.into_inner();
    let page = async |page_size, page_token| {
        let request = v1::ListConsumerReportsRequest {
            page_size,
            page_token,
        };
        let answer = client.clone().list_consumer_reports(request).await;
        let page = answer.map_err(refused)?.into_inner();
        Ok((page.reports, page.next_page_token))
    };
    let reports = List::new(admin.output, &COLUMNS, output::stdout());
    paging.print(reports, page, row).await?;
    if admin.output == Format::Table {
        note(&about)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the scope of the counts.
fn note(about: &v1::ListConsumerReportsResponse) -> anyhow::Result<()> {
    let start = output::time(about.start_time);
    output::line(&format!("\nCounts of this replica alone, since {start}."))?;
    if about.unreported > 0 {
        output::line(&format!(
            "{} more requests came from consumers beyond the limit of diagnostics.consumers.",
            about.unreported
        ))?;
    }
    Ok(())
}

fn row(report: &v1::ConsumerReport) -> Vec<String> {
    let key = if report.consumer_key.is_empty() {
        "(none known)"
    } else {
        &report.consumer_key
    };
    let methods = report.signature_methods.iter();
    vec![
        key.to_owned(),
        report.seen.to_string(),
        report.allowed.to_string(),
        report.denied.to_string(),
        report.would_deny.to_string(),
        words(&report.reasons),
        words(&report.causes),
        methods
            .map(|method| format!("{} {}", method.signature_method, method.seen))
            .collect::<Vec<_>>()
            .join(", "),
        output::time(report.last_seen_time),
    ]
}

/// Returns each word with its number of requests, the largest number first.
fn words(counts: &[v1::DenialCount]) -> String {
    let mut counts: Vec<_> = counts
        .iter()
        .map(|count| (count.denied + count.would_deny, &count.name))
        .collect();
    counts.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
    counts
        .iter()
        .map(|(count, name)| format!("{name} {count}"))
        .collect::<Vec<_>>()
        .join(", ")
}

const COLUMNS: [&str; 9] = [
    "CONSUMER KEY",
    "SEEN",
    "ALLOWED",
    "DENIED",
    "WOULD DENY",
    "REASONS",
    "CAUSES",
    "SIGNED WITH",
    "LAST SEEN",
];
