//! The forms of the page: statuses, headers, cookies, and forged forms without effect.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign::issue::{
    Actor, ConsumerAttributes, Directory, DirectoryError, DirectoryUser, Login,
};
use countersign::model::{RequestTokenState, Token};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::site::{CALLBACK, PASSWORD, Site, USERNAME, jane};
use crate::support::audit_log::AuditLog;
use crate::support::http::{Request, Response};

#[tokio::test]
async fn a_user_logs_in_allows_and_comes_back_with_a_verifier() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let mut browser = Browser::of(&site);
    let page = browser.open(&name).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<h1>Log in</h1>"), "{}", page.body);
    let logged_in = browser.log_in(PASSWORD).await;
    assert_eq!(logged_in.status, 303);
    assert_eq!(
        logged_in.header("location").unwrap(),
        format!("authorize?oauth_token={name}")
    );
    assert!(
        browser
            .open(&name)
            .await
            .body
            .contains("<h1>Allow access?</h1>")
    );
    assert_eq!(
        site.state(&name).await,
        RequestTokenState::Pending,
        "a log-in authorizes nothing"
    );

    let allowed = browser.decide("allow").await;
    assert_eq!((allowed.status, allowed.body.as_str()), (303, ""));
    let location = allowed.header("location").unwrap();
    let added = location
        .strip_prefix(&format!("{CALLBACK}&oauth_token={name}&oauth_verifier="))
        .unwrap();
    let issued = site.exchange(&name, added).await.unwrap();
    assert_eq!(
        (issued.token.user_id, issued.screen_name.as_str()),
        (Some(jane()), USERNAME)
    );
    assert_eq!(issued.token.scopes.to_string(), "orders.write photos.read");
}

#[tokio::test]
async fn a_refusal_redirects_to_the_consumer() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let mut browser = Browser::logged_in(&site, &name).await;
    let refused = browser.decide("refuse").await;
    assert_eq!(refused.status, 303);
    let expected = format!("{CALLBACK}&oauth_token={name}&oauth_problem=user_refused");
    assert_eq!(refused.header("location"), Some(expected.as_str()));
    assert_eq!(site.state(&name).await, RequestTokenState::Refused);
}

#[tokio::test]
async fn a_client_without_a_callback_gets_a_pin_that_can_be_exchanged() {
    let site = Site::start().await;
    let (name, other) = (site.asks("oob").await, site.asks("oob").await);
    let shown = Browser::logged_in(&site, &name).await.decide("allow").await;
    assert_eq!((shown.status, shown.header("location")), (200, None));
    let digits = shown.body.split("class=\"digits\"").nth(1).unwrap();
    let pin: String = digits
        .split("</p>")
        .next()
        .unwrap()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    assert_eq!(pin.len(), 8);
    assert!(site.exchange(&name, &pin).await.is_ok());

    let refused = Browser::logged_in(&site, &other)
        .await
        .decide("refuse")
        .await;
    assert_eq!((refused.status, refused.header("location")), (200, None));
    assert!(
        refused.body.contains("You refused access"),
        "{}",
        refused.body
    );
}

#[tokio::test]
async fn a_login_sets_a_new_cookie_and_a_decision_removes_it() {
    let site = Site::start().await;
    let (name, next) = (site.asks(CALLBACK).await, site.asks(CALLBACK).await);
    let mut browser = Browser::of(&site);
    let set = browser
        .open(&name)
        .await
        .header("set-cookie")
        .unwrap()
        .to_owned();
    assert!(
        set.starts_with("countersign=") && set.ends_with("; Path=/; HttpOnly; SameSite=Lax"),
        "{set}"
    );
    let before = browser.cookie.clone();
    assert_eq!(
        browser.open(&name).await.header("set-cookie"),
        None,
        "two tabs share one cookie"
    );
    browser.log_in(PASSWORD).await;
    let session = browser.cookie.clone();
    assert_ne!(
        session, before,
        "the previous cookie does not identify the session"
    );
    let mut fixed = Browser {
        cookie: before,
        ..Browser::of(&site)
    };
    assert!(fixed.open(&name).await.body.contains("<h1>Log in</h1>"));

    browser.open(&name).await;
    let allowed = browser.decide("allow").await;
    assert!(
        allowed
            .header("set-cookie")
            .unwrap()
            .contains("countersign=; "),
        "the cookie is removed"
    );
    let mut kept = Browser {
        cookie: session,
        ..Browser::of(&site)
    };
    assert!(
        kept.open(&next).await.body.contains("<h1>Log in</h1>"),
        "the service ends the session too"
    );
}

#[tokio::test]
async fn another_user_logs_out_first() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let mut browser = Browser::logged_in(&site, &name).await;
    let session = browser.cookie.clone();
    let logged_out = browser.decide("log-out").await;
    assert_eq!(logged_out.status, 303);
    assert_eq!(site.state(&name).await, RequestTokenState::Pending);
    for cookie in [browser.cookie.clone(), session] {
        let mut browser = Browser {
            cookie,
            ..Browser::of(&site)
        };
        assert!(browser.open(&name).await.body.contains("<h1>Log in</h1>"));
    }
}

#[tokio::test]
async fn over_https_the_cookie_is_for_this_host_and_https_alone() {
    let site = Site::start_with("[http]\npublic_url = \"https://login.example.com\"\n").await;
    let name = site.asks(CALLBACK).await;
    let set = Browser::of(&site)
        .open(&name)
        .await
        .header("set-cookie")
        .unwrap()
        .to_owned();
    assert!(set.starts_with("__Host-countersign="), "{set}");
    assert!(
        set.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"),
        "{set}"
    );
}

#[tokio::test]
async fn a_form_that_this_browser_was_not_shown_does_nothing() {
    let site = Site::start().await;
    let (name, other) = (site.asks(CALLBACK).await, site.asks(CALLBACK).await);
    let mut browser = Browser::of(&site);
    browser.open(&name).await;
    let before_log_in = browser.csrf.clone();
    browser.log_in(PASSWORD).await;
    browser.open(&other).await;
    let about_another = browser.csrf.clone();
    browser.open(&name).await;
    let mut stranger = Browser::logged_in(&site, &name).await;
    stranger.open(&name).await;

    for csrf in ["", "x", &before_log_in, &about_another, &stranger.csrf] {
        for action in ["allow", "refuse", "log-out"] {
            let refused = browser
                .post(&[
                    ("oauth_token", name.as_str()),
                    ("csrf_token", csrf),
                    ("action", action),
                ])
                .await;
            assert_eq!(refused.status, 403, "{csrf} {action}");
        }
    }
    let missing = browser
        .post(&[("oauth_token", name.as_str()), ("action", "allow")])
        .await;
    assert_eq!(missing.status, 403);
    assert_eq!(site.state(&name).await, RequestTokenState::Pending);
    assert_eq!(
        browser.decide("allow").await.status,
        303,
        "the session still exists"
    );
}

#[tokio::test]
async fn a_form_of_an_attacker_logs_nobody_in() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let mut attacker = Browser::of(&site);
    attacker.open(&name).await;
    let mut victim = Browser::of(&site);
    victim.open(&name).await;
    victim.csrf = attacker.csrf.clone();
    let refused = victim.log_in(PASSWORD).await;
    assert_eq!((refused.status, refused.header("set-cookie")), (403, None));
    let mut without_cookie = Browser {
        csrf: attacker.csrf,
        name: name.to_string(),
        ..Browser::of(&site)
    };
    let refused = without_cookie.log_in(PASSWORD).await;
    assert_eq!((refused.status, refused.header("set-cookie")), (403, None));
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let mut browser = Browser::logged_in(&site, &name).await;
    for (header, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "http://printer.example.com"),
        ("Origin", "null"),
    ] {
        browser.says = vec![(header, value)];
        assert_eq!(
            browser.decide("allow").await.status,
            403,
            "{header}: {value}"
        );
    }
    assert_eq!(site.state(&name).await, RequestTokenState::Pending);
    browser.says = vec![("Sec-Fetch-Site", "same-origin"), ("Origin", "null")];
    assert_eq!(browser.decide("allow").await.status, 303);
}

#[tokio::test]
async fn a_changed_request_is_not_allowed() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let mut browser = Browser::logged_in(&site, &name).await;
    let change = |consumer: &mut ConsumerAttributes| {
        consumer.name = "Another Name".to_owned();
    };
    site.issuer
        .update_consumer(&site.consumer_key, &change, None, &Actor::ADMIN)
        .await
        .unwrap();
    assert_eq!(browser.decide("allow").await.status, 403);
    assert_eq!(site.state(&name).await, RequestTokenState::Pending);
    assert!(browser.open(&name).await.body.contains("Another Name"));
    assert_eq!(browser.decide("allow").await.status, 303);
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_get_the_same_answer() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let mut browser = Browser::of(&site);
    browser.open(&name).await;
    let csrf = browser.csrf.clone();
    let mut answers = Vec::new();
    for username in [USERNAME, "nobody", "two words", "n\u{f6}body", "<b>"] {
        let answer = browser.log_in_as(username, "hunter2-hunter2").await;
        assert_eq!(
            (answer.status, answer.header("set-cookie")),
            (403, None),
            "{username}"
        );
        assert!(
            answer
                .body
                .contains("role=\"alert\">Unknown user or wrong password.</p>"),
            "{}",
            answer.body
        );
        assert!(!answer.body.contains("hunter2"), "{}", answer.body);
        let value = format!(
            "value=\"{}\"",
            username.replace('<', "&#60;").replace('>', "&#62;")
        );
        assert!(
            answer.body.contains(&value),
            "the page lost the user name: {}",
            answer.body
        );
        answers.push(answer.body.replace(&value, ""));
        browser.csrf = csrf.clone();
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(
        browser.log_in(PASSWORD).await.status,
        303,
        "the right password is accepted"
    );
}

#[tokio::test]
async fn an_empty_field_is_refused() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let mut browser = Browser::of(&site);
    browser.open(&name).await;
    for (username, password) in [("", PASSWORD), (USERNAME, ""), ("", "")] {
        let answer = browser.log_in_as(username, password).await;
        assert_eq!(answer.status, 400);
        assert!(
            answer
                .body
                .contains("Enter your user name and your password."),
            "{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn too_many_wrong_passwords_impose_a_wait() {
    let site = Site::start_with("[password]\naddress_failures = 2\n").await;
    let name = site.asks(CALLBACK).await;
    let mut browser = Browser::of(&site);
    browser.open(&name).await;
    for _ in 0..2 {
        assert_eq!(browser.log_in("wrong password").await.status, 403);
    }
    let answer = browser.log_in("wrong password").await;
    assert_eq!(answer.status, 429);
    assert!(
        answer
            .header("retry-after")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 0
    );
    assert!(
        answer
            .body
            .contains("Too many wrong passwords. Try again in"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_directory_that_does_not_answer_is_not_the_users_fault() {
    let site = Site::start_on("", Some(Arc::new(Outage))).await;
    let name = site.asks(CALLBACK).await;
    let mut browser = Browser::of(&site);
    browser.open(&name).await;
    let answer = browser.log_in(PASSWORD).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (503, None));
    assert!(
        answer
            .body
            .contains("Login is not available at the moment."),
        "{}",
        answer.body
    );
    assert!(
        answer.body.contains("value=\"jane\""),
        "the page lost the user name: {}",
        answer.body
    );
}

#[tokio::test]
async fn a_disabled_user_decides_nothing() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let mut browser = Browser::logged_in(&site, &name).await;
    site.issuer
        .disable_user(&jane(), &Actor::ADMIN)
        .await
        .unwrap();
    let refused = browser.decide("allow").await;
    assert_eq!(refused.status, 403);
    assert_eq!(site.state(&name).await, RequestTokenState::Pending);
    browser.open(&name).await;
    assert_eq!(browser.log_in(PASSWORD).await.status, 403);
}

#[tokio::test]
async fn an_expired_session_needs_a_new_login() {
    let site = Site::start_with("[authorize]\nsession_ttl = \"1m\"\n").await;
    let name = site.asks(CALLBACK).await;
    let mut browser = Browser::logged_in(&site, &name).await;
    site.clock.advance(Duration::from_secs(61));
    let again = browser.decide("allow").await;
    assert_eq!(again.status, 403);
    assert!(
        again.body.contains("Your session has expired"),
        "{}",
        again.body
    );
    assert_eq!(site.state(&name).await, RequestTokenState::Pending);
    assert_eq!(browser.log_in(PASSWORD).await.status, 303);
}

#[tokio::test]
async fn a_request_is_decided_once_and_in_time() {
    let site = Site::start().await;
    let (allowed, refused) = (site.asks(CALLBACK).await, site.asks(CALLBACK).await);
    let (late, disabled) = (site.asks(CALLBACK).await, site.asks(CALLBACK).await);
    Browser::logged_in(&site, &allowed)
        .await
        .decide("allow")
        .await;
    Browser::logged_in(&site, &refused)
        .await
        .decide("refuse")
        .await;
    let mut browser = Browser::logged_in(&site, &disabled).await;
    site.issuer
        .disable_consumer(&site.consumer_key, &Actor::ADMIN)
        .await
        .unwrap();
    assert_eq!(browser.decide("allow").await.status, 403);
    assert_eq!(browser.open(&disabled).await.status, 403);
    site.issuer
        .enable_consumer(&site.consumer_key, &Actor::ADMIN)
        .await
        .unwrap();

    let mut browser = Browser::logged_in(&site, &late).await;
    site.clock.advance(Duration::from_secs(600));
    assert_eq!(browser.decide("allow").await.status, 410);
    for (name, status) in [(&allowed, 410), (&refused, 410), (&late, 410)] {
        let answer = browser.open(name).await;
        assert_eq!(answer.status, status);
        assert!(!answer.body.contains("<form"), "{}", answer.body);
    }
    let unknown = Token::new("unknown").unwrap();
    assert_eq!(browser.open(&unknown).await.status, 404);
}

#[tokio::test]
async fn without_temporary_credentials_they_can_be_typed() {
    let site = Site::start().await;
    let typed = send(&site, Request::get("/oauth/authorize")).await;
    assert_eq!(typed.status, 200);
    assert!(
        typed
            .body
            .contains("<input id=\"oauth_token\" name=\"oauth_token\""),
        "{}",
        typed.body
    );
    for ill in [
        "oauth_token=",
        "oauth_token=a&oauth_token=b",
        "oauth_token=%0d%0a",
        "oauth_token=%zz",
        "oauth_token=%ff",
    ] {
        let refused = send(&site, Request::get(&format!("/oauth/authorize?{ill}"))).await;
        assert_eq!(refused.status, 400, "{ill}");
        assert!(
            refused.body.contains("This code is not valid."),
            "{}",
            refused.body
        );
    }
    let long = "a".repeat(256);
    assert_eq!(
        send(
            &site,
            Request::get(&format!("/oauth/authorize?oauth_token={long}"))
        )
        .await
        .status,
        400
    );
}

#[tokio::test]
async fn a_malformed_form_is_refused() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let mut browser = Browser::logged_in(&site, &name).await;
    let long = format!("password={}", "x".repeat(16 * 1024));
    let twice = format!("oauth_token={name}&oauth_token={name}");
    for (form, status) in [
        (long.as_str(), 413),
        (&twice, 400),
        ("oauth_token=%", 400),
        ("", 404),
    ] {
        let answer = send(&site, Request::form("POST", "/oauth/authorize", form)).await;
        assert_eq!(answer.status, status, "{}", &form[..form.len().min(40)]);
    }
    let json = Request::new("POST", "/oauth/authorize")
        .with("Content-Type", "application/json")
        .with_body("{}");
    assert_eq!(send(&site, json).await.status, 415);
    assert_eq!(browser.decide("something").await.status, 400);
    assert_eq!(browser.decide("allow").await.status, 303);
}

#[tokio::test]
async fn a_mebibyte_is_refused_in_every_field() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let mut browser = Browser::logged_in(&site, &name).await;
    let long = "x".repeat(1 << 20);
    let (token, csrf) = (name.as_str().to_owned(), browser.csrf.clone());
    for field in [
        "oauth_token",
        "csrf_token",
        "action",
        "username",
        "password",
        "more",
    ] {
        let right = [
            ("oauth_token", &*token),
            ("csrf_token", &csrf),
            ("action", "allow"),
        ];
        let spoiled = right
            .into_iter()
            .filter(|(name, _)| *name != field)
            .chain([(field, &*long)]);
        let pairs: Vec<_> = spoiled
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = Request::form("POST", "/oauth/authorize", &pairs.join("&"));
        refuses(
            &site,
            request.with("Cookie", browser.cookie.as_deref().unwrap()),
            413,
        )
        .await;
    }
    refuses(
        &site,
        Request::get(&format!("/oauth/authorize?oauth_token={long}")),
        431,
    )
    .await;
    refuses(
        &site,
        Request::get("/oauth/authorize").with("Cookie", &long),
        431,
    )
    .await;
    assert_eq!(site.state(&name).await, RequestTokenState::Pending);
    assert_eq!(browser.decide("allow").await.status, 303);
}

/// Expects a status. The response may be lost, since the connection is reset while the request is
/// still being sent.
async fn refuses(site: &Site, request: Request, status: u16) {
    let answer = crate::support::http::exchange(site.address, &request.to_bytes()).await;
    if !answer.is_empty() {
        assert_eq!(Response::parse(&answer).status, status);
    }
}

#[tokio::test]
async fn a_decision_leaves_audit_events_that_name_the_user_and_no_secret() {
    let site = Site::start().await;
    let (allowed, refused) = (site.asks(CALLBACK).await, site.asks(CALLBACK).await);
    let log = AuditLog::listen();
    let mut browser = Browser::of(&site);
    browser.open(&allowed).await;
    browser.log_in("a-wrong-password").await;
    browser.log_in(PASSWORD).await;
    let cookie = browser.cookie.clone().unwrap();
    browser.open(&allowed).await;
    let location = browser
        .decide("allow")
        .await
        .header("location")
        .unwrap()
        .to_owned();
    Browser::logged_in(&site, &refused)
        .await
        .decide("refuse")
        .await;

    let expected = [
        "nobody: log_in.refused",
        "nobody: log_in",
        "user u-jane: request_token.authorize",
        "nobody: log_in",
        "user u-jane: request_token.refuse",
    ];
    assert_eq!(log.events(), expected);
    let verifier = location.split("oauth_verifier=").nth(1).unwrap();
    let session = cookie.split('=').nth(1).unwrap();
    for secret in [
        verifier,
        session,
        &browser.csrf,
        "correct horse",
        "correct%20horse",
        "a-wrong-password",
    ] {
        assert!(
            !log.text().contains(secret),
            "{secret} is in {}",
            log.text()
        );
    }
}

#[tokio::test]
async fn other_methods_get_the_allowed_methods() {
    let site = Site::start().await;
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let answer = send(&site, Request::new(method, "/oauth/authorize")).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("GET, HEAD, POST")),
            "{method}"
        );
    }
}

#[tokio::test]
async fn every_response_forbids_caches_frames_and_scripts() {
    let site = Site::start().await;
    let (name, next) = (site.asks(CALLBACK).await, site.asks(CALLBACK).await);
    let mut browser = Browser::of(&site);
    let mut answers = vec![
        browser.open(&name).await,
        browser.log_in("wrong password").await,
    ];
    answers.push(browser.log_in(PASSWORD).await);
    answers.push(browser.open(&name).await);
    answers.push(browser.decide("allow").await);
    answers.push(browser.open(&name).await);
    answers.push(browser.post(&[("oauth_token", next.as_str())]).await);
    answers.push(browser.open(&Token::new("unknown").unwrap()).await);
    answers.push(send(&site, Request::get("/oauth/authorize")).await);
    answers.push(send(&site, Request::new("PUT", "/oauth/authorize")).await);
    answers.push(send(&site, Request::form("POST", "/oauth/authorize", "a=%")).await);
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(
        statuses,
        [200, 403, 303, 200, 303, 410, 403, 404, 200, 405, 400]
    );
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
            policy.contains("; frame-ancestors 'none'; base-uri 'none'")
                && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert!(!answer.body.contains("<script"), "{}", answer.body);
    }
    let policy = |nth: usize| answers[nth].header("content-security-policy").unwrap();
    assert!(
        policy(0).contains("form-action 'self'; "),
        "the form must post only to the page itself: {}",
        policy(0)
    );
    assert!(
        policy(3).contains("form-action 'self' https:; "),
        "the policy must allow a redirect to the callback: {}",
        policy(3)
    );
}

#[tokio::test]
async fn users_are_redirected_to_an_external_page() {
    let site = Site::start_with(
        "[authorize]\nexternal_url = \"https://id.example.com/consent?via=oauth\"\n",
    )
    .await;
    let name = site.asks(CALLBACK).await;
    let sent = send(
        &site,
        Request::get(&format!("/oauth/authorize?oauth_token={name}")),
    )
    .await;
    assert_eq!(sent.status, 303);
    let expected = format!("https://id.example.com/consent?via=oauth&oauth_token={name}");
    assert_eq!(
        (sent.header("location"), sent.header("set-cookie")),
        (Some(expected.as_str()), None)
    );
    let post = send(
        &site,
        Request::form("POST", "/oauth/authorize", "action=log-in"),
    )
    .await;
    assert_eq!(
        (post.status, post.header("allow")),
        (405, Some("GET, HEAD"))
    );
    let ill = send(
        &site,
        Request::get("/oauth/authorize?oauth_token=a&oauth_token=b"),
    )
    .await;
    assert_eq!((ill.status, ill.header("location")), (400, None));
}

/// A user directory that is unavailable.
struct Outage;

#[async_trait]
impl Directory for Outage {
    async fn authenticate(&self, _: &Login) -> Result<Option<DirectoryUser>, DirectoryError> {
        Err(DirectoryError::new("it is down"))
    }
}

/// The state of a browser: its cookie and the last form.
pub(super) struct Browser {
    pub(super) address: SocketAddr,
    cookie: Option<String>,
    name: String,
    csrf: String,
    /// Additional headers of forms.
    says: Vec<(&'static str, &'static str)>,
}

impl Browser {
    fn of(site: &Site) -> Self {
        Self::at(site.address)
    }

    pub(super) fn at(address: SocketAddr) -> Self {
        Self {
            address,
            cookie: None,
            name: String::new(),
            csrf: String::new(),
            says: Vec::new(),
        }
    }

    /// Returns a browser that shows the question to a logged-in user.
    async fn logged_in(site: &Site, name: &Token) -> Self {
        let mut browser = Self::of(site);
        browser.open(name).await;
        assert_eq!(browser.log_in(PASSWORD).await.status, 303);
        browser.open(name).await;
        browser
    }

    pub(super) async fn open(&mut self, name: &Token) -> Response {
        name.as_str().clone_into(&mut self.name);
        self.sent(Request::get(&format!(
            "/oauth/authorize?oauth_token={}",
            encoded(name.as_str())
        )))
        .await
    }

    pub(super) async fn log_in(&mut self, password: &str) -> Response {
        self.log_in_as(USERNAME, password).await
    }

    async fn log_in_as(&mut self, username: &str, password: &str) -> Response {
        let (name, csrf) = (self.name.clone(), self.csrf.clone());
        let own = [
            ("oauth_token", name.as_str()),
            ("csrf_token", &csrf),
            ("action", "log-in"),
        ];
        self.post(&[&own[..], &[("username", username), ("password", password)]].concat())
            .await
    }

    pub(super) async fn decide(&mut self, action: &str) -> Response {
        let (name, csrf) = (self.name.clone(), self.csrf.clone());
        self.post(&[
            ("oauth_token", name.as_str()),
            ("csrf_token", &csrf),
            ("action", action),
        ])
        .await
    }

    async fn post(&mut self, fields: &[(&str, &str)]) -> Response {
        let pairs: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let form = Request::form("POST", "/oauth/authorize", &pairs.join("&"));
        let request = self
            .says
            .iter()
            .fold(form, |request, (name, value)| request.with(name, value));
        self.sent(request).await
    }

    async fn sent(&mut self, request: Request) -> Response {
        let request = match &self.cookie {
            Some(cookie) => request.with("Cookie", cookie),
            None => request,
        };
        let answer = request.send(self.address).await;
        if let Some(set) = answer.header("set-cookie") {
            let pair = set.split(';').next().unwrap();
            self.cookie = (!set.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        if let Some(field) = answer.body.split("name=\"csrf_token\" value=\"").nth(1) {
            field.split('"').next().unwrap().clone_into(&mut self.csrf);
        }
        answer
    }
}

async fn send(site: &Site, request: Request) -> Response {
    request.send(site.address).await
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
