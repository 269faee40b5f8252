//! The attributes that a consumer sees in responses: detail of denials, deprecation and sunset.

use super::values::{LAST_TIME, TOO_LATE, word};
use crate::clock::UnixTime;
use crate::issue::Violations;
use crate::model::DenyDetail;

/// Reads the field `deny_detail`; an empty name stands for the configured level.
pub(super) fn deny_detail(name: &str, wrong: &mut Violations) -> Option<DenyDetail> {
    if name.is_empty() {
        None
    } else {
        wrong.check("deny_detail", word("level of detail", name))
    }
}

/// Checks `deprecated_at` and `sunset_at`: deprecation comes first.
pub(super) fn check_times(
    deprecated_at: Option<UnixTime>,
    sunset_at: Option<UnixTime>,
    wrong: &mut Violations,
) {
    for (field, time) in [("deprecated_at", deprecated_at), ("sunset_at", sunset_at)] {
        if time.is_some_and(|time| time > LAST_TIME) {
            wrong.add(field, TOO_LATE);
        }
    }
    let times = deprecated_at.zip(sunset_at);
    if times.is_some_and(|(deprecated, sunset)| sunset < deprecated) {
        wrong.add("sunset_at", "must not be before deprecated_at");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_of_detail_has_a_name_or_is_as_configured() {
        for (name, detail) in [
            ("none", DenyDetail::None),
            ("problem", DenyDetail::Problem),
            ("debug", DenyDetail::Debug),
        ] {
            assert_eq!(
                problems(|wrong| assert_eq!(deny_detail(name, wrong), Some(detail))),
                ""
            );
            assert_eq!(detail.name(), name);
        }
        assert_eq!(
            problems(|wrong| assert_eq!(deny_detail("", wrong), None)),
            ""
        );
        let refused = problems(|wrong| assert_eq!(deny_detail("all", wrong), None));
        assert_eq!(
            refused,
            "deny_detail is not a level of detail; known are none, problem, debug"
        );
    }

    #[test]
    fn a_sunset_comes_after_the_deprecation() {
        let end = |deprecated: Option<UnixTime>, sunset| {
            problems(|wrong| check_times(deprecated, sunset, wrong))
        };
        let (early, late) = (Some(UnixTime::from_secs(5)), Some(UnixTime::from_secs(6)));
        for (deprecated, sunset) in [
            (None, None),
            (early, None),
            (None, early),
            (early, early),
            (early, late),
        ] {
            assert_eq!(end(deprecated, sunset), "");
        }
        assert_eq!(
            end(late, early),
            "sunset_at must not be before deprecated_at"
        );
        assert_eq!(end(Some(LAST_TIME), Some(LAST_TIME)), "");
        let never = Some(LAST_TIME.plus(std::time::Duration::from_secs(1)));
        assert_eq!(
            end(never, never),
            format!("deprecated_at {TOO_LATE}; sunset_at {TOO_LATE}")
        );
    }

    fn problems(check: impl FnOnce(&mut Violations)) -> String {
        let mut wrong = Violations::default();
        check(&mut wrong);
        wrong.to_string()
    }
}
