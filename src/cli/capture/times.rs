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

/// Returns the Unix time of the Common Log Format, `14/Nov/2023:22:13:20 +0000`.
pub(super) fn common_log(text: &str) -> Option<u64> {
    let (local, offset) = text.split_once(' ')?;
    let (date, clock) = local.split_once(':')?;
    let [day, month, year] = date.split('/').collect::<Vec<_>>()[..] else {
        return None;
    };
    let month = 1 + MONTHS.iter().position(|name| *name == month)?;
    let local = rfc3339(&format!("{year}-{month:02}-{day}T{clock}Z"))?;
    local.checked_add_signed(-offset_seconds(offset)?)
}

/// Returns the seconds of an offset from UTC, `+0100`.
fn offset_seconds(offset: &str) -> Option<i64> {
    let digits = offset.strip_prefix(['+', '-'])?;
    let is_time = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = offset.parse().ok().filter(|_| is_time)?;
    Some(number / 100 * 3600 + number % 100 * 60)
}

fn unix(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

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

    #[test]
    fn the_offset_of_a_log_is_subtracted() {
        for text in [
            "14/Nov/2023:22:13:20 +0000",
            "14/Nov/2023:23:13:20 +0100",
            "15/Nov/2023:03:43:20 +0530",
            "14/Nov/2023:14:43:20 -0730",
        ] {
            assert_eq!(common_log(text), Some(1_700_000_000), "{text}");
        }
        for text in [
            "",
            "x",
            "14/Nov/2023:22:13:20",
            "14/11/2023:22:13:20 +0000",
            "14/Nov/2023:22:13:20 +00",
            "14/Nov/2023:22:13:20 0000",
            "32/Nov/2023:22:13:20 +0000",
            "14/Nov/2023:22:13 +0000",
        ] {
            assert_eq!(common_log(text), None, "{text}");
        }
    }
}
