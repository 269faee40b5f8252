//! The times in captures.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the Unix time of a `Date` header.
pub(super) fn http_date(value: &[u8]) -> Option<u64> {
    let time = httpdate::parse_http_date(str::from_utf8(value).ok()?);
    time.ok().and_then(unix)
}

/// Returns the Unix time of an RFC 3339 timestamp in UTC.
pub(super) fn rfc3339(text: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339_weak(text);
    time.ok().and_then(unix)
}

fn unix(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_unix_times() {
        assert_eq!(
            http_date(b"Tue, 14 Nov 2023 22:13:20 GMT"),
            Some(1_700_000_000)
        );
        for text in ["2023-11-14T22:13:20Z", "2023-11-14T22:13:20.999Z"] {
            assert_eq!(rfc3339(text), Some(1_700_000_000), "{text}");
        }
        for text in [
            "",
            "0.012",
            "1969-12-31T23:59:59Z",
            "2023-11-14T22:13:20+01:00",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }
}
