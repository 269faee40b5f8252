//! `countersign denials`: the recent denials of one replica.

use std::cell::Cell;
use std::io::Write as _;
use std::process::ExitCode;

use countersign::v1;
use countersign::v1::diagnostics_service_client::DiagnosticsServiceClient;
use tonic::{Status, Streaming};

use super::client::{AdminArgs, is_connection_ending, refused};
use super::difference;
use super::output::{self, Field, Format, List};
use super::paging::Paging;
use super::would_pass;

/// The arguments of `countersign denials`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// Decision id of one denial to show, from the client's response [default: list all]
    #[arg(value_name = "DECISION_ID", conflicts_with_all = ["follow", "consumer_key", "reason", "cause"])]
    decision_id: Option<String>,
    /// Print new denials until interrupted; JSON is one object a line
    #[arg(long, short)]
    follow: bool,
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
    #[command(flatten)]
    paging: Paging,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match &args.decision_id {
        Some(decision_id) => {
            let mut client = DiagnosticsServiceClient::new(args.admin.connect().await?);
            let request = v1::GetDenialRequest {
                decision_id: decision_id.clone(),
            };
            let answer = client.get_denial(request).await.map_err(refused)?;
            let denial = answer.into_inner();
            output::record(args.admin.output, &denial, &fields(&denial))?;
        }
        None if args.follow => follow(args).await?,
        None => list(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: Args) -> anyhow::Result<()> {
    let Args {
        admin,
        consumer_key,
        reason,
        cause,
        paging,
        ..
    } = args;
    let client = DiagnosticsServiceClient::new(admin.connect().await?);
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
        let answer = client.clone().list_denials(request).await;
        let page = answer.map_err(refused)?.into_inner();
        found.set(found.get() || !page.denials.is_empty());
        Ok((page.denials, page.next_page_token))
    };
    let denials = List::new(admin.output, &COLUMNS, output::stdout());
    paging.print(denials, page, row).await?;
    let filters = [&consumer_key, &reason, &cause];
    if !found.get() && filters.iter().any(|filter| !filter.is_empty()) {
        output::note(NO_MATCH);
    }
    Ok(())
}

/// Prints new denials. The server ends each connection at its age; the next watch continues on
/// another.
async fn follow(args: Args) -> anyhow::Result<()> {
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
    let mut denials = watch(&admin, request.clone()).await?;
    if admin.output == Format::Table {
        output::line(&output::padded(&COLUMNS, &WIDTHS))?;
    }
    loop {
        let ended = print_new(&admin, &mut denials).await?;
        if !is_connection_ending(&ended) {
            return Err(refused(ended));
        }
        denials = watch(&admin, request.clone()).await?;
        output::note(WATCHES_AGAIN);
    }
}

async fn watch(
    admin: &AdminArgs,
    request: v1::WatchDenialsRequest,
) -> anyhow::Result<Streaming<v1::WatchDenialsResponse>> {
    let mut client = DiagnosticsServiceClient::new(admin.connect().await?);
    let watch = client.watch_denials(request).await.map_err(refused)?;
    Ok(watch.into_inner())
}

/// Prints denials until the server ends the watch; returns its status.
async fn print_new(
    admin: &AdminArgs,
    denials: &mut Streaming<v1::WatchDenialsResponse>,
) -> anyhow::Result<Status> {
    loop {
        let v1::WatchDenialsResponse { denial, missed } = match denials.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(Status::unavailable("the server ended the watch")),
            Err(ended) => return Ok(ended),
        };
        if missed > 0 {
            output::note(&format!(
                "missed {missed} denials, which arrived faster than this command could read them"
            ));
        }
        let Some(denial) = denial else { continue };
        output::line(&match admin.output {
            Format::Json => serde_json::to_string(&denial)?,
            Format::Table => output::padded(&row(&denial), &WIDTHS),
        })?;
        output::stdout().flush()?;
    }
}

fn fields(denial: &v1::Denial) -> Vec<Field> {
    let mut fields = vec![
        ("decision id", denial.decision_id.clone()),
        ("time", output::time(denial.decision_time)),
        ("result", result(denial).to_owned()),
        ("reason", denial.reason.clone()),
        ("cause", denial.causes.join("+")),
        ("remedy", denial.remedy.clone()),
        (would_pass::LABEL, would_pass::text(&denial.compat_profiles)),
        ("consumer key", consumer_key(denial)),
        ("signed with", denial.signature_method.clone()),
        ("request", request_line(denial)),
        ("base string", denial.base_string.clone()),
        ("client's", denial.client_base_string.clone()),
    ];
    let difference = denial.first_difference.map(usize::try_from);
    if let Some(Ok(at)) = difference {
        let (expected, signed) = (&denial.base_string, &denial.client_base_string);
        fields.extend(difference::fields(expected, signed, at));
    }
    fields
}

fn consumer_key(denial: &v1::Denial) -> String {
    let key = &denial.consumer_key;
    match (key.is_empty(), denial.proven) {
        (true, _) => String::new(),
        (false, true) => format!("{key} (proven)"),
        (false, false) => format!("{key} (not proven)"),
    }
}

fn request_line(denial: &v1::Denial) -> String {
    format!("{} {}{}", denial.http_method, denial.host, denial.path)
}

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

/// Returns the result as the log and dynamic metadata name it.
fn result(denial: &v1::Denial) -> &'static str {
    match denial.mode() {
        v1::RouteMode::Shadow => "would_deny",
        v1::RouteMode::Enforce | v1::RouteMode::Unspecified => "deny",
    }
}

/// The problem in a client's response is coarser than the reason.
const NO_MATCH: &str = "no recent denial of this replica matches; docs/decisions.md lists the reasons and \
                        docs/debugging.md the causes (clients see signature_invalid for \
                        signature_mismatch, unknown_consumer and others)";

const WATCHES_AGAIN: &str = "the server ended the connection (max_connection_age); watching on a new one; `countersign \
                             denials` lists denials that were missed in between";

const COLUMNS: [&str; 7] = [
    "TIME",
    "DECISION",
    "RESULT",
    "REASON",
    "CAUSE",
    "CONSUMER KEY",
    "REQUEST",
];

/// The widths of the columns while following, wide enough for most denials.
const WIDTHS: [usize; 7] = [24, 32, 10, 18, 18, 20, 0];
