//! `countersign.v1.DiagnosticsService`.

use std::collections::VecDeque;

use futures_util::stream::{self, BoxStream};
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use super::convert::{denial_message, report_message, timestamp, unix_time};
use super::errors;
use super::fields::{Fields, typed};
use super::page::{Page, PageRequest};
use crate::diagnostics::{
    DenialFilter, DenialRecord, DenialWatch, Diagnostics, Explanation, NewDenials,
};
use crate::model::ConsumerKey;
use crate::server::watches;
use crate::v1;
use crate::v1::diagnostics_service_server::DiagnosticsService;

/// The diagnostics service: shows the denials in the memory of this process, and changes nothing.
#[derive(Clone, Debug)]
pub(super) struct DiagnosticsApi {
    diagnostics: Diagnostics,
}

#[tonic::async_trait]
impl DiagnosticsService for DiagnosticsApi {
    type WatchDenialsStream = BoxStream<'static, Result<v1::WatchDenialsResponse, Status>>;

    async fn list_denials(
        &self,
        request: Request<v1::ListDenialsRequest>,
    ) -> Result<Response<v1::ListDenialsResponse>, Status> {
        let v1::ListDenialsRequest {
            page_size,
            page_token,
            consumer_key,
            reason,
            cause,
            start_time,
            end_time,
        } = request.into_inner();
        let mut fields = Fields::default();
        let filter = filter(
            &mut fields,
            FilterFields {
                consumer_key,
                reason,
                cause,
                start_time,
                end_time,
            },
        );
        // With another filter, the page token would point anywhere.
        let list = format!("denials {filter:?}");
        let asked = PageRequest {
            size: page_size,
            token: &page_token,
        };
        let page = Page::parse(&mut fields, asked, &list, |number| number.parse::<u64>());
        let (page, filter) = fields.all(page.zip(filter))?;
        let found = self.diagnostics.denials(&filter, page.after, page.limit());
        let numbered = found
            .into_iter()
            .map(|denial| (denial.sequence.to_string(), denial))
            .collect();
        let (denials, next_page_token) = page.cut(numbered, |(number, _)| number);
        let denials = denials
            .into_iter()
            .map(|(_, denial)| denial_message(denial))
            .collect();
        Ok(Response::new(v1::ListDenialsResponse {
            denials,
            next_page_token,
        }))
    }

    async fn watch_denials(
        &self,
        request: Request<v1::WatchDenialsRequest>,
    ) -> Result<Response<Self::WatchDenialsStream>, Status> {
        let (_, extensions, request) = request.into_parts();
        let v1::WatchDenialsRequest {
            consumer_key,
            reason,
            cause,
        } = request;
        let mut fields = Fields::default();
        let filter = filter(
            &mut fields,
            FilterFields {
                consumer_key,
                reason,
                cause,
                start_time: None,
                end_time: None,
            },
        );
        let filter = fields.all(filter)?;
        Ok(Response::new(watches::until_connection_ends(
            watched(self.diagnostics.watch(filter)),
            &extensions,
            errors::ending(),
        )))
    }

    async fn get_denial(
        &self,
        request: Request<v1::GetDenialRequest>,
    ) -> Result<Response<v1::Denial>, Status> {
        let v1::GetDenialRequest { decision_id } = request.into_inner();
        let mut fields = Fields::default();
        let id = fields.take("decision_id", typed(&decision_id, LONGEST_ID));
        let id = fields.all(id)?;
        let denial = self
            .diagnostics
            .denial(id)
            .ok_or_else(|| errors::denial_not_found(id))?;
        Ok(Response::new(denial_message(denial)))
    }

    async fn list_consumer_reports(
        &self,
        request: Request<v1::ListConsumerReportsRequest>,
    ) -> Result<Response<v1::ListConsumerReportsResponse>, Status> {
        let v1::ListConsumerReportsRequest {
            page_size,
            page_token,
        } = request.get_ref();
        let mut fields = Fields::default();
        let asked = PageRequest {
            size: *page_size,
            token: page_token,
        };
        // The first report has no key.
        let key = |key: String| {
            if key.is_empty() {
                Ok(key)
            } else {
                ConsumerKey::new(&*key).map(|_| key)
            }
        };
        let page = Page::parse(&mut fields, asked, "consumer reports", key);
        let page = fields.all(page)?;
        let found = self
            .diagnostics
            .reports(page.after.as_deref(), page.limit());
        let (reports, next_page_token) = page.cut(found, |last| last.consumer_key.as_str());
        Ok(Response::new(v1::ListConsumerReportsResponse {
            reports: reports.iter().map(report_message).collect(),
            next_page_token,
            start_time: Some(timestamp(self.diagnostics.since())),
            unreported: self.diagnostics.unreported(),
        }))
    }
}

impl DiagnosticsApi {
    pub(super) const fn new(diagnostics: Diagnostics) -> Self {
        Self { diagnostics }
    }
}

/// The fields of a request that select denials, unchecked.
struct FilterFields {
    consumer_key: String,
    reason: String,
    cause: String,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
}

fn filter(fields: &mut Fields, given: FilterFields) -> Option<DenialFilter> {
    let FilterFields {
        consumer_key,
        reason,
        cause,
        start_time,
        end_time,
    } = given;
    let consumer_key = fields.optional("consumer_key", &consumer_key, ConsumerKey::new);
    let reason = fields.optional("reason", &reason, |text| {
        typed(&text, LONGEST_ID).map(str::to_owned)
    });
    let cause = fields.optional("cause", &cause, |word| {
        if Explanation::is_word(&word) {
            Ok(word)
        } else {
            Err("is not a cause: docs/debugging.md lists them; none and skipped are accepted too")
        }
    });
    let since = fields.take("start_time", start_time.map(unix_time).transpose());
    let until = fields.take("end_time", end_time.map(unix_time).transpose());
    let consumer_key = consumer_key?.map(|key| key.to_string());
    Some(DenialFilter {
        consumer_key,
        reason: reason?,
        cause: cause?,
        since: since?,
        until: until?,
    })
}

/// Returns a stream of denials; each message also counts the denials that were missed before it.
fn watched(
    watch: DenialWatch,
) -> impl futures_util::Stream<Item = Result<v1::WatchDenialsResponse, Status>> {
    let begun = (watch, VecDeque::new());
    stream::unfold(begun, |(mut watch, mut waiting)| async move {
        loop {
            if let Some(message) = waiting.pop_front() {
                return Some((Ok(message), (watch, waiting)));
            }
            waiting = messages(watch.next().await);
        }
    })
}

fn messages(NewDenials { missed, denials }: NewDenials) -> VecDeque<v1::WatchDenialsResponse> {
    let message = |denial: DenialRecord| v1::WatchDenialsResponse {
        denial: Some(denial_message(denial)),
        missed: 0,
    };
    let mut messages: VecDeque<_> = denials.into_iter().map(message).collect();
    match messages.front_mut() {
        Some(first) => first.missed = missed,
        None => messages.push_back(v1::WatchDenialsResponse {
            denial: None,
            missed,
        }),
    }
    messages
}

/// The longest decision id or word that is looked up, in bytes.
const LONGEST_ID: usize = 64;
