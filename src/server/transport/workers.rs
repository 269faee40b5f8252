//! The check threads, each with its own runtime.
//!
//! A connection stays on one thread, and so do its checks, their nonce claims and the responses: no
//! task moves between processors, no thread wakes another, and the claims of a thread share their
//! round trips. A new connection goes to the thread with the fewest. The kernel's `SO_REUSEPORT`
//! would choose at random, and Envoy opens only a few connections and keeps them. All other work of
//! the service runs on other threads.

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

/// The check threads. Dropping this ends them and their tasks.
#[derive(Debug)]
pub(crate) struct CheckWorkers(Vec<CheckWorker>);

#[derive(Debug)]
struct CheckWorker {
    runtime: Handle,
    #[expect(dead_code, reason = "dropping it ends the thread")]
    end: oneshot::Sender<()>,
}

/// The runtimes that serve the connections of a listener, each with its copy of the service.
pub(crate) struct ServiceSlots<S>(Vec<ServiceSlot<S>>);

/// One runtime with its service. Each connection holds a clone, so that the clones of `users` count
/// its connections.
#[derive(Clone)]
pub(crate) struct ServiceSlot<S> {
    pub(crate) runtime: Handle,
    pub(crate) service: S,
    users: Arc<()>,
}

// === impl CheckWorkers ===

impl CheckWorkers {
    /// Starts `count` threads. The receiver gets a message if one of them ends early and leaves its
    /// connections unanswered.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(crate) fn start(count: usize) -> io::Result<(Self, mpsc::Receiver<()>)> {
        let (ends, ended) = mpsc::channel(1);
        let workers = (0..count)
            .map(|_| CheckWorker::start(EndNotice(ends.clone())))
            .collect::<io::Result<_>>()?;
        Ok((Self(workers), ended))
    }

    /// Returns a slot for each thread. `make` creates the service inside of the thread's runtime,
    /// where its tasks will run.
    pub(crate) fn slots<S>(&self, mut make: impl FnMut() -> S) -> ServiceSlots<S> {
        let slot = |worker: &CheckWorker| {
            let _inside = worker.runtime.enter();
            ServiceSlot::new(worker.runtime.clone(), make())
        };
        ServiceSlots(self.0.iter().map(slot).collect())
    }
}

impl CheckWorker {
    fn start(notice: EndNotice) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let run = move || {
            let _notice = notice;
            let _ended = runtime.block_on(ended);
            // Remaining tasks are abandoned.
            runtime.shutdown_background();
        };
        thread::Builder::new().name("check".to_owned()).spawn(run)?;
        Ok(Self {
            runtime: handle,
            end,
        })
    }
}

/// Sends a message when it is dropped: at the end of its thread, even by a panic.
struct EndNotice(mpsc::Sender<()>);

impl Drop for EndNotice {
    fn drop(&mut self) {
        // A full channel has a message already.
        let _ = self.0.try_send(());
    }
}

// === impl ServiceSlots ===

impl<S> ServiceSlots<S> {
    /// Returns one slot: the current runtime.
    pub(crate) fn current(service: S) -> Self {
        Self(vec![ServiceSlot::new(Handle::current(), service)])
    }
}

impl<S: Clone> ServiceSlots<S> {
    /// Returns the slot with the fewest connections. It counts as used until the returned clone is
    /// dropped.
    pub(crate) fn least_used(&self) -> ServiceSlot<S> {
        let fewest = self
            .0
            .iter()
            .min_by_key(|slot| Arc::strong_count(&slot.users));
        #[expect(clippy::expect_used, reason = "each constructor creates at least one")]
        fewest.expect("there is a slot").clone()
    }
}

impl<S> ServiceSlot<S> {
    fn new(runtime: Handle, service: S) -> Self {
        Self {
            runtime,
            service,
            users: Arc::new(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_goes_to_the_least_used_slot() {
        let (workers, _) = CheckWorkers::start(2).unwrap();
        let mut name = 0..;
        let slots = workers.slots(|| name.next());
        let first = slots.least_used();
        let second = slots.least_used();
        assert_ne!(first.service, second.service);
        let gone = first.service;
        drop(first);
        assert_eq!(slots.least_used().service, gone);
    }

    #[tokio::test]
    async fn a_worker_runs_its_tasks_on_its_thread_until_the_workers_are_dropped() {
        let (workers, mut ended) = CheckWorkers::start(1).unwrap();
        let slot = workers.slots(|| ()).least_used();
        let ran = slot
            .runtime
            .spawn(async { thread::current().id() })
            .await
            .unwrap();
        assert_ne!(ran, thread::current().id());
        let never = slot.runtime.spawn(std::future::pending::<()>());
        assert!(ended.try_recv().is_err());
        drop(workers);
        assert!(never.await.unwrap_err().is_cancelled());
        assert_eq!(
            ended.recv().await,
            Some(()),
            "the end of a thread sends a message"
        );
    }
}
