//! What a consumer is told by the answers to its requests.

use super::{LAST_TIME, TOO_LATE};
use crate::clock::UnixTime;
use crate::issue::Violations;
use crate::model::DenyDetail;

/// How much denials tell it, under the name `deny_detail`; the empty name is as the configuration says.
pub(super) fn deny_detail(name: &str, wrong: &mut Violations) -> Option<DenyDetail> {
    let known = |name| DenyDetail::from_name(name).ok_or_else(unknown);
    if name.is_empty() {
        None
    } else {
        wrong.check("deny_detail", known(name))
    }
}

/// Checks when it ought to leave: nobody is refused before being told to.
pub(super) fn check_end(
    deprecated_at: Option<UnixTime>,
    sunset_at: Option<UnixTime>,
    wrong: &mut Violations,
) {
    for (field, time) in [("deprecated_at", deprecated_at), ("sunset_at", sunset_at)] {
        if time.is_some_and(|time| time > LAST_TIME) {
            wrong.add(field, TOO_LATE);
        }
    }
    if deprecated_at
        .zip(sunset_at)
        .is_some_and(|(deprecated, sunset)| sunset < deprecated)
    {
        wrong.add("sunset_at", "must not be before deprecated_at");
    }
}

fn unknown() -> String {
    format!(
        "is no level of detail; known are {}",
        DenyDetail::ALL.map(DenyDetail::name).join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_of_detail_has_a_name_or_is_as_configured() {
        for detail in DenyDetail::ALL {
            assert_eq!(
                problems(|wrong| assert_eq!(deny_detail(detail.name(), wrong), Some(detail))),
                ""
            );
        }
        assert_eq!(
            problems(|wrong| assert_eq!(deny_detail("", wrong), None)),
            ""
        );
        let refused = problems(|wrong| assert_eq!(deny_detail("all", wrong), None));
        assert_eq!(
            refused,
            "deny_detail is no level of detail; known are none, problem, debug"
        );
    }

    #[test]
    fn an_end_comes_not_before_it_is_told() {
        let end = |deprecated: Option<UnixTime>, sunset| {
            problems(|wrong| check_end(deprecated, sunset, wrong))
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
