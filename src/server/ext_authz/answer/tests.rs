use std::sync::Arc;

use envoy_types::ext_authz::v3::pb::{
    CheckResponse, DeniedHttpResponse, HeaderAppendAction, HeaderValue, HeaderValueOption,
    HttpResponse, HttpStatus, OkHttpResponse,
};
use envoy_types::pb::google::protobuf::{BoolValue, Struct, Value, value::Kind};
use envoy_types::pb::google::rpc;
use prost::Message as _;

use super::*;
use crate::clock::UnixTime;
use crate::config::DenyDetail;
use crate::model::{
    AccessToken, Consumer, ConsumerKey, Generation, Scopes, Secret, Token, TokenStatus, UserId,
};
use crate::oauth::SignatureMethod;
use crate::server::denial::decision_id::DecisionId;
use crate::server::denial::problem::{DenialStyle, Problem};
use crate::server::denial::report::Outcome;
use crate::server::ext_authz::metadata::MetadataCaller;
use crate::server::negotiation::AnswerFormat;
use crate::verify::{Identity, Reason, Weakened};

/// Decodes an answer as a client does.
fn read(answer: CheckAnswer) -> CheckResponse {
    let bytes = answer.into_bytes();
    assert_eq!(
        bytes[..5],
        [
            &[0][..],
            &u32::try_from(bytes.len() - 5).unwrap().to_be_bytes()
        ]
        .concat()
    );
    CheckResponse::decode(&bytes[5..]).unwrap()
}

fn code(response: &CheckResponse) -> i32 {
    response.status.as_ref().unwrap().code
}

fn metadata_of(outcome: Outcome) -> Metadata<'static> {
    Metadata::of(outcome, DecisionId([1; 16]))
}

fn identity(user_id: Option<&str>, scopes: &str) -> Identity {
    let scopes = Scopes::parse(scopes).unwrap();
    let consumer = consumer(scopes.clone());
    let token = AccessToken {
        token: Token::new("token").unwrap(),
        secret: Secret::new(*b"secret"),
        consumer_key: consumer.key.clone(),
        user_id: user_id.map(|user| UserId::new(user).unwrap()),
        scopes,
        consumer_generation: consumer.generation,
        user_generation: Generation::default(),
        status: TokenStatus::Active,
        expires_at: None,
        created_at: UnixTime::default(),
        revision: 1,
    };
    Identity::new(Arc::new(consumer), Some(Arc::new(token)))
}

fn consumer(scopes: Scopes) -> Consumer {
    Consumer {
        scopes,
        ..Consumer::example()
    }
}

fn allowed(identity: Identity) -> Decision {
    let method = SignatureMethod::HmacSha1;
    Decision::Allow(Allowance {
        identity,
        signature_method: method,
        credentials_in_header: true,
        weakened: Weakened::default(),
    })
}

#[expect(deprecated, reason = "Envoy honours only this field")]
fn overwrite(name: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_owned(),
            value: value.to_owned(),
            raw_value: Vec::new(),
        }),
        append: Some(BoolValue { value: false }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        keep_empty_value: false,
    }
}

fn metadata(fields: &[(&str, &str)]) -> Option<Struct> {
    let value = |text: &&str| Value {
        kind: Some(Kind::StringValue((*text).to_owned())),
    };
    Some(Struct {
        fields: fields
            .iter()
            .map(|(name, text)| ((*name).to_owned(), value(text)))
            .collect(),
    })
}

const STYLE: DenialStyle<'_> = DenialStyle {
    realm: "r",
    detail: DenyDetail::Problem,
    format: AnswerFormat::Json,
    decision_id: DecisionId([1; 16]),
    base_string: None,
    cause: None,
};

const ID: &str = "01010101010101010101010101010101";

#[test]
fn an_allowance_has_every_field() {
    let (user, scopes) = ("jane", "read write");
    let decision = allowed(identity(Some(user), scopes));
    let Decision::Allow(granted) = &decision else {
        unreachable!()
    };
    let request = CheckHeaders::joined(&[("x_consumer_id", "1"), ("accept", "2")]);
    let about = Metadata {
        signature_method: Some("HMAC-SHA1"),
        caller: MetadataCaller::Proven(&granted.identity),
        ..metadata_of(Outcome::Allow)
    };
    let response = read(allow(
        &Permit::of(&decision).unwrap(),
        &request,
        true,
        &about,
    ));
    let headers = vec![
        overwrite("x-consumer-id", "c-1"),
        overwrite("x-consumer-username", "Printer Example"),
        overwrite("x-credential-identifier", "key"),
        overwrite("x-authenticated-userid", user),
        overwrite("x-authenticated-scope", scopes),
    ];
    let remove = ["x_consumer_id", "x-anonymous-consumer", "authorization"]
        .map(str::to_owned)
        .to_vec();
    let ok = OkHttpResponse {
        headers,
        headers_to_remove: remove,
        ..OkHttpResponse::default()
    };
    let fields = metadata(&[
        ("decision", "allow"),
        ("decision_id", ID),
        ("signature_method", "HMAC-SHA1"),
        ("consumer_id", "c-1"),
        ("consumer_key", "key"),
        ("consumer_name", "Printer Example"),
        ("user_id", user),
        ("scopes", scopes),
    ]);
    let expected = CheckResponse {
        status: Some(rpc::Status::default()),
        dynamic_metadata: fields,
        http_response: Some(HttpResponse::OkResponse(ok)),
    };
    assert_eq!(response, expected);
}

#[test]
fn a_caller_without_user_and_scopes_has_no_such_header_and_no_such_metadata() {
    let decision = allowed(identity(None, ""));
    let Decision::Allow(granted) = &decision else {
        unreachable!()
    };
    let about = Metadata {
        caller: MetadataCaller::Proven(&granted.identity),
        ..metadata_of(Outcome::Allow)
    };
    let response = read(allow(
        &Permit::of(&decision).unwrap(),
        &CheckHeaders::default(),
        false,
        &about,
    ));
    let fields = response.dynamic_metadata.unwrap().fields;
    assert!(
        !fields.contains_key("user_id") && !fields.contains_key("scopes"),
        "{fields:?}"
    );
    let Some(HttpResponse::OkResponse(ok)) = response.http_response else {
        panic!("not an allowance")
    };
    assert_eq!(ok.headers.len(), 3);
    assert_eq!(
        ok.headers_to_remove,
        [
            "x-authenticated-userid",
            "x-authenticated-scope",
            "x-anonymous-consumer"
        ]
    );
}

#[test]
fn a_denial_has_every_field() {
    let style = DenialStyle {
        format: AnswerFormat::Form,
        ..STYLE
    };
    let problem = Problem::of(Reason::ScopeMissing);
    let key = ConsumerKey::new("key").unwrap();
    let about = Metadata {
        problem: Some("scope_missing"),
        caller: MetadataCaller::Claimed(&key),
        ..metadata_of(Outcome::Deny)
    };
    let written = problem.write(&style);
    let response = read(deny(&written, &about));
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: 403 }),
        headers: vec![
            overwrite("www-authenticate", &written.challenge),
            overwrite("content-type", written.content_type),
            overwrite("cache-control", "no-store"),
            overwrite("x-countersign-decision-id", ID),
        ],
        body: written.body,
    };
    let expected = CheckResponse {
        status: Some(rpc::Status {
            code: 7,
            ..rpc::Status::default()
        }),
        dynamic_metadata: metadata(&[
            ("decision", "deny"),
            ("decision_id", ID),
            ("problem", "scope_missing"),
            ("claimed_consumer_key", "key"),
        ]),
        http_response: Some(HttpResponse::DeniedResponse(denied)),
    };
    assert_eq!(response, expected);
}

#[test]
fn a_proven_caller_gets_the_sunset_headers() {
    let mut leaving = consumer(Scopes::default());
    (leaving.deprecated_at, leaving.sunset_at) =
        (Some(UnixTime::default()), Some(UnixTime::default()));
    let identity = Identity::new(Arc::new(leaving), None);
    let sunset = vec![
        overwrite("deprecation", "@0"),
        overwrite("sunset", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ];

    let about = Metadata {
        caller: MetadataCaller::Proven(&identity),
        ..metadata_of(Outcome::Allow)
    };
    let decision = allowed(identity.clone());
    let response = read(allow(
        &Permit::of(&decision).unwrap(),
        &CheckHeaders::default(),
        false,
        &about,
    ));
    let Some(HttpResponse::OkResponse(ok)) = response.http_response else {
        panic!("not an allowance")
    };
    assert_eq!(ok.response_headers_to_add, sunset);

    let denial = |caller| {
        let about = Metadata {
            caller,
            ..metadata_of(Outcome::Deny)
        };
        let response = read(deny(&Problem::of(Reason::NonceUsed).write(&STYLE), &about));
        let Some(HttpResponse::DeniedResponse(denied)) = response.http_response else {
            panic!("not a denial")
        };
        denied.headers
    };
    assert_eq!(denial(MetadataCaller::Proven(&identity))[4..], sunset);
    assert_eq!(
        denial(MetadataCaller::Claimed(identity.consumer_key())).len(),
        4,
        "an unproven caller gets none"
    );
}

#[test]
fn a_failure_has_every_field() {
    let response = read(error("down", &metadata_of(Outcome::Error)));
    assert_eq!(code(&response), 14);
    let Some(HttpResponse::ErrorResponse(failed)) = response.http_response else {
        panic!("not a failure")
    };
    assert_eq!(failed.status, Some(HttpStatus { code: 503 }));
    let headers = [
        ("content-type", "application/problem+json"),
        ("cache-control", "no-store"),
        ("retry-after", "1"),
        ("x-countersign-decision-id", ID),
    ];
    assert_eq!(
        failed.headers,
        headers.map(|(name, value)| overwrite(name, value))
    );
    let body: serde_json::Value = serde_json::from_str(&failed.body).unwrap();
    assert_eq!(
        (&body["status"], &body["detail"], &body["decision_id"]),
        (&503.into(), &"down".into(), &ID.into())
    );
}

#[test]
fn only_an_allowance_has_status_code_0() {
    for reason in [
        Reason::Unsigned,
        Reason::ScopeMissing,
        Reason::NotHttp,
        Reason::NonceUsed,
    ] {
        let denied = read(deny(
            &Problem::of(reason).write(&STYLE),
            &metadata_of(Outcome::Deny),
        ));
        assert_ne!(code(&denied), 0, "{reason:?}");
        assert!(matches!(
            denied.http_response,
            Some(HttpResponse::DeniedResponse(_))
        ));
    }
    let failed = read(error("down", &metadata_of(Outcome::Error)));
    assert_ne!(code(&failed), 0);
    assert!(matches!(
        failed.http_response,
        Some(HttpResponse::ErrorResponse(_))
    ));
    let allowed = read(allow(
        &Permit::shadow(),
        &CheckHeaders::default(),
        true,
        &metadata_of(Outcome::WouldDeny),
    ));
    assert_eq!(code(&allowed), 0);
}

#[test]
fn every_identity_header_is_set_or_removed() {
    let headers = CheckHeaders::joined(&[("X_Consumer_Id", "spoofed")]);
    let decision = Decision::Anonymous;
    let permit = Permit::of(&decision).unwrap();
    let allowed = read(allow(
        &permit,
        &headers,
        true,
        &metadata_of(Outcome::Anonymous),
    ));
    let Some(HttpResponse::OkResponse(ok)) = allowed.http_response else {
        panic!("not an allowance")
    };
    let set: Vec<_> = ok
        .headers
        .iter()
        .filter_map(|option| option.header.as_ref())
        .map(|h| h.key.as_str())
        .collect();
    assert_eq!(set, ["x-anonymous-consumer"]);
    assert!(ok.headers_to_remove.contains(&"X_Consumer_Id".to_owned()));
    for name in identity::NAMES {
        assert!(
            set.contains(&name) != ok.headers_to_remove.contains(&name.to_owned()),
            "{name}"
        );
    }
    assert!(!ok.headers_to_remove.contains(&"authorization".to_owned()));
}

#[test]
fn a_denial_without_detail_shows_only_the_realm() {
    let style = DenialStyle {
        realm: "r\"1",
        detail: DenyDetail::None,
        ..STYLE
    };
    let written = Problem::of(Reason::NonceUsed).write(&style);
    let denied = read(deny(&written, &metadata_of(Outcome::Deny)));
    let Some(HttpResponse::DeniedResponse(denied)) = denied.http_response else {
        panic!("not a denial")
    };
    let challenge = &denied.headers[0].header.as_ref().unwrap().value;
    assert_eq!(challenge, "OAuth realm=\"r\\\"1\"");
    assert!(!denied.body.contains("nonce"), "{}", denied.body);
}
