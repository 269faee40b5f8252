//! The accept loop.
//!
//! It is our own, and not tonic's, for what tonic 0.14 leaves open: a connection that says nothing stays for ever; a grace
//! for old connections takes away their GOAWAY; certificates can not be replaced while it runs; and connections are not
//! limited. What a single connection may do is left to [`super::connection`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use super::connection::{self, Answer, Fault, Terms};
use super::drain::{Leave, drain};
use super::listener::Listener;
use super::tls::Tls;
use crate::telemetry::Metrics;

/// Accepts connections and has `service` answer them, until it is told to leave; returns how many connections had to be
/// cut off then.
pub(super) async fn accept<S: Answer>(
    listener: Listener,
    service: S,
    metrics: Arc<Metrics>,
    mut leave: Leave,
) -> usize {
    let mut open = JoinSet::new();
    let mut failing = false;
    let deadline = loop {
        tokio::select! {
            deadline = leave.told() => break deadline,
            Some(ended) = open.join_next() => report_panic(listener.name, ended),
            accepted = listener.accept() => match accepted {
                Ok(_) if open.len() >= CONNECTION_LIMIT => metrics.connection_dropped(listener.name, "full"),
                Ok(stream) => {
                    failing = false;
                    let terms = Terms { protocol: listener.protocol, tls: listener.tls.as_ref().map(Tls::acceptor) };
                    let serving = connection::serve(stream, terms, service.clone(), leave.clone());
                    open.spawn(watched(listener.name, serving, Arc::clone(&metrics)));
                }
                Err(error) => failing = pause(&listener, &error, failing).await,
            },
        }
    };
    // Nobody new comes in while those who are here finish.
    drop(listener);
    drain(open, deadline).await
}

/// Counts a connection, and says why it ended if it did not end well.
async fn watched(listener: &'static str, serving: impl Future<Output = Result<(), Fault>>, metrics: Arc<Metrics>) {
    let _open = metrics.connection(listener);
    if let Err(fault) = serving.await {
        if let Some(reason) = fault.label() {
            metrics.connection_dropped(listener, reason);
        }
        tracing::debug!(listener, error = &fault as &dyn std::error::Error, "connection ended");
    }
}

/// Waits after an error that comes again at once, such as no file descriptors left; returns whether it is one.
async fn pause(listener: &Listener, error: &io::Error, failing: bool) -> bool {
    let of_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if of_one_connection {
        return failing;
    }
    if !failing {
        tracing::warn!(listener = listener.name, %error, "no connection can be accepted; trying on");
    }
    sleep(PAUSE).await;
    true
}

fn report_panic(listener: &'static str, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(listener, %error, "a connection's task failed");
    }
}

/// The most connections of one listener. Envoy opens one for each of its worker threads; probes and scrapers one each.
const CONNECTION_LIMIT: usize = 1024;

/// Long enough for something to be closed, short enough not to be noticed.
const PAUSE: Duration = Duration::from_millis(100);
