//! Sessions of the console, and the headers of its responses.

use std::time::Duration;

use countersign::config::ListenAddress;

use super::site::{Browser, Site};
use crate::support::audit_log::AuditLog;
use crate::support::certificates::Certificates;
use crate::support::http::{Request, Response};
use crate::support::serving::ADMIN_TOKEN;

/// A part of the page that no other response has.
const SHOWN: &str = "<h2 id=\"denials\">";

#[tokio::test]
async fn without_a_session_nothing_is_shown() {
    let site = Site::start().await;
    let decision = site.mismatch("/photos/of-jane").await;
    let unknown = format!("countersign-console={}", "0".repeat(64));
    for cookie in [None, Some(unknown), Some("countersign-console=".to_owned())] {
        for target in [
            "/console".to_owned(),
            format!("/console?decision={decision}"),
            "/console?consumer=%".to_owned(),
        ] {
            let answer = Browser {
                cookie: cookie.clone(),
                ..Browser::of(&site)
            }
            .open(&target)
            .await;
            assert_eq!(
                (answer.status, answer.header("refresh")),
                (200, None),
                "{target}"
            );
            assert!(answer.body.contains("type=\"password\""), "{}", answer.body);
            for secret in [
                SHOWN,
                "of-jane",
                "printer",
                "memory:",
                env!("CARGO_PKG_VERSION"),
            ] {
                assert!(!answer.body.contains(secret), "{secret} in {}", answer.body);
            }
        }
    }
}

#[tokio::test]
async fn the_token_opens_a_session_with_a_random_cookie() {
    let site = Site::start().await;
    let mut browser = Browser::of(&site);
    let answer = browser.log_in(&format!(" {ADMIN_TOKEN}\n")).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/console"))
    );
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with("countersign-console="), "{set}");
    assert!(
        set.ends_with("; Path=/console; HttpOnly; SameSite=Strict"),
        "{set}"
    );
    assert!(!set.contains(ADMIN_TOKEN), "{set}");
    let cookie = browser.cookie.clone().unwrap();
    assert_eq!(cookie.split_once('=').unwrap().1.len(), 64);
    assert!(browser.open("/console").await.body.contains(SHOWN));

    browser.log_in(ADMIN_TOKEN).await;
    assert_ne!(
        browser.cookie.as_ref(),
        Some(&cookie),
        "each log-in has a cookie of its own"
    );
    let mut before = Browser {
        cookie: Some(cookie),
        ..Browser::of(&site)
    };
    assert!(
        !before.open("/console").await.body.contains(SHOWN),
        "and ends the session before it"
    );
}

#[tokio::test]
async fn a_login_leads_to_the_requested_page_and_nowhere_else() {
    let site = Site::start().await;
    let form = Browser::of(&site)
        .open("/console?decision=1%22%3E&live=off")
        .await
        .body;
    assert!(
        form.contains("name=\"then\" value=\"decision=1%22%3E&#38;live=off\""),
        "{form}"
    );
    for (then, location) in [
        (
            "decision=1%22%3E&live=off",
            "/console?decision=1%22%3E&live=off",
        ),
        ("//evil.example/", "/console"),
        ("https://evil.example/?decision=1", "/console"),
        (
            "decision=1\r\nset-cookie: a=b",
            "/console?decision=1%5Cr%5Cnset%2Dcookie%3A%20a%3Db",
        ),
        ("decision=%", "/console"),
    ] {
        let answer = Browser::of(&site)
            .post("/console/login", &[("token", ADMIN_TOKEN), ("then", then)])
            .await;
        assert_eq!(answer.header("location"), Some(location), "{then:?}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_a_401_and_opens_nothing() {
    let site = Site::start().await;
    let mut browser = Browser::of(&site);
    for wrong in [
        "",
        "not-the-token-of-anybody",
        "the-admin-token-of-these-test",
        "the-admin-token-of-these-tests2",
    ] {
        let answer = browser.log_in(wrong).await;
        assert_eq!(
            (answer.status, answer.header("set-cookie")),
            (401, None),
            "{wrong}"
        );
        assert!(answer.header("www-authenticate").is_some());
        assert!(
            answer
                .body
                .contains("role=\"alert\">Wrong admin token.</p>")
        );
        assert!(
            wrong.is_empty() || !answer.body.contains(wrong),
            "{}",
            answer.body
        );
    }
    assert!(!browser.open("/console").await.body.contains(SHOWN));
}

#[tokio::test]
async fn too_many_wrong_tokens_refuse_logins_but_not_sessions() {
    let site = Site::start().await;
    let mut inside = Browser::logged_in(&site).await;
    let mut guesser = Browser::of(&site);
    for _ in 0..10 {
        assert_eq!(guesser.log_in("not-the-token-of-anybody").await.status, 401);
    }
    let refused = guesser.log_in(ADMIN_TOKEN).await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("60"))
    );
    assert!(
        refused.body.contains("Try again in 60 seconds"),
        "{}",
        refused.body
    );
    assert!(inside.open("/console").await.body.contains(SHOWN));
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(guesser.log_in(ADMIN_TOKEN).await.status, 303);
}

#[tokio::test]
async fn a_session_ends_by_itself_and_when_its_owner_logs_out() {
    let site = Site::start().await;
    let mut browser = Browser::logged_in(&site).await;
    let session = browser.cookie.clone();
    let mut other = Browser::logged_in(&site).await;
    let answer = browser.log_out().await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/console"))
    );
    let forgotten = "countersign-console=; Path=/console; HttpOnly; SameSite=Strict; Max-Age=0";
    assert_eq!(answer.header("set-cookie"), Some(forgotten));
    let mut kept = Browser {
        cookie: session,
        ..Browser::of(&site)
    };
    assert!(
        !kept.open("/console").await.body.contains(SHOWN),
        "the service forgets it too"
    );

    assert!(other.open("/console").await.body.contains(SHOWN));
    site.clock.advance(Duration::from_hours(8));
    assert!(!other.open("/console").await.body.contains(SHOWN));
}

#[tokio::test]
async fn a_form_of_another_site_does_nothing_and_costs_no_attempt() {
    let site = Site::start().await;
    let mut inside = Browser::logged_in(&site).await;
    for (header, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "http://127.0.0.1:1"),
    ] {
        let mut foreign = Browser {
            says: vec![(header, value)],
            ..Browser::of(&site)
        };
        for _ in 0..3 {
            assert_eq!(
                foreign.log_in("not-the-token-of-anybody").await.status,
                403,
                "{header}: {value}"
            );
        }
        assert_eq!(foreign.log_in(ADMIN_TOKEN).await.header("set-cookie"), None);
        inside.says = vec![(header, value)];
        assert_eq!(inside.log_out().await.status, 403);
    }
    inside.says = Vec::new();
    assert!(inside.open("/console").await.body.contains(SHOWN));
    let mut own = Browser {
        says: vec![("Origin", "http://api.example.com")],
        ..Browser::of(&site)
    };
    assert_eq!(
        own.log_in(ADMIN_TOKEN).await.status,
        303,
        "twelve wrong ones were not counted"
    );
}

#[tokio::test]
async fn malformed_forms_and_other_methods_are_refused() {
    let site = Site::start().await;
    let mut browser = Browser::logged_in(&site).await;
    let mut statuses = Vec::new();
    let long = format!("token={}", "x".repeat(16 * 1024));
    for request in [
        Request::new("POST", "/console/login")
            .with("Content-Type", "application/json")
            .with_body("{}"),
        Request::new("POST", "/console/login").with_body(&format!("token={ADMIN_TOKEN}")),
        Request::form("POST", "/console/login", &long),
        Request::form("POST", "/console/login", "token=a&token=b"),
        Request::form("POST", "/console", "token=a"),
        Request::new("DELETE", "/console"),
        Request::get("/console/login"),
        Request::get("/console/logout"),
        Request::get("/console?consumer=a&consumer=b"),
        Request::get("/console/"),
        Request::get("/console/x"),
    ] {
        let answer = browser.send(request).await;
        if answer.status == 405 {
            assert!(
                ["GET, HEAD", "POST"].contains(&answer.header("allow").unwrap()),
                "{answer:?}"
            );
        }
        statuses.push(answer.status);
    }
    assert_eq!(
        statuses,
        [415, 415, 413, 400, 405, 405, 405, 405, 400, 404, 404]
    );
    assert!(
        browser.open("/console").await.body.contains(SHOWN),
        "nobody was logged out"
    );
}

#[tokio::test]
async fn every_response_has_security_headers() {
    let site = Site::start().await;
    let mut browser = Browser::of(&site);
    let mut answers = vec![
        browser.open("/console").await,
        browser.log_in("not-the-token-of-anybody").await,
    ];
    answers.push(browser.log_in(ADMIN_TOKEN).await);
    answers.push(browser.open("/console").await);
    answers.push(browser.open("/console?live=off").await);
    answers.push(browser.open("/console?decision=1").await);
    answers.push(browser.open("/console?consumer=%").await);
    answers.push(browser.send(Request::new("PUT", "/console")).await);
    answers.push(browser.log_out().await);
    for answer in &answers {
        let header = |name: &str| {
            answer
                .header(name)
                .unwrap_or_else(|| panic!("no {name} in {answer:?}"))
        };
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(
            policy.ends_with("; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"),
            "{policy}"
        );
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(header("content-type"), "text/html; charset=utf-8");
        assert!(!answer.body.contains("<script"), "{}", answer.body);
    }
    let refresh: Vec<_> = answers
        .iter()
        .map(|answer| answer.header("refresh"))
        .collect();
    assert_eq!(refresh[3], Some("10"));
    assert!(
        refresh
            .iter()
            .enumerate()
            .all(|(nth, refresh)| nth == 3 || refresh.is_none()),
        "{refresh:?}"
    );
}

#[tokio::test]
async fn the_audit_log_has_each_login_without_the_token() {
    let log = AuditLog::listen();
    let site = Site::start().await;
    let mut browser = Browser::of(&site);
    browser.log_in("not-the-token-of-anybody").await;
    browser.log_in(ADMIN_TOKEN).await;
    let cookie = browser.cookie.unwrap();
    let text = log.text();
    let events = log.events();
    assert_eq!(
        events.last_chunk(),
        Some(&[
            "nobody: nobody".to_owned(),
            "admin: console.open".to_owned()
        ])
    );
    assert!(
        text.lines()
            .any(|line| line.contains("wrong token") && line.contains("127.0.0.1:")),
        "{text}"
    );
    for secret in [
        ADMIN_TOKEN,
        "not-the-token",
        cookie.split_once('=').unwrap().1,
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn beyond_loopback_a_plaintext_console_is_closed() {
    let everywhere = ListenAddress::Tcp(([0, 0, 0, 0], 0).into());
    let site = Site::start_with(|config| config.ops.listener.address = everywhere.clone()).await;
    let mut browser = Browser::of(&site);
    for answer in [
        browser.open("/console").await,
        browser.log_in(ADMIN_TOKEN).await,
        browser.log_out().await,
    ] {
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None));
        assert!(
            answer.body.contains("ops.insecure_plaintext = true"),
            "{}",
            answer.body
        );
        assert!(!answer.body.contains("<form"), "{}", answer.body);
    }
    assert_eq!(browser.open("/livez").await.status, 200);

    let meant = |config: &mut countersign::config::Config| {
        config.ops.listener.address = everywhere.clone();
        config.ops.listener.insecure_plaintext = true;
    };
    let site = Site::start_with(meant).await;
    assert_eq!(Browser::of(&site).log_in(ADMIN_TOKEN).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_the_console_is_open_beyond_loopback_and_its_cookie_is_for_https_alone() {
    let files = Certificates::create();
    let site = Site::start_with(|config| {
        config.ops.listener.address = ListenAddress::Tcp(([0, 0, 0, 0], 0).into());
        config.ops.listener.tls = Some(files.server(false));
    })
    .await;
    let console = format!("https://localhost:{}/console", site.ops.port());
    let curl = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new("curl");
        // Authority and server have one name there, which OpenSSL takes for a certificate that
        // vouches for itself.
        command
            .args(["--silent", "--show-error", "--include", "--insecure"])
            .args(arguments);
        let output = command.output().await.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Response::parse(&output.stdout)
    };
    let answer = curl(&[
        "--data",
        &format!("token={ADMIN_TOKEN}"),
        &format!("{console}/login"),
    ])
    .await;
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with("__Secure-countersign-console="), "{set}");
    assert!(
        set.ends_with("; Path=/console; Secure; HttpOnly; SameSite=Strict"),
        "{set}"
    );
    let cookie = set.split(';').next().unwrap();
    assert!(
        curl(&["--cookie", cookie, &console])
            .await
            .body
            .contains(SHOWN)
    );
    let planted = cookie.strip_prefix("__Secure-").unwrap();
    assert!(
        !curl(&["--cookie", planted, &console])
            .await
            .body
            .contains(SHOWN),
        "without TLS, anybody can set it"
    );
}

#[tokio::test]
async fn a_session_is_of_one_process() {
    let (site, another) = (Site::start().await, Site::start().await);
    let browser = Browser::logged_in(&site).await;
    let mut moved = Browser {
        ops: another.ops,
        ..browser
    };
    assert!(!moved.open("/console").await.body.contains(SHOWN));
}

#[tokio::test]
async fn there_is_no_console_where_the_operator_wants_none() {
    let site = Site::start_with(|config| config.ops.console = false).await;
    let mut browser = Browser::of(&site);
    assert_eq!(browser.open("/console").await.status, 404);
    assert_eq!(browser.log_in(ADMIN_TOKEN).await.status, 404);
    assert_eq!(browser.open("/livez").await.status, 200);
}
