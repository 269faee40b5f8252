//! The gRPC status of each [`IssueError`]; `proto/countersign/v1/consumer.proto` has the table.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::issue::{DirectoryError, IssueError, Violation, Violations};
use crate::store::{StoreError, StoreErrorKind};
use crate::v1::{DOMAIN, FIELD_VIOLATION};

/// The record that a status is about.
struct RecordName<'a> {
    /// The full name of its message.
    kind: &'static str,
    name: &'a str,
}

/// Returns the status for the caller; details for the operator go to the log instead.
pub(super) fn status(error: IssueError) -> Status {
    let message = error.to_string();
    let unknown = |reason, kind, name: &str| {
        about(Code::NotFound, reason, &message, &RecordName { kind, name })
    };
    let taken = |reason, kind, name: &str| {
        let record = RecordName { kind, name };
        about(Code::AlreadyExists, reason, &message, &record)
    };
    let unready = |reason, remedy| {
        plain(
            Code::FailedPrecondition,
            reason,
            &format!("{message}{remedy}"),
        )
    };
    match &error {
        IssueError::Invalid(violations) => invalid(violations),
        IssueError::UnknownConsumer(key) => unknown("CONSUMER_NOT_FOUND", CONSUMER, key.as_str()),
        IssueError::UnknownConsumerId(id) => unknown("CONSUMER_NOT_FOUND", CONSUMER, id.as_str()),
        IssueError::UnknownToken(token) => unknown("TOKEN_NOT_FOUND", TOKEN, token.as_str()),
        IssueError::UnknownRequestToken(token) => {
            unknown("REQUEST_TOKEN_NOT_FOUND", REQUEST_TOKEN, token.as_str())
        }
        IssueError::UnknownUser(name) => unknown("USER_NOT_FOUND", USER, name),
        IssueError::ConsumerExists(key) => taken("CONSUMER_EXISTS", CONSUMER, key.as_str()),
        IssueError::TokenExists(token) => taken("TOKEN_EXISTS", TOKEN, token.as_str()),
        IssueError::UserExists => taken("USER_EXISTS", USER, ""),
        IssueError::Conflict => plain(Code::Aborted, "CONCURRENT_CHANGE", CONFLICT),
        IssueError::ConsumerDisabled(_) => {
            unready("CONSUMER_DISABLED", "; EnableConsumer lets it sign again")
        }
        IssueError::FlowNotAllowed { .. } => unready(
            "FLOW_NOT_ALLOWED",
            "; UpdateConsumer can add it to its `flows`",
        ),
        IssueError::UserDisabled => {
            unready("USER_DISABLED", "; EnableUser lets the user log in again")
        }
        IssueError::RequestTokenExpired => unready("REQUEST_TOKEN_EXPIRED", ""),
        IssueError::RequestTokenDecided => unready("REQUEST_TOKEN_DECIDED", ""),
        IssueError::RequestTokenUndecided => unready("REQUEST_TOKEN_UNDECIDED", ""),
        IssueError::RequestTokenRefused => unready("REQUEST_TOKEN_REFUSED", ""),
        IssueError::RequestTokenUsed => unready("REQUEST_TOKEN_USED", ""),
        IssueError::MissingMasterKey(_) => plain(
            Code::FailedPrecondition,
            "MASTER_KEY_MISSING",
            &format!("{message}; nothing was changed"),
        ),
        IssueError::VerifierRefused => plain(Code::PermissionDenied, "VERIFIER_REFUSED", &message),
        IssueError::PasswordRefused => plain(Code::PermissionDenied, "PASSWORD_REFUSED", &message),
        IssueError::TooManyAttempts(wait) => too_many_attempts(&message, *wait),
        IssueError::Directory(error) => directory_failure(error),
        IssueError::Store(error) => store_failure(error),
    }
}

/// Returns the status of a refused draft, with the field names of the request: the fields in `own`
/// are fields of the request itself, all others are fields of its `resource`.
pub(super) fn of_draft(error: IssueError, resource: &str, own: &[&str]) -> Status {
    let name = |field: &str| {
        if own.contains(&field) {
            field.to_owned()
        } else {
            format!("{resource}.{field}")
        }
    };
    if let IssueError::Invalid(violations) = error {
        invalid(&violations.rename(name))
    } else {
        status(error)
    }
}

/// Returns ALREADY_EXISTS with the requested id or username.
pub(super) fn user_exists(name: &str) -> Status {
    about(
        Code::AlreadyExists,
        "USER_EXISTS",
        &IssueError::UserExists.to_string(),
        &RecordName { kind: USER, name },
    )
}

/// Returns INVALID_ARGUMENT with the invalid fields that fit; the message has the first few.
pub(super) fn invalid(violations: &Violations) -> Status {
    let mut details = details(FIELD_VIOLATION);
    let mut room = DETAILS_ROOM;
    for Violation { field, problem } in violations.iter() {
        let Some(left) = room.checked_sub(field.len() + problem.len()) else {
            break;
        };
        details.add_bad_request_violation(field, problem);
        room = left;
    }
    Status::with_error_details(Code::InvalidArgument, summary(violations), details)
}

/// Returns all violations, or the first few and the number of the others.
fn summary(violations: &Violations) -> String {
    let (mut text, count) = (String::new(), violations.iter().count());
    for (at, Violation { field, problem }) in violations.iter().enumerate() {
        let separator = if at > 0 { "; " } else { "" };
        if at > 0 && text.len() + field.len() + problem.len() > MESSAGE_ROOM {
            return format!("{text}; and {} more", count - at);
        }
        text.push_str(&format!("{separator}{field} {problem}"));
    }
    text
}

/// Returns UNAUTHENTICATED, which does not reveal whether the token is missing or wrong.
pub(super) fn credentials_required() -> Status {
    let message = "the token is missing or wrong: send `authorization: Bearer TOKEN` with the token in the file \
                   admin-token of the server's data directory, or in COUNTERSIGN_ADMIN_TOKEN if the server's environment \
                   sets it; or use a client certificate that the server's configuration names";
    plain(Code::Unauthenticated, "CREDENTIALS_REQUIRED", message)
}

/// Returns PERMISSION_DENIED for a call that the issuer role does not permit.
pub(super) fn role_insufficient() -> Status {
    let message = "this call needs the admin role: issuers may only issue, exchange, introspect and revoke tokens; use the admin token";
    plain(Code::PermissionDenied, "ROLE_INSUFFICIENT", message)
}

/// Returns PERMISSION_DENIED for an export of secrets that the configuration does not permit.
pub(super) fn plaintext_export_off() -> Status {
    let message = "the server does not export secrets in plaintext: set `api.allow_plaintext_export = true` in its \
                   configuration while you need it, or leave out --plaintext for a sealed backup";
    plain(Code::PermissionDenied, "PLAINTEXT_EXPORT_OFF", message)
}

/// Returns INTERNAL for a call that reached a service past the gate, which is a fault of this
/// program.
pub(super) fn not_gated() -> Status {
    tracing::error!(
        "refused an administration call that reached its service without authentication; this is a bug"
    );
    internal()
}

/// Returns NOT_FOUND for a decision without a recorded denial.
pub(super) fn denial_not_found(decision_id: &str) -> Status {
    let message = format!(
        "this replica does not have the denial {decision_id}: it was evicted, or belongs to another replica; query the others"
    );
    about(
        Code::NotFound,
        "DENIAL_NOT_FOUND",
        &message,
        &RecordName {
            kind: DENIAL,
            name: decision_id,
        },
    )
}

/// Returns UNAVAILABLE for a watch that ends with its connection.
pub(super) fn ending() -> Status {
    plain(
        Code::Unavailable,
        "CONNECTION_ENDING",
        "the server ends the connection, because of its age or to shut down; call again",
    )
}

fn too_many_attempts(message: &str, wait: Duration) -> Status {
    let mut details = details("TOO_MANY_ATTEMPTS");
    details.set_retry_info(Some(wait));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

fn directory_failure(error: &DirectoryError) -> Status {
    tracing::warn!(%error, cause = error.source(), "an administration call failed: the user directory is unavailable");
    plain(
        Code::Unavailable,
        "DIRECTORY_UNAVAILABLE",
        "the user directory is unavailable; try again later",
    )
}

fn store_failure(error: &StoreError) -> Status {
    tracing::warn!(
        error = error.with_causes(),
        "an administration call failed: store error"
    );
    match error.kind() {
        StoreErrorKind::Unavailable | StoreErrorKind::ClockSkew => plain(
            Code::Unavailable,
            "STORE_UNAVAILABLE",
            "the store is unavailable, and the change may or may not have been made; check, then try again",
        ),
        StoreErrorKind::WrongMasterKey => plain(
            Code::FailedPrecondition,
            "WRONG_MASTER_KEY",
            "the master key of this replica is not the one that the store was written with, and nothing was changed; set store.master_key_file to the key file of the other replicas",
        ),
        StoreErrorKind::AlreadyExists
        | StoreErrorKind::Conflict
        | StoreErrorKind::Unreadable
        | StoreErrorKind::Unusable => internal(),
    }
}

/// Returns ABORTED for a rotation that is asked for while another one runs.
pub(super) fn rekey_running() -> Status {
    plain(
        Code::Aborted,
        "REKEY_RUNNING",
        "this server rotates the master key already; wait until that ends",
    )
}

/// Returns the status of a rotation that failed.
pub(super) fn rekey_failure(error: &StoreError) -> Status {
    if error.kind() == StoreErrorKind::Conflict {
        let message = "other replicas seal records with another key all the time: put the same line first in the master key file of every replica";
        return plain(Code::Aborted, "CONCURRENT_CHANGE", message);
    }
    let status = store_failure(error);
    if status.code() != Code::Unavailable {
        return status;
    }
    plain(
        Code::Unavailable,
        "STORE_UNAVAILABLE",
        "the store does not answer; what was sealed stays",
    )
}

fn internal() -> Status {
    plain(
        Code::Internal,
        "INTERNAL",
        "internal error; the log of the server has the details",
    )
}

fn plain(code: Code, reason: &'static str, message: &str) -> Status {
    Status::with_error_details(code, message, details(reason))
}

fn about(code: Code, reason: &'static str, message: &str, record: &RecordName<'_>) -> Status {
    let mut details = details(reason);
    details.set_resource_info(record.kind, record.name, "", message);
    Status::with_error_details(code, message, details)
}

fn details(reason: &'static str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

const CONSUMER: &str = "countersign.v1.Consumer";
const TOKEN: &str = "countersign.v1.Token";
const REQUEST_TOKEN: &str = "countersign.v1.RequestToken";
const DENIAL: &str = "countersign.v1.Denial";
const USER: &str = "countersign.v1.User";

const CONFLICT: &str =
    "the record was changed since it was read, or at the same time; read it and try again";

// A status is sent in headers: the message as text, and again with the details in base64. gRPC
// clients accept 8 KiB.
const MESSAGE_ROOM: usize = 1000;
const DETAILS_ROOM: usize = 2400;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{ConsumerId, ConsumerKey, Flow, Token};

    #[test]
    fn a_wrong_field_is_named() {
        let mut wrong = Violations::of("consumer.name", "must not be empty");
        wrong.add("consumer.callbacks[1]", "has a fragment");
        let status = status(IssueError::Invalid(wrong));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(
            status.message(),
            "consumer.name must not be empty; consumer.callbacks[1] has a fragment"
        );
        assert_eq!(fields(&status), ["consumer.name", "consumer.callbacks[1]"]);
    }

    #[test]
    fn a_status_fits_in_the_headers_that_clients_accept() {
        let mut wrong = Violations::default();
        for at in 0..1000 {
            wrong.add(
                format!("consumer.scopes[{at}]"),
                "has the character '\"' at byte 3; allowed are visible ASCII",
            );
        }
        let status = status(IssueError::Invalid(wrong));
        let answer = status.clone().into_http::<()>();
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 32);
        let len = headers.sum::<usize>();
        assert!(len < 8 * 1024, "{len}");
        assert!(fields(&status).len() > 20);
        assert!(status.message().ends_with(" more"), "{}", status.message());
    }

    #[test]
    fn every_error_has_a_code_and_a_reason_for_programs() {
        let mut reasons = BTreeSet::new();
        for ErrorCase(error, code, reason) in cases() {
            let status = status(error);
            reasons.insert(reason.to_owned());
            let info = status.get_error_details().error_info().cloned().unwrap();
            assert_eq!(
                (status.code(), info.reason.as_str(), info.domain.as_str()),
                (code, reason, "countersign.v1")
            );
            let is_about_a_record = matches!(code, Code::NotFound | Code::AlreadyExists);
            assert_eq!(
                status.get_error_details().resource_info().is_some(),
                is_about_a_record,
                "{reason}"
            );
        }
        for status in [
            credentials_required(),
            role_insufficient(),
            plaintext_export_off(),
            denial_not_found("d"),
            rekey_running(),
            ending(),
            rekey_running(),
        ] {
            reasons.insert(
                status
                    .get_error_details()
                    .error_info()
                    .unwrap()
                    .reason
                    .clone(),
            );
        }
        assert_eq!(reasons, reasons_in_the_table());
    }

    /// An error, and the code and reason of its status.
    struct ErrorCase(IssueError, Code, &'static str);

    fn cases() -> impl Iterator<Item = ErrorCase> {
        records().into_iter().chain(states()).chain(failures())
    }

    fn records() -> Vec<ErrorCase> {
        let key = || ConsumerKey::new("key").unwrap();
        let token = || Token::new("token").unwrap();
        vec![
            ErrorCase(
                IssueError::UnknownConsumer(key()),
                Code::NotFound,
                "CONSUMER_NOT_FOUND",
            ),
            ErrorCase(
                IssueError::UnknownConsumerId(ConsumerId::new("id").unwrap()),
                Code::NotFound,
                "CONSUMER_NOT_FOUND",
            ),
            ErrorCase(
                IssueError::UnknownToken(token()),
                Code::NotFound,
                "TOKEN_NOT_FOUND",
            ),
            ErrorCase(
                IssueError::UnknownRequestToken(token()),
                Code::NotFound,
                "REQUEST_TOKEN_NOT_FOUND",
            ),
            ErrorCase(
                IssueError::UnknownUser("u".to_owned()),
                Code::NotFound,
                "USER_NOT_FOUND",
            ),
            ErrorCase(
                IssueError::ConsumerExists(key()),
                Code::AlreadyExists,
                "CONSUMER_EXISTS",
            ),
            ErrorCase(
                IssueError::TokenExists(token()),
                Code::AlreadyExists,
                "TOKEN_EXISTS",
            ),
            ErrorCase(IssueError::UserExists, Code::AlreadyExists, "USER_EXISTS"),
        ]
    }

    fn states() -> Vec<ErrorCase> {
        let key = || ConsumerKey::new("key").unwrap();
        vec![
            ErrorCase(
                IssueError::ConsumerDisabled(key()),
                Code::FailedPrecondition,
                "CONSUMER_DISABLED",
            ),
            ErrorCase(
                IssueError::FlowNotAllowed {
                    key: key(),
                    flow: Flow::XAuth,
                },
                Code::FailedPrecondition,
                "FLOW_NOT_ALLOWED",
            ),
            ErrorCase(
                IssueError::UserDisabled,
                Code::FailedPrecondition,
                "USER_DISABLED",
            ),
            ErrorCase(
                IssueError::RequestTokenExpired,
                Code::FailedPrecondition,
                "REQUEST_TOKEN_EXPIRED",
            ),
            ErrorCase(
                IssueError::RequestTokenDecided,
                Code::FailedPrecondition,
                "REQUEST_TOKEN_DECIDED",
            ),
            ErrorCase(
                IssueError::RequestTokenUndecided,
                Code::FailedPrecondition,
                "REQUEST_TOKEN_UNDECIDED",
            ),
            ErrorCase(
                IssueError::RequestTokenRefused,
                Code::FailedPrecondition,
                "REQUEST_TOKEN_REFUSED",
            ),
            ErrorCase(
                IssueError::RequestTokenUsed,
                Code::FailedPrecondition,
                "REQUEST_TOKEN_USED",
            ),
        ]
    }

    fn failures() -> Vec<ErrorCase> {
        let store = |kind| IssueError::Store(StoreError::new(kind, "looking up a consumer"));
        vec![
            ErrorCase(
                IssueError::Invalid(Violations::of("f", "p")),
                Code::InvalidArgument,
                "FIELD_VIOLATION",
            ),
            ErrorCase(IssueError::Conflict, Code::Aborted, "CONCURRENT_CHANGE"),
            ErrorCase(
                IssueError::VerifierRefused,
                Code::PermissionDenied,
                "VERIFIER_REFUSED",
            ),
            ErrorCase(
                IssueError::PasswordRefused,
                Code::PermissionDenied,
                "PASSWORD_REFUSED",
            ),
            ErrorCase(
                IssueError::TooManyAttempts(Duration::ZERO),
                Code::ResourceExhausted,
                "TOO_MANY_ATTEMPTS",
            ),
            ErrorCase(
                IssueError::Directory(DirectoryError::new("no route")),
                Code::Unavailable,
                "DIRECTORY_UNAVAILABLE",
            ),
            ErrorCase(
                store(StoreErrorKind::Unavailable),
                Code::Unavailable,
                "STORE_UNAVAILABLE",
            ),
            ErrorCase(
                store(StoreErrorKind::WrongMasterKey),
                Code::FailedPrecondition,
                "WRONG_MASTER_KEY",
            ),
            ErrorCase(
                IssueError::MissingMasterKey("k".into()),
                Code::FailedPrecondition,
                "MASTER_KEY_MISSING",
            ),
            ErrorCase(
                store(StoreErrorKind::Unreadable),
                Code::Internal,
                "INTERNAL",
            ),
        ]
    }

    /// Returns the second column of the table in consumer.proto.
    fn reasons_in_the_table() -> BTreeSet<String> {
        let table = PROTO
            .split("//   code                 reason")
            .nth(1)
            .unwrap()
            .split("//\n")
            .next()
            .unwrap();
        let column = table
            .lines()
            .skip(1)
            .filter_map(|line| line.get(26..)?.split([' ', ',']).next());
        column
            .filter(|word| word.len() > 2)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn too_many_guesses_name_the_time_of_the_next_one() {
        let status = status(IssueError::TooManyAttempts(Duration::from_secs(7)));
        let retry = status.get_error_details().retry_info().unwrap().retry_delay;
        assert_eq!(retry, Some(Duration::from_secs(7)));
    }

    #[test]
    fn only_the_log_has_the_cause_of_a_failure() {
        let error = StoreError::new(StoreErrorKind::Unusable, "reading secrets")
            .because("redis-7.internal:6379");
        assert_eq!(
            status(IssueError::Store(error)).message(),
            "internal error; the log of the server has the details"
        );
        let error = DirectoryError::new("connecting").because("ldap-7.internal:636");
        let status = status(IssueError::Directory(error));
        assert_eq!(
            status.message(),
            "the user directory is unavailable; try again later"
        );
    }

    fn fields(status: &Status) -> Vec<String> {
        let details = status.get_error_details();
        details
            .bad_request()
            .unwrap()
            .field_violations
            .iter()
            .map(|violation| violation.field.clone())
            .collect()
    }

    const PROTO: &str = include_str!("../../../proto/countersign/v1/consumer.proto");
}
