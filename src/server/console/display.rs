//! Times and numbers for people. Arguments are references, as templates pass them.

use std::borrow::Borrow;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use crate::clock::UnixTime;
use crate::config::Mode;

/// Returns the result of a denial on a route with that mode.
pub(super) const fn result(mode: &Mode) -> &'static str {
    match mode {
        Mode::Enforce => "denied",
        Mode::Shadow => "would deny",
    }
}

/// Formats a time as in logs.
pub(super) fn rfc3339(time: &UnixTime) -> String {
    let since_epoch = Duration::from_millis(time.as_millis());
    let written = SystemTime::UNIX_EPOCH
        .checked_add(since_epoch)
        .map(humantime::format_rfc3339_seconds);
    let mut text = String::new();
    // Times after the year 9999 have no such format.
    if written.is_none_or(|written| write!(text, "{written}").is_err()) {
        "never".clone_into(&mut text);
    }
    text
}

/// Formats a time for people.
pub(super) fn utc(time: &UnixTime) -> String {
    rfc3339(time).replace('T', " ").replace('Z', "")
}

/// Formats the hour and the minute of a time.
pub(super) fn time_of_day(time: &UnixTime) -> String {
    let minutes = time.as_secs() / 60 % (24 * 60);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Returns the beginning of a decision id, which is enough to tell the ids of a page apart.
pub(super) fn short_id(id: &str) -> String {
    id.chars().take(SHORT_ID_LEN).collect()
}

/// A path and a query without protocol parameters, whose values are masked anyway.
pub(super) struct ShownTarget {
    /// The path, and the other parameters of the query.
    pub(super) text: String,
    /// True if the query had protocol parameters.
    pub(super) has_protocol_parameters: bool,
}

/// Leaves the protocol parameters out of a target.
pub(super) fn target(target: &str) -> ShownTarget {
    let Some((path, query)) = target.split_once('?') else {
        return ShownTarget {
            text: target.to_owned(),
            has_protocol_parameters: false,
        };
    };
    let (protocol, others): (Vec<_>, Vec<_>) = query
        .split('&')
        .partition(|parameter| parameter.starts_with("oauth_"));
    let others = others.join("&");
    let has_protocol_parameters = !protocol.is_empty();
    let text = if others.is_empty() && has_protocol_parameters {
        path.to_owned()
    } else {
        format!("{path}?{others}")
    };
    ShownTarget {
        text,
        has_protocol_parameters,
    }
}

/// Formats the time since `then` in its largest unit.
pub(super) fn ago(now: &UnixTime, then: &UnixTime) -> String {
    let seconds = now.since(*then).as_secs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3600 => (seconds / 60, "min"),
        3600..86_400 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{count} {unit} ago")
}

/// Formats a number with separated thousands.
pub(super) fn grouped(number: impl Borrow<u64>) -> String {
    let digits = number.borrow().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Ids of 32 bits are distinct on one page, and a link has the whole id.
const SHORT_ID_LEN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_formatted_for_programs_and_for_people() {
        let time = UnixTime::from_millis(1_700_000_000_999);
        assert_eq!(rfc3339(&time), "2023-11-14T22:13:20Z");
        assert_eq!(utc(&time), "2023-11-14 22:13:20");
        for never in [
            UnixTime::from_secs(u64::MAX),
            UnixTime::from_secs(253_402_300_800),
        ] {
            assert_eq!(utc(&never), "never");
        }
    }

    #[test]
    fn an_age_is_formatted_in_its_largest_unit() {
        let now = UnixTime::from_secs(1_700_000_000);
        let shown = |secs| ago(&now, &now.minus(Duration::from_secs(secs)));
        assert_eq!(
            (shown(0), shown(59), shown(60)),
            ("0 s ago".into(), "59 s ago".into(), "1 min ago".into())
        );
        assert_eq!(
            (shown(7199), shown(86_399), shown(172_800)),
            ("1 h ago".into(), "23 h ago".into(), "2 d ago".into())
        );
        assert_eq!(
            ago(&now, &now.plus(Duration::from_secs(5))),
            "0 s ago",
            "clocks may be set back"
        );
    }

    #[test]
    fn protocol_parameters_are_left_out_of_a_target() {
        let shown = |text| {
            let shown = target(text);
            (shown.text, shown.has_protocol_parameters)
        };
        assert_eq!(
            shown("/a?oauth_token=***&size=***&oauth_nonce=***"),
            ("/a?size=***".to_owned(), true)
        );
        assert_eq!(shown("/a?oauth_token=***"), ("/a".to_owned(), true));
        for whole in ["", "/oauth_token", "/a?", "/a?size=***&b", "/a?x=oauth_y"] {
            assert_eq!(shown(whole), (whole.to_owned(), false));
        }
    }

    #[test]
    fn a_time_of_day_and_an_id_are_short() {
        assert_eq!(time_of_day(&UnixTime::from_secs(1_700_000_000)), "22:13");
        assert_eq!(time_of_day(&UnixTime::from_secs(59)), "00:00");
        assert_eq!(short_id("0123456789abcdef"), "01234567");
        assert_eq!(short_id("012"), "012");
    }

    #[test]
    fn thousands_are_separated() {
        let shown = [0, 999, 1000, 123_456, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "123,456", "1,234,567"]);
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }
}
