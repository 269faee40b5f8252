//! How long one check may take.

use std::time::Duration;

use http::HeaderMap;

/// Kept back from Envoy's own deadline, so that the answer arrives before it.
const MARGIN: Duration = Duration::from_millis(10);

/// The shorter of `limit` and what is left of `grpc-timeout`.
///
/// Some clients set no timeout or one of minutes (Istio), so that `limit` always holds.
pub(super) fn of(headers: &HeaderMap, limit: Duration) -> Duration {
    let asked = headers.get("grpc-timeout").and_then(|value| parse(value.as_bytes()));
    asked.map_or(limit, |asked| limit.min(asked.saturating_sub(MARGIN).max(asked / 2)))
}

/// At most eight digits and a unit, as the gRPC protocol writes it.
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
    fn what_is_no_timeout_is_ignored() {
        for wrong in ["", "m", "100", "1 m", "-1m", "123456789m", "1x"] {
            assert_eq!(deadline(wrong), LIMIT, "{wrong}");
        }
    }
}
