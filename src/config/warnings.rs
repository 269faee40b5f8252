//! Settings that are valid but risky.

use super::check::OnStoreFailure;
use super::listener::ListenAddress;
use super::route::{Mode, Route};
use super::sections::Config;
use super::store_url::StoreUrl;
use crate::model::DenyDetail;

impl Config {
    /// Returns a sentence for each setting that is valid but risky, to be logged at every start and
    /// reload.
    pub fn warnings(&self) -> Vec<String> {
        let fixed = [
            (self.store.url == StoreUrl::Memory, MEMORY),
            (self.is_check_exposed(), CHECK),
            (self.api.listener.is_exposed_plaintext(), API),
            (self.is_console_exposed(), CONSOLE),
            (self.http.listener.is_exposed_plaintext(), HTTP),
            (self.has_no_client_addresses(), ADDRESSES),
            (self.verify.trust_envoy_request_id, REQUEST_ID),
            (self.claims_nonces_in_outages(), LOCAL_NONCES),
            (!self.cache.max_stale_age.is_zero(), STALE),
            (self.check.deny_detail == DenyDetail::Debug, DEBUG),
            (self.check.policy.mode == Some(Mode::Shadow), SHADOW),
        ];
        let fixed = fixed.into_iter().filter(|(applies, _)| *applies);
        let routes = self.routes.iter().enumerate();
        fixed
            .map(|(_, text)| text.to_owned())
            .chain(routes.filter_map(|(at, route)| shadowed(at + 1, route)))
            .collect()
    }

    fn is_check_exposed(&self) -> bool {
        let listener = &self.check.listener;
        listener.is_exposed_plaintext() && !listener.insecure_plaintext
    }

    /// Returns `true` if the console accepts its token in plaintext, which it does only with
    /// `insecure_plaintext`.
    fn is_console_exposed(&self) -> bool {
        let ops = &self.ops;
        ops.console && ops.listener.insecure_plaintext && ops.listener.is_exposed_plaintext()
    }

    /// Returns `true` if a replica claims nonces by itself while Redis is unavailable.
    pub fn claims_nonces_in_outages(&self) -> bool {
        let is_redis = matches!(self.store.url, StoreUrl::Redis(_));
        is_redis && self.verify.on_store_failure == OnStoreFailure::Local
    }

    fn has_no_client_addresses(&self) -> bool {
        matches!(self.http.listener.address, ListenAddress::Unix(_)) && self.http.trusted_hops == 0
    }
}

fn shadowed(number: usize, route: &Route) -> Option<String> {
    let parts = [route.host.as_deref(), route.path_prefix.as_deref()];
    let matched: String = parts.into_iter().flatten().collect();
    (route.set.mode == Some(Mode::Shadow)).then(|| {
        format!("route[{number}], {matched:?}, is in shadow mode: its requests are never denied")
    })
}

const MEMORY: &str = "store.url = \"memory:\" loses nonces at a restart: requests from before it \
                      can be replayed";

const CHECK: &str = "check.listen is plaintext beyond loopback: others on the network can read \
                     and change checks";

const API: &str =
    "api.listen is plaintext beyond loopback: others on the network can read admin tokens";

const CONSOLE: &str = "ops.listen is plaintext beyond loopback: others on the network can read \
                       the admin tokens that the console takes";

const HTTP: &str = "http.listen is plaintext beyond loopback: others on the network can read \
                    passwords and secrets";

const ADDRESSES: &str = "http.listen is a Unix socket and http.trusted_hops is 0: wrong passwords \
                         are not limited by client address";

const REQUEST_ID: &str = "nonce.trust_envoy_request_id is on: clients that can choose the request \
                          id can replay requests; Envoy and Istio let no client choose it";

const LOCAL_NONCES: &str = "nonce.on_store_failure = \"local\": while Redis is unavailable, a \
                            request can be replayed once at each other replica";

const STALE: &str = "cache.max_stale_age is set: while this replica cannot reach Redis, it accepts \
                     credentials that were revoked in the meantime";

const DEBUG: &str = "check.deny_detail = \"debug\" shows base strings to clients";

const SHADOW: &str =
    "check.mode = \"shadow\": requests are never denied, except on routes that enforce";
