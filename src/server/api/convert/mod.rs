//! Conversions between messages and records.
//!
//! A message is destructured completely, so that the compiler reports a forgotten field.
//! Output-only fields of a request are ignored by name.

mod backup;
mod consumer;
mod diagnostics;
mod request_token;
mod token;
mod user;

use std::time::Duration;

use prost_types::Timestamp;

use crate::clock::UnixTime;
use crate::model::{Scopes, Secret};

pub(super) use backup::{
    export_messages, exposed_message, restore_outcome_message, sealed_record_of,
};
pub(super) use consumer::{consumer_attributes, consumer_draft, consumer_message, wanted_consumer};
pub(super) use diagnostics::{denial_message, report_message};
pub(super) use request_token::{issued_message, request_token_message};
pub(super) use token::{introspection_message, token_draft, token_message, token_state_message};
pub(super) use user::{user_draft, user_message};

/// Returns a secret as text, for the only response that contains it.
///
/// The conversion loses nothing: every secret arrived in a message or is generated ASCII.
pub(super) fn shown(secret: &Secret) -> String {
    String::from_utf8_lossy(secret.expose()).into_owned()
}

/// Returns `None` for an empty text, which proto3 cannot tell from a missing one.
pub(super) fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// Returns the secret of a request; an empty text is no secret.
pub(super) fn secret(text: String) -> Option<Secret> {
    given(text).map(String::into_bytes).map(Secret::new)
}

/// Reads a duration of a request; an unset one is zero.
pub(super) fn duration(span: Option<prost_types::Duration>) -> Result<Duration, &'static str> {
    let Some(span) = span else {
        return Ok(Duration::ZERO);
    };
    if !(-NANOS..=NANOS).contains(&span.nanos) {
        return Err("is not a valid Duration: its nanos are out of range");
    }
    Duration::try_from(span).map_err(|_| "must not be negative")
}

/// Reads a time of a request. A time before 1970 becomes 1970, which is past as well.
pub(super) fn unix_time(Timestamp { seconds, nanos }: Timestamp) -> Result<UnixTime, &'static str> {
    let nanos = u64::try_from(nanos).ok().filter(|_| nanos <= NANOS);
    let nanos = nanos.ok_or("is not a valid Timestamp: its nanos are out of range")?;
    Ok(
        UnixTime::from_secs(u64::try_from(seconds).unwrap_or_default())
            .plus(Duration::from_nanos(nanos)),
    )
}

/// Returns the message of a time.
pub(super) fn timestamp(time: UnixTime) -> Timestamp {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let millis = time
        .since(UnixTime::from_secs(time.as_secs()))
        .subsec_millis();
    Timestamp {
        seconds,
        nanos: i32::try_from(millis * 1_000_000).unwrap_or_default(),
    }
}

fn texts(scopes: &Scopes) -> Vec<String> {
    scopes.iter().map(str::to_owned).collect()
}

fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The maximum number of nanoseconds in addition to whole seconds.
const NANOS: i32 = 999_999_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_milliseconds() {
        let time = UnixTime::from_millis(1_700_000_000_123);
        assert_eq!(
            timestamp(time),
            Timestamp {
                seconds: 1_700_000_000,
                nanos: 123_000_000
            }
        );
        assert_eq!(unix_time(timestamp(time)), Ok(time));
        assert_eq!(
            unix_time(Timestamp {
                seconds: -5,
                nanos: 0
            }),
            Ok(UnixTime::from_secs(0))
        );
        for nanos in [-1, 1_000_000_000] {
            assert!(unix_time(Timestamp { seconds: 5, nanos }).is_err());
        }
    }

    #[test]
    fn a_span_of_time_is_not_negative() {
        let span = |seconds, nanos| duration(Some(prost_types::Duration { seconds, nanos }));
        assert_eq!(duration(None), Ok(Duration::ZERO));
        assert_eq!(span(90, 500_000_000), Ok(Duration::from_millis(90_500)));
        assert_eq!(span(-1, 0), Err("must not be negative"));
        assert_eq!(
            span(1, i32::MAX),
            Err("is not a valid Duration: its nanos are out of range")
        );
        assert_eq!(
            span(1, i32::MIN),
            Err("is not a valid Duration: its nanos are out of range")
        );
    }
}
