//! The page: the last hour, the newest denials, one opened denial, the counts by consumer, and the
//! state of the service.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};

use super::denial::{self, DenialRow};
use super::hour::HourPanel;
use super::query::ConsoleQuery;
use super::site::ConsoleSite;
use super::{chart, difference, display, pages};
use crate::clock::UnixTime;
use crate::config::Mode;
use crate::diagnostics::{ConsumerReport, DenialRecord, Explanation};
use crate::server::health::{HealthState, Readiness};
use crate::server::pages::PageResponse;
use crate::store::StoreStatus;

/// The page.
#[derive(Template)]
#[template(path = "console/overview.html")]
struct OverviewPage<'a> {
    query: &'a ConsoleQuery,
    now: UnixTime,
    service: ServiceState,
    opened: Option<OpenedDenial>,
    hour: HourPanel,
    denials: ListPage<DenialRecord>,
    consumers: ListPage<ConsumerReport>,
    unreported: u64,
}

/// The state of the service.
struct ServiceState {
    health: HealthState,
    store: String,
    status: StoreStatus,
    since: UnixTime,
}

/// The opened denial.
enum OpenedDenial {
    Stored {
        denial: Box<DenialRecord>,
        rows: Vec<DenialRow>,
    },
    /// It was evicted, or belongs to another replica.
    Missing,
}

/// One page of a list.
struct ListPage<T> {
    shown: Vec<T>,
    has_more: bool,
}

impl ConsoleSite {
    /// Returns the page for a query.
    pub(super) fn overview(&self, query: &ConsoleQuery) -> PageResponse {
        let now = self.clock.now();
        let decision = query.decision.as_deref();
        let page = OverviewPage {
            query,
            now,
            service: self.service(),
            opened: decision.map(|id| self.opened(id, query, now)),
            hour: HourPanel::load(&self.sources.diagnostics),
            denials: self.denials(query),
            consumers: self.consumers(query),
            unreported: self.sources.diagnostics.unreported(),
        };
        let response = pages::rendered(StatusCode::OK, &page);
        let is_pending = page.opened.as_ref().is_some_and(OpenedDenial::is_pending);
        if query.is_live() || query.live && is_pending {
            response.with(header::REFRESH, HeaderValue::from_static(REFRESH))
        } else {
            response
        }
    }

    fn opened(&self, decision_id: &str, query: &ConsoleQuery, now: UnixTime) -> OpenedDenial {
        match self.sources.diagnostics.denial(decision_id) {
            Some(denial) => OpenedDenial::Stored {
                rows: denial::rows(&denial, query, now),
                denial: Box::new(denial),
            },
            None => OpenedDenial::Missing,
        }
    }

    fn denials(&self, query: &ConsoleQuery) -> ListPage<DenialRecord> {
        let (diagnostics, filter) = (&self.sources.diagnostics, query.filter());
        ListPage::load(DENIALS, |limit| {
            diagnostics.denials(&filter, query.before, limit)
        })
    }

    fn consumers(&self, query: &ConsoleQuery) -> ListPage<ConsumerReport> {
        ListPage::load(CONSUMERS, |limit| {
            self.sources
                .diagnostics
                .reports(query.after.as_deref(), limit)
        })
    }

    fn service(&self) -> ServiceState {
        ServiceState {
            health: self.sources.health.borrow().clone(),
            store: format!("{:?}", self.config.store.url),
            status: self.sources.store.status(),
            since: self.sources.diagnostics.since(),
        }
    }
}

impl OpenedDenial {
    /// Returns whether its explanation is pending, which takes milliseconds.
    fn is_pending(&self) -> bool {
        match self {
            Self::Stored { denial, .. } => matches!(denial.explanation, Explanation::Pending),
            Self::Missing => false,
        }
    }
}

impl<T> ListPage<T> {
    /// Loads up to `limit` items. `list` is called for one more, to find out whether there are
    /// more.
    fn load(limit: usize, list: impl FnOnce(usize) -> Vec<T>) -> Self {
        let mut shown = list(limit + 1);
        let has_more = shown.len() > limit;
        shown.truncate(limit);
        Self { shown, has_more }
    }

    /// Returns the last item, if there are more.
    fn last(&self) -> Option<&T> {
        self.shown.last().filter(|_| self.has_more)
    }
}

impl ServiceState {
    fn is_ready(&self) -> bool {
        self.health.readiness.is_ready()
    }

    /// Returns whether an operator must act.
    fn is_bad(&self) -> bool {
        !self.is_ready() || self.status.cut_off || self.status.untold > 0
    }

    const fn readiness_text(&self) -> &'static str {
        match self.health.readiness {
            Readiness::Starting => "Starting",
            Readiness::Ready => "Ready",
            Readiness::StoreLost => "Store unavailable",
            Readiness::Degraded => "Ready, without the store",
            Readiness::Draining => "Draining",
        }
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// The number of denials on a page.
const DENIALS: usize = 50;

/// The number of consumers on a page.
const CONSUMERS: usize = 100;

/// The seconds between reloads: time to follow a link or type a key.
const REFRESH: &str = "10";
