//! Every reason for which a check is denied: operators see what the caller is told, and more.
//!
//! One service with one configuration denies a request for each reason of docs/decisions.md.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use countersign::clock::UnixTime;
use countersign::config::{Config, Route, RoutePolicy};
use countersign::diagnostics::DenialRecord;
use countersign::issue::{
    Actor, ConsumerAttributes, ConsumerDraft, Expiry, Issuer, TokenDraft, UserDraft,
};
use countersign::model::{ConsumerKey, Secret, Token, UserId};
use envoy_types::ext_authz::v3::pb::CheckRequest;
use envoy_types::pb::envoy::config::core::v3::{
    Address, HeaderMap, HeaderValue, SocketAddress, address,
};
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer};

use super::bench::{Bench, CONSUMER_KEY, CONSUMER_SECRET, Call, NOW, TOKEN, TOKEN_SECRET, USER};
use crate::support::audit_log::AuditLog;
use crate::support::process::project;

/// A request that is denied, and the facts that operators see.
struct Case {
    reason: &'static str,
    request: CheckRequest,
    rule: &'static str,
    /// Names and values of facts.
    facts: Vec<(&'static str, &'static str)>,
}

#[tokio::test]
async fn every_reason_has_its_answer_its_facts_and_its_remedy() {
    let bench = world().await;
    let cases = cases();
    let reached: BTreeSet<_> = cases.iter().map(|case| case.reason.to_owned()).collect();
    assert_eq!(reached, documented_reasons());
    for case in cases {
        let Case { reason, .. } = case;
        if reason == "nonce_used" {
            bench.denied(case.request.clone()).await;
        }
        let denied = bench.denied(with_client(case.request)).await;
        let json = denied.json();
        let id = json["decision_id"].as_str().unwrap();
        assert_eq!(denied.header("x-countersign-decision-id"), id, "{reason}");
        let record = bench.diagnostics.denial(id).unwrap();
        assert_eq!(record.reason, reason, "{record:?}");
        assert_eq!(i32::from(record.status), denied.status(), "{reason}");
        let told = (&json["oauth_problem"], &json["oauth_problem_advice"]);
        let kept = (&record.problem.into(), &record.advice.as_str().into());
        assert_eq!(told, kept, "{reason}");
        assert!(record.remedy().len() > 20, "{reason}: {}", record.remedy());
        assert_eq!(record.rule, case.rule, "{reason}");
        assert_has_client(&record);
        for fact in case.facts {
            let facts: Vec<_> = record.details.iter().collect();
            assert!(facts.contains(&fact), "{fact:?} is not in {facts:?}");
        }
    }
}

/// The log tells the same in one line, and no text of the caller ends it.
#[tokio::test]
async fn the_log_has_the_facts_of_a_denial() {
    let log = AuditLog::listen_as_text();
    let bench = world().await;
    let late = Call {
        timestamp: LATER - 3600,
        ..Call::get("/")
    };
    bench.denied(with_client(late.signed())).await;
    let event = log.text();
    for part in [
        "reason=\"timestamp_refused\"",
        "status=401",
        "problem=\"timestamp_refused\"",
        "difference: 3600 s behind",
        "window: 300 s",
        "remedy=\"set the clock of the client",
        "rule=\"[check]\"",
        &format!("consumer=\"{CONSUMER_KEY}\""),
        "consumer_name=\"Printer Example\"",
        "client=\"203.0.113.7\"",
        r#"request_id="request\\nreason=\\\"ok\\\"""#,
    ] {
        assert!(event.contains(part), "{part} is not in {event}");
    }
    assert_eq!(event.lines().count(), 1, "{event}");
}

/// Creates a service with a rule for every key, and credentials in every state.
async fn world() -> Bench {
    let bench = Bench::with(configure).await;
    let issuer = &bench.issuer;
    consumer(issuer, "disabled", &[], &[]).await;
    consumer(issuer, "three-legged", &["three-legged"], &[]).await;
    consumer(issuer, "plain", &[], &["PLAINTEXT"]).await;
    consumer(issuer, "other", &[], &[]).await;
    token(issuer, "revoked", CONSUMER_KEY, USER, Expiry::Never).await;
    let soon = Expiry::After(Duration::from_secs(60));
    token(issuer, "expired", CONSUMER_KEY, USER, soon).await;
    token(issuer, "foreign", "other", "joe", Expiry::Never).await;
    let idle = UserDraft {
        user_id: Some("idle".to_owned()),
        username: "idle".to_owned(),
        password: None,
    };
    issuer.create_user(&idle, &Actor::ADMIN).await.unwrap();
    token(issuer, "idle", CONSUMER_KEY, "idle", Expiry::Never).await;
    let revoked = Token::new("revoked").unwrap();
    issuer
        .revoke_token(&revoked, None, &Actor::ADMIN)
        .await
        .unwrap();
    let disabled = ConsumerKey::new("disabled").unwrap();
    issuer
        .disable_consumer(&disabled, &Actor::ADMIN)
        .await
        .unwrap();
    let idle = UserId::new("idle").unwrap();
    issuer.disable_user(&idle, &Actor::ADMIN).await.unwrap();
    bench.clock.set(UnixTime::from_secs(LATER));
    bench
}

fn configure(config: &mut Config) {
    let route = |path_prefix: &str, key: &str, value: &str| {
        let mut set = RoutePolicy::default();
        set.set(key, value).unwrap();
        Route {
            path_prefix: Some(path_prefix.to_owned()),
            set,
            ..Route::default()
        }
    };
    config.routes = vec![
        route("/mine", "require", "user"),
        route("/prints", "scopes", "write admin"),
        route("/hashed", "body_hash", "require"),
        route("/small", "max_form_bytes", "10"),
    ];
    config.check.envoy_sends_whole_bodies = false;
    config.check.realm_match = true;
    config.verify.max_parameters = 20;
    config.verify.not_before = NOW - 100;
    // The explanation of a mismatch has a remedy of its own.
    config.diagnostics.explain = false;
}

async fn consumer(issuer: &Issuer, key: &str, flows: &[&str], methods: &[&str]) {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let draft = ConsumerDraft {
        consumer_key: Some(key.to_owned()),
        consumer_secret: Some(Secret::new(CONSUMER_SECRET.as_bytes())),
        attributes: ConsumerAttributes {
            name: key.to_owned(),
            flows: texts(flows),
            signature_methods: texts(methods),
            ..ConsumerAttributes::default()
        },
        ..ConsumerDraft::default()
    };
    issuer.create_consumer(&draft, &Actor::ADMIN).await.unwrap();
}

async fn token(issuer: &Issuer, name: &str, consumer: &str, user: &str, expiry: Expiry) {
    let draft = TokenDraft {
        token: Some(name.to_owned()),
        token_secret: Some(Secret::new(TOKEN_SECRET.as_bytes())),
        consumer_key: consumer.to_owned(),
        user_id: Some(user.to_owned()),
        expiry,
        ..TokenDraft::default()
    };
    issuer.create_token(&draft, &Actor::ADMIN).await.unwrap();
}

/// Returns a denial of each reason.
fn cases() -> Vec<Case> {
    [malformed(), bodies(), unproven(), unusable(), unpermitted()]
        .into_iter()
        .flatten()
        .collect()
}

fn malformed() -> Vec<Case> {
    let mut many = raw("");
    http(&mut many).path = format!("/?{}", "a&".repeat(30));
    let mut ftp = Call::get("/").signed();
    http(&mut ftp).scheme = "ftp".to_owned();
    let mut forms = Call::get("/").signed();
    (http(&mut forms).body, http(&mut forms).raw_body) = ("a".to_owned(), b"a".to_vec());
    let mut types = raw("");
    let value = "text/plain, text/html".to_owned();
    http(&mut types)
        .headers
        .insert("content-type".to_owned(), value);
    let at = |target, request: fn(Call) -> CheckRequest| request(Call::get(target));
    let of_raw = |call: Call| call.with_authorization(Some(header("")));
    let host = Call {
        host: "a b",
        ..Call::get("/")
    };
    vec![
        case(
            "unsigned",
            Call::get("/").unsigned(),
            "require of [check]",
            &[],
        ),
        case(
            "parameter_absent",
            authorized("OAuth oauth_token=\"a\""),
            CHECK,
            &[],
        ),
        case("parameter_duplicate", raw("oauth_nonce=\"b\""), CHECK, &[]),
        case(
            "parameter_empty",
            raw("oauth_token=\"\", oauth_callback=\"\""),
            CHECK,
            &[],
        ),
        case(
            "parameter_too_long",
            raw(&format!("oauth_token=\"{}\"", "a".repeat(5000))),
            CHECK,
            &[],
        ),
        case("several_places", at("/?oauth_token=a", of_raw), CHECK, &[]),
        case(
            "header_malformed",
            authorized("OAuth oauth_nonce"),
            CHECK,
            &[],
        ),
        case("several_authorizations", authorized_twice(), CHECK, &[]),
        case("several_content_types", types, CHECK, &[]),
        case("bad_escape", at("/?a=%zz", of_raw), CHECK, &[]),
        case("too_many_parameters", many, CHECK, &[("limit", "20")]),
        case(
            "parameters_too_large",
            at("/small", of_raw),
            "max_form_bytes of [[route]] 4 (path_prefix /small)",
            &[("limit", "10 bytes")],
        ),
        case("target_malformed", at("photos", of_raw), CHECK, &[]),
        case("authority_malformed", of_raw(host), CHECK, &[]),
        case(
            "timestamp_malformed",
            without_timestamp("oauth_timestamp=\"now\""),
            CHECK,
            &[("oauth_timestamp", "now")],
        ),
        case(
            "timestamp_in_milliseconds",
            without_timestamp("oauth_timestamp=\"1700000000000\""),
            CHECK,
            &[("oauth_timestamp", "1700000000000")],
        ),
        case(
            "version_unsupported",
            raw("oauth_version=\"2.0\""),
            CHECK,
            &[("oauth_version", "2.0")],
        ),
        case(
            "signature_method_unsupported",
            authorized(&header("").replace("HMAC-SHA1", "HMAC-MD5")),
            CHECK,
            &[("oauth_signature_method", "HMAC-MD5")],
        ),
        case(
            "plaintext_without_https",
            Call {
                signature_method: "PLAINTEXT",
                ..Call::get("/")
            }
            .signed(),
            "origin of [check]",
            &[("scheme", "http")],
        ),
        case("not_http", CheckRequest::default(), "", &[]),
        case("ambiguous_headers", forms, "", &[]),
        case(
            "unknown_scheme",
            ftp,
            "origin of [check]",
            &[("scheme", "ftp")],
        ),
        case(
            "ambiguous_path",
            at("/a//b", |call| call.signed()),
            CHECK,
            &[],
        ),
    ]
}

fn bodies() -> Vec<Case> {
    let of = |content_type: &str, target| {
        let headers = (!content_type.is_empty())
            .then(|| ("content-type".to_owned(), content_type.to_owned()));
        let call = Call {
            method: "POST",
            headers: headers.into_iter().collect(),
            body: b"a=1&b=2!",
            ..Call::get(target)
        };
        call.signed()
    };
    let form = || of("application/x-www-form-urlencoded", "/");
    let mut not_sent = form();
    http(&mut not_sent).raw_body.clear();
    let mut cut = form();
    http(&mut cut).raw_body.truncate(3);
    let mut partial = form();
    let mark = "x-envoy-auth-partial-body";
    http(&mut partial)
        .headers
        .insert(mark.to_owned(), "true".to_owned());
    let mut unknown = form();
    http(&mut unknown).headers.remove("content-length");
    http(&mut unknown)
        .headers
        .insert(mark.to_owned(), "false".to_owned());
    let mut altered = form();
    let body = std::mem::take(&mut http(&mut altered).raw_body);
    http(&mut altered).body = String::from_utf8(body).unwrap();
    let sizes = [
        ("content_length", "8"),
        ("received", "3 bytes"),
        ("limit", "1048576 bytes"),
    ];
    vec![
        case(
            "body_not_forwarded",
            not_sent,
            CHECK,
            &[("received", "0 bytes")],
        ),
        case("body_length_mismatch", cut, CHECK, &sizes),
        case("body_partial", partial, CHECK, &[("content_length", "8")]),
        case(
            "body_length_unknown",
            unknown,
            CHECK,
            &[("content_length", "none")],
        ),
        case("body_altered", altered, CHECK, &[("received", "8 bytes")]),
        case(
            "body_untyped",
            of("", "/"),
            "untyped_body of [check]",
            &[("content_type", "none")],
        ),
        case(
            "body_type_unclear",
            of("application/x-www-form-urlencoded+xml", "/"),
            "untyped_body of [check]",
            &[("content_type", "application/x-www-form-urlencoded+xml")],
        ),
        case(
            "body_hash_absent",
            of("text/plain", "/hashed"),
            "body_hash of [[route]] 3 (path_prefix /hashed)",
            &[],
        ),
    ]
}

fn unproven() -> Vec<Case> {
    let foreign = "consumer other, user joe";
    let own = "consumer dpf43f3p2l4k3l03, user jane";
    let mismatch = "the signature does not match";
    let of = |key, token| Call {
        consumer_key: key,
        token: Some((token, TOKEN_SECRET)),
        ..Call::get("/")
    };
    let wrong = Call {
        consumer_secret: "wrong",
        ..Call::get("/")
    };
    let rsa = Call {
        signature_method: "RSA-SHA256",
        ..Call::get("/")
    };
    let hash = Call {
        more: vec![("oauth_body_hash", "AAAA".to_owned())],
        ..Call::get("/")
    };
    let coded = header("").replace("AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAB%3D");
    let no_key = [
        ("method_used", "RSA-SHA256"),
        ("missing_key", "RSA public key"),
    ];
    vec![
        case(
            "unknown_consumer",
            of("nobody", TOKEN).signed(),
            CHECK,
            &[("token_belongs_to", own)],
        ),
        case(
            "unknown_token",
            of(CONSUMER_KEY, "foreign").signed(),
            CHECK,
            &[("token_belongs_to", foreign)],
        ),
        case("method_not_allowed", rsa.signed(), CHECK, &no_key),
        case(
            "signature_mismatch",
            wrong.signed(),
            CHECK,
            &[("detail", mismatch)],
        ),
        case("signature_not_canonical", authorized(&coded), CHECK, &[]),
        case("body_hash_mismatch", hash.signed(), CHECK, &[]),
    ]
}

fn unusable() -> Vec<Case> {
    let consumer = |key| Call {
        consumer_key: key,
        token: None,
        ..Call::get("/")
    };
    let with_token = |token| Call {
        token: Some((token, TOKEN_SECRET)),
        ..Call::get("/")
    };
    let at = |timestamp| Call {
        timestamp,
        ..Call::get("/")
    };
    let plaintext = Call {
        signature_method: "PLAINTEXT",
        timestamp: 0,
        extensions: vec![("countersign.origin", "https://photos.example.net")],
        ..consumer("plain")
    };
    let replayed = Call {
        nonce: "again".to_owned(),
        ..Call::get("/")
    };
    let clocks = [
        ("client_time", "1699996460 (2023-11-14T21:14:20Z)"),
        ("server_time", "1700000060 (2023-11-14T22:14:20Z)"),
        ("difference", "3600 s behind"),
        ("window", "300 s"),
    ];
    let expiry = [
        ("token", "expired"),
        ("user", USER),
        ("token_expires", "1700000060 (2023-11-14T22:14:20Z)"),
    ];
    let fence = [("accepted_from", "1699999901 (2023-11-14T22:11:41Z)")];
    vec![
        case(
            "consumer_disabled",
            consumer("disabled").signed(),
            CHECK,
            &[],
        ),
        case(
            "token_revoked",
            with_token("revoked").signed(),
            CHECK,
            &[("token", "revoked")],
        ),
        case(
            "token_expired",
            with_token("expired").signed(),
            CHECK,
            &expiry,
        ),
        case(
            "user_disabled",
            with_token("idle").signed(),
            CHECK,
            &[("user", "idle")],
        ),
        case(
            "timestamp_refused",
            at(LATER - 3600).signed(),
            CHECK,
            &clocks,
        ),
        case("timestamp_fenced", at(NOW - 150).signed(), CHECK, &fence),
        case(
            "nonce_used",
            replayed.signed(),
            CHECK,
            &[("nonce", "again")],
        ),
        case(
            "nonce_without_timestamp",
            plaintext.signed(),
            "context_extensions",
            &[],
        ),
    ]
}

fn unpermitted() -> Vec<Case> {
    let consumer = |key, target| Call {
        consumer_key: key,
        token: None,
        ..Call::get(target)
    };
    let foreign_realm = Call {
        realm: Some("else"),
        ..Call::get("/")
    };
    let scopes = [
        ("scopes_needed", "admin write"),
        ("scopes_held", "read"),
        ("scopes_missing", "admin write"),
        ("consumer_scopes", "read write"),
        ("token_scopes", "read"),
    ];
    let realms = [("realm_needed", "api"), ("realm_sent", "else")];
    vec![
        case(
            "token_required",
            consumer("three-legged", "/").signed(),
            CHECK,
            &[("flows_allowed", "three-legged")],
        ),
        case(
            "user_required",
            consumer(CONSUMER_KEY, "/mine").signed(),
            "require of [[route]] 1 (path_prefix /mine)",
            &[("token", "none")],
        ),
        case(
            "scope_missing",
            Call::get("/prints").signed(),
            "scopes of [[route]] 2 (path_prefix /prints)",
            &scopes,
        ),
        case(
            "realm_mismatch",
            foreign_realm.signed(),
            "realm of [check]",
            &realms,
        ),
    ]
}

fn case(
    reason: &'static str,
    request: CheckRequest,
    rule: &'static str,
    facts: &[(&'static str, &'static str)],
) -> Case {
    Case {
        reason,
        request,
        rule,
        facts: facts.to_vec(),
    }
}

/// Returns an `Authorization` header with more parameters, and with a signature that nobody made.
fn header(more: &str) -> String {
    let more = if more.is_empty() {
        String::new()
    } else {
        format!(", {more}")
    };
    format!(
        "OAuth oauth_consumer_key=\"{CONSUMER_KEY}\", oauth_signature_method=\"HMAC-SHA1\", \
         oauth_signature=\"AAAA\", oauth_timestamp=\"{NOW}\", oauth_nonce=\"a\"{more}"
    )
}

fn raw(more: &str) -> CheckRequest {
    authorized(&header(more))
}

fn without_timestamp(more: &str) -> CheckRequest {
    let timestamp = format!(" oauth_timestamp=\"{NOW}\",");
    authorized(&header(more).replace(&timestamp, ""))
}

fn authorized(authorization: &str) -> CheckRequest {
    Call::get("/").with_authorization(Some(authorization.to_owned()))
}

fn authorized_twice() -> CheckRequest {
    let mut request = raw("");
    let value = |text: &str| HeaderValue {
        key: "authorization".to_owned(),
        raw_value: text.as_bytes().to_vec(),
        ..HeaderValue::default()
    };
    http(&mut request).headers.clear();
    http(&mut request).header_map = Some(HeaderMap {
        headers: vec![value(&header("")), value("Basic YTpi")],
    });
    request
}

fn http(request: &mut CheckRequest) -> &mut HttpRequest {
    let attributes = request.attributes.as_mut().unwrap();
    attributes.request.as_mut().unwrap().http.as_mut().unwrap()
}

/// Adds the address of a client, and an `x-request-id` that could forge a log line.
fn with_client(mut request: CheckRequest) -> CheckRequest {
    let socket = SocketAddress {
        address: "203.0.113.7".to_owned(),
        ..SocketAddress::default()
    };
    let attributes = request
        .attributes
        .get_or_insert_with(AttributeContext::default);
    attributes.source = Some(Peer {
        address: Some(Address {
            address: Some(address::Address::SocketAddress(socket)),
        }),
        ..Peer::default()
    });
    let http = attributes
        .request
        .as_mut()
        .and_then(|request| request.http.as_mut());
    let Some(http) = http else { return request };
    match &mut http.header_map {
        Some(map) => map.headers.push(HeaderValue {
            key: REQUEST_ID.to_owned(),
            raw_value: FORGED.as_bytes().to_vec(),
            ..HeaderValue::default()
        }),
        None => drop(
            http.headers
                .insert(REQUEST_ID.to_owned(), FORGED.to_owned()),
        ),
    }
    request
}

fn assert_has_client(record: &DenialRecord) {
    assert_eq!(record.client_address, "203.0.113.7", "{record:?}");
    if !record.rule.is_empty() {
        assert_eq!(record.request_id, r#"request\nreason=\"ok\""#, "{record:?}");
    }
}

/// Returns the reasons of a check in docs/decisions.md.
fn documented_reasons() -> BTreeSet<String> {
    let text = fs::read_to_string(project("docs/decisions.md")).unwrap();
    let (checks, _) = text.split_once("## Failures of Countersign").unwrap();
    let rows = checks.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

/// The time of every denial.
const LATER: u64 = NOW + 60;

/// The rule of a request that no route matches.
const CHECK: &str = "[check]";

const REQUEST_ID: &str = "x-request-id";

const FORGED: &str = "request\nreason=\"ok\"";
