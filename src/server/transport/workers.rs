//! The threads that answer checks, each with a runtime of its own.
//!
//! A connection stays on the thread that it was given to, and so do its checks, their nonce claims and the answers: no
//! task moves between processors, nothing wakes another thread, and the claims of a thread share their round trips. A
//! connection goes to the thread that has the fewest, which the kernel's `SO_REUSEPORT` would leave to chance: Envoy opens
//! a few connections and keeps them. Everything else that the service does runs beside these threads.

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

/// The threads; they end when this is dropped, and with them what still runs there.
#[derive(Debug)]
pub(crate) struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    #[expect(dead_code, reason = "dropping it ends the thread")]
    end: oneshot::Sender<()>,
}

/// Where the connections of a listener are served, and by what.
pub(crate) struct Seats<S>(Vec<Seat<S>>);

/// One place, and how many connections have it: one fewer than there are copies of `taken`.
#[derive(Clone)]
pub(crate) struct Seat<S> {
    pub(crate) runtime: Handle,
    pub(crate) service: S,
    taken: Arc<()>,
}

// === impl Workers ===

impl Workers {
    /// Starts `count` threads, and tells when one of them ends before it is to: by then nobody answers on its connections.
    ///
    /// # Errors
    /// When the system has none to give.
    pub(crate) fn start(count: usize) -> io::Result<(Self, mpsc::Receiver<()>)> {
        let (ends, ended) = mpsc::channel(1);
        let workers = (0..count)
            .map(|_| Worker::start(TellsEnd(ends.clone())))
            .collect::<io::Result<_>>()?;
        Ok((Self(workers), ended))
    }

    /// A place on each of them, for what `make` makes there: what it spawns runs on that thread.
    pub(crate) fn seats<S>(&self, mut make: impl FnMut() -> S) -> Seats<S> {
        let seat = |worker: &Worker| {
            let _inside = worker.runtime.enter();
            Seat::new(worker.runtime.clone(), make())
        };
        Seats(self.0.iter().map(seat).collect())
    }
}

impl Worker {
    fn start(tells_end: TellsEnd) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let run = move || {
            let _tells_end = tells_end;
            let _ended = runtime.block_on(ended);
            // What still runs was given up on.
            runtime.shutdown_background();
        };
        thread::Builder::new().name("check".to_owned()).spawn(run)?;
        Ok(Self {
            runtime: handle,
            end,
        })
    }
}

/// Tells, when it is dropped, that a thread ends, whatever ends it.
struct TellsEnd(mpsc::Sender<()>);

impl Drop for TellsEnd {
    fn drop(&mut self) {
        // Whoever told before told enough.
        let _ = self.0.try_send(());
    }
}

// === impl Seats ===

impl<S> Seats<S> {
    /// One place: the runtime that asks.
    pub(crate) fn here(service: S) -> Self {
        Self(vec![Seat::new(Handle::current(), service)])
    }
}

impl<S: Clone> Seats<S> {
    /// The place with the fewest connections, taken until what is returned is dropped.
    pub(crate) fn take(&self) -> Seat<S> {
        let fewest = self
            .0
            .iter()
            .min_by_key(|seat| Arc::strong_count(&seat.taken));
        #[expect(clippy::expect_used, reason = "each constructor makes one at least")]
        fewest.expect("there is a place").clone()
    }
}

impl<S> Seat<S> {
    fn new(runtime: Handle, service: S) -> Self {
        Self {
            runtime,
            service,
            taken: Arc::new(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_goes_where_the_fewest_are() {
        let (workers, _) = Workers::start(2).unwrap();
        let mut name = 0..;
        let seats = workers.seats(|| name.next());
        let first = seats.take();
        let second = seats.take();
        assert_ne!(first.service, second.service);
        let gone = first.service;
        drop(first);
        assert_eq!(seats.take().service, gone);
    }

    #[tokio::test]
    async fn a_worker_runs_what_it_is_given_on_its_own_thread_until_the_workers_end() {
        let (workers, mut ended) = Workers::start(1).unwrap();
        let seat = workers.seats(|| ()).take();
        let ran = seat
            .runtime
            .spawn(async { thread::current().id() })
            .await
            .unwrap();
        assert_ne!(ran, thread::current().id());
        let never = seat.runtime.spawn(std::future::pending::<()>());
        assert!(ended.try_recv().is_err());
        drop(workers);
        assert!(never.await.unwrap_err().is_cancelled());
        assert_eq!(ended.recv().await, Some(()), "the end of a thread is told");
    }
}
