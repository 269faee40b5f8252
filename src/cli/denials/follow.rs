//! `countersign denials --follow`: new denials as they come.

use std::cell::Cell;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::anyhow;
use countersign::v1;
use countersign::v1::diagnostics_service_client::DiagnosticsServiceClient;
use futures_util::future::join_all;
use tonic::{Status, Streaming};

use super::{COLUMNS, Filter, located_row, row};
use crate::cli::client::{AdminArgs, AdminChannel, Target, is_connection_ending, refused};
use crate::cli::output::{self, Format};
use crate::cli::replicas::{self, Located};

/// Prints new denials of one replica, or of all, until they end.
pub(super) async fn run(admin: &AdminArgs, filter: &Filter) -> anyhow::Result<ExitCode> {
    let filter = filter.clone();
    let follow = Follow {
        admin,
        request: v1::WatchDenialsRequest {
            consumer_key: filter.consumer_key,
            reason: filter.reason,
            cause: filter.cause,
        },
        names_replicas: admin.names_replicas(),
        is_begun: Cell::new(false),
    };
    let watch = async |channel| follow.watch(channel).await;
    let watches = replicas::ask(admin, watch).await?;
    let watches = watches.given.into_iter();
    let mut ended =
        join_all(watches.map(|(target, denials)| follow.print_all(target, denials))).await;
    let first = ended.swap_remove(0);
    Err(first.unwrap_or_else(|| anyhow!("every watch ended")))
}

/// The watches of all replicas, and their output.
struct Follow<'a> {
    admin: &'a AdminArgs,
    request: v1::WatchDenialsRequest,
    /// Every line names its replica.
    names_replicas: bool,
    /// The head of the table is printed.
    is_begun: Cell<bool>,
}

impl Follow<'_> {
    async fn watch(
        &self,
        channel: AdminChannel,
    ) -> anyhow::Result<Streaming<v1::WatchDenialsResponse>> {
        let mut client = DiagnosticsServiceClient::new(channel);
        let watch = client.watch_denials(self.request.clone()).await;
        Ok(watch.map_err(refused)?.into_inner())
    }

    /// Prints the denials of one replica. The server ends each connection at its age; the next
    /// watch continues on another. Returns the error that ends it.
    async fn print_all(
        &self,
        target: Target,
        mut denials: Streaming<v1::WatchDenialsResponse>,
    ) -> Option<anyhow::Error> {
        let error = loop {
            let ended = match self.print_new(&target, &mut denials).await {
                Ok(ended) => ended,
                Err(error) => break error,
            };
            if !is_connection_ending(&ended) {
                break refused(ended);
            }
            denials = match self.watch_again(&target).await {
                Ok(denials) => denials,
                Err(error) => break error,
            };
        };
        if self.names_replicas {
            let name = &target.name;
            output::note(&format!("warning: no longer watching {name}: {error:#}"));
        }
        Some(error)
    }

    async fn watch_again(
        &self,
        target: &Target,
    ) -> anyhow::Result<Streaming<v1::WatchDenialsResponse>> {
        let denials = self.watch(self.admin.connect_to(target).await?).await?;
        output::note(WATCHES_AGAIN);
        Ok(denials)
    }

    /// Prints denials until the server ends the watch; returns its status.
    async fn print_new(
        &self,
        target: &Target,
        denials: &mut Streaming<v1::WatchDenialsResponse>,
    ) -> anyhow::Result<Status> {
        self.begin()?;
        loop {
            let v1::WatchDenialsResponse { denial, missed } = match denials.message().await {
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
            let Some(denial) = denial else { continue };
            output::line(&self.line(&target.name, denial)?)?;
            output::stdout().flush()?;
        }
    }

    /// Prints the head of the table, once.
    fn begin(&self) -> anyhow::Result<()> {
        if self.admin.output == Format::Json || self.is_begun.replace(true) {
            return Ok(());
        }
        let first = usize::from(!self.names_replicas);
        output::line(&output::padded(&COLUMNS[first..], &WIDTHS[first..]))
    }

    fn line(&self, replica: &str, denial: v1::Denial) -> anyhow::Result<String> {
        Ok(match (self.admin.output, self.names_replicas) {
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

const WATCHES_AGAIN: &str = "the server ended the connection (max_connection_age); watching on a new one; `countersign \
                             denials` lists denials that were missed in between";

/// The widths of the columns while following, wide enough for most denials.
const WIDTHS: [usize; 8] = [21, 24, 32, 10, 18, 18, 20, 0];
