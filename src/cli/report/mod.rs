//! `countersign report`: counts of each consumer's requests since the start of each replica.

mod sum;

use std::process::ExitCode;

use countersign::v1;
use countersign::v1::diagnostics_service_client::DiagnosticsServiceClient;

use self::sum::SummedReport;
use super::client::{AdminArgs, AdminChannel, refused};
use super::output::{self, Format, List};
use super::paging::Paging;
use super::replicas;

/// The arguments of `countersign report`.
#[derive(Debug, clap::Args)]
#[command(after_help = replicas::EXIT_STATUS)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    paging: Paging,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.admin.names_replicas() {
        return report_all(&args).await;
    }
    let Args { admin, paging } = args;
    let client = DiagnosticsServiceClient::new(admin.connect().await?);
    let about = about(&client).await?;
    let page = async |size, token| page(&client, size, token).await;
    let reports = List::new(admin.output, &COLUMNS[..9], output::stdout());
    paging.print(reports, page, row).await?;
    if admin.output == Format::Table {
        let start = output::time(about.start_time);
        output::line(&format!("\nCounts of this replica alone, since {start}."))?;
        note_unreported(about.unreported)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the sums of all replicas.
async fn report_all(args: &Args) -> anyhow::Result<ExitCode> {
    let fetch = async |channel| {
        let client = DiagnosticsServiceClient::new(channel);
        let about = about(&client).await?;
        let page = async |size, token| page(&client, size, token).await;
        // The first consumers of all replicas together are among the first of each.
        Ok((about, args.paging.fetch(page).await?))
    };
    let answers = replicas::ask(&args.admin, fetch).await?;
    let reports = answers.given.iter();
    let reports = reports.map(|(target, (_, reports))| (&*target.name, &**reports));
    let mut sums = sum::by_consumer(reports);
    sums.truncate(args.paging.limit());
    let mut list = List::new(args.admin.output, &COLUMNS, output::stdout());
    list.page(&sums, summed_row)?;
    list.end()?;
    if args.admin.output == Format::Table {
        let replicas = answers.given.iter();
        let since = replicas.map(|(target, (about, _))| {
            format!(
                "\n  {} since {}",
                target.name,
                output::time(about.start_time)
            )
        });
        output::line(&format!(
            "\nCounts of {} replicas:{}",
            answers.given.len(),
            since.collect::<String>()
        ))?;
        let unreported = answers.given.iter().map(|(_, (about, _))| about.unreported);
        note_unreported(unreported.sum())?;
    }
    Ok(answers.exit_code())
}

/// Returns the answer about the counts of a replica as a whole.
async fn about(
    client: &DiagnosticsServiceClient<AdminChannel>,
) -> anyhow::Result<v1::ListConsumerReportsResponse> {
    let request = v1::ListConsumerReportsRequest {
        page_size: 1,
        page_token: String::new(),
    };
    let answer = client.clone().list_consumer_reports(request).await;
    Ok(answer.map_err(refused)?.into_inner())
}

async fn page(
    client: &DiagnosticsServiceClient<AdminChannel>,
    page_size: i32,
    page_token: String,
) -> anyhow::Result<(Vec<v1::ConsumerReport>, String)> {
    let request = v1::ListConsumerReportsRequest {
        page_size,
        page_token,
    };
    let answer = client.clone().list_consumer_reports(request).await;
    let page = answer.map_err(refused)?.into_inner();
    Ok((page.reports, page.next_page_token))
}

fn note_unreported(unreported: u64) -> anyhow::Result<()> {
    if unreported == 0 {
        return Ok(());
    }
    output::line(&format!(
        "{unreported} more requests came from consumers beyond the limit of diagnostics.consumers."
    ))
}

/// Returns the cells of a sum, and the number of requests at each replica.
fn summed_row(summed: &SummedReport) -> Vec<String> {
    let replicas = summed.replicas.iter();
    let replicas = replicas.map(|one| format!("{} {}", one.replica, one.item.seen));
    let mut cells = row(&summed.total);
    cells.push(replicas.collect::<Vec<_>>().join(", "));
    cells
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

/// The columns of [`summed_row`]; those of [`row`] are all but the last.
const COLUMNS: [&str; 10] = [
    "CONSUMER KEY",
    "SEEN",
    "ALLOWED",
    "DENIED",
    "WOULD DENY",
    "REASONS",
    "CAUSES",
    "SIGNED WITH",
    "LAST SEEN",
    "REPLICAS",
];
