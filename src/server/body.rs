//! Whole request bodies of clients that are not authenticated yet, in bounded memory.
//!
//! - A body is copied as it arrives, into one buffer of at most its limit. The pieces that a
//!   connection hands over are never kept: each pins the buffer of a network read, which is
//!   thousands of times as large as the piece of a client that sends byte by byte.
//! - The buffers of all requests together stay within a [`BodyBudget`].
//! - A body must arrive within [`TIME_LIMIT`].
//!
//! A body may hold a password, so each buffer is wiped when it is dropped.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// An error that prevented the read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFault {
    /// The body is larger than the limit.
    TooLarge,
    /// The body did not arrive within [`TIME_LIMIT`].
    TooSlow,
    /// The body ended early or is malformed.
    Broken,
    /// The bodies of other requests use up the memory.
    Busy,
}

/// The memory for the bodies of all requests together.
#[derive(Clone, Debug)]
pub(super) struct BodyBudget(Arc<Semaphore>);

impl Default for BodyBudget {
    fn default() -> Self {
        Self::of_units(TOTAL / UNIT)
    }
}

impl BodyBudget {
    fn of_units(units: usize) -> Self {
        Self(Arc::new(Semaphore::new(units)))
    }

    /// Reads a whole body of at most `limit` bytes.
    pub(super) async fn read(&self, body: Body, limit: usize) -> Result<WholeBody, BodyFault> {
        timeout(TIME_LIMIT, self.gather(body, limit))
            .await
            .unwrap_or(Err(BodyFault::TooSlow))
    }

    async fn gather(&self, mut body: Body, limit: usize) -> Result<WholeBody, BodyFault> {
        let mut whole = WholeBody::default();
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|_| BodyFault::Broken)?.into_data() else {
                continue;
            };
            if piece.len() > limit - whole.bytes.len() {
                return Err(BodyFault::TooLarge);
            }
            self.make_room(&mut whole, piece.len())?;
            whole.bytes.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// Makes room for `more` bytes. At least doubles the buffer, and wipes the previous one.
    fn make_room(&self, whole: &mut WholeBody, more: usize) -> Result<(), BodyFault> {
        let (len, room) = (whole.bytes.len(), whole.bytes.capacity());
        if len + more <= room {
            return Ok(());
        }
        let units = (len + more).max(2 * room).div_ceil(UNIT);
        let reserved = if units * UNIT <= FREE {
            None
        } else {
            Some(self.reserve(units)?)
        };
        let mut larger = Zeroizing::new(Vec::with_capacity(units * UNIT));
        larger.extend_from_slice(&whole.bytes);
        // The previous buffer and its reservation end here, in this order.
        whole.bytes = larger;
        whole.reserved = reserved;
        Ok(())
    }

    fn reserve(&self, units: usize) -> Result<OwnedSemaphorePermit, BodyFault> {
        let units = u32::try_from(units).map_err(|_| BodyFault::TooLarge)?;
        Arc::clone(&self.0)
            .try_acquire_many_owned(units)
            .map_err(|_| BodyFault::Busy)
    }
}

/// A body. It counts against the budget until it is dropped.
#[derive(Default)]
pub(super) struct WholeBody {
    bytes: Zeroizing<Vec<u8>>,
    reserved: Option<OwnedSemaphorePermit>,
}

impl Deref for WholeBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The bodies of thousands of logins and requests for credentials at once.
const TOTAL: usize = 32 * 1024 * 1024;

/// The unit of the budget, and the smallest buffer: larger than most forms.
const UNIT: usize = 1024;

/// The bytes of each body that do not count, so that forms pass while others use up the budget. The
/// listeners limit the connections, and each has one request at a time.
const FREE: usize = 8 * UNIT;

/// Enough for a body of any limit here on a slow connection.
const TIME_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::Bytes;
    use futures_util::stream;

    use super::*;

    const LIMIT: usize = 64 * 1024;

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        let of = async |length: usize| {
            let body = Body::from(vec![b'a'; length]);
            let read = BodyBudget::default().read(body, LIMIT).await;
            read.map(|body| body.len())
        };
        assert_eq!(of(0).await, Ok(0));
        assert_eq!(of(LIMIT).await, Ok(LIMIT));
        assert_eq!(of(LIMIT + 1).await, Err(BodyFault::TooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_body_times_out() {
        let never = stream::pending::<Result<Bytes, std::io::Error>>();
        let read = BodyBudget::default()
            .read(Body::from_stream(never), LIMIT)
            .await;
        assert_eq!(read.err(), Some(BodyFault::TooSlow));
    }

    #[tokio::test]
    async fn half_a_body_is_an_error() {
        let parts = [
            Ok(Bytes::from_static(b"a=1&")),
            Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
        ];
        let broken = Body::from_stream(stream::iter(parts));
        let read = BodyBudget::default().read(broken, LIMIT).await;
        assert_eq!(read.err(), Some(BodyFault::Broken));
    }

    #[tokio::test]
    async fn a_body_pins_no_network_buffer() {
        let (body, most) = dribbled(1000);
        let read = BodyBudget::default().read(body, LIMIT).await.ok().unwrap();
        assert_eq!((read.len(), &read[..3]), (1000, &b"aaa"[..]));
        assert!(
            most.load(Ordering::Relaxed) <= 2,
            "{most:?} buffers at once"
        );
    }

    #[tokio::test]
    async fn all_bodies_together_stay_within_the_budget() {
        let budget = BodyBudget::of_units(40);
        let read = |length| budget.read(Body::from(vec![b'a'; length]), LIMIT);
        let first = read(20 * UNIT).await.ok().unwrap();
        let second = read(19 * UNIT + 1).await.ok().unwrap();
        assert_eq!(read(FREE + 1).await.err(), Some(BodyFault::Busy));
        assert!(read(FREE).await.is_ok(), "a form counts for nothing");
        drop(first);
        assert!(read(FREE + 1).await.is_ok());
        drop(second);
        assert_eq!(budget.0.available_permits(), 40);
    }

    #[tokio::test]
    async fn a_growing_body_counts_once() {
        let budget = BodyBudget::of_units(64 + 32);
        let read = budget.read(dribbled(LIMIT).0, LIMIT).await.ok().unwrap();
        assert_eq!(budget.0.available_permits(), 32);
        drop(read);
        assert_eq!(budget.0.available_permits(), 96);
    }

    /// A body that comes byte by byte, each byte in a network buffer of its own, and the most
    /// buffers that existed at once.
    fn dribbled(length: usize) -> (Body, Arc<AtomicUsize>) {
        let (alive, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&most);
        let pieces = (0..length).map(move |_| {
            let now = 1 + alive.fetch_add(1, Ordering::Relaxed);
            counted.fetch_max(now, Ordering::Relaxed);
            let buffer = NetworkBuffer(vec![b'a'; 8192], Arc::clone(&alive));
            Ok::<_, std::io::Error>(Bytes::from_owner(buffer).slice(..1))
        });
        (Body::from_stream(stream::iter(pieces)), most)
    }

    struct NetworkBuffer(Vec<u8>, Arc<AtomicUsize>);

    impl AsRef<[u8]> for NetworkBuffer {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for NetworkBuffer {
        fn drop(&mut self) {
            self.1.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
