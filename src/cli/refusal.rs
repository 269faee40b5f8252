//! Errors of calls for people: options and commands in the place of fields and calls of the API.

use std::error::Error;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::exit::{CallError, CallErrorKind};

/// Converts the refusal of a server into an error for people: each wrong option on a line of its
/// own, else the message.
#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(crate) fn refused(status: Status) -> anyhow::Error {
    let kind = kind(&status);
    let details = status.get_error_details();
    let message = match details.bad_request() {
        Some(wrong) => {
            let fields = wrong.field_violations.iter();
            let lines = fields.map(|one| {
                format!(
                    "\n  {} {}",
                    option(&one.field),
                    in_options(&one.description)
                )
            });
            format!(
                "the server refused the request:{}",
                lines.collect::<String>()
            )
        }
        None if status.code() == Code::Unimplemented => UNKNOWN_CALL.to_owned(),
        None if is_disconnect(&status) => NO_ANSWER.to_owned(),
        None => in_options(status.message()),
    };
    CallError { kind, message }.into()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "scripts do not tell the other codes apart"
)]
fn kind(status: &Status) -> CallErrorKind {
    match status.code() {
        _ if is_disconnect(status) => CallErrorKind::Unavailable,
        Code::NotFound => CallErrorKind::NotFound,
        // The client's own deadline is a cancellation.
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => CallErrorKind::Unavailable,
        Code::Unauthenticated | Code::PermissionDenied => CallErrorKind::Denied,
        _ => CallErrorKind::Other,
    }
}

/// Returns `true` if the connection ended, so that the status is not the server's.
fn is_disconnect(status: &Status) -> bool {
    status
        .source()
        .is_some_and(|source| source.is::<tonic::transport::Error>())
}

/// Returns the option that sets a field of a request: `--callback number 2` for
/// `consumer.callbacks[1]`.
fn option(field: &str) -> String {
    let records = ["consumer.", "token.", "user."];
    let own = records.iter().find_map(|record| field.strip_prefix(record));
    let own = own.unwrap_or(field).trim_end_matches(".pem");
    let (name, index) = match own.split_once('[') {
        Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
        None => (own, None),
    };
    let option = match word(name) {
        Some(option) => option.to_owned(),
        None => format!("--{}", name.replace('_', "-")),
    };
    match index {
        Some(index) => format!("{option} number {}", index + 1),
        None => option,
    }
}

/// Replaces the names of fields and calls in a message. A plain word of English is no field.
fn in_options(message: &str) -> String {
    let message = message.replace("`flows`", "--flow");
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    let words = message.split_inclusive(is_end).map(|part| {
        let name = part.trim_end_matches(is_end);
        let rest = &part[name.len()..];
        match word(name).filter(|_| name.contains('_') || name.contains(char::is_uppercase)) {
            Some(option) => format!("{option}{rest}"),
            None => part.to_owned(),
        }
    });
    words.collect()
}

fn word(name: &str) -> Option<&'static str> {
    let found = WORDS.iter().find(|(field, _)| *field == name);
    found.map(|(_, option)| *option)
}

/// The fields whose options have another name, and the calls of remedies with their commands.
const WORDS: &[(&str, &str)] = &[
    ("callbacks", "--callback"),
    ("compat_profiles", "--compat"),
    ("consumer_key", "--consumer-key"),
    ("consumer_secret", "--consumer-secret"),
    ("deprecated_at", "--deprecated-at"),
    ("expire_time", "--expires-in"),
    ("flows", "--flow"),
    ("holder", "--consumer-key or --user-id"),
    ("no_shared_secret", "--no-secret"),
    ("password", "--password-file"),
    ("request", "the request"),
    ("rsa_public_key", "--rsa-public-key"),
    ("rsa_public_keys", "--rsa-public-key"),
    ("scopes", "--scope"),
    ("signature_methods", "--signature-method"),
    ("sunset_at", "--sunset-at"),
    ("token_secret", "--token-secret"),
    ("ttl", "--expires-in"),
    ("EnableConsumer", "`countersign consumer enable`"),
    ("EnableUser", "`countersign user enable`"),
    ("GetConsumer", "`countersign consumer get`"),
    ("UpdateConsumer", "`countersign consumer update`"),
];

const UNKNOWN_CALL: &str = "the server does not know this call: --server must be its API listener, \
                            and its version must not be older than this command's";

const NO_ANSWER: &str = "the connection ended without an answer: --server must be the API listener, \
                         with https if it uses TLS; the server may have executed the request";

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_refusal_names_the_options() {
        let mut details = ErrorDetails::new();
        for (field, problem) in [
            ("consumer.name", "must not be empty"),
            ("consumer.callbacks[1]", "has a fragment"),
            (
                "consumer.signature_methods[0]",
                "RSA-SHA1 needs rsa_public_keys",
            ),
            ("consumer.rsa_public_keys[0].pem", "is no key"),
            ("token.user_id", "must not be empty"),
            ("ttl", "must end in the future"),
            (
                "no_shared_secret",
                "contradicts consumer_secret: omit one of them",
            ),
            (
                "fingerprint",
                "must be 64 digits: copy it from the response of GetConsumer",
            ),
        ] {
            details.add_bad_request_violation(field, problem);
        }
        let status = Status::with_error_details(Code::InvalidArgument, "x", details);
        assert_eq!(
            refused(status).to_string(),
            "the server refused the request:\n  \
             --name must not be empty\n  \
             --callback number 2 has a fragment\n  \
             --signature-method number 1 RSA-SHA1 needs --rsa-public-key\n  \
             --rsa-public-key number 1 is no key\n  \
             --user-id must not be empty\n  \
             --expires-in must end in the future\n  \
             --no-secret contradicts --consumer-secret: omit one of them\n  \
             --fingerprint must be 64 digits: copy it from the response of `countersign consumer get`"
        );
    }

    #[test]
    fn a_remedy_names_the_command() {
        for (message, shown) in [
            ("there is no token t", "there is no token t"),
            (
                "the consumer K is disabled; EnableConsumer lets it sign again",
                "the consumer K is disabled; `countersign consumer enable` lets it sign again",
            ),
            (
                "UpdateConsumer can add it to its `flows`",
                "`countersign consumer update` can add it to its --flow",
            ),
            ("a request without scopes", "a request without scopes"),
        ] {
            let status = Status::failed_precondition(message);
            assert_eq!(refused(status).to_string(), shown);
        }
    }

    #[test]
    fn a_script_tells_refusals_apart() {
        for (status, expected) in [
            (Status::not_found(""), CallErrorKind::NotFound),
            (Status::unauthenticated(""), CallErrorKind::Denied),
            (Status::permission_denied(""), CallErrorKind::Denied),
            (Status::unavailable(""), CallErrorKind::Unavailable),
            (Status::deadline_exceeded(""), CallErrorKind::Unavailable),
            (Status::invalid_argument(""), CallErrorKind::Other),
            (Status::already_exists(""), CallErrorKind::Other),
            (Status::internal(""), CallErrorKind::Other),
        ] {
            let error = refused(status.clone()).context("reading");
            let call = error.downcast_ref::<CallError>().unwrap();
            assert_eq!(call.kind, expected, "{status}");
        }
    }
}
