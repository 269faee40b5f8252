//! The last hour on the page, after an hour of traffic at a clock that the test moves.

use std::fs;
use std::time::Duration;

use countersign::clock::Clock as _;
use countersign::config::{Config, Mode, Route, RoutePolicy};
use serde_json::{Value, json};

use super::site::{Browser, Site};
use crate::support::caller::{Caller, Signing};
use crate::support::http::Request;
use crate::support::process::project;
use crate::support::scripted::{self, chromium, node};
use crate::support::serving::ADMIN_TOKEN;

#[tokio::test]
async fn decisions_are_counted_by_result_and_reason_from_the_start_on() {
    let site = Site::start().await;
    let mut browser = Browser::logged_in(&site).await;
    let empty = browser.open("/console").await.body;
    for shown in [
        "datetime=\"2023-11-14T22:13:20Z\">22:13</time> UTC, when this process started",
        "No request was refused.",
        "No requests.",
        "0 allowed, 0 denied, 0 would be denied, 0 failed; at most 0 a minute.",
        // 21:15 to 22:13.
        "<rect class=\"uncounted\" x=\"0\" y=\"0\" width=\"580\" height=\"1000\"/>",
        "<span>21:15</span><span>21:45</span><span>22:15</span>",
    ] {
        assert!(hour(&empty).contains(shown), "{shown} in {empty}");
    }
    site.allowed().await;
    site.mismatch("/a").await;
    site.asked(&Request::get("/b")).await.unwrap();
    site.clock.advance(Duration::from_mins(2));
    site.asked(&Request::get("/c")).await.unwrap();
    let page = browser.open("/console").await.body;
    let hour = hour(&page);
    for shown in [
        "1 allowed, 3 denied, 0 would be denied, 0 failed; at most 3 a minute.",
        "2 unsigned, 1 signature_mismatch; at most 2 a minute.",
        "<a href=\"/console?reason=unsigned\">unsigned</a></th><td class=\"number\" data-label=\"Denied\">2</td>",
        // 21:20 to 22:15.
        "<rect class=\"allow\" x=\"530\" y=\"700\" width=\"8\" height=\"300\"/>",
        "<rect class=\"deny\" x=\"530\" y=\"100\" width=\"8\" height=\"600\"/>",
        "<rect class=\"deny\" x=\"550\" y=\"700\" width=\"8\" height=\"300\"/>",
        "role=\"img\" aria-labelledby=\"results-title results-text\"",
    ] {
        assert!(hour.contains(shown), "{shown} in {hour}");
    }
}

#[tokio::test]
async fn decisions_of_more_than_an_hour_ago_are_not_counted() {
    let site = Site::start().await;
    site.allowed().await;
    site.asked(&Request::get("/b")).await.unwrap();
    site.clock.advance(Duration::from_mins(61));
    let mut browser = Browser::logged_in(&site).await;
    let page = browser.open("/console").await.body;
    let hour = hour(&page);
    assert!(hour.contains("0 allowed, 0 denied"), "{hour}");
    assert!(!hour.contains("when this process started") && !hour.contains("uncounted"));
}

#[tokio::test]
async fn the_busiest_consumers_have_their_names_beside_their_keys() {
    let site = Site::start().await;
    site.create_named("quiet", "Quiet <b>Consumer</b>").await;
    site.mismatch("/a").await;
    site.allowed_for("quiet").await;
    let page = Browser::logged_in(&site).await.open("/console").await.body;
    let consumers = hour(&page).split("id=\"top-consumers\"").nth(1).unwrap();
    let rows: Vec<_> = consumers.split("<tr>").skip(2).collect();
    let denied = "<td class=\"number denied\" data-label=\"Denied\">1</td>";
    assert!(rows[0].contains("Printer Example</bdi>") && rows[0].contains(denied));
    assert!(rows[0].contains("href=\"/console?consumer=printer\">printer</a>"));
    assert!(rows[1].contains("Quiet &#60;b&#62;Consumer&#60;/b&#62;</bdi>"));
    assert!(rows[1].contains("<td class=\"number\" data-label=\"Allowed\">1</td>"));
}

#[tokio::test]
async fn a_request_that_is_signed_in_its_query_does_not_fill_the_list() {
    let site = Site::start().await;
    let now = site.clock.now().as_secs();
    let signed = site.printer().signing().at(now - 3600);
    let request = signed.in_query(&Request::get("/photos?size=of-a-secret"));
    site.asked(&request).await.unwrap();
    let page = Browser::logged_in(&site).await.open("/console").await.body;
    let shown = ">GET api.example.com/photos?size=*** <span class=\"soft\">+ oauth_*</span></td>";
    assert!(page.contains(shown), "{page}");
    assert!(!page.contains("of-a-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_readable_on_a_wide_screen_and_on_a_phone() {
    let office = BusyOffice::open().await;
    let seen = office.scenario("layout").await;
    for (name, page) in seen.as_object().unwrap() {
        assert_eq!(page["broken"], json!([]), "{name}: {page}");
        assert_eq!(page["sideways"], false, "{name}: {page}");
    }
    assert_eq!(seen["desk"]["above_the_fold"], true, "{seen}");
    assert_eq!(seen["desk"]["masked"], json!([]), "{seen}");
    let heights = seen["desk"]["rows"].as_array().unwrap();
    assert!(heights.iter().all(|rows| *rows == 1), "{heights:?}");
    assert_eq!(seen["desk"]["colors"], seen["dark"]["colors"], "{seen}");
}

/// Takes the pictures of the page that a moved clock fills.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_has_a_picture_in_docs() {
    fs::create_dir_all(project("target/images")).unwrap();
    BusyOffice::open().await.scenario("screenshots").await;
    scripted::assert_pictures("console-");
}

/// A service after more than an hour of traffic.
struct BusyOffice {
    site: Site,
    /// A denial with a cause.
    decision: String,
}

impl BusyOffice {
    async fn open() -> Self {
        let site = Site::start_with(|config| config.routes = vec![legacy_in_shadow(config)]).await;
        for (key, name) in CONSUMERS {
            site.create_named(key, name).await;
        }
        let mut decision = String::new();
        for minute in 0..75 {
            site.clock.advance(Duration::from_mins(1));
            if let Some(denied) = traffic(&site, minute).await {
                decision = denied;
            }
        }
        let mut browser = Browser::logged_in(&site).await;
        super::shown::explained(&mut browser, &decision).await;
        Self { site, decision }
    }

    /// Runs a scenario of the script, and returns its result.
    async fn scenario(&self, scenario: &str) -> Value {
        let given = json!({
            "console": format!("http://{}/console", self.site.ops),
            "token": ADMIN_TOKEN,
            "decision": self.decision,
            "chromium": chromium(),
            "images": project("target/images"),
        });
        let mut command = node("console.mjs");
        command.arg(scenario).arg(given.to_string());
        scripted::run(command).await
    }
}

fn legacy_in_shadow(config: &Config) -> Route {
    Route {
        host: None,
        path_prefix: Some("/legacy".to_owned()),
        methods: Vec::new(),
        set: RoutePolicy {
            mode: Some(Mode::Shadow),
            ..config.check.policy.clone()
        },
    }
}

/// Sends the requests of one minute; returns the decision of a denial with a cause, if there is one.
async fn traffic(site: &Site, minute: u64) -> Option<String> {
    let [shop, mobile, warehouse] = CONSUMERS.map(|(key, _)| move || signing(site, key));
    let late = || warehouse().at(site.clock.now().as_secs() - 3600);
    for nth in 0..2 + minute * 7 % 4 {
        let photo = Request::get(&format!("/photos/{nth}?size=original"));
        assert_eq!(site.asked(&mobile().in_header(&photo)).await, None);
    }
    if (20..32).contains(&minute) || minute > 68 {
        let stock = Request::get("/stock?warehouse=7&after=2026-11-30");
        site.asked(&late().in_query(&stock)).await;
    }
    if minute.is_multiple_of(5) {
        site.asked(&Request::get("/photos/albums/2026/november"))
            .await;
    }
    if minute % 9 == 3 {
        site.asked(&late().in_header(&Request::get("/legacy/orders")))
            .await;
    }
    if minute % 4 != 2 {
        return None;
    }
    let orders = Request::get("/wp-json/wc/v3/orders?status=processing&per_page=100");
    let signed = shop().for_scheme("https").in_header(&orders);
    site.asked(&signed).await
}

fn signing(site: &Site, key: &str) -> Signing {
    let caller = Caller {
        consumer_key: key.to_owned(),
        ..site.printer()
    };
    caller.signing().at(site.clock.now().as_secs())
}

/// Returns the section about the last hour.
fn hour(page: &str) -> &str {
    let begin = page.find("<h2 id=\"hour\">").unwrap();
    page[begin..].split("</section>").next().unwrap()
}

const CONSUMERS: [(&str, &str); 3] = [
    ("ck_5b2a9d8e7f6c4a3b", "Shop connector"),
    ("ck_c0ffee1234567890", "Mobile app"),
    (
        "ck_77aa11bb22cc33dd",
        "Warehouse sync of the northern region",
    ),
];
