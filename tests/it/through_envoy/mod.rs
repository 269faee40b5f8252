//! The main path: a client signs, a real Envoy checks, and the upstream receives the caller's
//! identity or no request.

mod access_log;
mod administered;
mod allowed;
mod bodies;
mod clients;
mod connection_age;
mod deployed;
mod deviating;
mod explained;
mod failing;
mod farewell;
mod field;
mod identity;
mod network_filter;
mod policy;
mod refused;
mod reloaded;
mod replayed;
mod replicas;
mod restarted;
mod rolling_restart;
mod scheme;
mod special_requests;
mod tampered;

/// Runs each of these rules on every stack: both shapes over both stores, and both shapes with the
/// oldest Envoy.
macro_rules! on_every_stack {
    ($($rule:ident),* $(,)?) => {
        on_every_stack!(@ deploy_with_embedded, NEWEST, Deploy, Embedded, [$($rule),*]);
        on_every_stack!(@ deploy_with_redis, NEWEST, Deploy, Redis, [$($rule),*]);
        on_every_stack!(@ gateway_with_embedded, NEWEST, Gateway, Embedded, [$($rule),*]);
        on_every_stack!(@ gateway_with_redis, NEWEST, Gateway, Redis, [$($rule),*]);
        on_every_stack!(@ oldest_deploy_with_redis, OLDEST, Deploy, Redis, [$($rule),*]);
        on_every_stack!(@ oldest_gateway_with_embedded, OLDEST, Gateway, Embedded, [$($rule),*]);
    };
    (@ $stack:ident, $envoy:ident, $shape:ident, $store:ident, [$($rule:ident),*]) => {
        mod $stack {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $rule() {
                    use $crate::support::{envoy, stack};
                    let (shape, store) = (envoy::Shape::$shape, stack::StoreKind::$store);
                    let deadlines = envoy::Deadlines::Patient;
                    let parts = stack::Parts { envoy: envoy::$envoy, shape, store, deadlines };
                    super::$rule(&stack::Stack::start(parts).await).await;
                }
            )*
        }
    };
}
use on_every_stack;
