//! `Deprecation` (RFC 9745) and `Sunset` (RFC 8594): announce to a consumer that its access ends.
//!
//! An operator sets both dates on the consumer. The headers only announce; disabling the consumer
//! is left to the operator. Only a proven consumer gets them: for other callers they would show
//! that the consumer exists, and its plans.

use std::time::{Duration, SystemTime};

use crate::clock::UnixTime;
use crate::model::Consumer;

/// Returns the headers for answers to this consumer; most consumers have none.
pub(crate) fn headers(consumer: &Consumer) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let deprecation = consumer
        .deprecated_at
        .map(|time| ("deprecation", structured_date(time)));
    let sunset = consumer
        .sunset_at
        .and_then(http_date)
        .map(|date| ("sunset", date));
    deprecation.into_iter().chain(sunset)
}

/// Formats a Date of RFC 9651 section 3.3.7.
fn structured_date(time: UnixTime) -> String {
    format!("@{}", time.as_secs())
}

/// Formats an HTTP-date of RFC 9110 section 5.6.7, which has no year after 9999.
fn http_date(time: UnixTime) -> Option<String> {
    let seconds = Some(time.as_secs()).filter(|&seconds| seconds < YEAR_10000)?;
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(httpdate::fmt_http_date(time))
}

/// 10000-01-01T00:00:00Z.
const YEAR_10000: u64 = 253_402_300_800;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_formats_of_the_headers() {
        // The example of RFC 9745 section 2.1, and that of RFC 8594 section 3.
        assert_eq!(
            structured_date(UnixTime::from_millis(1_688_169_599_999)),
            "@1688169599"
        );
        let sunset = http_date(UnixTime::from_secs(1_546_300_799));
        assert_eq!(sunset.as_deref(), Some("Mon, 31 Dec 2018 23:59:59 GMT"));
        let last = http_date(UnixTime::from_secs(YEAR_10000 - 1));
        assert_eq!(last.as_deref(), Some("Fri, 31 Dec 9999 23:59:59 GMT"));
        assert_eq!(http_date(UnixTime::from_secs(YEAR_10000)), None);
    }
}
