//! The changes that a search tries.

use super::super::SignedRequest;
use super::super::wire::WireParameters;
use super::change::BaseStringChange;
use super::{MismatchEvidence, content, encoding, location, method, path, stamp};

/// Returns every change that may explain this request, in the order of
/// [`MismatchCause::ALL`](super::MismatchCause::ALL).
pub(super) fn changes<'e>(
    evidence: &MismatchEvidence<'e>,
    signed: &SignedRequest<'e>,
    wire: &WireParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let mut changes = location::changes(evidence, signed.realm());
    changes.extend(path::changes(evidence, signed.realm()));
    changes.extend(method::changes(evidence, wire));
    changes.extend(stamp::changes(signed, wire));
    changes.extend(content::changes(evidence.request, signed, wire));
    changes.extend(encoding::changes());
    changes.sort_by_key(|change| change.cause);
    changes
}
