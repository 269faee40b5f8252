//! The circumstances of a denial, for people.

use crate::diagnostics::DenialRecord;

/// Returns labels and values, without empty values.
pub(super) fn rows(denial: &DenialRecord) -> Vec<(String, String)> {
    let circumstances = [
        ("Consumer", denial.consumer_name.clone()),
        ("Answer", answer(denial)),
        ("Rule", denial.rule.clone()),
        ("Client address", denial.client_address.clone()),
        ("x-request-id", denial.request_id.clone()),
    ];
    let circumstances = circumstances.map(|(label, value)| (label.to_owned(), value));
    let details = denial.details.iter();
    let details = details.map(|(name, value)| (label(name), value.to_owned()));
    let rows = circumstances.into_iter().chain(details);
    rows.filter(|(_, value)| !value.is_empty()).collect()
}

/// Returns the answer to the caller: status, problem and advice.
fn answer(denial: &DenialRecord) -> String {
    match denial.status {
        0 => String::new(),
        status => format!("{status} {}: {}", denial.problem, denial.advice),
    }
}

/// Returns the label of a fact: `client_time` is "Client time".
fn label(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_the_name_of_a_fact_in_words() {
        assert_eq!(label("client_time"), "Client time");
        assert_eq!(label(""), "");
    }
}
