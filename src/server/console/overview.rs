//! What an operator sees: how the service is, the newest denials and one of them opened, and the counts of consumers.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};

use super::asked::Asked;
use super::{Console, difference, pages, words};
use crate::clock::UnixTime;
use crate::config::Mode;
use crate::diagnostics::{ConsumerReport, DenialRecord, Explanation};
use crate::server::health::{Readiness, Standing};
use crate::server::pages::Answer;
use crate::store::StoreStatus;

/// The page.
#[derive(Template)]
#[template(path = "console/overview.html")]
struct Overview<'a> {
    asked: &'a Asked,
    now: UnixTime,
    service: Service,
    opened: Option<Opened>,
    denials: Page<DenialRecord>,
    consumers: Page<ConsumerReport>,
    unreported: u64,
}

/// How the service is.
struct Service {
    standing: Standing,
    store: String,
    status: StoreStatus,
    since: UnixTime,
}

/// The denial that was asked for.
enum Opened {
    Denial(Box<DenialRecord>),
    /// It is not kept, or not any more.
    Gone,
}

/// The first of a list, and whether there are more.
struct Page<T> {
    shown: Vec<T>,
    has_more: bool,
}

impl Console {
    /// The page, as it was asked for.
    pub(super) fn overview(&self, asked: &Asked) -> Answer {
        let diagnostics = &self.sources.diagnostics;
        let found = |id: &String| {
            diagnostics
                .denial(id)
                .map_or(Opened::Gone, |denial| Opened::Denial(Box::new(denial)))
        };
        let page = Overview {
            asked,
            now: self.clock.now(),
            service: self.service(),
            opened: asked.decision.as_ref().map(found),
            denials: Page::cut(DENIALS, |limit| {
                diagnostics.denials(&asked.filter(), asked.before, limit)
            }),
            consumers: Page::cut(CONSUMERS, |limit| {
                diagnostics.reports(asked.after.as_deref(), limit)
            }),
            unreported: diagnostics.unreported(),
        };
        let answer = pages::rendered(StatusCode::OK, &page);
        let goes_on =
            asked.is_live() || asked.live && page.opened.as_ref().is_some_and(Opened::is_pending);
        if goes_on {
            answer.with(header::REFRESH, HeaderValue::from_static(REFRESH))
        } else {
            answer
        }
    }

    fn service(&self) -> Service {
        Service {
            standing: *self.sources.standing.borrow(),
            store: format!("{:?}", self.config.store.url),
            status: self.sources.store.status(),
            since: self.sources.diagnostics.since(),
        }
    }
}

impl Opened {
    /// Whether its cause is being looked for, which takes no time at all.
    fn is_pending(&self) -> bool {
        matches!(self, Self::Denial(denial) if matches!(denial.explanation, Explanation::Pending))
    }
}

impl<T> Page<T> {
    /// Asks for one more than is shown.
    fn cut(limit: usize, list: impl FnOnce(usize) -> Vec<T>) -> Self {
        let mut shown = list(limit + 1);
        let has_more = shown.len() > limit;
        shown.truncate(limit);
        Self { shown, has_more }
    }

    /// The last one, if others come after it.
    fn last(&self) -> Option<&T> {
        self.shown.last().filter(|_| self.has_more)
    }
}

impl Service {
    fn is_ready(&self) -> bool {
        self.standing.readiness == Readiness::Ready
    }

    const fn words(&self) -> &'static str {
        match self.standing.readiness {
            Readiness::Starting => "Starting",
            Readiness::Ready => "Ready",
            Readiness::StoreLost => "The store does not answer",
            Readiness::Draining => "Draining",
        }
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// How many denials are shown at a time.
const DENIALS: usize = 50;

/// How many consumers are shown at a time.
const CONSUMERS: usize = 100;

/// Seconds until the page loads itself again: time to follow a link, and to type a key.
const REFRESH: &str = "10";
