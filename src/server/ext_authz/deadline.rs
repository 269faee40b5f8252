//! The deadline of one check.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use http::HeaderMap;
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until};

/// The part of Envoy's own deadline that is left for the answer to arrive.
const MARGIN: Duration = Duration::from_millis(10);

/// Returns the shorter of `limit` and `grpc-timeout` less a margin.
///
/// `limit` always applies, because some clients set no timeout, or one of minutes (Istio).
pub(super) fn of(headers: &HeaderMap, limit: Duration) -> Duration {
    let requested = headers
        .get("grpc-timeout")
        .and_then(|value| parse(value.as_bytes()));
    requested.map_or(limit, |requested| {
        limit.min(requested.saturating_sub(MARGIN).max(requested / 2))
    })
}

/// Runs `deciding` until `deadline`, and returns `None` if it is still pending then. A future that
/// is ready at once needs no timer.
///
/// The future is borrowed, because a moved future takes its space twice.
pub(super) async fn by<T>(
    deadline: Instant,
    mut deciding: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    let mut timer = pin!(None);
    poll_fn(|context| {
        if let Poll::Ready(decided) = deciding.as_mut().poll(context) {
            return Poll::Ready(Some(decided));
        }
        if timer.is_none() {
            // Unconstrained: the deadline also ends a future that uses up the task's budget.
            timer.set(Some(unconstrained(sleep_until(deadline))));
        }
        timer
            .as_mut()
            .as_pin_mut()
            .map_or(Poll::Pending, |timer| timer.poll(context).map(|()| None))
    })
    .await
}

/// Parses a timeout of the gRPC protocol: at most eight digits and a unit.
fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(count * 3600)),
        b'M' => Some(Duration::from_secs(count * 60)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_decision_after_the_deadline_is_abandoned() {
        let after = |wait: u64| async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            wait
        };
        let deadline = Instant::now() + Duration::from_millis(10);
        assert_eq!(by(deadline, pin!(after(9))).await, Some(9));
        assert_eq!(by(deadline, pin!(after(2))).await, None);
        assert_eq!(Instant::now(), deadline);
        assert_eq!(
            by(deadline, pin!(std::future::ready(0))).await,
            Some(0),
            "a ready future needs no time"
        );
    }

    #[tokio::test]
    async fn a_future_that_is_always_busy_is_abandoned() {
        let busy = poll_fn(|context| {
            while let Poll::Ready(()) = pin!(tokio::task::coop::consume_budget()).poll(context) {}
            Poll::<()>::Pending
        });
        assert_eq!(by(Instant::now(), pin!(busy)).await, None);
    }

    const LIMIT: Duration = Duration::from_millis(180);

    fn deadline(grpc_timeout: &'static str) -> Duration {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", grpc_timeout.parse().unwrap());
        of(&headers, LIMIT)
    }

    #[test]
    fn envoys_deadline_is_met_with_a_margin() {
        assert_eq!(deadline("100m"), Duration::from_millis(90));
        assert_eq!(deadline("100000u"), Duration::from_millis(90));
        assert_eq!(deadline("4m"), Duration::from_millis(2));
    }

    #[test]
    fn our_own_deadline_holds_without_one_and_under_a_longer_one() {
        assert_eq!(of(&HeaderMap::new(), LIMIT), LIMIT);
        for long in ["600S", "10M", "99999999H", "200m"] {
            assert_eq!(deadline(long), LIMIT, "{long}");
        }
    }

    #[test]
    fn a_timeout_has_eight_digits_at_most_and_a_unit() {
        for (text, timeout) in [
            ("2H", Duration::from_secs(7200)),
            ("2M", Duration::from_secs(120)),
            ("2S", Duration::from_secs(2)),
            ("12345678m", Duration::from_millis(12_345_678)),
            ("2u", Duration::from_micros(2)),
            ("2n", Duration::from_nanos(2)),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(timeout), "{text}");
        }
    }

    #[test]
    fn a_malformed_timeout_is_ignored() {
        for wrong in [
            "",
            "m",
            "100",
            "1 m",
            "-1m",
            "+1m",
            "123456789m",
            "1234567890m",
            "1x",
        ] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
            assert_eq!(deadline(wrong), LIMIT, "{wrong}");
        }
    }
}
