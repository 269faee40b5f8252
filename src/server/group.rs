//! Groups of listeners that drain together.

use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::transport::{
    self, BoundListener, ConnectionService, DrainSignal, ListenerParts, ServiceSlots,
};

/// Listeners that drain together.
pub(super) struct ListenerGroup {
    shared: ListenerParts,
    drain: DrainSignal,
    /// The accept loops. Each returns the number of connections that were cut off.
    tasks: JoinSet<usize>,
}

impl ListenerGroup {
    /// Returns a group without listeners.
    pub(super) fn new(shared: ListenerParts) -> Self {
        Self {
            shared,
            drain: DrainSignal::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Starts to serve a listener.
    pub(super) fn serve<S: ConnectionService>(
        &mut self,
        listener: BoundListener,
        slots: ServiceSlots<S>,
    ) {
        let (shared, drain) = (self.shared.clone(), self.drain.watch());
        self.tasks
            .spawn(transport::accept(listener, slots, shared, drain));
    }

    /// Waits until a listener ends by itself; returns its error, if it panicked.
    pub(super) async fn failure(&mut self) -> Option<JoinError> {
        self.tasks.join_next().await.and_then(Result::err)
    }

    /// Drains every connection for up to `timeout`; returns how many were cut off.
    pub(super) async fn drain(self, timeout: Duration) -> usize {
        self.drain.start(Instant::now() + timeout);
        self.tasks.join_all().await.into_iter().sum()
    }
}
