//! Which compat profiles a consumer may have together.
//!
//! What each changes, and its risk, is in `docs/compat.md`.

use std::collections::BTreeSet;

use crate::issue::Violations;
use crate::oauth::{CompatProfile, CompatSet, SignatureMethod};

/// The profiles of these names, under the name `compat_profiles`: none that contradict each other, or that leave more
/// unsigned together than each of them does.
pub(super) fn checked(
    names: &[String],
    methods: &BTreeSet<SignatureMethod>,
    wrong: &mut Violations,
) -> CompatSet {
    let known = |name: &str| CompatProfile::from_name(name).ok_or_else(unknown);
    let compat: CompatSet = wrong
        .check_each(FIELD, names, CompatProfile::ALL.len(), known)
        .into_iter()
        .collect();
    if let Some(why) = compat.conflict() {
        wrong.add(FIELD, format_args!("must {why}"));
    }
    if compat.contains(CompatProfile::SchemeAny) && methods.contains(&SignatureMethod::Plaintext) {
        wrong.add(FIELD, SCHEME_OF_PLAINTEXT);
    }
    compat
}

fn unknown() -> String {
    format!(
        "is no compat profile; known are {}",
        CompatProfile::ALL.map(CompatProfile::name).join(", ")
    )
}

const FIELD: &str = "compat_profiles";

const SCHEME_OF_PLAINTEXT: &str = "must not hold scheme-any where signature_methods has PLAINTEXT: nothing but https protects what that sends";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_can_be_had() {
        for profile in CompatProfile::ALL {
            let plaintext = if profile == CompatProfile::SchemeAny {
                None
            } else {
                Some(SignatureMethod::Plaintext)
            };
            assert_eq!(
                check(&[profile.name()], plaintext),
                (CompatSet::only(profile), Vec::new())
            );
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_that_there_are() {
        let (_, problems) = check(&["version-lenient", "1.0A"], None);
        let [problem] = &problems[..] else {
            panic!("{problems:?}")
        };
        assert!(problem.starts_with(
            "compat_profiles[1] is no compat profile; known are version-lenient, no-root-slash,"
        ));
        assert!(
            CompatProfile::ALL
                .iter()
                .all(|profile| problem.contains(profile.name())),
            "{problem}"
        );
    }

    #[test]
    fn what_would_leave_too_much_unsigned_together_is_refused() {
        let (compat, problems) = check(&["ignore-query-on-post", "body-unsigned-form"], None);
        assert_eq!(
            problems,
            [format!(
                "compat_profiles must {}",
                compat.conflict().unwrap()
            )]
        );
        let (_, problems) = check(&["scheme-any"], Some(SignatureMethod::Plaintext));
        assert_eq!(problems, [format!("compat_profiles {SCHEME_OF_PLAINTEXT}")]);
    }

    fn check(names: &[&str], method: Option<SignatureMethod>) -> (CompatSet, Vec<String>) {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut wrong = Violations::default();
        let compat = checked(&names, &method.into_iter().collect(), &mut wrong);
        let problems = wrong
            .iter()
            .map(|violation| format!("{} {}", violation.field, violation.problem));
        (compat, problems.collect())
    }
}
