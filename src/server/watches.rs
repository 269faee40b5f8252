//! Watches: streams without an end of their own, which end with their connection.
//!
//! A connection that ends waits for its last answer, so a watch would keep it open. Its client gets
//! UNAVAILABLE, upon which it watches again, on another connection.

use std::future::ready;

use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use tonic::{Extensions, Status};

use super::transport::WatchEnding;

/// Returns `watch` until the end of the connection of its request, and then `status`.
///
/// `extensions` are those of the request.
pub(super) fn until_connection_ends<T: Send + 'static>(
    watch: impl Stream<Item = Result<T, Status>> + Send + 'static,
    extensions: &Extensions,
    status: Status,
) -> BoxStream<'static, Result<T, Status>> {
    let Some(ending) = extensions.get::<WatchEnding>().cloned() else {
        return watch.boxed();
    };
    let end = stream::once(ready(Err(status)));
    watch.take_until(ending.begun()).chain(end).boxed()
}
