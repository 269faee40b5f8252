//! The frames that a peer may send beside its requests.
//!
//! Each SETTINGS, PING, PRIORITY and WINDOW_UPDATE frame costs work, and some cost a response, but
//! none of them asks for anything. h2 does not limit them. Honest peers send a few for each request
//! and for the bytes that they receive, so these earn them; the rest is limited by time. Resets are
//! limited by time alone: an honest peer resets a request only after its timeout.

use std::time::Duration;

use tokio::time::Instant;

use super::frames::{FrameHead, FrameKind};
use super::violation::Violation;

/// The budget of one connection.
#[derive(Debug)]
pub(super) struct FrameBudget {
    control: Allowance,
    resets: Allowance,
}

/// A number of frames that grows with time, up to its capacity.
#[derive(Debug)]
struct Allowance {
    left: u32,
    capacity: u32,
    per_second: u32,
    /// The time up to which `left` has grown. The clock is read only once nothing is left.
    grown_until: Instant,
}

// === impl FrameBudget ===

impl FrameBudget {
    /// Returns the budget of a new connection.
    pub(super) fn new() -> Self {
        Self {
            control: Allowance::new(CONTROL_CAPACITY, CONTROL_PER_SECOND),
            resets: Allowance::new(RESET_CAPACITY, RESETS_PER_SECOND),
        }
    }

    /// Notes a frame that the peer sent.
    ///
    /// # Errors
    /// If the budget for its kind is used up.
    pub(super) fn note_received(&mut self, frame: FrameHead) -> Result<(), Violation> {
        match frame.kind {
            FrameKind::Control if !self.control.spend() => Err(Violation::ControlFrames),
            FrameKind::Reset if !self.resets.spend() => Err(Violation::Resets),
            FrameKind::Headers => {
                self.control.earn(CONTROL_PER_REQUEST);
                Ok(())
            }
            // h2 limits small DATA frames and CONTINUATION frames.
            FrameKind::Control | FrameKind::Reset | FrameKind::Data | FrameKind::Continuation => {
                Ok(())
            }
        }
    }

    /// Notes a number of bytes that the peer can receive, and may acknowledge with updates of its
    /// windows.
    pub(super) fn note_sent(&mut self, bytes: usize) {
        let earned = u32::try_from(bytes / BYTES_PER_CONTROL).unwrap_or(u32::MAX);
        self.control.earn(earned);
    }
}

// === impl Allowance ===

impl Allowance {
    fn new(capacity: u32, per_second: u32) -> Self {
        Self {
            left: capacity,
            capacity,
            per_second,
            grown_until: Instant::now(),
        }
    }

    /// Takes one; returns whether there was one.
    fn spend(&mut self) -> bool {
        if self.left == 0 {
            self.grow();
        }
        let had_one = self.left > 0;
        self.left = self.left.saturating_sub(1);
        had_one
    }

    fn earn(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(self.capacity);
    }

    /// Adds the growth since the last time.
    fn grow(&mut self) {
        let elapsed = self.grown_until.elapsed();
        let grown = elapsed.as_millis() * u128::from(self.per_second) / 1000;
        let grown = u32::try_from(grown).unwrap_or(u32::MAX);
        self.earn(grown);
        // The rest of the time counts toward the next one.
        self.grown_until += Duration::from_secs(1) * grown / self.per_second;
    }
}

/// The control frames that a connection may send at once, for example to open many windows.
const CONTROL_CAPACITY: u32 = 1_000;

/// The control frames for each second, such as pings.
const CONTROL_PER_SECOND: u32 = 100;

/// The control frames for each request: a ping that measures the bandwidth, a priority, and updates
/// of the windows of the stream and the connection.
const CONTROL_PER_REQUEST: u32 = 4;

/// The received bytes that earn a control frame. An update of a window is for many more.
const BYTES_PER_CONTROL: usize = 512;

/// The resets that a connection may send at once: those of a second, for a thread that was held up.
const RESET_CAPACITY: u32 = 8_192;

/// The resets for each second. Envoy resets a check when its client cancels the request, and all
/// clients of a thread of Envoy share a connection: so this is more than one thread of Envoy can be
/// made to send.
const RESETS_PER_SECOND: u32 = 8_192;

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn control_frames_without_requests_are_limited() {
        let mut budget = FrameBudget::new();
        assert_eq!(sendable(&mut budget, FrameKind::Control), CONTROL_CAPACITY);
        advance(Duration::from_secs(2)).await;
        assert_eq!(
            sendable(&mut budget, FrameKind::Control),
            2 * CONTROL_PER_SECOND
        );
        advance(Duration::from_secs(3600)).await;
        assert_eq!(sendable(&mut budget, FrameKind::Control), CONTROL_CAPACITY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_peer_within_the_rate_is_never_refused() {
        let mut budget = FrameBudget::new();
        sendable(&mut budget, FrameKind::Control);
        advance(Duration::from_millis(19)).await;
        for _ in 0..1000 {
            advance(Duration::from_millis(11)).await;
            assert!(budget.note_received(frame(FrameKind::Control)).is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_and_responses_earn_control_frames() {
        let mut budget = FrameBudget::new();
        for _ in 0..100_000 {
            budget.note_received(frame(FrameKind::Headers)).unwrap();
            for _ in 0..CONTROL_PER_REQUEST {
                budget.note_received(frame(FrameKind::Control)).unwrap();
            }
        }
        for _ in 0..100_000 {
            budget.note_sent(16 * 1024);
            // Half of a window of 64 KiB was used up, for the stream and for the connection.
            budget.note_received(frame(FrameKind::Control)).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn resets_are_limited_by_time_alone() {
        let mut budget = FrameBudget::new();
        for _ in 0..RESET_CAPACITY {
            budget.note_received(frame(FrameKind::Headers)).unwrap();
            budget.note_received(frame(FrameKind::Reset)).unwrap();
        }
        let refused = budget.note_received(frame(FrameKind::Reset));
        assert_eq!(refused, Err(Violation::Resets));
        advance(Duration::from_secs(1)).await;
        assert_eq!(sendable(&mut budget, FrameKind::Reset), RESETS_PER_SECOND);
    }

    /// Returns how many frames the budget allows now.
    fn sendable(budget: &mut FrameBudget, kind: FrameKind) -> u32 {
        let mut count = 0;
        while budget.note_received(frame(kind)).is_ok() {
            count += 1;
        }
        count
    }

    fn frame(kind: FrameKind) -> FrameHead {
        FrameHead {
            kind,
            ends_stream: false,
            stream: 1,
            length: 0,
        }
    }
}
