//! Route policy: the routes of the configuration, and `context_extensions`, which override them.

use countersign::config::{Mode, Origin, Requirement, Route, RoutePolicy};
use countersign::model::Scopes;
use countersign::oauth::Scheme;
use envoy_types::ext_authz::v3::pb::CheckRequest;

use super::bench::{Bench, Call, metadata};

fn extended(extensions: &[(&'static str, &'static str)]) -> Call {
    Call {
        extensions: extensions.to_vec(),
        ..Call::get("/photos")
    }
}

fn rule(path_prefix: &str, set: RoutePolicy) -> Route {
    Route {
        path_prefix: Some(path_prefix.to_owned()),
        set,
        ..Route::default()
    }
}

#[tokio::test]
async fn an_unsigned_request_passes_an_optional_route_as_anonymous() {
    let bench = Bench::new().await;
    let ok = bench
        .allowed(extended(&[("countersign.require", "optional")]).unsigned())
        .await;
    let headers: Vec<_> = ok
        .headers
        .iter()
        .filter_map(|option| option.header.as_ref())
        .collect();
    assert!(
        matches!(headers[..], [header] if header.key == "x-anonymous-consumer" && header.value == "true")
    );
    assert_eq!(ok.headers_to_remove.len(), 5);
}

#[tokio::test]
async fn an_optional_route_refuses_a_wrong_signature() {
    let bench = Bench::new().await;
    let call = extended(&[("countersign.require", "optional")]);
    bench.allowed(call.signed()).await;
    let wrong = Call {
        consumer_secret: "wrong",
        ..call
    };
    assert_eq!(
        bench.denied(wrong.signed()).await.problem(),
        (401, "signature_invalid".to_owned())
    );
}

#[tokio::test]
async fn a_route_for_users_needs_a_token_that_acts_for_one() {
    let bench = Bench::new().await;
    let call = extended(&[("countersign.require", "user")]);
    bench.allowed(call.signed()).await;
    let denied = bench
        .denied(
            Call {
                token: None,
                ..call
            }
            .signed(),
        )
        .await;
    assert_eq!(denied.problem(), (403, "permission_denied".to_owned()));
}

#[tokio::test]
async fn all_scopes_of_a_route_are_required() {
    let bench = Bench::new().await;
    bench
        .allowed(extended(&[("countersign.scopes", "read")]).signed())
        .await;
    let denied = bench
        .denied(extended(&[("countersign.scopes", "read write")]).signed())
        .await;
    assert_eq!(
        denied.problem(),
        (403, "permission_denied".to_owned()),
        "the token lacks the scope write"
    );
}

#[tokio::test]
async fn clients_sign_the_configured_origin() {
    let bench = Bench::new().await;
    let origin = [("countersign.origin", "https://api.example.com/v1")];
    let signed_as = Some((Scheme::Https, "api.example.com", "/v1"));
    bench
        .allowed(
            Call {
                signed_as,
                ..extended(&origin)
            }
            .signed(),
        )
        .await;
    let denied = bench.denied(extended(&origin).signed()).await;
    assert_eq!(denied.problem(), (401, "signature_invalid".to_owned()));
}

#[tokio::test]
async fn a_realm_is_compared_only_with_realm_match() {
    let call = |realm| Call {
        realm: Some(realm),
        ..extended(&[("countersign.realm", "Pictures")])
    };
    Bench::new().await.allowed(call("Photos").signed()).await;
    let strict = Bench::with(|config| config.check.realm_match = true).await;
    let denied = strict.denied(call("Photos").signed()).await;
    assert_eq!(denied.problem(), (403, "permission_denied".to_owned()));
    assert!(
        denied
            .header("www-authenticate")
            .starts_with("OAuth realm=\"Pictures\"")
    );
    strict.allowed(call("Pictures").signed()).await;
}

#[tokio::test]
async fn the_first_rule_that_matches_decides_and_envoys_overrides_it() {
    let optional = RoutePolicy {
        require: Some(Requirement::Optional),
        ..RoutePolicy::default()
    };
    let scoped = RoutePolicy {
        scopes: Some(Scopes::parse("admin").unwrap()),
        ..RoutePolicy::default()
    };
    let bench = Bench::with(|config| {
        config.routes = vec![rule("/public", optional), rule("/photos", scoped)]
    })
    .await;
    bench.allowed(Call::get("/public/a").unsigned()).await;
    bench.denied(Call::get("/publication").unsigned()).await;
    assert_eq!(
        bench.denied(Call::get("/photos/1").signed()).await.status(),
        403
    );
    let weaker = Call {
        extensions: vec![("countersign.scopes", "read")],
        ..Call::get("/photos/1")
    };
    bench.allowed(weaker.signed()).await;
}

#[tokio::test]
async fn a_route_can_keep_or_hide_credentials() {
    let keep = RoutePolicy {
        hide_credentials: Some(false),
        ..RoutePolicy::default()
    };
    let bench = Bench::with(|config| config.routes = vec![rule("/photos", keep)]).await;
    let extended = |value| Call {
        extensions: vec![("countersign.hide_credentials", value)],
        ..Call::get("/photos")
    };
    for (call, is_hidden) in [
        (Call::get("/"), true),
        (Call::get("/photos"), false),
        (extended("true"), true),
        (extended("false"), false),
    ] {
        let ok = bench.allowed(call.signed()).await;
        let removed = ok.headers_to_remove.contains(&"authorization".to_owned());
        assert_eq!(removed, is_hidden, "{}, {:?}", call.target, call.extensions);
    }
}

#[tokio::test]
async fn an_ambiguous_path_is_refused_if_paths_have_rules() {
    let ruled =
        Bench::with(|config| config.routes = vec![rule("/admin", RoutePolicy::default())]).await;
    for path in ["/a/../admin", "/a//b", "/a%2fb", "/a\\b", "/%2e%2e/admin"] {
        let denied = ruled
            .denied(
                Call {
                    target: path,
                    ..Call::get("/")
                }
                .unsigned(),
            )
            .await;
        assert_eq!(denied.status(), 400, "{path}");
    }
    Bench::new()
        .await
        .allowed(Call::get("/a//b").signed())
        .await;
}

#[tokio::test]
async fn a_method_in_lower_case_bypasses_no_rule() {
    let user = RoutePolicy {
        require: Some(Requirement::User),
        ..RoutePolicy::default()
    };
    let rule = Route {
        methods: vec!["POST".to_owned()],
        set: user,
        ..Route::default()
    };
    let bench = Bench::with(|config| config.routes = vec![rule]).await;
    for method in ["POST", "post"] {
        let call = Call {
            method,
            token: None,
            headers: vec![("content-length".to_owned(), "0".to_owned())],
            ..Call::get("/")
        };
        assert_eq!(bench.denied(call.signed()).await.status(), 403, "{method}");
    }
}

#[tokio::test]
async fn a_host_in_another_spelling_bypasses_no_rule() {
    let optional = RoutePolicy {
        require: Some(Requirement::Optional),
        ..RoutePolicy::default()
    };
    let signed = RoutePolicy {
        require: Some(Requirement::Consumer),
        ..RoutePolicy::default()
    };
    let rule = Route {
        host: Some("admin.example.com".to_owned()),
        set: signed,
        ..Route::default()
    };
    let bench = Bench::with(|config| {
        config.check.policy = optional;
        config.routes = vec![rule];
    });
    let bench = bench.await;
    let ask = async |host| {
        bench
            .denied(
                Call {
                    host,
                    ..Call::get("/")
                }
                .unsigned(),
            )
            .await
            .status()
    };
    for host in [
        "admin.example.com",
        "Admin.Example.com",
        "admin.example.com:80",
        "admin.example.com.",
    ] {
        assert_eq!(ask(host).await, 401, "{host}");
    }
    for host in [
        "admin.example.com:x",
        "user@admin.example.com",
        "admin%2eexample.com",
        "a,admin.example.com",
        "",
    ] {
        assert_eq!(ask(host).await, 400, "{host}");
    }
    bench
        .allowed(
            Call {
                host: "example.com:8080",
                ..Call::get("/")
            }
            .unsigned(),
        )
        .await;
}

#[tokio::test]
async fn shadow_lets_everything_pass_and_reports_the_denial() {
    let shadow = RoutePolicy {
        mode: Some(Mode::Shadow),
        ..RoutePolicy::default()
    };
    let bench = Bench::with(|config| config.check.policy = shadow).await;
    let wrong = Call {
        consumer_secret: "wrong",
        ..Call::get("/")
    };
    let response = bench.ask(wrong.signed()).await.unwrap();
    assert_eq!(
        metadata(&response, "decision").as_deref(),
        Some("would_deny")
    );
    assert_eq!(
        metadata(&response, "problem").as_deref(),
        Some("signature_mismatch")
    );
    let ok = bench.allowed(wrong.signed()).await;
    assert!(ok.headers.is_empty(), "an unproven caller has no identity");
    assert_eq!(
        ok.headers_to_remove.len(),
        6,
        "nobody else's either, and Authorization stays"
    );
    let right = Call::get("/");
    let ok = bench.allowed(right.signed()).await;
    assert_eq!(ok.headers.len(), 5);
    assert!(!ok.headers_to_remove.contains(&"authorization".to_owned()));
    let replayed = bench.ask(right.signed()).await.unwrap();
    assert_eq!(
        metadata(&replayed, "problem").as_deref(),
        Some("nonce_used"),
        "nonces are claimed"
    );
}

/// The backend may read such a path as one of an enforced route.
#[tokio::test]
async fn shadow_lets_no_path_pass_that_may_reach_an_enforced_route() {
    let with = |mode| RoutePolicy {
        mode: Some(mode),
        ..RoutePolicy::default()
    };
    let route = |prefix: &str, mode| Route {
        path_prefix: Some(prefix.to_owned()),
        set: with(mode),
        ..Route::default()
    };
    let ambiguous = [
        "//admin",
        "/legacy/../admin",
        "/legacy/..%2fadmin",
        "/legacy/..;/admin",
        "/legacy/.\\admin",
    ];

    let one_in_shadow =
        Bench::with(|config| config.routes = vec![route("/legacy", Mode::Shadow)]).await;
    one_in_shadow
        .allowed(Call::get("/legacy/1").unsigned())
        .await;
    let one_enforced = Bench::with(|config| {
        config.check.policy = with(Mode::Shadow);
        config.routes = vec![route("/admin", Mode::Enforce)];
    });
    let one_enforced = one_enforced.await;
    one_enforced
        .allowed(Call::get("/legacy/1").unsigned())
        .await;
    for path in ambiguous {
        for bench in [&one_in_shadow, &one_enforced] {
            assert_eq!(
                bench.denied(Call::get(path).unsigned()).await.status(),
                400,
                "{path}"
            );
        }
    }

    let by_envoy = Bench::new().await;
    let shadow = |path| Call {
        extensions: vec![("countersign.mode", "shadow")],
        ..Call::get(path)
    };
    by_envoy.allowed(shadow("/legacy/1").unsigned()).await;
    for path in ambiguous {
        assert_eq!(
            by_envoy.denied(shadow(path).unsigned()).await.status(),
            401,
            "{path}"
        );
    }
    let everything = Bench::with(|config| config.check.policy = with(Mode::Shadow)).await;
    for path in ambiguous {
        everything.allowed(Call::get(path).unsigned()).await;
    }
}

#[tokio::test]
async fn a_request_without_http_is_denied_even_in_shadow() {
    let shadow = RoutePolicy {
        mode: Some(Mode::Shadow),
        ..RoutePolicy::default()
    };
    let bench = Bench::with(|config| config.check.policy = shadow).await;
    assert_eq!(bench.denied(CheckRequest::default()).await.status(), 400);
}

#[tokio::test]
async fn plaintext_needs_permission_and_a_configured_https_origin() {
    let bench = Bench::new().await;
    let origin = "https://photos.example.net";
    let plaintext = Call {
        signature_method: "PLAINTEXT",
        timestamp: 0,
        nonce: String::new(),
        ..Call::get("/")
    };
    let denied = bench
        .denied(
            Call {
                scheme: Scheme::Https,
                ..plaintext.clone()
            }
            .signed(),
        )
        .await;
    assert_eq!(
        denied.problem(),
        (400, "signature_method_rejected".to_owned()),
        "the request's own word does not count"
    );
    let secure = Call {
        extensions: vec![("countersign.origin", origin)],
        ..plaintext
    };
    let denied = bench.denied(secure.signed()).await;
    assert_eq!(
        denied.problem(),
        (401, "signature_invalid".to_owned()),
        "the consumer does not list PLAINTEXT"
    );
    assert!(Origin::parse(origin).is_ok());
}
