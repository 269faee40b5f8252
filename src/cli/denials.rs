//! `countersign denials`: which requests were refused, and why, on one replica since it began.

use std::cell::Cell;
use std::io::{self, Write as _};
use std::process::ExitCode;

use countersign::v1;
use countersign::v1::diagnostics_service_client::DiagnosticsServiceClient;

use super::client::{AdminArgs, AdminChannel, refused};
use super::difference;
use super::output::{self, Field, Format, List};
use super::paging::Paging;

/// The arguments of `countersign denials`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// Shows the denial of this decision alone: the id that the caller was told
    #[arg(value_name = "DECISION_ID", conflicts_with_all = ["follow", "consumer_key", "reason", "cause"])]
    decision_id: Option<String>,
    /// Prints those that come from now on, until it is interrupted; JSON then is one object a line
    #[arg(long, short)]
    follow: bool,
    /// Only those that name this consumer key
    #[arg(
        long,
        value_name = "KEY",
        default_value = "",
        hide_default_value = true
    )]
    consumer_key: String,
    /// Only those that were refused for this reason, for example signature_mismatch
    #[arg(
        long,
        value_name = "REASON",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    /// Only those whose signature did not match for this cause, for example scheme; none: no known cause
    #[arg(
        long,
        value_name = "CAUSE",
        default_value = "",
        hide_default_value = true
    )]
    cause: String,
    #[command(flatten)]
    paging: Paging,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut client = DiagnosticsServiceClient::new(args.admin.connect().await?);
    match &args.decision_id {
        Some(decision_id) => {
            let request = v1::GetDenialRequest {
                decision_id: decision_id.clone(),
            };
            let denial = client
                .get_denial(request)
                .await
                .map_err(refused)?
                .into_inner();
            output::record(args.admin.output, &denial, &fields(&denial))?;
        }
        None if args.follow => follow(client, args).await?,
        None => list(client, args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: DiagnosticsServiceClient<AdminChannel>, args: Args) -> anyhow::Result<()> {
    let Args {
        admin,
        consumer_key,
        reason,
        cause,
        paging,
        ..
    } = args;
    let found = Cell::new(false);
    let page = async |page_size, page_token| {
        let (consumer_key, reason, cause) = (consumer_key.clone(), reason.clone(), cause.clone());
        let request = v1::ListDenialsRequest {
            page_size,
            page_token,
            consumer_key,
            reason,
            cause,
            start_time: None,
        };
        let page = client
            .clone()
            .list_denials(request)
            .await
            .map_err(refused)?
            .into_inner();
        found.set(found.get() || !page.denials.is_empty());
        Ok((page.denials, page.next_page_token))
    };
    paging
        .print(List::new(admin.output, &COLUMNS, io::stdout()), page, row)
        .await?;
    if !found.get()
        && [&consumer_key, &reason, &cause]
            .iter()
            .any(|wanted| !wanted.is_empty())
    {
        writeln!(io::stderr(), "{NO_MATCH}")?;
    }
    Ok(())
}

async fn follow(
    mut client: DiagnosticsServiceClient<AdminChannel>,
    args: Args,
) -> anyhow::Result<()> {
    let Args {
        admin,
        consumer_key,
        reason,
        cause,
        ..
    } = args;
    let request = v1::WatchDenialsRequest {
        consumer_key,
        reason,
        cause,
    };
    let mut denials = client
        .watch_denials(request)
        .await
        .map_err(refused)?
        .into_inner();
    let mut out = io::stdout();
    if admin.output == Format::Table {
        line(&mut out, &COLUMNS)?;
    }
    while let Some(v1::WatchDenialsResponse { denial, missed }) =
        denials.message().await.map_err(refused)?
    {
        if missed > 0 {
            writeln!(
                io::stderr(),
                "{missed} denials were missed: they came faster than they could be read"
            )?;
        }
        let Some(denial) = denial else { continue };
        match admin.output {
            Format::Json => writeln!(out, "{}", serde_json::to_string(&denial)?)?,
            Format::Table => line(&mut out, &row(&denial))?,
        }
        out.flush()?;
    }
    Ok(())
}

/// One line of a table whose widths are not known beforehand.
fn line(out: &mut impl io::Write, cells: &[impl AsRef<str>]) -> io::Result<()> {
    let padded = cells
        .iter()
        .zip(WIDTHS)
        .map(|(cell, width)| format!("{:width$}", cell.as_ref()));
    writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())
}

fn fields(denial: &v1::Denial) -> Vec<Field> {
    let proven = if denial.proven {
        " (proven)"
    } else {
        " (not proven)"
    };
    let consumer_key = Some(&denial.consumer_key).filter(|key| !key.is_empty());
    let mut fields = vec![
        ("decision id", denial.decision_id.clone()),
        ("time", output::time(denial.decision_time)),
        ("result", result(denial).to_owned()),
        ("reason", denial.reason.clone()),
        ("cause", denial.causes.join("+")),
        ("remedy", denial.remedy.clone()),
        (
            "consumer key",
            consumer_key
                .map(|key| format!("{key}{proven}"))
                .unwrap_or_default(),
        ),
        ("signed with", denial.signature_method.clone()),
        (
            "request",
            format!("{} {}{}", denial.http_method, denial.host, denial.path),
        ),
        ("base string", denial.base_string.clone()),
        ("client's", denial.client_base_string.clone()),
    ];
    if let Some(at) = denial
        .first_difference
        .and_then(|at| usize::try_from(at).ok())
    {
        fields.extend(difference::fields(
            &denial.base_string,
            &denial.client_base_string,
            at,
        ));
    }
    fields
}

fn row(denial: &v1::Denial) -> Vec<String> {
    vec![
        output::time(denial.decision_time),
        denial.decision_id.clone(),
        result(denial).to_owned(),
        denial.reason.clone(),
        denial.causes.join("+"),
        denial.consumer_key.clone(),
        format!("{} {}{}", denial.http_method, denial.host, denial.path),
    ]
}

/// As the log and dynamic metadata name it.
fn result(denial: &v1::Denial) -> &'static str {
    match denial.mode() {
        v1::RouteMode::Shadow => "would_deny",
        v1::RouteMode::Enforce | v1::RouteMode::Unspecified => "deny",
    }
}

/// What callers are told is no word of ours.
const NO_MATCH: &str = "none of those that are kept here matches; docs/decisions.md has every reason, docs/debugging.md every \
                        cause (callers are told signature_invalid for signature_mismatch, unknown_consumer and others)";

const COLUMNS: [&str; 7] = [
    "TIME",
    "DECISION",
    "RESULT",
    "REASON",
    "CAUSE",
    "CONSUMER KEY",
    "REQUEST",
];

/// What most denials need.
const WIDTHS: [usize; 7] = [24, 32, 10, 18, 18, 20, 0];
