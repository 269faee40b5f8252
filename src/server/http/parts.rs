//! The components that the token endpoints and the authorize page share.

use std::sync::Arc;

use super::authorize::ServiceLogo;
use crate::clock::{Clock, Entropy};
use crate::config::Config;
use crate::issue::Issuer;
use crate::server::body::BodyBudget;

/// The components of the http listener.
#[derive(Clone)]
pub(super) struct HttpParts {
    /// The issuer of credentials.
    pub(super) issuer: Issuer,
    /// The configuration.
    pub(super) config: Arc<Config>,
    /// The logo on the authorize page, if there is one.
    pub(super) logo: Option<Arc<ServiceLogo>>,
    /// The source of time.
    pub(super) clock: Arc<dyn Clock>,
    /// The source of random bytes.
    pub(super) entropy: Arc<dyn Entropy>,
    /// The memory for request bodies.
    pub(super) bodies: BodyBudget,
}
