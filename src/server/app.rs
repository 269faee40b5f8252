//! The parts that the services are made of.

use std::sync::Arc;

use super::api::{AdminToken, IssuerToken};
use crate::clock::{Clock, Entropy};
use crate::config::Config;
use crate::issue::Directory;
use crate::store::Store;
use crate::telemetry::Metrics;

/// What the services are made of.
#[derive(Clone, Debug)]
pub struct App {
    /// What the operator set.
    pub config: Arc<Config>,
    /// Where consumers, tokens and nonces are kept.
    pub store: Arc<dyn Store>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// What administrators prove themselves with.
    pub admin_token: AdminToken,
    /// The operator's user directory; `None` is the users of the store.
    pub directory: Option<Arc<dyn Directory>>,
    /// What issuers prove themselves with, if they have a token.
    pub issuer_token: Option<IssuerToken>,
}
