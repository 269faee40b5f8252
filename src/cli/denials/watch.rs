//! The watch of one replica, which is begun again if it ends. The denials since the last printed one
//! are listed then, so that none is lost.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Write as _;
use std::time::Duration;

use countersign::clock::{Clock as _, SystemClock};
use countersign::v1;
use countersign::v1::diagnostics_service_client::DiagnosticsServiceClient;
use prost_types::Timestamp;
use tonic::{Status, Streaming};

use super::progress::Progress;
use super::{Args, COLUMNS, list, located_row, row};
use crate::cli::client::{BearerHeader, Target, is_connection_ending, refused};
use crate::cli::exit::{CallError, CallErrorKind};
use crate::cli::output::{self, Format};
use crate::cli::paging::Paging;
use crate::cli::replicas::Located;

/// The watches of all replicas, and their output.
pub(super) struct Watcher<'a> {
    args: &'a Args,
    header: BearerHeader,
    /// Every line names its replica.
    names_replicas: bool,
    /// The time of this command's start.
    start: Timestamp,
    /// The names of the replicas at the last lookup.
    listed: RefCell<HashSet<String>>,
}

/// A replica and its watch.
pub(super) struct Replica {
    target: Target,
    /// The watch; `None` if it has to begin.
    watch: Option<Watch>,
    /// A note said that the replica does not answer.
    is_lost: bool,
    progress: Progress,
}

/// A watch, and the denials before it.
pub(super) struct Watch {
    before: Vec<v1::Denial>,
    new: Streaming<v1::WatchDenialsResponse>,
}

// === impl Watcher ===

impl<'a> Watcher<'a> {
    pub(super) fn new(args: &'a Args, header: BearerHeader) -> Self {
        let now = SystemClock.now().as_secs();
        Self {
            args,
            header,
            names_replicas: args.admin.names_replicas(),
            start: Timestamp {
                seconds: i64::try_from(now).unwrap_or(i64::MAX),
                nanos: 0,
            },
            listed: RefCell::default(),
        }
    }

    pub(super) const fn header(&self) -> &BearerHeader {
        &self.header
    }

    /// Remembers the replicas of a lookup: a replica that it lacks is not called again.
    pub(super) fn list(&self, targets: &[Target]) {
        let names = targets.iter().map(|target| target.name.clone());
        *self.listed.borrow_mut() = names.collect();
    }

    /// Begins the first watch of a replica.
    pub(super) async fn begin(&self, target: Target) -> (Target, anyhow::Result<Watch>) {
        let watch = self.watch(&target, self.args.since).await;
        (target, watch)
    }

    /// Prints the denials of a replica. Returns the error that ends it, with the replica's name.
    pub(super) async fn follow(&self, mut replica: Replica) -> (String, anyhow::Error) {
        loop {
            let watch = match replica.watch.take() {
                Some(watch) => watch,
                None => match self.watch_again(&mut replica).await {
                    Ok(watch) => watch,
                    Err(error) => return (replica.target.name, error),
                },
            };
            let ended = match self.print_all(&mut replica, watch).await {
                Ok(ended) => ended,
                Err(error) => return (replica.target.name, error),
            };
            replica.note_end(&ended);
            // A server that ends every watch at once is not called without a pause.
            tokio::time::sleep(FIRST_DELAY).await;
        }
    }

    async fn watch(&self, target: &Target, since: Option<Timestamp>) -> anyhow::Result<Watch> {
        let filter = self.args.filter.clone();
        let mut client = DiagnosticsServiceClient::new(target.connect().await?);
        let request = v1::WatchDenialsRequest {
            consumer_key: filter.consumer_key,
            reason: filter.reason,
            cause: filter.cause,
        };
        let new = client.watch_denials(request).await;
        let new = new.map_err(refused)?.into_inner();
        let before = match since {
            Some(since) => {
                let page = async |size, token| {
                    list::page(&self.args.filter, [Some(since), None], &client, size, token).await
                };
                Paging::all().fetch(page).await?
            }
            None => Vec::new(),
        };
        Ok(Watch { before, new })
    }

    /// Begins a watch after another one. While the replica does not answer, it is called again and
    /// again; if it refuses the token, with the one that is there now.
    async fn watch_again(&self, replica: &mut Replica) -> anyhow::Result<Watch> {
        let since = replica.progress.latest().or(self.args.since);
        let mut delay = FIRST_DELAY;
        loop {
            let watch = self.watch(&replica.target, since.or(Some(self.start)));
            let error = match watch.await {
                Ok(watch) => {
                    replica.note_answer();
                    return Ok(watch);
                }
                Err(error) => error,
            };
            if is_kind(&error, CallErrorKind::Denied)
                && replica.target.renew_token(&self.args.admin)
            {
                continue;
            }
            if !is_kind(&error, CallErrorKind::Unavailable)
                || !self.listed.borrow().contains(&replica.target.name)
            {
                return Err(error);
            }
            replica.note_loss(&error);
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(LONGEST_DELAY);
        }
    }

    /// Prints denials until the watch ends; returns its status.
    async fn print_all(&self, replica: &mut Replica, mut watch: Watch) -> anyhow::Result<Status> {
        // A list begins with the newest denial.
        for denial in watch.before.drain(..).rev() {
            self.print(replica, denial)?;
        }
        loop {
            let v1::WatchDenialsResponse { denial, missed } = match watch.new.message().await {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(Status::unavailable("the server ended the watch")),
                Err(ended) => return Ok(ended),
            };
            if missed > 0 {
                output::note(&format!(
                    "missed {missed} denials, which arrived faster than this command could read \
                     them"
                ));
            }
            if let Some(denial) = denial {
                self.print(replica, denial)?;
            }
        }
    }

    /// Prints a denial, unless it is printed already.
    fn print(&self, replica: &mut Replica, denial: v1::Denial) -> anyhow::Result<()> {
        if !replica.progress.advance(&denial) {
            return Ok(());
        }
        output::line(&self.line(&replica.target.name, denial)?)?;
        Ok(output::stdout().flush()?)
    }

    /// Prints the head of the table.
    pub(super) fn print_head(&self) -> anyhow::Result<()> {
        if self.args.admin.output == Format::Json {
            return Ok(());
        }
        let first = usize::from(!self.names_replicas);
        output::line(&output::padded(&COLUMNS[first..], &WIDTHS[first..]))
    }

    fn line(&self, replica: &str, denial: v1::Denial) -> anyhow::Result<String> {
        Ok(match (self.args.admin.output, self.names_replicas) {
            (Format::Table, false) => output::padded(&row(&denial), &WIDTHS[1..]),
            (Format::Table, true) => output::padded(&located_row(replica, &denial), &WIDTHS),
            (Format::Json, false) => serde_json::to_string(&denial)?,
            (Format::Json, true) => serde_json::to_string(&Located {
                replica: replica.to_owned(),
                item: denial,
            })?,
        })
    }
}

// === impl Replica ===

impl Replica {
    /// Returns a replica whose watch has to begin.
    pub(super) fn found(target: Target) -> Self {
        Self {
            target,
            watch: None,
            is_lost: true,
            progress: Progress::default(),
        }
    }

    /// Returns a replica whose watch has begun.
    pub(super) fn watched(target: Target, watch: Watch) -> Self {
        Self {
            watch: Some(watch),
            is_lost: false,
            ..Self::found(target)
        }
    }

    fn note_end(&mut self, ended: &Status) {
        if is_connection_ending(ended) {
            output::note(WATCHES_AGAIN);
        } else {
            self.note_loss(&refused(ended.clone()));
        }
    }

    fn note_loss(&mut self, error: &anyhow::Error) {
        if !self.is_lost {
            let name = &self.target.name;
            output::note(&format!(
                "warning: lost replica {name}, and calling it again until it answers: {error:#}"
            ));
        }
        self.is_lost = true;
    }

    fn note_answer(&mut self) {
        if self.is_lost {
            output::note(&format!("watching replica {}", self.target.name));
        }
        self.is_lost = false;
    }
}

fn is_kind(error: &anyhow::Error, kind: CallErrorKind) -> bool {
    let call = error.downcast_ref::<CallError>();
    call.is_some_and(|call| call.kind == kind)
}

const WATCHES_AGAIN: &str =
    "the server ended the connection (max_connection_age); watching on a new one";

/// The time between two calls of a replica that does not answer, which doubles each time.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// The longest time between two calls.
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// The widths of the columns while following, wide enough for most denials.
const WIDTHS: [usize; 8] = [21, 24, 32, 10, 18, 18, 20, 0];
