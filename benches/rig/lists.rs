//! What administrators ask of many records: every page of a list, and the deletion of a consumer with many tokens.

use std::time::{Duration, Instant};

use countersign::v1::consumer_service_client::ConsumerServiceClient;
use countersign::v1::list_tokens_request::Holder;
use countersign::v1::token_service_client::TokenServiceClient;
use countersign::v1::{DeleteConsumerRequest, ListConsumersRequest, ListTokensRequest};
use serde::Serialize;
use tonic::Request;
use tonic::transport::Endpoint;

use crate::calls::Account;
use crate::process::{Countersign, Redis};
use crate::report::{median, millis};
use crate::seed::Records;

/// A list, page by page.
#[derive(Debug, Serialize)]
pub(crate) struct List {
    name: &'static str,
    entries: usize,
    pages: usize,
    /// The median of the first hundred pages.
    first_ms: f64,
    /// Of a hundred in the middle.
    middle_ms: f64,
    /// Of the last hundred.
    last_ms: f64,
    slowest_ms: f64,
}

/// The end of a consumer that has many tokens.
#[derive(Debug, Serialize)]
pub(crate) struct Deletion {
    tokens: usize,
    /// How long the call took.
    took_ms: f64,
    /// After which time its tokens were removed, if it was within a minute.
    removed_in_s: Option<f64>,
}

/// Lists everything, then deletes the consumer that has most tokens.
pub(crate) async fn administer(
    server: &Countersign,
    redis: &Redis,
    records: &Records,
) -> (Vec<List>, Deletion) {
    let channel = Endpoint::from_shared(format!("http://{}", server.api))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let bearer = format!("Bearer {}", server.admin_token());
    let (consumers, tokens) = (
        ConsumerServiceClient::new(channel.clone()),
        TokenServiceClient::new(channel),
    );
    let all = walk("consumers", async |page_token| {
        let asked = shown(
            &bearer,
            ListConsumersRequest {
                page_size: PAGE,
                page_token,
            },
        );
        let page = consumers
            .clone()
            .list_consumers(asked)
            .await
            .unwrap()
            .into_inner();
        (page.consumers.len(), page.next_page_token)
    });
    let consumer_key = Account::numbered(0, 0).key;
    let of_one = walk("tokens of one consumer", async |page_token| {
        let holder = Some(Holder::ConsumerKey(consumer_key.clone()));
        let asked = shown(
            &bearer,
            ListTokensRequest {
                holder,
                page_size: PAGE,
                page_token,
            },
        );
        let page = tokens
            .clone()
            .list_tokens(asked)
            .await
            .unwrap()
            .into_inner();
        (page.tokens.len(), page.next_page_token)
    });
    let lists = vec![all.await, of_one.await];
    assert_eq!(
        lists[0].entries, records.consumers,
        "the list of consumers has not all"
    );
    let begun = Instant::now();
    let asked = shown(
        &bearer,
        DeleteConsumerRequest {
            consumer_key,
            etag: String::new(),
        },
    );
    consumers.clone().delete_consumer(asked).await.unwrap();
    let took_ms = millis(begun.elapsed());
    let tokens = lists[1].entries;
    while !redis.is_absent(ORPHANS) && begun.elapsed() < Duration::from_mins(1) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let removed_in_s = redis
        .is_absent(ORPHANS)
        .then(|| begun.elapsed().as_secs_f64());
    (
        lists,
        Deletion {
            tokens,
            took_ms,
            removed_in_s,
        },
    )
}

async fn walk(name: &'static str, page: impl AsyncFn(String) -> (usize, String)) -> List {
    let (mut entries, mut times, mut token) = (0, Vec::new(), String::new());
    loop {
        let begun = Instant::now();
        let (found, next) = page(token).await;
        times.push(millis(begun.elapsed()));
        entries += found;
        token = next;
        if token.is_empty() {
            break;
        }
    }
    let some = SOME.min(times.len());
    let from = |start: usize| median(times[start..start + some].iter().copied());
    List {
        name,
        entries,
        pages: times.len(),
        first_ms: from(0),
        middle_ms: from((times.len() - some) / 2),
        last_ms: from(times.len() - some),
        slowest_ms: times.iter().copied().fold(0.0, f64::max),
    }
}

fn shown<T>(bearer: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", bearer.parse().unwrap());
    request
}

/// The largest page.
const PAGE: i32 = 100;

/// Over how many pages a median is taken.
const SOME: usize = 100;

/// The index of what is still to be removed.
const ORPHANS: &str = "countersign:orphans";
