//! Denied checks of every reason: operators see the answer to the caller, and more.
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

use super::bench::{Bench, CONSUMER_KEY, CONSUMER_SECRET, Call, NOW, TOKEN_SECRET, USER, metadata};
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

/// A setting of the configuration that a remedy names.
struct Setting {
    reason: &'static str,
    named: &'static str,
    set: fn(&mut Config),
}

#[tokio::test]
async fn a_setting_that_a_remedy_names_helps() {
    let bench = world().await;
    for Setting { reason, named, set } in settings() {
        let request = || {
            let mut cases = cases().into_iter();
            cases.find(|case| case.reason == reason).unwrap().request
        };
        let denied = bench.denied(request()).await.json();
        let record = bench
            .diagnostics
            .denial(denied["decision_id"].as_str().unwrap());
        let record = record.unwrap();
        assert!(
            record.remedy().contains(named),
            "{reason}: {}",
            record.remedy()
        );
        let changed = world_with(|config| {
            configure(config);
            config.check.realm_match = false;
            set(config);
        });
        let response = changed.await.ask(request()).await.unwrap();
        assert_ne!(
            metadata(&response, "problem").as_deref(),
            Some(reason),
            "{named}"
        );
    }
}

#[tokio::test]
async fn a_command_that_a_remedy_names_helps() {
    let bench = world_with(|config| config.check.realm_match = false).await;
    let disabled = without_token("disabled", "/");
    let idle = Call {
        token: Some(("idle", TOKEN_SECRET)),
        ..Call::get("/")
    };
    for (call, command) in [
        (&disabled, "countersign consumer enable KEY"),
        (&idle, "countersign user enable USER"),
    ] {
        let denied = bench.denied(call.signed()).await.json();
        let record = bench
            .diagnostics
            .denial(denied["decision_id"].as_str().unwrap());
        assert!(record.unwrap().remedy().contains(command), "{command}");
    }
    let key = ConsumerKey::new("disabled").unwrap();
    bench
        .issuer
        .enable_consumer(&key, &Actor::ADMIN)
        .await
        .unwrap();
    let user = UserId::new("idle").unwrap();
    bench
        .issuer
        .enable_user(&user, &Actor::ADMIN)
        .await
        .unwrap();
    for call in [disabled, idle] {
        let nonce = "another".to_owned();
        bench.allowed(Call { nonce, ..call }.signed()).await;
    }
}

fn settings() -> Vec<Setting> {
    let setting = |reason, named, set| Setting { reason, named, set };
    let origin = |config: &mut Config| {
        let policy = &mut config.check.policy;
        policy.set("origin", "https://photos.example.net").unwrap();
    };
    let untyped = |config: &mut Config| {
        config.check.policy.set("untyped_body", "allow").unwrap();
    };
    vec![
        setting("unsigned", "require = \"optional\"", |config| {
            config.check.policy.set("require", "optional").unwrap();
        }),
        setting("too_many_parameters", "verify.max_parameters", |config| {
            config.verify.max_parameters = 100;
        }),
        setting("parameters_too_large", "max_form_bytes", |config| {
            config.routes[3].set.set("max_form_bytes", "1000").unwrap();
        }),
        setting("body_untyped", "untyped_body = \"allow\"", untyped),
        setting("body_type_unclear", "untyped_body = \"allow\"", untyped),
        setting("body_hash_absent", "body_hash = \"accept\"", |config| {
            config.routes[2].set.set("body_hash", "accept").unwrap();
        }),
        setting(
            "body_length_unknown",
            "check.envoy_sends_whole_bodies",
            |config| {
                config.check.envoy_sends_whole_bodies = true;
            },
        ),
        setting("plaintext_without_https", "origin = \"https://", origin),
        setting("unknown_scheme", "origin = \"https://", origin),
        setting("timestamp_refused", "verify.timestamp_window", |config| {
            config.verify.timestamp_window = Duration::from_secs(7200);
        }),
        setting("user_required", "require = \"consumer\"", |config| {
            config.routes[0].set.set("require", "consumer").unwrap();
        }),
        setting("scope_missing", "the scopes of the rule", |config| {
            config.routes[1].set.set("scopes", "read").unwrap();
        }),
        setting("realm_mismatch", "check.realm_match = false", |_| {}),
    ]
}

/// The log tells the same in one line, and no text of the caller ends it.
#[tokio::test]
async fn the_log_has_the_facts_of_a_denial() {
    let bench = world().await;
    let log = AuditLog::listen_as_text();
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

/// A client may join a secret to a value of a request that nobody has signed.
#[tokio::test]
async fn an_unproven_value_is_shown_only_if_it_looks_like_what_belongs_there() {
    let bench = world().await;
    let method = header("").replace("HMAC-SHA1", JOINED);
    let mut query = Call::get("/").unsigned();
    let target = "/?oauth_consumer_key=a&oauth_signature_method=HMAC-SHA1&oauth_signature=AAAA";
    http(&mut query).path = format!("{target}&oauth_timestamp=1%26pw=hunter2&oauth_nonce=b");
    let long = "hunter2".repeat(5);
    let mut cut = with_body("application/x-www-form-urlencoded", "/");
    let length = "hunter2, hunter2".to_owned();
    http(&mut cut).raw_body.truncate(3);
    http(&mut cut)
        .headers
        .insert("content-length".to_owned(), length);
    let joined = "application/x-www-form-urlencoded&pw=hunter2";
    for request in [
        raw(&format!("oauth_version=\"{JOINED}\"")),
        raw(&format!("oauth_version=\"{long}\"")),
        raw("oauth_version=\"hunter2\""),
        raw_time("hunter2"),
        authorized(&header("").replace("HMAC-SHA1", "hunter2/+")),
        raw_time(JOINED),
        authorized(&method),
        query,
        cut,
        with_body(joined, "/"),
    ] {
        let denied = bench.denied(request).await.json();
        let id = denied["decision_id"].as_str().unwrap();
        let record = bench.diagnostics.denial(id).unwrap();
        let facts = record.details.to_string();
        assert!(facts.contains(": ***"), "{record:?}");
        assert!(!format!("{record:?}").contains("hunter2"), "{record:?}");
    }
}

/// Creates a service with a rule for every key, and credentials in every state.
async fn world() -> Bench {
    world_with(configure).await
}

async fn world_with(configure: impl FnOnce(&mut Config)) -> Bench {
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
    [
        malformed(),
        unreadable(),
        unknown_values(),
        incomplete_bodies(),
        unclear_bodies(),
        unproven(),
        revoked(),
        replayed(),
        unpermitted(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Requests whose parameters break the protocol.
fn malformed() -> Vec<Case> {
    let mut many = raw("");
    http(&mut many).path = format!("/?{}", "a&".repeat(30));
    let long = format!("oauth_token=\"{}\"", "a".repeat(5000));
    let too_large = "max_form_bytes of [[route]] 4 (path_prefix /small)";
    let empty = header("").replace(CONSUMER_KEY, "");
    vec![
        case("unsigned", Call::get("/").unsigned()).under("require of [check]"),
        case("parameter_absent", authorized("OAuth oauth_token=\"a\"")),
        case("parameter_duplicate", raw("oauth_nonce=\"b\"")),
        case("parameter_empty", authorized(&empty)),
        case("parameter_too_long", raw(&long)),
        case("several_places", raw_at("/?oauth_token=a")),
        case("header_malformed", authorized("OAuth oauth_nonce")),
        case("several_authorizations", authorized_twice()),
        case("bad_escape", raw_at("/?a=%zz")),
        case("too_many_parameters", many).with(&[("limit", "20")]),
        case("parameters_too_large", raw_at("/small"))
            .under(too_large)
            .with(&[("limit", "10 bytes")]),
    ]
}

/// Requests that Envoy or a backend may read differently.
fn unreadable() -> Vec<Case> {
    let mut ftp = Call::get("/").signed();
    http(&mut ftp).scheme = "ftp".to_owned();
    let mut forms = Call::get("/").signed();
    (http(&mut forms).body, http(&mut forms).raw_body) = ("a".to_owned(), b"a".to_vec());
    let mut types = raw("");
    let value = "text/plain, text/html".to_owned();
    let headers = &mut http(&mut types).headers;
    headers.insert("content-type".to_owned(), value);
    let mut host = raw("");
    http(&mut host).host = "a b".to_owned();
    vec![
        case("several_content_types", types),
        case("target_malformed", raw_at("photos")),
        case("authority_malformed", host),
        case("not_http", CheckRequest::default()).under(""),
        case("ambiguous_headers", forms).under(""),
        case("unknown_scheme", ftp)
            .under("origin of [check]")
            .with(&[("scheme", "ftp")]),
        case("ambiguous_path", Call::get("/a//b").signed()),
    ]
}

/// Requests with a value that Countersign does not know.
fn unknown_values() -> Vec<Case> {
    let md5 = header("").replace("HMAC-SHA1", "HMAC-MD5");
    let plaintext = Call {
        signature_method: "PLAINTEXT",
        ..Call::get("/")
    };
    vec![
        case("timestamp_malformed", raw_time("1700000060.5"))
            .with(&[("oauth_timestamp", "1700000060.5")]),
        case("timestamp_malformed", raw_time("now")).with(&[("oauth_timestamp", "***")]),
        case("timestamp_in_milliseconds", raw_time("1700000000000"))
            .with(&[("oauth_timestamp", "1700000000000")]),
        case("version_unsupported", raw("oauth_version=\"2.0\"")).with(&[("oauth_version", "2.0")]),
        case("signature_method_unsupported", authorized(&md5))
            .with(&[("oauth_signature_method", "HMAC-MD5")]),
        case("plaintext_without_https", plaintext.signed())
            .under("origin of [check]")
            .with(&[("scheme", "http")]),
    ]
}

fn incomplete_bodies() -> Vec<Case> {
    let form = || with_body("application/x-www-form-urlencoded", "/");
    let marked = |mut request: CheckRequest, mark: &str| {
        let name = "x-envoy-auth-partial-body".to_owned();
        http(&mut request).headers.insert(name, mark.to_owned());
        request
    };
    let mut not_sent = form();
    http(&mut not_sent).raw_body.clear();
    let mut cut = form();
    http(&mut cut).raw_body.truncate(3);
    let mut unknown = form();
    http(&mut unknown).headers.remove("content-length");
    let mut altered = form();
    let body = std::mem::take(&mut http(&mut altered).raw_body);
    http(&mut altered).body = String::from_utf8(body).unwrap();
    let sizes = [
        ("content_length", "8"),
        ("received", "3 bytes"),
        ("limit", "1048576 bytes"),
    ];
    vec![
        case("body_not_forwarded", not_sent).with(&[("received", "0 bytes")]),
        case("body_length_mismatch", cut).with(&sizes),
        case("body_partial", marked(form(), "true")).with(&[("content_length", "8")]),
        case("body_length_unknown", marked(unknown, "false")).with(&[("content_length", "none")]),
        case("body_altered", altered).with(&[("received", "8 bytes")]),
    ]
}

fn unclear_bodies() -> Vec<Case> {
    let xml = "application/x-www-form-urlencoded+xml";
    vec![
        case("body_untyped", with_body("", "/"))
            .under("untyped_body of [check]")
            .with(&[("content_type", "none")]),
        case("body_type_unclear", with_body(xml, "/"))
            .under("untyped_body of [check]")
            .with(&[("content_type", xml)]),
        case("body_hash_absent", with_body("text/plain", "/hashed"))
            .under("body_hash of [[route]] 3 (path_prefix /hashed)"),
    ]
}

fn unproven() -> Vec<Case> {
    let mismatch = "the signature does not match";
    let of_nobody = Call {
        consumer_key: "nobody",
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
        headers: vec![("content-length".to_owned(), "0".to_owned())],
        more: vec![("oauth_body_hash", "AAAA".to_owned())],
        ..Call::get("/")
    };
    let coded = header("").replace("AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAB%3D");
    let no_key = [
        ("method_used", "RSA-SHA256"),
        ("missing_key", "RSA public key"),
    ];
    vec![
        case("unknown_consumer", of_nobody.signed()),
        case("unknown_token", with_token("foreign")),
        case("method_not_allowed", rsa.signed()).with(&no_key),
        case("signature_mismatch", wrong.signed()).with(&[("detail", mismatch)]),
        case("signature_not_canonical", authorized(&coded)),
        case("body_hash_mismatch", hash.signed()),
    ]
}

/// Proven requests with credentials that are no longer valid.
fn revoked() -> Vec<Case> {
    let expiry = [
        ("token", "expired"),
        ("user", USER),
        ("token_expires", "1700000060 (2023-11-14T22:14:20Z)"),
    ];
    vec![
        case("consumer_disabled", without_token("disabled", "/").signed()),
        case("token_revoked", with_token("revoked")).with(&[("token", "revoked")]),
        case("token_expired", with_token("expired")).with(&expiry),
        case("user_disabled", with_token("idle")).with(&[("user", "idle")]),
    ]
}

/// Proven requests that may be replays.
fn replayed() -> Vec<Case> {
    let signed_at = |timestamp| {
        let call = Call {
            timestamp,
            ..Call::get("/")
        };
        call.signed()
    };
    let plaintext = Call {
        signature_method: "PLAINTEXT",
        timestamp: 0,
        extensions: vec![("countersign.origin", "https://photos.example.net")],
        ..without_token("plain", "/")
    };
    let again = Call {
        nonce: "again".to_owned(),
        ..Call::get("/")
    };
    let clocks = [
        ("client_time", "1699996460 (2023-11-14T21:14:20Z)"),
        ("server_time", "1700000060 (2023-11-14T22:14:20Z)"),
        ("difference", "3600 s behind"),
        ("window", "300 s"),
    ];
    let fence = [("accepted_from", "1699999901 (2023-11-14T22:11:41Z)")];
    vec![
        case("timestamp_refused", signed_at(LATER - 3600)).with(&clocks),
        case("timestamp_fenced", signed_at(NOW - 150)).with(&fence),
        case("nonce_used", again.signed()).with(&[("nonce", "again")]),
        case("nonce_without_timestamp", plaintext.signed()).under("context_extensions"),
    ]
}

fn unpermitted() -> Vec<Case> {
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
    vec![
        case(
            "token_required",
            without_token("three-legged", "/").signed(),
        )
        .with(&[("flows_allowed", "three-legged")]),
        case(
            "user_required",
            without_token(CONSUMER_KEY, "/mine").signed(),
        )
        .under("require of [[route]] 1 (path_prefix /mine)")
        .with(&[("token", "none")]),
        case("scope_missing", Call::get("/prints").signed())
            .under("scopes of [[route]] 2 (path_prefix /prints)")
            .with(&scopes),
        case("realm_mismatch", foreign_realm.signed())
            .under("realm of [check]")
            .with(&[("realm_needed", "api"), ("realm_sent", "else")]),
    ]
}

fn case(reason: &'static str, request: CheckRequest) -> Case {
    Case {
        reason,
        request,
        rule: "[check]",
        facts: Vec::new(),
    }
}

impl Case {
    /// Sets the rule; without this, no route matches.
    fn under(self, rule: &'static str) -> Self {
        Self { rule, ..self }
    }

    /// Sets the facts.
    fn with(self, facts: &[(&'static str, &'static str)]) -> Self {
        let facts = facts.to_vec();
        Self { facts, ..self }
    }
}

fn with_token(token: &'static str) -> CheckRequest {
    let call = Call {
        token: Some((token, TOKEN_SECRET)),
        ..Call::get("/")
    };
    call.signed()
}

fn without_token(consumer_key: &'static str, target: &'static str) -> Call {
    Call {
        consumer_key,
        token: None,
        ..Call::get(target)
    }
}

fn with_body(content_type: &str, target: &'static str) -> CheckRequest {
    let headers =
        (!content_type.is_empty()).then(|| ("content-type".to_owned(), content_type.to_owned()));
    let call = Call {
        method: "POST",
        headers: headers.into_iter().collect(),
        body: b"a=1&b=2!",
        ..Call::get(target)
    };
    call.signed()
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

fn raw_at(target: &'static str) -> CheckRequest {
    Call::get(target).with_authorization(Some(header("")))
}

fn raw_time(timestamp: &str) -> CheckRequest {
    authorized(&header("").replace(&NOW.to_string(), timestamp))
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

/// Several parameters in the place of one value.
const JOINED: &str = "1.0&x_auth_mode=client_auth&x_auth_password=hunter2";

const REQUEST_ID: &str = "x-request-id";

const FORGED: &str = "request\nreason=\"ok\"";
