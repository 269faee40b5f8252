//! The answers on the wire: the only file that writes a `CheckResponse`.
//!
//! Envoy allows every response whose `status.code` is 0, and an empty message has that code. So
//! every [`CheckAnswer`] comes from one of the constructors here, and none of them is a default:
//! [`allow`] is the only one that leaves the code at 0, and it takes a [`Permit`], which only a
//! decision gives.

#[cfg(test)]
mod tests;

use hyper::body::Bytes;
use tonic::Code;

use super::grpc;
use super::headers::CheckHeaders;
use super::identity::{self, UpstreamCaller};
use super::metadata::Metadata;
use super::wire::Writer;
use crate::server::denial::decision_id::HEADER as DECISION_ID;
use crate::server::denial::problem::{self, DenialResponse};
use crate::verify::{Allowance, Decision, Denial};

/// A `CheckResponse` as it is sent: after the length that gRPC puts before a message.
pub(super) struct CheckAnswer(Bytes);

impl CheckAnswer {
    /// Returns the bytes to send.
    pub(super) fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// Proof that a request may pass.
pub(super) struct Permit<'d>(PermitBasis<'d>);

/// The ground on which a request may pass.
enum PermitBasis<'d> {
    Proven(&'d Allowance),
    Anonymous,
    Shadow,
}

impl<'d> Permit<'d> {
    /// Returns the permit that a decision gives.
    ///
    /// # Errors
    /// The denial, if the decision is one.
    pub(super) fn of(decision: &'d Decision) -> Result<Self, &'d Denial> {
        match decision {
            Decision::Allow(allowance) => Ok(Self(PermitBasis::Proven(allowance))),
            Decision::Anonymous => Ok(Self(PermitBasis::Anonymous)),
            Decision::Deny(denial) => Err(denial),
        }
    }

    /// Returns the one permit without a decision, for routes in shadow mode, where everything
    /// passes.
    pub(super) const fn shadow() -> Self {
        Self(PermitBasis::Shadow)
    }

    /// Returns the allowance of a proven request.
    pub(super) const fn allowance(&self) -> Option<&'d Allowance> {
        match self.0 {
            PermitBasis::Proven(allowance) => Some(allowance),
            PermitBasis::Anonymous | PermitBasis::Shadow => None,
        }
    }

    fn caller(&self) -> UpstreamCaller<'d> {
        match self.0 {
            PermitBasis::Proven(allowance) => UpstreamCaller::Proven(&allowance.identity),
            PermitBasis::Anonymous => UpstreamCaller::Anonymous,
            PermitBasis::Shadow => UpstreamCaller::Unknown,
        }
    }

    const fn has_credentials_in_header(&self) -> bool {
        matches!(self.0, PermitBasis::Proven(allowance) if allowance.credentials_in_header)
    }
}

/// Lets the request pass, with the six identity headers overwritten or removed.
pub(super) fn allow(
    permit: &Permit<'_>,
    request: &CheckHeaders<'_>,
    hide_credentials: bool,
    metadata: &Metadata<'_>,
) -> CheckAnswer {
    let hides_credentials = hide_credentials && permit.has_credentials_in_header();
    let values = permit.caller().values();
    let named = || identity::NAMES.into_iter().zip(values);
    response(ResponseKind::Allow, metadata, |ok| {
        for (name, value) in named() {
            if let Some(value) = value {
                header(ok, HEADERS, name, value);
            }
        }
        for (name, value) in metadata.sunset_headers() {
            header(ok, OK_RESPONSE_HEADERS_TO_ADD, name, &value);
        }
        let absent = named().filter_map(|(name, value)| value.is_none().then_some(name));
        let credentials = hides_credentials.then_some("authorization");
        for name in request
            .disguised
            .iter()
            .copied()
            .chain(absent)
            .chain(credentials)
        {
            ok.text(OK_HEADERS_TO_REMOVE, name);
        }
    })
}

/// Denies the request.
pub(super) fn deny(denial: &DenialResponse, metadata: &Metadata<'_>) -> CheckAnswer {
    let code = if denial.status == 403 {
        Code::PermissionDenied
    } else {
        Code::Unauthenticated
    };
    let id = metadata.decision_id.hex();
    let sunset: Vec<_> = metadata.sunset_headers().collect();
    let sunset = sunset.iter().map(|(name, value)| (*name, value.as_str()));
    response(ResponseKind::Deny(code), metadata, |denied| {
        let headers = [
            ("www-authenticate", denial.challenge.as_str()),
            ("content-type", denial.content_type),
            ("cache-control", "no-store"),
            (DECISION_ID, id.as_str()),
        ];
        let headers = headers.into_iter().chain(sunset);
        http_response(denied, denial.status, headers, &denial.body);
    })
}

/// Reports our failure, so that Envoy's failure mode decides; requires Envoy 1.37.
pub(super) fn error(message: &str, metadata: &Metadata<'_>) -> CheckAnswer {
    let id = metadata.decision_id.hex();
    let body = serde_json::json!({
        "type": "about:blank",
        "title": problem::title(503),
        "status": 503,
        "detail": message,
        "decision_id": id.as_str(),
    });
    response(ResponseKind::Error, metadata, |failed| {
        let headers = [
            ("content-type", problem::PROBLEM_JSON),
            ("cache-control", "no-store"),
            ("retry-after", "1"),
            (DECISION_ID, id.as_str()),
        ];
        http_response(failed, 503, headers, &body.to_string());
    })
}

/// The kind of a `CheckResponse`.
#[derive(Clone, Copy)]
enum ResponseKind {
    Allow,
    Deny(Code),
    Error,
}

impl ResponseKind {
    /// Returns `google.rpc.Status.code`.
    const fn code(self) -> Code {
        match self {
            Self::Allow => Code::Ok,
            Self::Deny(code) => code,
            Self::Error => Code::Unavailable,
        }
    }

    /// Returns the number of the field of `CheckResponse.http_response`.
    const fn field(self) -> u8 {
        match self {
            Self::Allow => 3,
            Self::Deny(_) => 2,
            Self::Error => 5,
        }
    }
}

/// Writes a `CheckResponse`.
fn response(
    kind: ResponseKind,
    metadata: &Metadata<'_>,
    http: impl FnOnce(&mut Writer),
) -> CheckAnswer {
    let mut response = Writer::after(grpc::PREFIX);
    response.nested(RESPONSE_STATUS, |status| {
        if kind.code() != Code::Ok {
            status.number(1, kind.code() as u32);
        }
    });
    response.nested(kind.field(), http);
    response.nested(RESPONSE_METADATA, |fields| metadata.write(fields));
    CheckAnswer(response.finish(grpc::prefix).into())
}

/// Writes a `DeniedHttpResponse`.
fn http_response<'h>(
    denied: &mut Writer,
    status: u16,
    headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    body: &str,
) {
    denied.nested(1, |http_status| http_status.number(1, status.into()));
    for (name, value) in headers {
        header(denied, HEADERS, name, value);
    }
    denied.text(3, body);
}

/// Writes a `HeaderValueOption` in the one form that every client of the API reads as "overwrite":
/// Envoy honors only the deprecated `append`, which is false here; other clients only
/// `append_action`.
fn header(message: &mut Writer, field: u8, name: &str, value: &str) {
    message.nested(field, |option| {
        option.nested(1, |header| {
            header.text(1, name);
            header.text(2, value);
        });
        option.nested(2, |_| {});
        option.number(3, OVERWRITE_IF_EXISTS_OR_ADD);
    });
}

/// `CheckResponse.status`.
const RESPONSE_STATUS: u8 = 1;

/// `CheckResponse.dynamic_metadata`.
const RESPONSE_METADATA: u8 = 4;

/// `headers` of `OkHttpResponse` and of `DeniedHttpResponse`.
const HEADERS: u8 = 2;

/// `OkHttpResponse.headers_to_remove`.
const OK_HEADERS_TO_REMOVE: u8 = 5;

/// `OkHttpResponse.response_headers_to_add`: headers that are added to the upstream's response, or
/// replace its own.
const OK_RESPONSE_HEADERS_TO_ADD: u8 = 6;

/// `HeaderValueOption.HeaderAppendAction`.
const OVERWRITE_IF_EXISTS_OR_ADD: u32 = 2;
