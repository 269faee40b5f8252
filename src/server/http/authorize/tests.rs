//! The texts of the pages, without a server.

use axum::body::to_bytes;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;

use super::brand::PageBrand;
use super::notices::{LoginProblem, UserNotice};
use super::pages;
use super::routes::external_address;
use crate::clock::{CountingEntropy, UnixTime};
use crate::config::{Config, ScopeWords};
use crate::issue::{AuthorizationRequest, IssueError};
use crate::model::{
    Callback, Consumer, ConsumerKey, ConsumerName, ConsumerProfile, ConsumerStatus, Flow,
    Generation, RequestToken, RequestTokenState, Scopes, Secret, Session, SessionId, Token, UserId,
};
use crate::server::pages::{BrowserCookie, PageResponse};

const HOSTILE: &str = r#""><script>alert('x')</script><a href='//evil.example'>{{ name }}&amp;"#;

#[tokio::test]
async fn values_of_a_consumer_are_escaped() {
    let brand = PageBrand::default();
    let mut asked = asking("t<i>\"'&");
    asked.consumer.name = ConsumerName::new(HOSTILE).unwrap();
    asked.consumer.profile.description = format!("{HOSTILE}\u{202e}");
    asked.consumer.profile.app_url = "https://example.com/?a='&b=(c)".to_owned();
    asked.request_token.scopes = Scopes::parse("<script>alert(1)</script> <img/src=x>").unwrap();
    asked.request_token.callback = Callback::Uri("https://a'b&c.example/cb".to_owned());
    let cookie = BrowserCookie::random(&CountingEntropy::default());
    let mut user = session();
    user.screen_name = HOSTILE.to_owned();
    for answer in [
        pages::log_in(
            &brand,
            &asked,
            &cookie,
            HOSTILE,
            Some((StatusCode::FORBIDDEN, HOSTILE)),
        ),
        pages::consent(&brand, &asked, &cookie, &user, &ScopeWords::default()),
        pages::pin(&brand, &asked.consumer, b"12345678"),
        pages::notice(&brand, StatusCode::OK, HOSTILE, HOSTILE, Some(HOSTILE)),
        pages::token_form(&brand, Some(HOSTILE)),
    ] {
        let html = html(answer).await;
        for marked_up in [
            "<script",
            "<img",
            "<i>\"",
            "href='//evil",
            "alert('x')",
            "a'b&c",
        ] {
            assert!(!html.contains(marked_up), "{marked_up} in\n{html}");
        }
        assert!(
            html.contains("&#60;script&#62;") || html.contains("&#60;/script&#62;"),
            "{html}"
        );
    }
}

#[tokio::test]
async fn the_question_shows_the_consumer_its_scopes_and_the_destination() {
    let brand = PageBrand::default();
    let cookie = BrowserCookie::random(&CountingEntropy::default());
    let mut asked = asking("t");
    let words = Config::default().scopes;
    let page = html(pages::consent(&brand, &asked, &cookie, &session(), &words)).await;
    for expected in [
        "Printer Example",
        "Prints photos",
        "https://printer.example.com/about",
        "This application has not been verified.",
        "<li><bdi>photos.read</bdi></li>",
        "<strong><bdi>printer.example.com:8443</bdi></strong>",
        "logged in as <strong><bdi>jane</bdi></strong>",
        "value=\"allow\"",
        "value=\"refuse\"",
        "value=\"log-out\"",
    ] {
        assert!(page.contains(expected), "{expected} in\n{page}");
    }
    asked.consumer.verified = true;
    asked.request_token.scopes = Scopes::default();
    asked.request_token.callback = Callback::Uri("com.example.app:/done".to_owned());
    let page = html(pages::consent(&brand, &asked, &cookie, &session(), &words)).await;
    assert!(
        page.contains(">Verified by this service</p>") && !page.contains("not been verified"),
        "{page}"
    );
    assert!(
        page.contains("without any specific permission")
            && page.contains("<bdi>com.example.app:</bdi>"),
        "{page}"
    );
    asked.request_token.callback = Callback::OutOfBand;
    assert!(
        html(pages::consent(&brand, &asked, &cookie, &session(), &words))
            .await
            .contains("you get a PIN")
    );
}

#[tokio::test]
async fn texts_in_the_store_cannot_hide_or_reorder_others() {
    let brand = PageBrand::default();
    let cookie = BrowserCookie::random(&CountingEntropy::default());
    let mut asked = asking("t");
    asked.consumer.profile.description = "Prints\u{202e}sotohp\u{200b}".to_owned();
    let mut user = session();
    user.screen_name = "ja\u{2067}ne".to_owned();
    let words = Config::default().scopes;
    let page = html(pages::consent(&brand, &asked, &cookie, &user, &words)).await;
    for expected in ["<bdi>Printssotohp</bdi>", "<bdi>jane</bdi>"] {
        assert!(page.contains(expected), "{expected} in\n{page}");
    }
}

#[tokio::test]
async fn a_failed_login_keeps_the_name_and_announces_the_problem() {
    let brand = PageBrand::default();
    let cookie = BrowserCookie::random(&CountingEntropy::default());
    let first = html(pages::log_in(&brand, &asking("t"), &cookie, "", None)).await;
    assert!(
        !first.contains("role=\"alert\"") && !first.contains("aria-describedby"),
        "{first}"
    );
    let again = html(pages::log_in(
        &brand,
        &asking("t"),
        &cookie,
        "jane",
        Some((StatusCode::FORBIDDEN, "No.")),
    ))
    .await;
    assert!(
        again.contains("value=\"jane\"") && again.contains("role=\"alert\">No.</p>"),
        "{again}"
    );
    assert_eq!(again.matches("aria-describedby=\"problem\"").count(), 2);
    assert_eq!(
        again.matches("autofocus").count(),
        1,
        "in the password, since the name may be right"
    );
    let password = again
        .split('>')
        .find(|input| input.contains("type=\"password\""))
        .unwrap();
    assert!(
        password.contains("autofocus") && !password.contains("value="),
        "{password}"
    );
}

#[tokio::test]
async fn a_pin_is_in_groups_for_the_eye_and_digits_for_screen_readers() {
    let brand = PageBrand::default();
    let page = html(pages::pin(&brand, &asking("t").consumer, b"12345678")).await;
    assert!(
        page.contains("<span>1234</span><span>5678</span>"),
        "a copy has no spaces: {page}"
    );
    assert!(page.contains(">1 2 3 4 5 6 7 8</span>"), "{page}");
}

#[test]
fn a_decision_is_for_a_pending_request_of_an_active_consumer() {
    let now = UnixTime::from_secs(100);
    let about = |change: &dyn Fn(&mut AuthorizationRequest)| {
        let mut asked = asking("t");
        change(&mut asked);
        UserNotice::about(&asked, now)
    };
    assert_eq!(about(&|_| {}), None);
    assert_eq!(
        about(&|asked| asked.request_token.expires_at = now),
        Some(UserNotice::Expired)
    );
    assert_eq!(
        about(&|asked| asked.request_token.state = RequestTokenState::Used),
        Some(UserNotice::Decided)
    );
    assert_eq!(
        about(&|asked| asked.request_token.state = RequestTokenState::Refused),
        Some(UserNotice::Refused)
    );
    let authorized = RequestTokenState::Authorized {
        user_id: UserId::new("jane").unwrap(),
        user_generation: Default::default(),
        screen_name: String::new(),
        verifier: Secret::new(*b"12345678"),
        scopes: Scopes::default(),
    };
    assert_eq!(
        about(&|asked| asked.request_token.state = authorized.clone()),
        Some(UserNotice::Decided)
    );
    let revoked = Generation::from_number(9);
    assert_eq!(
        about(&|asked| asked.consumer.generation = revoked),
        Some(UserNotice::Revoked)
    );
    let disabled = ConsumerStatus::Disabled;
    assert_eq!(
        about(&|asked| asked.consumer.status = disabled),
        Some(UserNotice::ApplicationDisabled)
    );
    assert_eq!(
        about(&|asked| asked.consumer.flows = [Flow::XAuth].into()),
        Some(UserNotice::ApplicationDisabled)
    );
}

#[tokio::test]
async fn a_notice_has_its_status_and_offers_to_start_again_if_that_helps() {
    let brand = PageBrand::default();
    let name = Token::new("t&t").unwrap();
    for (notice, status, helps) in [
        (UserNotice::Unknown, 404, false),
        (UserNotice::Expired, 410, false),
        (UserNotice::Decided, 410, false),
        (UserNotice::ApplicationDisabled, 403, false),
        (UserNotice::NotOurForm, 403, true),
        (UserNotice::NoCookie, 403, true),
        (UserNotice::Busy, 409, true),
        (UserNotice::Failure, 503, true),
        (UserNotice::Method("GET"), 405, false),
    ] {
        let response = notice.response(&brand, Some(&name)).into_response();
        assert_eq!(response.status(), status, "{notice:?}");
        let html = text(response).await;
        assert_eq!(
            html.contains("href=\"authorize?oauth_token=t%26t\""),
            helps,
            "{html}"
        );
    }
}

#[tokio::test]
async fn a_notice_without_temporary_credentials_has_a_remedy() {
    let brand = PageBrand::default();
    for notice in [
        UserNotice::Unknown,
        UserNotice::Expired,
        UserNotice::ApplicationDisabled,
        UserNotice::AccountDisabled,
        UserNotice::BadForm(StatusCode::PAYLOAD_TOO_LARGE),
        UserNotice::Method("GET"),
        UserNotice::Failure,
    ] {
        let html = text(notice.response(&brand, None).into_response()).await;
        let remedies = [
            "Go back to the application",
            "Contact the operator",
            "Try again",
        ];
        assert!(
            remedies.iter().any(|remedy| html.contains(remedy)),
            "{notice:?}: {html}"
        );
    }
}

#[test]
fn a_failed_login_says_how_long_to_wait_but_not_which_field_was_wrong() {
    let wait = |millis| {
        let error = IssueError::TooManyAttempts(std::time::Duration::from_millis(millis));
        LoginProblem::of(&error)
            .map(|problem| (problem.status.as_u16(), problem.text))
            .unwrap()
    };
    let text = |time: &str| {
        (
            429,
            format!("Too many wrong passwords. Try again in {time}."),
        )
    };
    assert_eq!(wait(500), text("1 second"));
    assert_eq!(wait(59_000), text("59 seconds"));
    assert_eq!(wait(60_000), text("1 minute"));
    assert_eq!(wait(61_000), text("2 minutes"));
    let wrong = LoginProblem::of(&IssueError::PasswordRefused).unwrap();
    assert_eq!(
        (wrong.status.as_u16(), wrong.text.as_str()),
        (403, "Unknown user or wrong password.")
    );
    assert_eq!(LoginProblem::of(&IssueError::Conflict), None);
}

#[test]
fn an_external_page_gets_the_temporary_credentials_at_the_end_of_its_query() {
    let name = Token::new("a&b=c").unwrap();
    let sent = |external: &str| external_address(external, Some(&name));
    assert_eq!(
        sent("https://a/login"),
        "https://a/login?oauth_token=a%26b%3Dc"
    );
    assert_eq!(
        sent("https://a/login?"),
        "https://a/login?oauth_token=a%26b%3Dc"
    );
    assert_eq!(
        sent("https://a/login?x=1"),
        "https://a/login?x=1&oauth_token=a%26b%3Dc"
    );
    assert_eq!(
        sent("https://a/login?x=1&"),
        "https://a/login?x=1&oauth_token=a%26b%3Dc"
    );
    assert_eq!(external_address("https://a/login", None), "https://a/login");
}

#[tokio::test]
async fn every_page_has_security_headers() {
    let brand = PageBrand::default();
    let response = pages::token_form(&brand, None).into_response();
    let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap();
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
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
}

/// Returns a pending request of a consumer.
pub(super) fn asking(name: &str) -> AuthorizationRequest {
    let time = UnixTime::from_secs(0);
    let key = ConsumerKey::new("ck").unwrap();
    let request_token = RequestToken {
        token: Token::new(name).unwrap(),
        secret: Secret::new(*b"secret"),
        consumer_key: key.clone(),
        consumer_generation: Generation::default(),
        callback: Callback::Uri("https://printer.example.com:8443/ready?x=1".to_owned()),
        scopes: Scopes::parse("photos.read").unwrap(),
        state: RequestTokenState::Pending,
        wrong_verifiers: 0,
        created_at: time,
        expires_at: UnixTime::from_secs(600),
        revision: 1,
    };
    let consumer = Consumer {
        key,
        profile: ConsumerProfile {
            description: "Prints photos".to_owned(),
            app_url: "https://printer.example.com/about".to_owned(),
            ..ConsumerProfile::default()
        },
        created_at: time,
        updated_at: time,
        ..Consumer::example()
    };
    AuthorizationRequest {
        request_token,
        consumer,
    }
}

fn session() -> Session {
    Session {
        id: SessionId::of_cookie(b"c"),
        user_id: UserId::new("u-1").unwrap(),
        user_generation: Generation::default(),
        screen_name: "jane".to_owned(),
        expires_at: UnixTime::from_secs(600),
    }
}

async fn html(answer: PageResponse) -> String {
    text(answer.into_response()).await
}

async fn text(response: Response<axum::body::Body>) -> String {
    String::from_utf8(
        to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap()
            .to_vec(),
    )
    .unwrap()
}
