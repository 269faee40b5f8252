//! `countersign denials DECISION_ID`: everything about one denial.

use std::process::ExitCode;

use countersign::v1;
use countersign::v1::diagnostics_service_client::DiagnosticsServiceClient;
use tonic::Code;

use super::{request_line, result};
use crate::cli::client::{AdminArgs, AdminChannel, refused};
use crate::cli::difference;
use crate::cli::exit::{CallError, CallErrorKind};
use crate::cli::output;
use crate::cli::replicas::{self, Located};
use crate::cli::would_pass;

/// Shows the denial, from the replica that has it.
pub(super) async fn run(admin: &AdminArgs, id: &str) -> anyhow::Result<ExitCode> {
    if admin.names_replicas() {
        return run_for_all(admin, id).await;
    }
    let channel = admin.connect().await?;
    let denial = get(channel, id).await.map_err(refused)?;
    output::record(admin.output, &denial, &fields(&denial))?;
    Ok(ExitCode::SUCCESS)
}

async fn run_for_all(admin: &AdminArgs, id: &str) -> anyhow::Result<ExitCode> {
    let find = async |channel| match get(channel, id).await {
        Ok(denial) => Ok(Some(denial)),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(refused(status)),
    };
    let answers = replicas::ask(admin, find).await?;
    let kind = match answers.is_complete() {
        true => CallErrorKind::NotFound,
        false => CallErrorKind::Unavailable,
    };
    let found = answers.given.into_iter().find_map(|(target, denial)| {
        let replica = target.name;
        denial.map(|item| Located { replica, item })
    });
    let Some(denial) = found else {
        let message = format!(
            "no replica that answered has the denial {id}: it was evicted, or belongs to another \
             replica"
        );
        return Err(CallError { kind, message }.into());
    };
    let mut fields = fields(&denial.item);
    fields.insert(1, ("replica".to_owned(), denial.replica.clone()));
    output::record(admin.output, &denial, &fields)?;
    Ok(ExitCode::SUCCESS)
}

async fn get(channel: AdminChannel, id: &str) -> Result<v1::Denial, tonic::Status> {
    let request = v1::GetDenialRequest {
        decision_id: id.to_owned(),
    };
    let mut client = DiagnosticsServiceClient::new(channel);
    Ok(client.get_denial(request).await?.into_inner())
}

fn fields(denial: &v1::Denial) -> Vec<(String, String)> {
    let decision = [
        ("decision id", denial.decision_id.clone()),
        ("time", output::time(denial.decision_time)),
        ("result", result(denial).to_owned()),
        ("reason", denial.reason.clone()),
        ("answer", answer(denial)),
        ("cause", denial.causes.join("+")),
        ("remedy", denial.remedy.clone()),
        (would_pass::LABEL, would_pass::text(&denial.compat_profiles)),
        ("rule", denial.rule.clone()),
    ];
    let request = [
        ("consumer key", consumer_key(denial)),
        ("consumer", denial.consumer_name.clone()),
        ("signed with", denial.signature_method.clone()),
        ("request", request_line(denial)),
        ("client", denial.client_address.clone()),
        ("x-request-id", denial.request_id.clone()),
        ("base string", denial.base_string.clone()),
        ("client's", denial.client_base_string.clone()),
    ];
    let named = |(name, value): (&str, String)| (name.to_owned(), value);
    let mut fields: Vec<_> = decision.into_iter().map(named).collect();
    let details = denial.details.iter();
    fields.extend(details.map(|detail| (detail.name.replace('_', " "), detail.value.clone())));
    fields.extend(request.into_iter().map(named));
    let difference = denial.first_difference.map(usize::try_from);
    if let Some(Ok(at)) = difference {
        let (expected, signed) = (&denial.base_string, &denial.client_base_string);
        let rows = difference::fields(expected, signed, at).into_iter();
        fields.extend(rows.map(named));
    }
    fields
}

/// Returns the answer to the caller: status, problem and advice.
fn answer(denial: &v1::Denial) -> String {
    match denial.http_status {
        0 => String::new(),
        status => format!("{status} {}: {}", denial.problem, denial.advice),
    }
}

fn consumer_key(denial: &v1::Denial) -> String {
    let key = &denial.consumer_key;
    match (key.is_empty(), denial.proven) {
        (true, _) => String::new(),
        (false, true) => format!("{key} (proven)"),
        (false, false) => format!("{key} (claimed, not proven)"),
    }
}
