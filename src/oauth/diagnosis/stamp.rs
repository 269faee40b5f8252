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
        .chain(versions(wire))
        .collect()
}

/// Returns the changes that sign another text of the version.
fn versions<'e>(wire: &WireParameters<'e>) -> impl Iterator<Item = BaseStringChange<'e>> {
    let at = wire.position(ProtocolParameter::Version);
    VERSIONS.into_iter().map(move |text| {
        let change = signed_as(
            at,
            MismatchCause::Version,
            BaseStringPart::Version,
            ProtocolParameter::Version,
            text.to_owned(),
        );
        change.with_remedy(Some(remedy::VERSION)).guess()
    })
}

/// Returns the changes that sign the name of another method.
fn labels<'e>(at: usize, own: SignatureMethod) -> impl Iterator<Item = BaseStringChange<'e>> {
    let others = SignatureMethod::ALL.into_iter();
    let named = others.filter(move |&other| other != own);
    let named = named.map(move |other| label(at, other.name()).likely());
    let spelled = spelled(own).into_iter();
    named.chain(spelled.map(move |text| label(at, &text).guess()))
}

fn label<'e>(at: usize, text: &str) -> BaseStringChange<'e> {
    signed_as(
        Some(at),
        MismatchCause::MethodConfusion,
        BaseStringPart::Label,
        ProtocolParameter::SignatureMethod,
        text.to_owned(),
    )
    .with_own_remedy(remedy::LABEL.replace("{other}", text))
}

/// Returns other spellings of a method's name: of libraries, and without its separator.
fn spelled(own: SignatureMethod) -> Vec<String> {
    let name = own.name();
    let mut spellings = vec![
        name.to_ascii_lowercase(),
        name.replace('-', "_"),
        name.replace('-', ""),
    ];
    if let Some((kind, hash)) = name.split_once('-') {
        let (first, rest) = kind.split_at(1);
        spellings.extend([
            format!("{first}{}{hash}", rest.to_ascii_lowercase()),
            hash.to_owned(),
            hash.to_ascii_lowercase(),
        ]);
    }
    spellings
}

/// Returns the changes that sign a near timestamp, the nearest first.
fn timestamps<'e>(at: usize, sent: u64) -> impl Iterator<Item = BaseStringChange<'e>> {
    let near = (1..=MAX_SECONDS).flat_map(move |seconds| {
        [sent.checked_sub(seconds), sent.checked_add(seconds)]
            .into_iter()
            .flatten()
            .map(move |other| (other, seconds))
    });
    let near = near.map(move |(other, seconds)| {
        let change = timestamp(at, other.to_string());
        if seconds > NEAR_SECONDS {
            change.among_many()
        } else {
            change
        }
    });
    let zones = zones(sent).map(|other| (other.to_string(), remedy::TIMESTAMP_ZONE));
    let texts = [
        (format!("{sent}.0"), remedy::TIMESTAMP_FRACTION),
        (format!("{sent}000"), remedy::TIMESTAMP_MILLISECONDS),
        (String::new(), remedy::TIMESTAMP_EMPTY),
    ];
    let guesses = zones.chain(texts).map(move |(text, remedy)| {
        let change = timestamp(at, text).with_remedy(Some(remedy));
        change.guess()
    });
    near.chain(guesses)
}

fn timestamp<'e>(at: usize, text: String) -> BaseStringChange<'e> {
    signed_as(
        Some(at),
        MismatchCause::Timestamp,
        BaseStringPart::Timestamp,
        ProtocolParameter::Timestamp,
        text,
    )
}

/// Returns the timestamps of clocks that are set to the local time.
fn zones(sent: u64) -> impl Iterator<Item = u64> {
    let hours = (1..=MAX_HOURS).map(|hours| hours * 60);
    let minutes = hours.chain(OTHER_ZONES);
    minutes.flat_map(move |minutes| {
        let seconds = minutes * 60;
        [sent.checked_sub(seconds), sent.checked_add(seconds)]
            .into_iter()
            .flatten()
    })
}

/// Returns the change that signs another value of a parameter than the client sends.
fn signed_as<'e>(
    at: Option<usize>,
    cause: MismatchCause,
    part: BaseStringPart,
    parameter: ProtocolParameter,
    value: String,
) -> BaseStringChange<'e> {
    let pair = ParameterPair::encode(parameter.name().as_bytes(), value.as_bytes());
    BaseStringChange::new(cause, part, move |variant| {
        variant.left_out.extend(at);
        variant.unsent.push(pair.clone());
    })
}

/// The seconds that the search tries before, and after, the timestamp.
const MAX_SECONDS: u64 = 30;

/// The most hours between UTC and a local time.
const MAX_HOURS: u64 = 14;

/// The minutes between UTC and other local times: of Newfoundland, Iran, India, Nepal and Australia.
const OTHER_ZONES: [u64; 5] = [210, 270, 330, 345, 570];

/// The texts of a version that clients sign without sending them.
const VERSIONS: [&str; 5] = ["1.0", "1.0a", "1.0A", "1", "2.0"];

/// The seconds that it tries together with other causes.
const NEAR_SECONDS: u64 = 3;
