//! From an [`IssueError`] to a gRPC status, in one place; the table is in `proto/countersign/v1/consumer.proto`.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::issue::{DirectoryError, IssueError, Violation, Violations};
use crate::store::{StoreError, StoreErrorKind};
use crate::v1::{DOMAIN, FIELD_VIOLATION};

/// The answer to a caller; what only an operator should know goes to the log instead.
pub(super) fn status(error: IssueError) -> Status {
    let message = error.to_string();
    let found = |reason, kind, name: &str| about(Code::NotFound, reason, &message, (kind, name));
    let taken =
        |reason, kind, name: &str| about(Code::AlreadyExists, reason, &message, (kind, name));
    let unready = |reason, remedy| {
        plain(
            Code::FailedPrecondition,
            reason,
            &format!("{message}{remedy}"),
        )
    };
    match &error {
        IssueError::Invalid(violations) => invalid(violations),
        IssueError::UnknownConsumer(key) => found("CONSUMER_NOT_FOUND", CONSUMER, key.as_str()),
        IssueError::UnknownToken(token) => found("TOKEN_NOT_FOUND", TOKEN, token.as_str()),
        IssueError::UnknownRequestToken(token) => {
            found("REQUEST_TOKEN_NOT_FOUND", REQUEST_TOKEN, token.as_str())
        }
        IssueError::UnknownUser(name) => found("USER_NOT_FOUND", USER, name),
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
        IssueError::VerifierRefused => plain(Code::PermissionDenied, "VERIFIER_REFUSED", &message),
        IssueError::PasswordRefused => plain(Code::PermissionDenied, "PASSWORD_REFUSED", &message),
        IssueError::TooManyAttempts(wait) => too_many_attempts(&message, *wait),
        IssueError::Directory(error) => directory_failure(error),
        IssueError::Store(error) => store_failure(error),
    }
}

/// The answer to who asked for a draft to be made a record: the draft's fields are those of the request's `resource`,
/// but for `own`, which are fields of the request itself.
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

/// ALREADY_EXISTS with the id or username that was asked for.
pub(super) fn user_exists(name: &str) -> Status {
    about(
        Code::AlreadyExists,
        "USER_EXISTS",
        &IssueError::UserExists.to_string(),
        (USER, name),
    )
}

/// INVALID_ARGUMENT with every field that is wrong, as far as there is room; the message has the first few.
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

/// Every violation, or the first few and how many there are beside them.
fn summary(violations: &Violations) -> String {
    let (mut text, count) = (String::new(), violations.iter().count());
    for (told, Violation { field, problem }) in violations.iter().enumerate() {
        let separator = if told > 0 { "; " } else { "" };
        if told > 0 && text.len() + field.len() + problem.len() > MESSAGE_ROOM {
            return format!("{text}; and {} more", count - told);
        }
        text.push_str(&format!("{separator}{field} {problem}"));
    }
    text
}

/// UNAUTHENTICATED, the same whether a token is missing or wrong.
pub(super) fn credentials_required() -> Status {
    let message = "the admin token is missing or wrong: send it as `authorization: Bearer TOKEN`; it stands in the file \
                   admin-token of the server's data directory, unless the server's environment sets \
                   COUNTERSIGN_ADMIN_TOKEN; or show a client certificate that the server's configuration names";
    plain(Code::Unauthenticated, "CREDENTIALS_REQUIRED", message)
}

/// PERMISSION_DENIED for an issuer who asks for what is an administrator's.
pub(super) fn role_insufficient() -> Status {
    let message = "this call is for administrators: issuers may issue, exchange, introspect and revoke tokens";
    plain(Code::PermissionDenied, "ROLE_INSUFFICIENT", message)
}

/// INTERNAL for a call that reached a service without passing the gate: a mistake in how the listener was composed.
pub(super) fn not_gated() -> Status {
    tracing::error!("an administration call reached its service without authentication");
    internal()
}

/// NOT_FOUND: no denial of that decision is kept.
pub(super) fn denial_not_found(decision_id: &str) -> Status {
    let message = format!(
        "no denial {decision_id} is kept: the oldest are dropped, and each replica has its own"
    );
    about(
        Code::NotFound,
        "DENIAL_NOT_FOUND",
        &message,
        (DENIAL, decision_id),
    )
}

/// UNAVAILABLE at the end of what would go on until the server ends.
pub(super) fn ending() -> Status {
    plain(Code::Unavailable, "SERVER_ENDING", "the server ends")
}

fn too_many_attempts(message: &str, wait: Duration) -> Status {
    let mut details = details("TOO_MANY_ATTEMPTS");
    details.set_retry_info(Some(wait));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

fn directory_failure(error: &DirectoryError) -> Status {
    tracing::warn!(%error, cause = error.source(), "the user directory failed an administration call");
    plain(
        Code::Unavailable,
        "DIRECTORY_UNAVAILABLE",
        "the user directory can not answer; try again later",
    )
}

fn store_failure(error: &StoreError) -> Status {
    tracing::warn!(%error, cause = error.source(), "the store failed an administration call");
    match error.kind() {
        StoreErrorKind::Unavailable => plain(
            Code::Unavailable,
            "STORE_UNAVAILABLE",
            "the store can not be reached; what was to be changed may have been changed or not",
        ),
        StoreErrorKind::AlreadyExists
        | StoreErrorKind::Conflict
        | StoreErrorKind::Unreadable
        | StoreErrorKind::Unusable => internal(),
    }
}

fn internal() -> Status {
    plain(
        Code::Internal,
        "INTERNAL",
        "the server failed; its log tells more",
    )
}

fn plain(code: Code, reason: &'static str, message: &str) -> Status {
    Status::with_error_details(code, message, details(reason))
}

fn about(code: Code, reason: &'static str, message: &str, (kind, name): (&str, &str)) -> Status {
    let mut details = details(reason);
    details.set_resource_info(kind, name, "", message);
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
    "changed by others since it was read, or at the same time; read it and try again";

// A status travels in headers, of which gRPC clients take 8 KiB: the message as text and, with the details, in base64.
const MESSAGE_ROOM: usize = 1000;
const DETAILS_ROOM: usize = 2400;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{ConsumerKey, Flow, Token};

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
    fn an_answer_fits_in_the_headers_that_clients_take() {
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
        let (key, token) = (
            || ConsumerKey::new("key").unwrap(),
            || Token::new("token").unwrap(),
        );
        let store = |kind| IssueError::Store(StoreError::new(kind, "looking up a consumer"));
        let mut told = BTreeSet::new();
        for (error, code, reason) in [
            (
                IssueError::Invalid(Violations::of("f", "p")),
                Code::InvalidArgument,
                "FIELD_VIOLATION",
            ),
            (
                IssueError::UnknownConsumer(key()),
                Code::NotFound,
                "CONSUMER_NOT_FOUND",
            ),
            (
                IssueError::UnknownToken(token()),
                Code::NotFound,
                "TOKEN_NOT_FOUND",
            ),
            (
                IssueError::UnknownRequestToken(token()),
                Code::NotFound,
                "REQUEST_TOKEN_NOT_FOUND",
            ),
            (
                IssueError::UnknownUser("u".to_owned()),
                Code::NotFound,
                "USER_NOT_FOUND",
            ),
            (
                IssueError::ConsumerExists(key()),
                Code::AlreadyExists,
                "CONSUMER_EXISTS",
            ),
            (
                IssueError::TokenExists(token()),
                Code::AlreadyExists,
                "TOKEN_EXISTS",
            ),
            (IssueError::UserExists, Code::AlreadyExists, "USER_EXISTS"),
            (IssueError::Conflict, Code::Aborted, "CONCURRENT_CHANGE"),
            (
                IssueError::ConsumerDisabled(key()),
                Code::FailedPrecondition,
                "CONSUMER_DISABLED",
            ),
            (
                IssueError::FlowNotAllowed {
                    key: key(),
                    flow: Flow::XAuth,
                },
                Code::FailedPrecondition,
                "FLOW_NOT_ALLOWED",
            ),
            (
                IssueError::UserDisabled,
                Code::FailedPrecondition,
                "USER_DISABLED",
            ),
            (
                IssueError::RequestTokenExpired,
                Code::FailedPrecondition,
                "REQUEST_TOKEN_EXPIRED",
            ),
            (
                IssueError::RequestTokenDecided,
                Code::FailedPrecondition,
                "REQUEST_TOKEN_DECIDED",
            ),
            (
                IssueError::RequestTokenUndecided,
                Code::FailedPrecondition,
                "REQUEST_TOKEN_UNDECIDED",
            ),
            (
                IssueError::RequestTokenRefused,
                Code::FailedPrecondition,
                "REQUEST_TOKEN_REFUSED",
            ),
            (
                IssueError::RequestTokenUsed,
                Code::FailedPrecondition,
                "REQUEST_TOKEN_USED",
            ),
            (
                IssueError::VerifierRefused,
                Code::PermissionDenied,
                "VERIFIER_REFUSED",
            ),
            (
                IssueError::PasswordRefused,
                Code::PermissionDenied,
                "PASSWORD_REFUSED",
            ),
            (
                IssueError::TooManyAttempts(Duration::ZERO),
                Code::ResourceExhausted,
                "TOO_MANY_ATTEMPTS",
            ),
            (
                IssueError::Directory(DirectoryError::new("no route")),
                Code::Unavailable,
                "DIRECTORY_UNAVAILABLE",
            ),
            (
                store(StoreErrorKind::Unavailable),
                Code::Unavailable,
                "STORE_UNAVAILABLE",
            ),
            (
                store(StoreErrorKind::Unreadable),
                Code::Internal,
                "INTERNAL",
            ),
        ] {
            let status = status(error);
            told.insert(reason.to_owned());
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
            denial_not_found("d"),
            ending(),
        ] {
            told.insert(
                status
                    .get_error_details()
                    .error_info()
                    .unwrap()
                    .reason
                    .clone(),
            );
        }
        assert_eq!(told, reasons_in_the_table());
    }

    /// The second column of the table in consumer.proto, which has nothing else in capitals where it stands.
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
    fn who_guesses_is_told_when_to_try_again() {
        let status = status(IssueError::TooManyAttempts(Duration::from_secs(7)));
        let retry = status.get_error_details().retry_info().unwrap().retry_delay;
        assert_eq!(retry, Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_failure_of_the_store_is_told_to_the_log_alone() {
        let error = StoreError::new(StoreErrorKind::Unusable, "reading secrets")
            .because("redis-7.internal:6379");
        assert_eq!(
            status(IssueError::Store(error)).message(),
            "the server failed; its log tells more"
        );
        let error = DirectoryError::new("connecting").because("ldap-7.internal:636");
        let told = status(IssueError::Directory(error));
        assert_eq!(
            told.message(),
            "the user directory can not answer; try again later"
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
