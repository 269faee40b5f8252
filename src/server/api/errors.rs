//! From an [`IssueError`] to a gRPC status, in one place; the table is in `proto/countersign/v1/consumer.proto`.

use std::collections::HashMap;
use std::error::Error;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::issue::{IssueError, Violations};
use crate::store::{StoreError, StoreErrorKind};

/// The answer to a caller; what only an operator should know goes to the log instead.
pub(super) fn status(error: IssueError) -> Status {
    let message = error.to_string();
    match error {
        IssueError::Invalid(violations) => invalid(&violations),
        IssueError::UnknownConsumer(key) => {
            about(Code::NotFound, "CONSUMER_NOT_FOUND", message, (CONSUMER, key.as_str()))
        }
        IssueError::UnknownToken(token) => about(Code::NotFound, "TOKEN_NOT_FOUND", message, (TOKEN, token.as_str())),
        IssueError::ConsumerExists(key) => {
            about(Code::AlreadyExists, "CONSUMER_EXISTS", message, (CONSUMER, key.as_str()))
        }
        IssueError::TokenExists(token) => about(Code::AlreadyExists, "TOKEN_EXISTS", message, (TOKEN, token.as_str())),
        IssueError::Conflict => {
            plain(Code::Aborted, "CONCURRENT_CHANGE", "changed by others at the same time; try again")
        }
        IssueError::Store(error) => store_failure(&error),
        _ => internal(),
    }
}

/// The answer to who asked for a draft to be made a record: the draft's fields are those of the request's `resource`,
/// but for `own`, which are fields of the request itself.
pub(super) fn of_draft(error: IssueError, resource: &str, own: &[&str]) -> Status {
    let name = |field: &str| if own.contains(&field) { field.to_owned() } else { format!("{resource}.{field}") };
    if let IssueError::Invalid(violations) = error { invalid(&violations.rename(name)) } else { status(error) }
}

/// INVALID_ARGUMENT with every field that is wrong.
pub(super) fn invalid(violations: &Violations) -> Status {
    let mut details = details("FIELD_VIOLATION");
    for violation in violations.iter() {
        details.add_bad_request_violation(&violation.field, &violation.problem);
    }
    Status::with_error_details(Code::InvalidArgument, violations.to_string(), details)
}

/// UNAUTHENTICATED, the same whether the token is missing or wrong.
pub(super) fn admin_token_required() -> Status {
    let message = "the admin token is missing or wrong: send it as `authorization: Bearer TOKEN`; it stands in the file \
                   admin-token of the server's data directory, unless the server's environment sets \
                   COUNTERSIGN_ADMIN_TOKEN";
    plain(Code::Unauthenticated, "ADMIN_TOKEN_REQUIRED", message)
}

/// INTERNAL for a call that reached a service without passing the gate: a mistake in how the listener was composed.
pub(super) fn not_gated() -> Status {
    tracing::error!("an administration call reached its service without authentication");
    internal()
}

fn store_failure(error: &StoreError) -> Status {
    tracing::warn!(%error, cause = error.source(), "the store failed an administration call");
    match error.kind() {
        StoreErrorKind::Unavailable => plain(
            Code::Unavailable,
            "STORE_UNAVAILABLE",
            "the store can not be reached; a change may or may not have been made",
        ),
        StoreErrorKind::AlreadyExists
        | StoreErrorKind::Conflict
        | StoreErrorKind::Unreadable
        | StoreErrorKind::Unusable => internal(),
    }
}

fn internal() -> Status {
    plain(Code::Internal, "INTERNAL", "the server failed; its log tells more")
}

fn plain(code: Code, reason: &'static str, message: &str) -> Status {
    Status::with_error_details(code, message, details(reason))
}

fn about(code: Code, reason: &'static str, message: String, (kind, name): (&str, &str)) -> Status {
    let mut details = details(reason);
    details.set_resource_info(kind, name, "", message.as_str());
    Status::with_error_details(code, message, details)
}

fn details(reason: &'static str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

const DOMAIN: &str = "countersign.v1";
const CONSUMER: &str = "countersign.v1.Consumer";
const TOKEN: &str = "countersign.v1.Token";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConsumerKey;

    #[test]
    fn a_wrong_field_is_named() {
        let mut wrong = Violations::of("consumer.name", "must not be empty");
        wrong.add("consumer.callbacks[1]", "has a fragment");
        let status = status(IssueError::Invalid(wrong));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "consumer.name must not be empty; consumer.callbacks[1] has a fragment");
        let details = status.get_error_details();
        let fields: Vec<_> = details.bad_request().unwrap().field_violations.iter().map(|one| &one.field).collect();
        assert_eq!(fields, ["consumer.name", "consumer.callbacks[1]"]);
    }

    #[test]
    fn every_error_has_a_code_and_a_reason_for_programs() {
        let key = || ConsumerKey::new("key").unwrap();
        let store = |kind| IssueError::Store(StoreError::new(kind, "looking up a consumer"));
        for (error, code, reason) in [
            (IssueError::UnknownConsumer(key()), Code::NotFound, "CONSUMER_NOT_FOUND"),
            (IssueError::ConsumerExists(key()), Code::AlreadyExists, "CONSUMER_EXISTS"),
            (IssueError::Conflict, Code::Aborted, "CONCURRENT_CHANGE"),
            (store(StoreErrorKind::Unavailable), Code::Unavailable, "STORE_UNAVAILABLE"),
            (store(StoreErrorKind::Unreadable), Code::Internal, "INTERNAL"),
        ] {
            let status = status(error);
            assert_eq!(status.code(), code);
            assert_eq!(status.get_error_details().error_info().unwrap().reason, reason);
        }
    }

    #[test]
    fn a_failure_of_the_store_is_told_to_the_log_alone() {
        let error = StoreError::new(StoreErrorKind::Unusable, "reading secrets").because("redis-7.internal:6379");
        assert_eq!(status(IssueError::Store(error)).message(), "the server failed; its log tells more");
    }
}
