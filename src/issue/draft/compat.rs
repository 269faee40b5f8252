//! The rules for combining compat profiles.
//!
//! `docs/compat.md` describes the effect and the risk of each profile.

use std::collections::BTreeSet;

use super::values::unknown_word;
use crate::issue::Violations;
use crate::oauth::{CompatProfile, CompatSet, SignatureMethod};

/// Checks the list in the field `compat_profiles`.
///
/// Refuses profiles that contradict each other, and combinations that leave more unsigned than
/// each profile does alone.
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
    let known = CompatProfile::ALL.map(CompatProfile::name).join(", ");
    unknown_word("compat profile", &known)
}

const FIELD: &str = "compat_profiles";

const SCHEME_OF_PLAINTEXT: &str = "must not combine scheme-any with the signature method PLAINTEXT: only https protects its secrets";

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
            "compat_profiles[1] is not a compat profile; known are version-lenient, no-root-slash,"
        ));
        assert!(
            CompatProfile::ALL
                .iter()
                .all(|profile| problem.contains(profile.name())),
            "{problem}"
        );
    }

    #[test]
    fn combinations_that_leave_too_much_unsigned_are_refused() {
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
