//! The horizon: the latest timestamp whose claims may be in memory alone.
//!
//! It is kept a little ahead of the clock, so that the claims of honest callers need no commit of
//! their own. See the parent module for the rule that it is part of.

use crate::clock::UnixTime;

/// Returns the horizon for the time `now`.
pub(super) const fn horizon_at(now: UnixTime) -> u64 {
    now.as_secs().saturating_add(AHEAD_SECS)
}

/// Returns whether `horizon` is so far ahead of `now` that the clock must have been set back.
///
/// If it stayed there, an unclean stop would turn it into the fence, which refuses every caller
/// until the clock reaches it again.
pub(super) const fn is_set_back(horizon: u64, now: UnixTime) -> bool {
    horizon > horizon_at(now).saturating_add(SET_BACK_SECS)
}

/// Seconds between the clock and the horizon. After an unclean stop, honest callers are refused for
/// as long.
const AHEAD_SECS: u64 = 2;

/// Seconds by which the clock must go back before the horizon follows: more than an adjustment by
/// NTP.
const SET_BACK_SECS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_horizon_further_ahead_than_an_adjustment_of_the_clock_is_set_back() {
        let now = UnixTime::from_secs(1000);
        assert_eq!(horizon_at(now), 1002);
        assert!(!is_set_back(1012, now));
        assert!(is_set_back(1013, now) && is_set_back(2000, now));
    }
}
