//! The components that all services share.

use std::sync::Arc;

use super::api::{AdminToken, IssuerToken};
use super::http::ServiceLogo;
use crate::clock::{Clock, Entropy};
use crate::config::Config;
use crate::issue::Directory;
use crate::store::Store;
use crate::telemetry::Metrics;

/// The components of the service.
#[derive(Clone, Debug)]
pub struct App {
    /// The configuration.
    pub config: Arc<Config>,
    /// The store of consumers, tokens and nonces.
    pub store: Arc<dyn Store>,
    /// The source of time.
    pub clock: Arc<dyn Clock>,
    /// The source of random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The token that authorizes administrators.
    pub admin_token: AdminToken,
    /// The operator's user directory; `None` stands for the users of the store.
    pub directory: Option<Arc<dyn Directory>>,
    /// The logo on the authorize page, if there is one.
    pub logo: Option<Arc<ServiceLogo>>,
    /// The token that authorizes issuers, if there is one.
    pub issuer_token: Option<IssuerToken>,
}
