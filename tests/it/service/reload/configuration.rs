//! The configuration file: all of it, or nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use envoy_types::ext_authz::v3::pb::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tonic::transport::{Channel, Endpoint};

use super::{BY_SIGNAL, Reloads, next, refused_reload, reload};
use crate::service::replicas::check_request;
use crate::support::http::Request;
use crate::support::leaks;
use crate::support::program::Countersign;

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_open_before_sees_the_new_routes_and_realm() {
    let countersign = start("check.realm = \"first\"\n").await;
    let mut checks = connect(&countersign).await;
    assert_eq!(answer(&mut checks).await, "denied in first");
    let hash = metric(&countersign, "countersign_config_hash").await;

    configure(&countersign, "check.realm = \"second\"\n");
    reload(&countersign).await;
    assert_eq!(answer(&mut checks).await, "denied in second");

    let route = "[[route]]\npath_prefix = \"/photos\"\nrequire = \"optional\"\n";
    configure(&countersign, route);
    reload(&countersign).await;
    assert_eq!(answer(&mut checks).await, "allowed");
    assert_ne!(hash, metric(&countersign, "countersign_config_hash").await);

    configure(&countersign, "");
    reload(&countersign).await;
    assert_eq!(answer(&mut checks).await, "denied in api");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authorize_page_shows_a_new_name_color_and_logo() {
    let countersign = start("").await;
    let page = async || {
        let page = Request::get("/oauth/authorize")
            .send(countersign.http)
            .await;
        let policy = page.header("content-security-policy").unwrap().to_owned();
        (page.body, policy)
    };
    let (before, policy) = page().await;
    assert!(!before.contains("class=\"service\"") && !policy.contains("img-src"));

    let logo = countersign.path("logo.svg");
    fs::write(&logo, "<svg xmlns='http://www.w3.org/2000/svg'/>").unwrap();
    let look = format!(
        "[authorize]\nservice_name = \"Photos\"\naccent_color = \"#8b0000\"\nlogo_file = {logo:?}\n"
    );
    configure(&countersign, &look);
    reload(&countersign).await;
    let (after, new_policy) = page().await;
    for shown in [
        "<bdi>Photos</bdi>",
        "--action: #8b0000",
        "<img src=\"data:image/svg+xml;base64,PHN2Zy",
    ] {
        assert!(after.contains(shown), "{shown} in {after}");
    }
    assert!(new_policy.contains("; img-src data:;"), "{new_policy}");
    assert_ne!(style_source(&policy), style_source(&new_policy));

    fs::write(&logo, "GIF89a").unwrap();
    configure(&countersign, &look.replace("8b0000", "ffcc00"));
    let refusal = refused_reload(&countersign).await;
    assert!(
        refusal.contains("`authorize.accent_color` must be a darker color"),
        "{refusal}"
    );
    configure(&countersign, &look);
    let refusal = refused_reload(&countersign).await;
    assert!(
        refusal.contains("is not a PNG, SVG, JPEG or WebP image"),
        "{refusal}"
    );
    assert_eq!(page().await.0, after, "everything stays as it was");
}

/// Returns the source of the style in a policy.
fn style_source(policy: &str) -> &str {
    let source = policy
        .split("; ")
        .find(|part| part.starts_with("style-src"));
    source.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_refuses_everything_and_each_is_named_with_its_place() {
    let countersign = start("check.realm = \"first\"\n").await;
    let mut checks = connect(&countersign).await;
    let missing = countersign.path("missing.pem");
    let tls = format!(
        "[api.tls]\ncertificate_file = {missing:?}\nkey_file = {missing:?}\n\
         [users]\ndirectory = \"http\"\nurl = \"http://127.0.0.1:9\"\ntoken_file = {missing:?}\n"
    );
    for (bad, mistakes) in [
        (
            "check.realm = \"second\"\ncheck.timeout = \"1h\"\nchekc.realm = \"x\"\n",
            &[
                "countersign.toml:3: `check.timeout`",
                "countersign.toml:4: `chekc.realm`",
            ][..],
        ),
        (
            "check.realm = \"second\n",
            &["countersign.toml:2: invalid TOML"],
        ),
        (
            &format!("check.realm = \"second\"\n{tls}"),
            &["[api.tls]: cannot read", "users.token_file: cannot read"],
        ),
    ] {
        configure(&countersign, bad);
        let refusal = refused_reload(&countersign).await;
        for mistake in mistakes {
            assert!(refusal.contains(mistake), "{mistake} is not in {refusal}");
        }
        assert_eq!(answer(&mut checks).await, "denied in first");
    }
    let last = "countersign_config_last_reload_successful";
    assert_eq!(metric(&countersign, last).await, "0");

    configure(&countersign, "check.realm = \"second\"\n");
    reload(&countersign).await;
    assert_eq!(answer(&mut checks).await, "denied in second");
    assert_eq!(metric(&countersign, last).await, "1");
    assert!(countersign.is_serving().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_need_a_restart_are_named_and_the_others_are_used() {
    // The filter of the file counts, also in a run whose logs are recorded.
    let environment = [(leaks::LOG_FILTER.0, "")];
    let countersign = Countersign::start_in(&environment, "memory:", BY_SIGNAL).await;
    let mut checks = connect(&countersign).await;
    configure(
        &countersign,
        "cache.max_bytes = 100_000\ncheck.realm = \"second\"\nlog.filter = \"warn\"\n\
         ops.console = false\n[store]\ntimeout = \"70ms\"\n",
    );
    reload(&countersign).await;
    countersign
        .logs("restart to apply: store.timeout, cache.max_bytes; the other changes are in use")
        .await;
    assert_eq!(answer(&mut checks).await, "denied in second");
    let console = Request::get("/console").send(countersign.ops).await;
    assert_eq!(console.status, 404);
    let log = countersign.log();
    assert!(
        log.contains("listening") && !log.contains("reloaded the configuration"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn risky_settings_are_warned_about_again() {
    let countersign = start("").await;
    configure(&countersign, "check.mode = \"shadow\"\n");
    reload(&countersign).await;
    countersign.logs("check.mode = \\\"shadow\\\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_link_reloads_without_a_signal_and_equal_contents_do_not() {
    let countersign = Countersign::start("memory:", "reload.interval = \"100ms\"\n").await;
    let mut checks = connect(&countersign).await;
    let at = |name: &str| countersign.path(name);
    let version = |name: &str, config: &str| {
        fs::create_dir(at(name)).unwrap();
        let config = format!("reload.interval = \"100ms\"\n{config}");
        fs::write(at(name).join("countersign.toml"), config).unwrap();
    };
    let link = |target: &str, name: &str| {
        symlink(target, at("new_link")).unwrap();
        fs::rename(at("new_link"), at(name)).unwrap();
    };
    version("v1", "");
    link("v1", "..data");
    link("..data/countersign.toml", "countersign.toml");
    version("v2", "check.realm = \"second\"\n");
    let before = Reloads::of(&countersign).await;
    link("v2", "..data");
    let after = next(&countersign, before).await;
    assert_eq!(
        (after.succeeded, after.refused),
        (1, 0),
        "the first link changed no contents"
    );
    assert_eq!(answer(&mut checks).await, "denied in second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_or_a_huge_file_in_place_of_the_configuration_is_refused() {
    let countersign = start("check.realm = \"first\"\n").await;
    let mut checks = connect(&countersign).await;
    let config = countersign.path("countersign.toml");
    fs::remove_file(&config).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&config)
            .status()
            .unwrap()
            .success()
    );
    let refusal = refused_reload(&countersign).await;
    assert!(refusal.contains("is not a regular file"), "{refusal}");

    fs::remove_file(&config).unwrap();
    fs::File::create(&config).unwrap().set_len(1 << 40).unwrap();
    let refusal = refused_reload(&countersign).await;
    assert!(refusal.contains("more than"), "{refusal}");
    fs::remove_file(&config).unwrap();
    let refusal = refused_reload(&countersign).await;
    assert!(refusal.contains("cannot read this file"), "{refusal}");
    assert_eq!(answer(&mut checks).await, "denied in first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_file_is_read_again_when_its_contents_or_permissions_change() {
    let polled = "reload.interval = \"100ms\"\n";
    let countersign = Countersign::start("memory:", polled).await;
    let before = Reloads::of(&countersign).await;
    Command::new("chmod")
        .arg("644")
        .arg(countersign.path("keys"))
        .status()
        .unwrap();
    let refused = next(&countersign, before).await;
    assert_eq!((refused.succeeded, refused.refused), (0, 1));
    let refusal = super::refusal(&countersign, 1).await;
    assert!(refusal.contains("has mode 0644"), "{refusal}");

    Command::new("chmod")
        .arg("600")
        .arg(countersign.path("keys"))
        .status()
        .unwrap();
    let after = next(&countersign, refused).await;
    assert_eq!((after.succeeded, after.refused), (1, 1));
}

/// Starts the program in memory, without looks at its files.
async fn start(config: &str) -> Countersign {
    Countersign::start("memory:", &format!("{BY_SIGNAL}{config}")).await
}

fn configure(countersign: &Countersign, config: &str) {
    countersign.configure(&format!("{BY_SIGNAL}{config}"));
}

async fn connect(countersign: &Countersign) -> AuthorizationClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", countersign.check)).unwrap();
    AuthorizationClient::new(endpoint.connect().await.unwrap())
}

/// Checks an unsigned request; returns the decision and the realm.
async fn answer(checks: &mut AuthorizationClient<Channel>) -> String {
    let request = check_request(&Request::get("/photos"));
    let response = checks.check(request).await.unwrap().into_inner();
    let HttpResponse::DeniedResponse(denied) = response.http_response.unwrap() else {
        return "allowed".to_owned();
    };
    let mut headers = denied
        .headers
        .iter()
        .filter_map(|option| option.header.as_ref());
    let challenge = headers.find(|header| header.key.eq_ignore_ascii_case("www-authenticate"));
    let (_, realm) = challenge.unwrap().value.split_once("realm=\"").unwrap();
    format!("denied in {}", realm.split('"').next().unwrap())
}

async fn metric(countersign: &Countersign, name: &str) -> String {
    let metrics = countersign.metrics().await;
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap().to_owned()
}
