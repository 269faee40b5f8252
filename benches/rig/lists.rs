//! Administration of many records: every page of the lists, and the deletion of a consumer with
//! many tokens.

use std::time::{Duration, Instant};

use countersign::v1::consumer_service_client::ConsumerServiceClient;
use countersign::v1::list_tokens_request::Holder;
use countersign::v1::token_service_client::TokenServiceClient;
use countersign::v1::{DeleteConsumerRequest, ListConsumersRequest, ListTokensRequest};
use serde::Serialize;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use crate::calls::Account;
use crate::process::{Countersign, Redis};
use crate::report::{median, millis};
use crate::seed::Records;

/// The times of the pages of a list.
#[derive(Debug, Serialize)]
pub(crate) struct ListTimes {
    name: &'static str,
    entries: usize,
    pages: usize,
    /// The median of the first hundred pages.
    first_ms: f64,
    /// The median of a hundred pages in the middle.
    middle_ms: f64,
    /// The median of the last hundred pages.
    last_ms: f64,
    slowest_ms: f64,
}

/// The deletion of a consumer with many tokens.
#[derive(Debug, Serialize)]
pub(crate) struct DeletionTimes {
    tokens: usize,
    /// The time of the call.
    took_ms: f64,
    /// The time until its tokens were deleted; `None` if it took more than a minute.
    removed_in_s: Option<f64>,
}

/// Lists all records, then deletes the consumer with the most tokens.
pub(crate) async fn administer(
    server: &Countersign,
    redis: &Redis,
    records: &Records,
) -> (Vec<ListTimes>, DeletionTimes) {
    let admin = AdminClient::connect(server).await;
    let consumers = admin.list_consumers().await;
    assert_eq!(
        consumers.entries, records.consumers,
        "the list of consumers is incomplete"
    );
    let tokens = admin.list_tokens().await;
    let deletion = admin.delete_consumer(redis, tokens.entries).await;
    (vec![consumers, tokens], deletion)
}

/// The gRPC API with the token of administrators.
struct AdminClient {
    channel: Channel,
    bearer: String,
    /// The consumer with the most tokens.
    consumer_key: String,
}

impl AdminClient {
    async fn connect(server: &Countersign) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", server.api)).unwrap();
        Self {
            channel: endpoint.connect().await.unwrap(),
            bearer: format!("Bearer {}", server.admin_token()),
            consumer_key: Account::numbered(0, 0).key,
        }
    }

    async fn list_consumers(&self) -> ListTimes {
        let client = ConsumerServiceClient::new(self.channel.clone());
        walk("consumers", async |page_token| {
            let request = self.authorized(ListConsumersRequest {
                page_size: PAGE,
                page_token,
            });
            let response = client.clone().list_consumers(request).await;
            let page = response.unwrap().into_inner();
            (page.consumers.len(), page.next_page_token)
        })
        .await
    }

    async fn list_tokens(&self) -> ListTimes {
        let client = TokenServiceClient::new(self.channel.clone());
        walk("tokens of one consumer", async |page_token| {
            let request = self.authorized(ListTokensRequest {
                holder: Some(Holder::ConsumerKey(self.consumer_key.clone())),
                page_size: PAGE,
                page_token,
            });
            let response = client.clone().list_tokens(request).await;
            let page = response.unwrap().into_inner();
            (page.tokens.len(), page.next_page_token)
        })
        .await
    }

    async fn delete_consumer(&self, redis: &Redis, tokens: usize) -> DeletionTimes {
        let start = Instant::now();
        let request = self.authorized(DeleteConsumerRequest {
            consumer_key: self.consumer_key.clone(),
            etag: String::new(),
        });
        let mut client = ConsumerServiceClient::new(self.channel.clone());
        client.delete_consumer(request).await.unwrap();
        let took_ms = millis(start.elapsed());
        while !redis.is_absent(ASIDE) && start.elapsed() < Duration::from_mins(1) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let removed_in_s = start.elapsed().as_secs_f64();
        DeletionTimes {
            tokens,
            took_ms,
            removed_in_s: redis.is_absent(ASIDE).then_some(removed_in_s),
        }
    }

    fn authorized<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.bearer.parse().unwrap());
        request
    }
}

/// Reads a list page by page, with a call that returns the length of a page and the next page
/// token.
async fn walk(name: &'static str, page: impl AsyncFn(String) -> (usize, String)) -> ListTimes {
    let (mut entries, mut times, mut token) = (0, Vec::new(), String::new());
    loop {
        let start = Instant::now();
        let (found, next) = page(token).await;
        times.push(millis(start.elapsed()));
        entries += found;
        token = next;
        if token.is_empty() {
            break;
        }
    }
    let some = SOME.min(times.len());
    let from = |start: usize| median(times[start..start + some].iter().copied());
    ListTimes {
        name,
        entries,
        pages: times.len(),
        first_ms: from(0),
        middle_ms: from((times.len() - some) / 2),
        last_ms: from(times.len() - some),
        slowest_ms: times.iter().copied().fold(0.0, f64::max),
    }
}

/// The largest page size.
const PAGE: i32 = 100;

/// The number of pages of each median.
const SOME: usize = 100;

/// The index of tokens that are still to be deleted.
const ASIDE: &str = "countersign:aside";
