//! Work that finishes even if its caller disconnects.
//!
//! The future of a request is dropped when its connection or stream ends. Between the write of a
//! change and its audit event, that would leave a change without an event.

use std::future::pending;
use std::panic::resume_unwind;

/// Runs `work` to its end, even if the returned future is dropped. `work` must end by itself.
pub(super) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(_) => pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn work_finishes_after_its_caller_is_dropped() {
        let ((store_answers, answer), (finish, finished)) =
            (oneshot::channel(), oneshot::channel());
        let work = async move {
            answer.await.unwrap();
            finish.send("in the log").unwrap();
        };
        let caller = tokio::spawn(to_its_end(work));
        yield_now().await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        store_answers.send(()).unwrap();
        assert_eq!(finished.await, Ok("in the log"));
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller() {
        let panicked = AssertUnwindSafe(to_its_end(async { panic!("a fault") }))
            .catch_unwind()
            .await;
        assert!(panicked.is_err());
    }
}
