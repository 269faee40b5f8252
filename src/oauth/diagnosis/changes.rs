//! The changes that a search tries.

use super::super::SignedRequest;
use super::super::wire::WireParameters;
use super::change::BaseStringChange;
use super::sent::SentParameters;
use super::{
    MismatchEvidence, arrays, base_text, body, characters, charset, content, encoding, joined,
    location, method, named_query, names, one_value, order, parameters, path, query_text, spelling,
    stamp, unsent, uri_form, value_guesses, values,
};

/// Returns every change that may explain this request, in the order of
/// [`MismatchCause::ALL`](super::MismatchCause::ALL).
pub(super) fn changes<'e>(
    evidence: &MismatchEvidence<'e>,
    signed: &SignedRequest<'e>,
    wire: &WireParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let mut changes = location::changes(evidence, signed);
    changes.extend(uri_form::changes(evidence.request, wire));
    changes.extend(path::changes(evidence, signed.realm()));
    changes.extend(method::changes(evidence, wire));
    changes.extend(stamp::changes(signed, wire));
    changes.extend(content::changes(evidence.request, signed, wire));
    let sent = SentParameters::of(wire, evidence.reveal);
    changes.extend(body::changes(evidence.request, &sent));
    changes.extend(named_query::changes(evidence, &sent));
    changes.extend(parameters::changes(evidence.request, &sent));
    changes.extend(unsent::changes(evidence.request, &sent));
    changes.extend(arrays::changes(&sent));
    changes.extend(spelling::changes(&sent));
    changes.extend(query_text::changes(evidence.request, &sent));
    changes.extend(names::changes(&sent));
    changes.extend(value_guesses::changes(&sent));
    changes.extend(values::changes(&sent));
    changes.extend(encoding::changes(&sent));
    changes.extend(characters::changes(evidence.request, &sent));
    changes.extend(one_value::changes(&sent));
    changes.extend(charset::changes(&sent));
    changes.extend(joined::changes(&sent));
    changes.extend(order::changes());
    changes.extend(base_text::changes());
    changes.sort_by_key(|change| change.cause);
    changes
}

#[cfg(test)]
mod tests {
    use super::super::super::{Request, RequestBody, Scheme};
    use super::super::MismatchCause;
    use super::*;

    /// The budget counts only the changes that are tried.
    #[test]
    fn few_changes_are_made_of_long_names_and_values() {
        let values = |count, len| vec![format!("a={}", "'".repeat(len)); count].join("&");
        for (short, long, cause) in [
            (
                "a[]=1".to_owned(),
                format!("{}=1", "[]".repeat(2100)),
                MismatchCause::ArraySyntax,
            ),
            (
                "-_A=1".to_owned(),
                format!("{}=1", "-_A".repeat(1400)),
                MismatchCause::NamesChanged,
            ),
            (
                "-_A=1".to_owned(),
                vec![format!("{}=1", "-_A".repeat(10)); 150].join("&"),
                MismatchCause::NamesChanged,
            ),
            (
                values(1, 1024),
                values(1, 1025),
                MismatchCause::ValuesChanged,
            ),
            (
                values(8, 1024),
                values(9, 1024),
                MismatchCause::ValuesChanged,
            ),
        ] {
            let count = |query: &str| {
                let causes = spelled(query).into_iter();
                causes.filter(|found| *found == cause).count()
            };
            assert!(count(&short) > 2, "{cause}: {}", count(&short));
            assert!(count(&long) <= 2, "{cause}: {}", count(&long));
        }
    }

    /// Returns the causes of the changes that spell names and values in other ways.
    fn spelled(query: &str) -> Vec<MismatchCause> {
        let target = format!("/?{query}");
        let request = Request {
            method: b"GET",
            scheme: Scheme::Https,
            authority: b"api.example.com",
            path_prefix: b"",
            target: target.as_bytes(),
            authorization: &[],
            content_type: &[],
            body: RequestBody::Whole(b""),
        };
        let wire = WireParameters::of(&request).unwrap();
        let sent = SentParameters::of(&wire, false);
        let mut changes = arrays::changes(&sent);
        changes.extend(spelling::changes(&sent));
        changes.extend(names::changes(&sent));
        changes.extend(value_guesses::changes(&sent));
        changes.iter().map(|change| change.cause).collect()
    }
}
