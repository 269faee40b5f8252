//! The compat profiles that would let a refused request pass, for people.

/// The label of the field.
pub(crate) const LABEL: &str = "compat profile";

/// Returns the names and the condition; empty if there are none.
pub(crate) fn text(profiles: &[impl AsRef<str>]) -> String {
    let names: Vec<_> = profiles.iter().map(AsRef::as_ref).collect();
    if names.is_empty() {
        return String::new();
    }
    format!("would pass with {}, {CONDITION}", names.join(" and "))
}

const CONDITION: &str = "but set it only if the client's owner confirms that the client signs so: \
    the request may have been changed on the way (docs/compat.md has the risks)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_named_with_its_condition() {
        let one = text(&["slash-plain"]);
        assert!(
            one.starts_with("would pass with slash-plain, but set it only if the client's owner"),
            "{one}"
        );
        assert!(text(&["a", "b"]).starts_with("would pass with a and b, "));
        assert_eq!(text(&[""; 0]), "");
    }
}
