//! Continuous load: callers that send one signed request after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;

use crate::support::caller::Caller;
use crate::support::http::Request;
use crate::support::program::Countersign;

/// Requests that are being sent.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    senders: Vec<JoinHandle<Sent>>,
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
        let stop = Arc::<AtomicBool>::default();
        let senders = callers
            .iter()
            .map(|caller| tokio::spawn(send_until(Arc::clone(&stop), envoy, caller.clone())))
            .collect();
        Self { stop, senders }
    }

    /// Stops, and returns what became of the requests. Each caller has sent some.
    pub(crate) async fn stop(self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        let mut total = Sent::default();
        for sender in self.senders {
            let sent = sender.await.unwrap();
            assert!(sent.allowed > 0, "{sent:?}");
            total.allowed += sent.allowed;
            total.refused += sent.refused;
            total.last_refusal += &sent.last_refusal;
        }
        total
    }
}

/// Sends one request after the other.
async fn send_until(stop: Arc<AtomicBool>, envoy: SocketAddr, caller: Caller) -> Sent {
    let mut sent = Sent::default();
    while !stop.load(Ordering::Relaxed) {
        let response = caller.sign(&Request::get("/photos")).send(envoy).await;
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
