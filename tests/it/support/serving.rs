//! The whole service in this process, on free ports.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign::clock::{Clock, SystemEntropy};
use countersign::config::{Config, ListenAddress, ListenerConfig, StoreUrl};
use countersign::server::api::AdminToken;
use countersign::server::{self, Addresses, App, Listeners, ServerError};
use countersign::store::Store;
use countersign::telemetry::Metrics;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::leaks;

/// A running service; stops when dropped.
pub(crate) struct Serving {
    pub(crate) addresses: Addresses,
    pub(crate) shutdown: oneshot::Sender<()>,
    pub(crate) ended: JoinHandle<Result<(), ServerError>>,
}

impl Serving {
    pub(crate) async fn start(app: App) -> Self {
        leaks::own_log();
        leaks::secret(ADMIN_TOKEN);
        let listeners = Listeners::bind(&app.config).await.unwrap();
        let addresses = listeners.addresses();
        let (shutdown, told) = oneshot::channel();
        let ended = tokio::spawn(server::run(listeners, app, None, async {
            drop(told.await)
        }));
        Self {
            addresses,
            shutdown,
            ended,
        }
    }

    pub(crate) fn http(&self) -> SocketAddr {
        tcp(&self.addresses.http)
    }

    pub(crate) fn ops(&self) -> SocketAddr {
        tcp(&self.addresses.ops)
    }
}

/// Returns the components of a service over a store.
pub(crate) fn app(config: Config, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> App {
    App {
        config: Arc::new(config),
        store,
        clock,
        entropy: Arc::new(SystemEntropy),
        metrics: Arc::new(Metrics::default()),
        admin_token: AdminToken::new(ADMIN_TOKEN).unwrap(),
        issuer_token: None,
        directory: None,
        logo: None,
    }
}

/// Returns the default configuration for a service in this process.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    fit(&mut config);
    config
}

/// Adapts a configuration to a service in this process: every listener on a free port, nothing on
/// disk, and no delay at shutdown.
pub(crate) fn fit(config: &mut Config) {
    config.store.url = StoreUrl::Memory;
    let Config {
        check,
        api,
        http,
        ops,
        ..
    } = config;
    for listener in [
        &mut check.listener,
        &mut api.listener,
        &mut http.listener,
        &mut ops.listener,
    ] {
        let address = ListenAddress::Tcp(([127, 0, 0, 1], 0).into());
        *listener = ListenerConfig {
            address,
            tls: None,
            insecure_plaintext: false,
            age: None,
        };
    }
    config.shutdown.delay = Duration::ZERO;
}

/// Sets password parameters that are fast in a debug build.
pub(crate) fn quick_passwords(config: &mut Config) {
    (config.password.memory_kib, config.password.iterations) = (64, 1);
    config.password.max_delay = Duration::ZERO;
}

/// Returns the address of a TCP listener.
pub(crate) fn tcp(address: &ListenAddress) -> SocketAddr {
    let ListenAddress::Tcp(address) = address else {
        panic!("{address} is not TCP")
    };
    *address
}

/// The admin token.
pub(crate) const ADMIN_TOKEN: &str = "the-admin-token-of-these-tests";
