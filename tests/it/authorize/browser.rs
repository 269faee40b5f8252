//! The page in a real Chromium, driven by `tests/clients/node/authorize.mjs`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use countersign::issue::Actor;
use countersign::model::{RequestTokenState, Token};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::site::{CALLBACK, PASSWORD, Site, USERNAME};
use crate::support::process::project;
use crate::support::scripted::{self, chromium, node};

#[tokio::test]
async fn a_user_allows_with_and_without_scripts() {
    let site = Site::start().await;
    let names = [site.asks(CALLBACK).await, site.asks(CALLBACK).await];
    let outcomes = site.scenario("allow", &names).await;
    for (outcome, name) in outcomes.as_array().unwrap().iter().zip(&names) {
        assert_eq!(outcome["title"], "The printer");
        let added = format!("{CALLBACK}&oauth_token={name}&oauth_verifier=");
        let verifier = outcome["url"]
            .as_str()
            .unwrap()
            .strip_prefix(&added)
            .unwrap();
        assert!(site.exchange(name, verifier).await.is_ok());
    }
    assert_eq!(outcomes.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_callback_may_send_the_user_on_to_another_host() {
    let site = Site::start().await;
    let name = site.asks("https://printer.example.com/ready?order=8").await;
    let outcome = site.scenario("sentOn", &[name]).await;
    assert_eq!(outcome["url"], "https://www.printer.example.com/welcome");
}

#[tokio::test]
async fn a_user_refuses() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let outcome = site.scenario("refuse", std::slice::from_ref(&name)).await;
    assert_eq!(
        outcome["url"],
        format!("{CALLBACK}&oauth_token={name}&oauth_problem=user_refused")
    );
    assert_eq!(site.state(&name).await, RequestTokenState::Refused);
}

#[tokio::test]
async fn an_application_on_the_device_is_opened_by_its_scheme() {
    let site = Site::start().await;
    let name = site.asks("com.example.printer:/done").await;
    let outcome = site
        .scenario("ownScheme", std::slice::from_ref(&name))
        .await;
    let went = outcome["went"].as_str().unwrap();
    assert!(
        went.starts_with(&format!(
            "com.example.printer:/done?oauth_token={name}&oauth_verifier="
        )),
        "{went}"
    );
}

#[tokio::test]
async fn a_pin_is_readable_copyable_and_announced() {
    let site = Site::start().await;
    let name = site.asks("oob").await;
    let outcome = site.scenario("pin", std::slice::from_ref(&name)).await;
    let pin = outcome["copied"].as_str().unwrap();
    assert!(
        pin.len() == 8 && pin.bytes().all(|byte| byte.is_ascii_digit()),
        "{outcome}"
    );
    assert_eq!(outcome["shown"], json!([pin[..4], pin[4..]]));
    assert_eq!(outcome["heard"].as_str().unwrap().replace(' ', ""), pin);
    assert!(site.exchange(&name, pin).await.is_ok());
}

#[tokio::test]
async fn allow_is_visible_without_scrolling_however_much_an_application_says() {
    let logo = tempfile::NamedTempFile::with_suffix(".svg").unwrap();
    fs::write(logo.path(), ACTIVE_LOGO).unwrap();
    let site = Site::start_with(&branding(logo.path())).await;
    let long = site
        .asks_for(&site.create_talkative().await, CALLBACK)
        .await;
    let short = site.asks(CALLBACK).await;
    let seen = site.scenario("fits", &[short, long]).await;
    let seen = seen.as_array().unwrap();
    assert_eq!(seen.len(), 2 * 3, "two applications in three windows");
    for page in seen {
        for (part, visible) in page["visible"].as_object().unwrap() {
            assert_eq!(visible, true, "{part} in {page}");
        }
        assert_eq!(page["title"], "Allow access? – Photos of Example");
        assert_eq!(page["color"], "rgb(139, 0, 0)", "{page}");
        assert_eq!(page["logo"], true, "it is drawn: {page}");
        assert_eq!(page["loaded"], json!([]), "an image loads nothing: {page}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_announced_and_typed_again() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let outcome = site.scenario("wrongPassword", &[name]).await;
    let expected = json!({
        "title": "Error: Log in",
        "alert": "Unknown user or wrong password.",
        "alert_id": "problem",
        "described": ["problem", "problem"],
        "username": USERNAME,
        "password": "",
        "focus": "password",
        "then": "Allow access?",
    });
    assert_eq!(outcome, expected);
}

#[tokio::test]
async fn a_request_that_cannot_be_decided_has_no_form() {
    let site = Site::start().await;
    let (expired, refused) = (site.asks(CALLBACK).await, site.asks(CALLBACK).await);
    site.issuer
        .refuse_request_token(&refused, &Actor::ADMIN)
        .await
        .unwrap();
    site.clock.advance(Duration::from_secs(600));
    let outcome = site
        .scenario(
            "deadEnds",
            &[expired, refused, Token::new("unknown").unwrap()],
        )
        .await;
    let expected = json!([
        { "heading": "This request has expired", "forms": 0 },
        { "heading": "This request was already refused", "forms": 0 },
        { "heading": "Unknown request", "forms": 0 },
    ]);
    assert_eq!(outcome, expected);
}

#[tokio::test]
async fn the_keyboard_is_enough_and_shows_where_it_is() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let outcome = site.scenario("keyboard", &[name]).await;
    assert_eq!(outcome["title"], "The printer");
    let visited = outcome["visited"].as_array().unwrap();
    let texts: Vec<_> = visited
        .iter()
        .map(|at| at["text"].as_str().unwrap())
        .collect();
    assert_eq!(
        texts,
        ["username", "password", "printer.example.com/about", "Allow"]
    );
    assert!(visited.iter().all(|at| at["outline"] == true), "{outcome}");
}

#[tokio::test]
async fn a_form_that_another_site_posts_does_nothing() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let outcome = site.scenario("forged", std::slice::from_ref(&name)).await;
    for whose in ["none", "attackers", "even_the_users", "log_in"] {
        assert_eq!(
            outcome["answers"][whose],
            json!({ "status": 403, "heading": "Please review the request again" }),
            "{outcome}"
        );
    }
    assert_eq!(
        outcome["afterwards"], "Allow access?",
        "the session is still open"
    );
    assert_eq!(site.state(&name).await, RequestTokenState::Pending);
}

#[tokio::test]
async fn the_page_cannot_be_framed() {
    let site = Site::start().await;
    let name = site.asks(CALLBACK).await;
    let outcome = site.scenario("framed", &[name]).await;
    assert!(
        !outcome["text"].as_str().unwrap().contains("Allow"),
        "{outcome}"
    );
    assert!(
        outcome["said"]
            .to_string()
            .contains("frame-ancestors 'none'"),
        "{outcome}"
    );
}

#[tokio::test]
async fn an_accessibility_checker_finds_nothing_on_any_page() {
    let site = site_with_words().await;
    let names = requests_for_every_page(&site).await;
    let outcome = site.scenario("accessible", &names).await;
    let checked = outcome.as_array().unwrap();
    assert_eq!(checked.len(), 2 * 6, "six pages in two colour schemes");
    for page in checked {
        assert_eq!(page["problems"], json!([]), "{page}");
        assert_eq!(page["scrolled"], json!([]), "{page}");
        assert!(
            page["passes"].as_u64().unwrap() > 10,
            "the checker ran: {page}"
        );
    }
}

#[tokio::test]
async fn every_page_has_a_picture_in_docs() {
    let site = site_with_words().await;
    let names = requests_for_every_page(&site).await;
    fs::create_dir_all(project("target/images")).unwrap();
    site.scenario("screenshots", &names).await;
    scripted::assert_pictures("authorize-");
}

async fn site_with_words() -> Site {
    let logo = tempfile::NamedTempFile::with_suffix(".svg").unwrap();
    fs::write(logo.path(), LOGO).unwrap();
    let words = "[scopes]\n\"photos.read\" = \"See your photos\"\n\"orders.write\" = \"Order prints in your name\"\n";
    Site::start_with(&format!("{words}{}", branding(logo.path()))).await
}

/// Returns the section with the look of the pages.
fn branding(logo: &Path) -> String {
    format!(
        "[authorize]\nservice_name = \"Photos of Example\"\nlogo_file = {logo:?}\n\
         accent_color = \"#8b0000\"\n"
    )
}

const LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">
<rect width="24" height="24" rx="5" fill="#8b0000"/>
<circle cx="12" cy="12" r="6" fill="none" stroke="#fff" stroke-width="3"/></svg>"##;

/// A logo that acts, and loads another image, wherever it is more than an image.
const ACTIVE_LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"
onload="document.title = 'changed'; fetch('https://printer.example.com/stolen')">
<image href="https://printer.example.com/pixel" width="24" height="24"/>
<rect width="24" height="24" fill="#8b0000"/></svg>"##;

/// Returns the requests for two visits of every page.
async fn requests_for_every_page(site: &Site) -> Vec<Token> {
    let expired = [site.asks(CALLBACK).await, site.asks(CALLBACK).await];
    site.clock.advance(Duration::from_secs(600));
    let mut names = Vec::new();
    for expired in expired {
        names.extend([site.asks(CALLBACK).await, site.asks("oob").await, expired]);
    }
    names
}

impl Site {
    /// Runs a scenario of the script, and returns its result.
    async fn scenario(&self, scenario: &str, requests: &[Token]) -> Value {
        let given = json!({
            "page": format!("http://{}/oauth/authorize", self.address),
            "requests": requests.iter().map(Token::as_str).collect::<Vec<_>>(),
            "username": USERNAME,
            "password": PASSWORD,
            "chromium": chromium(),
            "certificate": certificate(),
            "images": project("target/images"),
        });
        let mut command = node("authorize.mjs");
        command.arg(scenario).arg(given.to_string());
        scripted::run(command).await
    }
}

/// Returns a self-signed certificate for the consumer's site.
fn certificate() -> Value {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["printer.example.com".to_owned()]).unwrap();
    json!({ "cert": params.self_signed(&key).unwrap().pem(), "key": key.serialize_pem() })
}
