//! Helpers that this target shares with `tests/it`. They name each other as `crate::support`, so
//! this module has the same name.

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../it/support/caller.rs"]
pub(crate) mod caller;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../it/support/envoy.rs"]
pub(crate) mod envoy;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../it/support/http.rs"]
pub(crate) mod http;
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
#[path = "../../it/support/leaks.rs"]
pub(crate) mod leaks;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../it/support/process.rs"]
pub(crate) mod process;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../it/support/redis.rs"]
pub(crate) mod redis;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../it/support/upstream.rs"]
pub(crate) mod upstream;
