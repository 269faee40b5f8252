//! Continuous load: callers that send one signed request after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinHandle;

use crate::support::caller::Caller;
use crate::support::http::Request;
use crate::support::process::{START, eventually};
use crate::support::program::Countersign;

/// Requests that are being sent.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    senders: Vec<Sender>,
}

/// The requests of one caller.
struct Sender {
    /// The number of responses so far.
    responses: Arc<AtomicUsize>,
    sending: JoinHandle<Sent>,
}

/// The destination of a load.
#[derive(Clone, Copy)]
struct Destination {
    address: SocketAddr,
    path: &'static str,
}

/// The requests of a load.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) allowed: usize,
    pub(crate) refused: usize,
    pub(crate) last_refusal: String,
}

impl Load {
    /// Starts to send requests to Envoy, as each of the callers.
    pub(crate) fn start(envoy: SocketAddr, callers: &[Caller]) -> Self {
        Self::start_on("/photos", envoy, callers)
    }

    /// Starts to send requests for a path.
    pub(crate) fn start_on(path: &'static str, envoy: SocketAddr, callers: &[Caller]) -> Self {
        let to = Destination {
            address: envoy,
            path,
        };
        let stop = Arc::<AtomicBool>::default();
        let senders = callers
            .iter()
            .map(|caller| Sender::start(Arc::clone(&stop), to, caller.clone()))
            .collect();
        Self { stop, senders }
    }

    /// Returns when each caller has had so many more responses. With two, no request from before
    /// the call is in flight.
    pub(crate) async fn has_responses(&self, more: usize) {
        let count = |sender: &Sender| sender.responses.load(Ordering::Relaxed);
        let before: Vec<_> = self.senders.iter().map(count).collect();
        eventually("every caller has more responses", START, async || {
            let mut senders = self.senders.iter().zip(&before);
            senders
                .all(|(sender, before)| count(sender) >= before + more)
                .then_some(())
        })
        .await;
    }

    /// Stops, and returns what became of the requests. Each caller has sent some.
    pub(crate) async fn stop(self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        let mut total = Sent::default();
        for sender in self.senders {
            let sent = sender.sending.await.unwrap();
            assert!(sent.allowed > 0, "{sent:?}");
            total.allowed += sent.allowed;
            total.refused += sent.refused;
            total.last_refusal += &sent.last_refusal;
        }
        total
    }
}

impl Sender {
    fn start(stop: Arc<AtomicBool>, to: Destination, caller: Caller) -> Self {
        let responses = Arc::<AtomicUsize>::default();
        let sending = tokio::spawn(send_until(stop, to, caller, Arc::clone(&responses)));
        Self { responses, sending }
    }
}

/// Sends one request after the other.
async fn send_until(
    stop: Arc<AtomicBool>,
    to: Destination,
    caller: Caller,
    responses: Arc<AtomicUsize>,
) -> Sent {
    let mut sent = Sent::default();
    while !stop.load(Ordering::Relaxed) {
        let response = caller.sign(&Request::get(to.path)).send(to.address).await;
        responses.fetch_add(1, Ordering::Relaxed);
        if response.status == 200 {
            sent.allowed += 1;
        } else {
            sent.refused += 1;
            sent.last_refusal = format!("{response:?}");
        }
    }
    sent
}

/// Returns a caller and others with consumers of their own.
pub(crate) async fn callers(first: &Caller, countersign: &Countersign) -> Vec<Caller> {
    let mut callers = vec![first.clone(), first.without_token()];
    for name in ["--name=Scanner", "--name=Plotter"] {
        let created = countersign.admin(&["consumer", "create", name]).await;
        let text = |field: &str| created[field].as_str().unwrap().to_owned();
        callers.push(Caller {
            consumer_key: text("consumer_key"),
            consumer_secret: text("consumer_secret"),
            token: None,
        });
    }
    callers
}
