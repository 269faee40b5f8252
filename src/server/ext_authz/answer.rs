//! The answers on the wire: the only file that makes a [`CheckResponse`].
//!
//! Envoy allows whatever has `status.code` 0, and 0 is what an empty message has. So every answer is made by one of the
//! constructors here: [`allow`] is the only one that sets the code to 0, and it takes a [`Permit`], which only a
//! decision gives.

use std::collections::HashMap;

use envoy_types::ext_authz::v3::pb::{
    CheckResponse, DeniedHttpResponse, HeaderAppendAction, HeaderValue, HeaderValueOption, HttpResponse, HttpStatus,
    OkHttpResponse,
};
use envoy_types::pb::google::protobuf::{BoolValue, Struct, Value, value::Kind};
use envoy_types::pb::google::rpc;
use tonic::Code;

use super::attributes::Headers;
use super::identity::{self, Caller};
use crate::server::respond::{self, DenialStyle, Problem, Written};
use crate::verify::{Allowed, Decision, Denial, Identity};

/// Proof that a request may pass.
pub(super) struct Permit<'d>(Grant<'d>);

enum Grant<'d> {
    Proven(&'d Allowed),
    Anonymous,
    Shadow,
}

impl<'d> Permit<'d> {
    /// The permit that a decision gives.
    ///
    /// # Errors
    /// The denial, when it gives none.
    pub(super) fn of(decision: &'d Decision) -> Result<Self, &'d Denial> {
        match decision {
            Decision::Allow(allowed) => Ok(Self(Grant::Proven(allowed))),
            Decision::Anonymous => Ok(Self(Grant::Anonymous)),
            Decision::Deny(denial) => Err(denial),
        }
    }

    /// The one exception to fail-closed: a route whose `mode` is `shadow` lets everything pass.
    pub(super) const fn shadow() -> Self {
        Self(Grant::Shadow)
    }

    fn caller(&self) -> Caller<'d> {
        match self.0 {
            Grant::Proven(allowed) => Caller::Proven(&allowed.identity),
            Grant::Anonymous => Caller::Anonymous,
            Grant::Shadow => Caller::Unknown,
        }
    }

    const fn has_credentials_in_header(&self) -> bool {
        matches!(self.0, Grant::Proven(allowed) if allowed.credentials_in_header)
    }
}

/// Lets the request pass, with the six identity headers overwritten or removed.
pub(super) fn allow(
    permit: &Permit<'_>,
    request: Headers<'_>,
    hide_credentials: bool,
    about: Metadata,
) -> CheckResponse {
    let mut headers = Vec::with_capacity(identity::NAMES.len());
    let mut remove: Vec<String> = identity::disguised(request).map(str::to_owned).collect();
    for (name, value) in identity::NAMES.into_iter().zip(permit.caller().values()) {
        match value {
            Some(value) => headers.push(header(name, value)),
            None => remove.push(name.to_owned()),
        }
    }
    if hide_credentials && permit.has_credentials_in_header() {
        remove.push("authorization".to_owned());
    }
    let ok = OkHttpResponse { headers, headers_to_remove: remove, ..OkHttpResponse::default() };
    response(Code::Ok, HttpResponse::OkResponse(ok), about)
}

/// Refuses the request.
pub(super) fn deny(problem: &Problem, style: &DenialStyle<'_>, about: Metadata) -> CheckResponse {
    let Written { challenge, content_type, body } = problem.write(style);
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(problem.status) }),
        headers: vec![
            header("www-authenticate", challenge),
            header("content-type", content_type.to_owned()),
            header("cache-control", "no-store".to_owned()),
        ],
        body,
    };
    let code = if problem.status == 403 { Code::PermissionDenied } else { Code::Unauthenticated };
    response(code, HttpResponse::DeniedResponse(denied), about)
}

/// Says that we failed, so that Envoy's failure mode decides; needs Envoy 1.37.
pub(super) fn error(message: &str, about: Metadata) -> CheckResponse {
    let body =
        serde_json::json!({ "type": "about:blank", "title": respond::title(503), "status": 503, "detail": message });
    let failed = DeniedHttpResponse {
        status: Some(HttpStatus { code: 503 }),
        headers: vec![
            header("content-type", "application/problem+json".to_owned()),
            header("cache-control", "no-store".to_owned()),
            header("retry-after", "1".to_owned()),
        ],
        body: body.to_string(),
    };
    response(Code::Unavailable, HttpResponse::ErrorResponse(failed), about)
}

fn response(code: Code, http: HttpResponse, about: Metadata) -> CheckResponse {
    CheckResponse {
        status: Some(rpc::Status { code: code as i32, ..rpc::Status::default() }),
        dynamic_metadata: Some(Struct { fields: about.0 }),
        http_response: Some(http),
    }
}

/// A header in the one form that every client of the API reads as "overwrite".
#[expect(deprecated, reason = "Envoy honours only the deprecated `append`; other clients only `append_action`")]
fn header(name: &str, value: String) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), value, raw_value: Vec::new() }),
        append: Some(BoolValue { value: false }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        keep_empty_value: false,
    }
}

/// Dynamic metadata of a decision: for access logs and rate limits, under `envoy.filters.http.ext_authz`.
#[derive(Default)]
pub(super) struct Metadata(HashMap<String, Value>);

impl Metadata {
    /// Adds a text.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), Value { kind: Some(Kind::StringValue(value.into())) });
        self
    }

    /// Adds who called: only for a proven request, so that nobody spends another's rate limit.
    #[must_use]
    pub(super) fn with_identity(self, identity: &Identity) -> Self {
        let about = self
            .with("consumer_id", identity.consumer_id.as_str())
            .with("consumer_key", identity.consumer_key.as_str())
            .with("consumer_name", identity.consumer_name.as_str());
        let about = match &identity.user_id {
            Some(user) => about.with("user_id", user.as_str()),
            None => about,
        };
        if identity.scopes.is_empty() { about } else { about.with("scopes", identity.scopes.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DenyDetail;
    use crate::verify::Reason;

    fn code(response: &CheckResponse) -> i32 {
        response.status.as_ref().unwrap().code
    }

    #[test]
    fn only_an_allowance_has_status_code_0() {
        let style =
            DenialStyle { realm: "r", detail: DenyDetail::Problem, form: false, decision_id: "1", base_string: None };
        for reason in [Reason::Unsigned, Reason::ScopeMissing, Reason::NotHttp, Reason::NonceUsed] {
            let denied = deny(&Problem::of(reason), &style, Metadata::default());
            assert_ne!(code(&denied), 0, "{reason:?}");
            assert!(matches!(denied.http_response, Some(HttpResponse::DeniedResponse(_))));
        }
        let failed = error("down", Metadata::default());
        assert_ne!(code(&failed), 0);
        assert!(matches!(failed.http_response, Some(HttpResponse::ErrorResponse(_))));
        let headers = HashMap::new();
        let allowed = allow(&Permit::shadow(), Headers::Joined(&headers), true, Metadata::default());
        assert_eq!(code(&allowed), 0);
    }

    #[test]
    fn every_identity_header_is_set_or_removed() {
        let headers = HashMap::from([("X_Consumer_Id".to_owned(), "spoofed".to_owned())]);
        let decision = Decision::Anonymous;
        let permit = Permit::of(&decision).unwrap();
        let allowed = allow(&permit, Headers::Joined(&headers), true, Metadata::default());
        let Some(HttpResponse::OkResponse(ok)) = allowed.http_response else { panic!("not an allowance") };
        let set: Vec<_> =
            ok.headers.iter().filter_map(|option| option.header.as_ref()).map(|h| h.key.as_str()).collect();
        assert_eq!(set, ["x-anonymous-consumer"]);
        assert!(ok.headers_to_remove.contains(&"X_Consumer_Id".to_owned()));
        for name in identity::NAMES {
            assert!(set.contains(&name) != ok.headers_to_remove.contains(&name.to_owned()), "{name}");
        }
        assert!(!ok.headers_to_remove.contains(&"authorization".to_owned()));
    }

    #[test]
    fn every_header_is_an_overwrite_for_every_client() {
        let header = header("x-consumer-id", "1".to_owned());
        #[expect(deprecated, reason = "what Envoy honours")]
        let append = header.append;
        assert_eq!(append, Some(BoolValue { value: false }));
        assert_eq!(header.append_action, i32::from(HeaderAppendAction::OverwriteIfExistsOrAdd));
        assert!(header.header.is_some_and(|header| header.raw_value.is_empty()));
    }

    #[test]
    fn a_denial_without_detail_tells_nothing_but_the_realm() {
        let style =
            DenialStyle { realm: "r\"1", detail: DenyDetail::None, form: false, decision_id: "1", base_string: None };
        let denied = deny(&Problem::of(Reason::NonceUsed), &style, Metadata::default());
        let Some(HttpResponse::DeniedResponse(denied)) = denied.http_response else { panic!("not a denial") };
        let challenge = &denied.headers[0].header.as_ref().unwrap().value;
        assert_eq!(challenge, "OAuth realm=\"r\\\"1\"");
        assert!(!denied.body.contains("nonce"), "{}", denied.body);
    }
}
