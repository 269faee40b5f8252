//! Times on the command line: a time, or how long ago.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign::clock::{Clock as _, SystemClock, UnixTime};
use prost_types::Timestamp;

/// Parses the value of `--since` and `--until`: a duration before now, an RFC 3339 time, or Unix
/// seconds.
///
/// # Errors
/// If the text has another form.
pub(crate) fn parse(text: &str) -> Result<Timestamp, &'static str> {
    parse_at(text, SystemClock.now())
}

fn parse_at(text: &str, now: UnixTime) -> Result<Timestamp, &'static str> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return timestamp(Duration::from_millis(now.minus(ago).as_millis()));
    }
    if let Ok(seconds) = text.parse() {
        return timestamp(Duration::from_secs(seconds));
    }
    let time: SystemTime = humantime::parse_rfc3339_weak(text).map_err(|_| EXPECTED)?;
    timestamp(time.duration_since(UNIX_EPOCH).map_err(|_| EXPECTED)?)
}

fn timestamp(since_epoch: Duration) -> Result<Timestamp, &'static str> {
    let seconds = i64::try_from(since_epoch.as_secs()).map_err(|_| EXPECTED)?;
    let nanos = i32::try_from(since_epoch.subsec_nanos()).map_err(|_| EXPECTED)?;
    Ok(Timestamp { seconds, nanos })
}

const EXPECTED: &str =
    "expected a duration such as 10m, a time such as 2026-01-31T12:00:00Z, or Unix seconds";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_duration_before_now() {
        let now = UnixTime::from_secs(1_700_000_000);
        for (text, seconds) in [
            ("10m", 1_699_999_400),
            ("1h 30m", 1_699_994_600),
            ("0s", 1_700_000_000),
            ("2023-11-14T22:00:00Z", 1_699_999_200),
            ("2023-11-14 22:00:00", 1_699_999_200),
            ("1699999200", 1_699_999_200),
            ("1000y", 0),
        ] {
            let parsed = parse_at(text, now).map(|time| time.seconds);
            assert_eq!(parsed, Ok(seconds), "{text}");
        }
        for wrong in ["", "yesterday", "-10m", "10", "2023-11-14T25:00:00Z"] {
            let parsed = parse_at(wrong, now);
            assert_eq!(parsed.is_err(), wrong != "10", "{wrong}");
        }
    }
}
