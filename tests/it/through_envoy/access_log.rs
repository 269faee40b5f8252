//! The access log of deploy/envoy: it identifies the decision in Countersign's log, and has no part
//! of a signature.

use crate::support::envoy::{Deadlines, NEWEST, OLDEST, Shape};
use crate::support::http::Request;
use crate::support::process::{START, eventually};
use crate::support::stack::{Parts, Stack, StoreKind};

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_names_the_path_and_the_caller_and_no_signature() {
    for envoy in [NEWEST, OLDEST] {
        let stack = start(envoy).await;
        stack
            .allows(
                &stack
                    .alice
                    .signing()
                    .in_query(&Request::get("/photos?size=original")),
            )
            .await;
        let logged = stack.envoy.access_logged().await;
        assert_eq!(
            (&logged["path"], &logged["status"]),
            (&"/photos".into(), &200.into()),
            "{envoy}: {logged}"
        );
        assert_eq!(
            (&logged["decision"], &logged["user"]),
            (&"allow".into(), &"alice".into()),
            "{envoy}: {logged}"
        );
        assert!(!logged.to_string().contains("oauth_"), "{envoy}: {logged}");
        let id = logged["decision_id"].as_str().unwrap();
        assert!(
            !stack.countersign.log().contains(id),
            "an allowed check is logged at DEBUG, which is off"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_has_one_id_in_the_answer_and_in_both_logs() {
    let stack = start(NEWEST).await;
    let denied = stack
        .denies(
            &Request::get("/photos?size=original"),
            401,
            "parameter_absent",
        )
        .await
        .json();
    let logged = stack.envoy.access_logged().await;
    assert_eq!(
        (&logged["decision"], &logged["problem"]),
        (&"deny".into(), &"unsigned".into()),
        "{logged}"
    );
    assert_eq!(logged["decision_id"], denied["decision_id"]);
    let id = denied["decision_id"].as_str().unwrap();
    let event = eventually("the decision in Countersign's log", START, async || {
        stack
            .countersign
            .log()
            .lines()
            .find(|line| line.contains(id))
            .map(str::to_owned)
    });
    let event = event.await;
    assert!(
        event.contains(r#""level":"INFO""#) && event.contains(r#""reason":"unsigned""#),
        "{event}"
    );
    assert!(!event.contains("size"), "{event}");
}

async fn start(envoy: &'static str) -> Stack {
    let (shape, store) = (Shape::Deploy, StoreKind::Embedded);
    Stack::start(Parts {
        envoy,
        shape,
        store,
        deadlines: Deadlines::Patient,
    })
    .await
}
