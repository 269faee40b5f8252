//! The content of the page: denials, one opened denial, counts, the state of the service, and
//! hostile requests.

use std::collections::HashMap;
use std::time::Duration;

use countersign::config::Mode;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{self, HttpRequest};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};

use super::site::{Browser, CONSUMER_KEY, Site};
use crate::support::caller::Caller;
use crate::support::http::{Request, Response};

#[tokio::test]
async fn the_newest_denials_come_first_and_each_leads_to_more() {
    let site = Site::start().await;
    let first = site.mismatch("/photos?size=of-a-secret").await;
    site.clock.advance(Duration::from_secs(125));
    let second = site.asked(&Request::get("/unsigned")).await.unwrap();
    let mut browser = Browser::logged_in(&site).await;
    let page = browser.open("/console").await.body;
    let rows = rows(&page, "denials");
    assert_eq!(rows.len(), 2, "{page}");
    let newest = &rows[0];
    assert!(
        newest.contains(&format!(
            "title=\"{second}\" href=\"/console?decision={second}\">{}</a>",
            &second[..8]
        )),
        "{newest}"
    );
    assert!(
        newest.contains("<a href=\"/console?reason=unsigned\">unsigned</a>"),
        "{newest}"
    );
    assert!(
        newest.contains("href=\"/console?consumer=\"><i>none</i></a>"),
        "{newest}"
    );
    assert!(
        newest.contains(">GET api.example.com/unsigned</td>"),
        "{newest}"
    );
    let oldest = &rows[1];
    for shown in [
        &*first,
        ">2 min ago<",
        "datetime=\"2023-11-14T22:13:20Z\"",
        ">denied<",
        ">signature_mismatch</a>",
        "href=\"/console?consumer=printer\">printer</a>",
        ">GET api.example.com/photos?size=***</td>",
    ] {
        assert!(oldest.contains(shown), "{shown} in {oldest}");
    }
    assert!(!page.contains("of-a-secret"), "{page}");
}

#[tokio::test]
async fn denials_are_narrowed_to_a_consumer_and_a_reason() {
    let site = Site::start().await;
    site.mismatch("/a").await;
    site.asked(&Request::get("/b")).await.unwrap();
    let mut browser = Browser::logged_in(&site).await;
    let count = async |browser: &mut Browser, query: &str| {
        let page = browser.open(&format!("/console?{query}")).await.body;
        rows(&page, "denials").len()
    };
    for (query, expected) in [
        ("consumer=printer", 1),
        ("consumer=", 1),
        ("reason=unsigned", 1),
        ("consumer=printer&reason=unsigned", 0),
        ("consumer=nobody", 0),
        ("reason=", 2),
    ] {
        assert_eq!(count(&mut browser, query).await, expected, "{query}");
    }
    let page = browser
        .open("/console?consumer=printer&reason=signature_mismatch")
        .await
        .body;
    assert!(
        page.contains(
            "<a href=\"/console?reason=signature%5Fmismatch\" aria-label=\"Remove the consumer filter\">"
        ),
        "{page}"
    );
    assert!(
        page.contains(
            "<a href=\"/console?consumer=printer\" aria-label=\"Remove the reason filter\">"
        ),
        "{page}"
    );
}

#[tokio::test]
async fn a_key_that_has_to_be_escaped_finds_its_denials_where_it_is_clicked_and_where_it_is_typed()
{
    let site = Site::start().await;
    let key = r#"o'brien&"<\x1b>"#;
    site.create_consumer(key).await;
    let wrong = Caller {
        consumer_key: key.to_owned(),
        ..site.printer()
    };
    site.asked(
        &Caller {
            consumer_secret: "wrong".to_owned(),
            ..wrong
        }
        .sign(&Request::get("/photos")),
    )
    .await
    .unwrap();
    let mut browser = Browser::logged_in(&site).await;
    let page = browser.open("/console").await.body;
    let links = [&rows(&page, "denials")[0], &rows(&page, "consumers")[1]].map(|row| {
        row.split('"')
            .find(|text| text.starts_with("/console?consumer="))
            .unwrap()
    });
    let typed = "/console?consumer=o'brien%26%22%3C%5Cx1b%3E";
    for target in [links[0], links[1], typed] {
        let page = browser.open(target).await.body;
        assert_eq!(rows(&page, "denials").len(), 1, "{target}: {page}");
        assert!(
            page.contains(r#"value="o&#39;brien&#38;&#34;&#60;\x1b&#62;""#),
            "{page}"
        );
    }
}

#[tokio::test]
async fn a_denial_is_opened_by_its_decision_and_does_not_go_away() {
    let site = Site::start().await;
    let decision = site.mismatch("/photos").await;
    let mut browser = Browser::logged_in(&site).await;
    let answer = explained(&mut browser, &decision).await;
    assert_eq!(answer.header("refresh"), None);
    let opened = section(&answer.body, "opened");
    for shown in [
        &*decision,
        ">signature_mismatch</a>",
        ">printer</a>, not proven",
        "<dt>Signature method</dt><dd>HMAC-SHA1</dd>",
        ">GET api.example.com/photos</span></dd>",
        "no known cause: compare the base string",
        "<pre>GET&#38;http%3A%2F%2Fapi.example.com%2Fphotos&#38;oauth_consumer_key%3Dprinter",
    ] {
        assert!(opened.contains(shown), "{shown} in {opened}");
    }
    let gone = browser.open("/console?decision=0123").await.body;
    assert!(
        section(&gone, "opened").contains("This denial is not stored here"),
        "{gone}"
    );
}

#[tokio::test]
async fn a_cause_is_shown_with_its_remedy_and_both_base_strings_marked_and_masked() {
    let site = Site::start().await;
    let request = Request::get("/photos?size=of-a-secret");
    let decision = site
        .asked(
            &site
                .printer()
                .signing()
                .for_scheme("https")
                .in_header(&request),
        )
        .await
        .unwrap();
    let mut browser = Browser::logged_in(&site).await;
    let answer = explained(&mut browser, &decision).await;
    let opened = section(&answer.body, "opened");
    for shown in [
        "<dt>Cause</dt><dd><a href=\"/console?cause=scheme\">scheme</a></dd>",
        "<dt>Remedy</dt><dd>",
        "<pre>GET&#38;http<mark></mark>%3A%2F%2Fapi.example.com%2Fphotos&#38;",
        "<pre>GET&#38;http<mark>s</mark>%3A%2F%2Fapi.example.com%2Fphotos&#38;",
        "%26size%3D***</pre>",
        "<code>scheme-any</code>. Set it only if the client’s owner confirms",
    ] {
        assert!(opened.contains(shown), "{shown} in {opened}");
    }
    assert!(!answer.body.contains("of-a-secret"), "{}", answer.body);
    let of_cause = browser.open("/console?cause=scheme").await.body;
    assert_eq!(rows(&of_cause, "denials").len(), 1);
    let counted = "<a href=\"/console?consumer=printer&#38;cause=scheme\">scheme</a> 1";
    assert!(
        row_of(&of_cause, CONSUMER_KEY).contains(counted),
        "{of_cause}"
    );
    let of_another = browser.open("/console?cause=port").await.body;
    assert!(
        rows(&of_another, "denials").is_empty()
            && of_another.contains("aria-label=\"Remove the cause filter\""),
        "{of_another}"
    );
}

#[tokio::test]
async fn proven_denials_and_shadow_denials_are_marked() {
    let site = Site::start_with(|config| config.check.policy.mode = Some(Mode::Shadow)).await;
    let late = site
        .printer()
        .signing()
        .at(1)
        .in_header(&Request::get("/late"));
    assert_eq!(site.asked(&late).await, None, "shadow mode lets it through");
    let page = Browser::logged_in(&site).await.open("/console").await.body;
    let denial = &rows(&page, "denials")[0];
    assert!(denial.contains("would\">would deny</td>"), "{denial}");
    assert!(
        denial.contains(">timestamp_refused</a>") && denial.contains(">proven</span>"),
        "{denial}"
    );
    let consumer = row_of(&page, CONSUMER_KEY);
    assert_eq!(numbers(consumer), ["1", "0", "0", "1"]);
}

#[tokio::test]
async fn consumers_are_counted_with_reasons_and_methods() {
    let site = Site::start().await;
    site.allowed().await;
    site.mismatch("/a").await;
    site.mismatch("/b").await;
    site.asked(&Request::get("/c")).await.unwrap();
    let page = Browser::logged_in(&site).await.open("/console").await.body;
    let printer = row_of(&page, CONSUMER_KEY);
    assert_eq!(numbers(printer), ["3", "1", "2", "0"]);
    let reason = "<a href=\"/console?consumer=printer&#38;reason=signature%5Fmismatch\">signature_mismatch</a> 2";
    assert!(printer.contains(reason), "{printer}");
    assert!(
        printer.contains("HMAC-SHA1 3") && printer.contains(">0 s ago<"),
        "{printer}"
    );
    let nobody = &rows(&page, "consumers")[0];
    assert!(
        nobody.contains("<i>unknown</i>") && numbers(nobody) == ["1", "0", "1", "0"],
        "{nobody}"
    );
}

#[tokio::test]
async fn the_counts_of_unknown_consumers_link_to_their_denials() {
    let site = Site::start().await;
    let stranger = Caller {
        consumer_key: "stranger".to_owned(),
        ..site.printer()
    };
    let denied = site
        .asked(&stranger.sign(&Request::get("/photos")))
        .await
        .unwrap();
    let mut browser = Browser::logged_in(&site).await;
    let page = browser.open("/console").await.body;
    let nobody = rows(&page, "consumers")[0];
    let link = nobody
        .split('"')
        .find(|text| text.starts_with("/console?"))
        .unwrap();
    let narrowed = browser.open(&link.replace("&#38;", "&")).await.body;
    let found = rows(&narrowed, "denials");
    assert!(
        found.len() == 1 && found[0].contains(&denied),
        "{link}: {narrowed}"
    );
}

#[tokio::test]
async fn a_long_list_has_pages() {
    let site = Site::start().await;
    for nth in 0..51 {
        site.asked(&Request::get(&format!("/{nth}"))).await.unwrap();
    }
    let mut browser = Browser::logged_in(&site).await;
    let page = browser.open("/console?reason=unsigned").await.body;
    assert_eq!(rows(&page, "denials").len(), 50);
    let older = page
        .split("\">Older</a>")
        .next()
        .unwrap()
        .rsplit('"')
        .next()
        .unwrap()
        .replace("&#38;", "&");
    assert_eq!(older, "/console?reason=unsigned&before=1");
    let answer = browser.open(&older).await;
    assert_eq!(answer.header("refresh"), None);
    let rows = rows(&answer.body, "denials");
    assert!(
        rows.len() == 1 && rows[0].contains("api.example.com/0<"),
        "{rows:?}"
    );
    assert!(
        answer
            .body
            .contains("<a href=\"/console?reason=unsigned\">Newest</a>")
            && !answer.body.contains(">Older<")
    );
}

#[tokio::test]
async fn the_state_of_the_service_is_shown() {
    let site = Site::start().await;
    site.allowed().await;
    let mut browser = Browser::logged_in(&site).await;
    let page = loop {
        let page = browser.open("/console").await.body;
        if page.contains("<dd>Ready</dd>") {
            break page;
        }
        tokio::task::yield_now().await;
    };
    let service = section(&page, "service");
    for shown in [
        "<dd>memory:</dd>",
        "1 nonces stored in this process",
        "<dd>1 records</dd>",
        "<dd>Received</dd>",
    ] {
        assert!(service.contains(shown), "{shown} in {service}");
    }
    let version = format!(
        "{}, up since <time datetime=\"2023-11-14T22:13:20Z\">",
        env!("CARGO_PKG_VERSION")
    );
    assert!(page.contains(&version), "{page}");
}

#[tokio::test]
async fn a_page_reloads_until_it_is_paused() {
    let site = Site::start().await;
    let mut browser = Browser::logged_in(&site).await;
    let live = browser.open("/console?consumer=printer").await;
    assert_eq!(live.header("refresh"), Some("10"));
    assert!(
        live.body
            .contains("<a href=\"/console?consumer=printer&#38;live=off\">Pause</a>"),
        "{}",
        live.body
    );
    let paused = browser.open("/console?consumer=printer&live=off").await;
    assert_eq!(paused.header("refresh"), None);
    assert!(
        paused
            .body
            .contains("<a href=\"/console?consumer=printer\">Go live</a>"),
        "{}",
        paused.body
    );
    assert!(
        paused
            .body
            .contains("<input type=\"hidden\" name=\"live\" value=\"off\">"),
        "a filter leaves it paused"
    );
}

#[tokio::test]
async fn hostile_texts_are_escaped_and_truncated() {
    let site = Site::start().await;
    let script = "\"><script>alert('x')</script><img src=x onerror=alert(1)>&amp;";
    let keyed = "OAuth oauth_consumer_key=\"%22%3E%3Cscript%3E%27\", oauth_nonce=\"1\", oauth_timestamp=\"1\", \
                 oauth_signature_method=\"HMAC-SHA1\", oauth_signature=\"AAAA\"";
    let mut decisions = vec![
        site.asked(&Request::get("/").with("Authorization", keyed))
            .await
            .unwrap(),
    ];
    for hostile in [
        script.to_owned(),
        "\r\n\u{1b}[31m\u{0}\u{202e}gnihsihp\u{2066}".to_owned(),
        format!("/{}", "a".repeat(8192)),
        format!("/?{}=1", "\u{202e}".repeat(4096)),
    ] {
        let quoted = hostile.replace(['"', '\\'], "'");
        let authorization = format!(
            "OAuth oauth_consumer_key=\"{quoted}\", oauth_nonce=\"{quoted}\", oauth_timestamp=\"1\", \
             oauth_signature_method=\"HMAC-SHA1\", oauth_signature=\"AAAA\""
        );
        decisions.push(
            site.asked_about(hostile_request(&hostile, &authorization))
                .await
                .unwrap(),
        );
    }
    let mut browser = Browser::logged_in(&site).await;
    let mut pages = vec![browser.open("/console").await.body];
    for decision in &decisions {
        pages.push(
            browser
                .open(&format!("/console?decision={decision}"))
                .await
                .body,
        );
    }
    for query in [
        "consumer=%22%3E%3Cscript%3E%E2%80%AE%1B%00",
        "reason=%27%3E%3Cscript%3E&decision=%22%3E%3Cscript%3E%E2%80%AE",
        "after=%22%3E%3Cscript%3E%E2%80%AE&before=%22%3E%3Cscript%3E",
    ] {
        pages.push(browser.open(&format!("/console?{query}")).await.body);
    }
    let named =
        r##" href="/console?consumer=%22%3E%3Cscript%3E%27">&#34;&#62;&#60;script&#62;&#39;</a>"##;
    assert!(pages[0].contains(named), "it was there: {}", pages[0]);
    for page in &pages {
        for marked_up in ["<script", "<img", "alert('x')", "\u{202e}", "\u{2066}"] {
            assert!(!page.contains(marked_up), "{marked_up} in {page}");
        }
        let controls = page
            .chars()
            .find(|&character| character.is_control() && character != '\n');
        assert_eq!(controls, None, "{page}");
        let longest = page.split(['<', '>', ' ']).map(str::len).max();
        assert!(longest < Some(8000), "{longest:?}");
    }
}

/// Returns a check whose every text is hostile.
fn hostile_request(text: &str, authorization: &str) -> CheckRequest {
    let headers = [
        ("authorization", authorization),
        ("user-agent", text),
        ("x-forwarded-host", text),
    ];
    let http = HttpRequest {
        method: text.to_owned(),
        scheme: "http".to_owned(),
        host: text.to_owned(),
        path: text.to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect::<HashMap<_, _>>(),
        ..HttpRequest::default()
    };
    let request = attribute_context::Request {
        http: Some(http),
        ..attribute_context::Request::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(request),
            ..AttributeContext::default()
        }),
    }
}

/// Opens a denial, and waits for its explanation. Until then the page reloads itself.
pub(super) async fn explained(browser: &mut Browser, decision: &str) -> Response {
    loop {
        let answer = browser.open(&format!("/console?decision={decision}")).await;
        if !section(&answer.body, "opened").contains("is being determined") {
            return answer;
        }
        assert_eq!(answer.header("refresh"), Some("10"));
        tokio::task::yield_now().await;
    }
}

/// Returns the section of a page with that heading.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let begin = page
        .find(&format!("<h2 id=\"{heading}\">"))
        .unwrap_or_else(|| panic!("no {heading} in {page}"));
    page[begin..].split("</section>").next().unwrap()
}

/// Returns the rows of the table in a section.
fn rows<'p>(page: &'p str, heading: &str) -> Vec<&'p str> {
    section(page, heading)
        .split("<tr>")
        .skip(2)
        .map(|row| row.split("</tr>").next().unwrap())
        .collect()
}

/// Returns the row of a consumer.
fn row_of<'p>(page: &'p str, key: &str) -> &'p str {
    let named = format!(">{key}</a></th>");
    rows(page, "consumers")
        .into_iter()
        .find(|row| row.contains(&named))
        .unwrap_or_else(|| panic!("{key} in {page}"))
}

/// Returns the counts: seen, allowed, denied, would deny.
fn numbers(row: &str) -> Vec<&str> {
    let cells = row.split("class=\"number").skip(1);
    cells
        .map(|cell| cell.split(['>', '<']).nth(1).unwrap())
        .collect()
}
