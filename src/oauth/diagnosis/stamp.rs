//! Changes of protocol values that the client signs differently than it sends them: a timestamp
//! that it reads twice, and a signature method that it renames in the header alone.

use super::super::pair::ParameterPair;
use super::super::wire::WireParameters;
use super::super::{ProtocolParameter, SignatureMethod, SignedRequest};
use super::change::{BaseStringChange, BaseStringPart};
use super::{MismatchCause, remedy};

/// Returns the changes to another timestamp and to another name of the signature method.
pub(super) fn changes<'e>(
    signed: &SignedRequest<'e>,
    wire: &WireParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let label = wire.position(ProtocolParameter::SignatureMethod);
    let own = signed.signature_method();
    let labels = label.into_iter().flat_map(|at| labels(at, own));
    let timestamp = wire.position(ProtocolParameter::Timestamp);
    let timestamps = timestamp.zip(signed.timestamp()).into_iter();
    labels
        .chain(timestamps.flat_map(|(at, sent)| self::timestamps(at, sent)))
        .collect()
}

/// Returns the changes that sign the name of another method.
fn labels<'e>(at: usize, own: SignatureMethod) -> impl Iterator<Item = BaseStringChange<'e>> {
    let others = SignatureMethod::ALL.into_iter();
    others.filter(move |&other| other != own).map(move |other| {
        signed_as(
            at,
            MismatchCause::MethodConfusion,
            BaseStringPart::Label,
            ProtocolParameter::SignatureMethod,
            other.name().to_owned(),
        )
        .with_own_remedy(remedy::LABEL.replace("{other}", other.name()))
        .likely()
    })
}

/// Returns the changes that sign a near timestamp, the nearest first.
fn timestamps<'e>(at: usize, sent: u64) -> impl Iterator<Item = BaseStringChange<'e>> {
    let near = (1..=MAX_SECONDS).flat_map(move |seconds| {
        [sent.checked_sub(seconds), sent.checked_add(seconds)]
            .into_iter()
            .flatten()
            .map(move |other| (other, seconds))
    });
    near.map(move |(other, seconds)| {
        let change = signed_as(
            at,
            MismatchCause::Timestamp,
            BaseStringPart::Timestamp,
            ProtocolParameter::Timestamp,
            other.to_string(),
        );
        if seconds > NEAR_SECONDS {
            change.among_many()
        } else {
            change
        }
    })
}

/// Returns the change that signs another value of a parameter than the client sends.
fn signed_as<'e>(
    at: usize,
    cause: MismatchCause,
    part: BaseStringPart,
    parameter: ProtocolParameter,
    value: String,
) -> BaseStringChange<'e> {
    let pair = ParameterPair::encode(parameter.name().as_bytes(), value.as_bytes());
    BaseStringChange::new(cause, part, move |variant| {
        variant.left_out.push(at);
        variant.unsent.push(pair.clone());
    })
}

/// The seconds that the search tries before, and after, the timestamp.
const MAX_SECONDS: u64 = 30;

/// The seconds that it tries together with other causes.
const NEAR_SECONDS: u64 = 3;
