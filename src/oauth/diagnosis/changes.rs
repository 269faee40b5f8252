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
