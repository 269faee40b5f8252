//! Changes of the characters that an encoder leaves plain or escapes (RFC 5849 section 3.6).
//!
//! Most clients use an encoder that their platform has for another purpose. A change is only tried
//! if the request has a character that this encoder treats differently.

use std::borrow::Cow;

use super::super::ParameterPlace;
use super::super::Request;
use super::super::uri::split_target;
use super::super::variant::{ByteSet, Encoding};
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};
use super::sent::SentParameters;

/// Returns the changes to every other encoding that the request would show.
pub(super) fn changes<'e>(
    request: &Request<'_>,
    sent: &SentParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let bytes = PresentBytes::of(request, sent);
    let mut trials: Vec<EncodingTrial> = Vec::new();
    for trial in encoders(&bytes).flat_map(|encoding| bytes.trials(encoding)) {
        if trial != EncodingTrial::RFC && !trials.contains(&trial) {
            trials.push(trial);
        }
    }
    let mut pairs = bytes.trials_of_two();
    pairs.retain(|trial| !trials.contains(trial));
    let pairs = pairs.into_iter().map(|pair| pair.change().among_many());
    let is_repeated = sent.has_repeated();
    let trials = trials.into_iter().map(|trial| {
        let change = trial.change();
        // WooCommerce's client for Python sends parameters twice, and leaves `/` plain.
        if is_repeated && trial.leaves_slashes() {
            change.likely()
        } else {
            change
        }
    });
    trials.chain(pairs).collect()
}

/// Returns whether an encoder is known that leaves exactly these characters plain, or one that
/// leaves a single one.
pub(super) fn is_of_a_library(plain: ByteSet) -> bool {
    let is_within = |set| plain.without(ByteSet::of(set)).is_empty();
    !plain.is_empty()
        && (is_within(b"!*'()") || (plain.iter().count() == 1 && is_within(SINGLE_CHARACTERS)))
}

/// Lists characters for people.
pub(super) fn listed(bytes: ByteSet) -> String {
    let all: Vec<_> = bytes.iter().collect();
    let shown = all.iter().filter(|byte| byte.is_ascii_graphic());
    let mut names: Vec<_> = shown
        .map(|&byte| format!("`{}`", char::from(byte)))
        .collect();
    if bytes.contains(b' ') {
        names.push("spaces".to_owned());
    }
    if all.iter().any(|byte| !byte.is_ascii()) {
        names.push("characters outside of ASCII".to_owned());
    }
    if all.iter().any(u8::is_ascii_control) {
        names.push("control characters".to_owned());
    }
    match &names[..] {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.concat(),
    }
}

/// A name or value: as sent, and decoded.
pub(super) type SentText<'p> = (&'p [u8], &'p [u8]);

/// Returns the cause and the remedy of a client that signs these texts as it sends them, if it uses
/// a known encoder for both.
pub(super) fn encoder_of(texts: &[SentText<'_>]) -> Option<(MismatchCause, String)> {
    let len: usize = texts.iter().map(|(raw, _)| raw.len()).sum();
    if len > MAX_COMPARED_LEN {
        return None;
    }
    let present: ByteSet = texts
        .iter()
        .flat_map(|(_, text)| text.iter().copied())
        .collect();
    let gives = |encoding: &Encoding| {
        let mut texts = texts.iter();
        texts.all(|(raw, text)| *encoding.encoded(&Cow::Borrowed(text)) == **raw)
    };
    // A client that leaves the characters of base64 plain encodes nothing.
    let others = present.without(ByteSet::of(BASE64));
    let encodings = ENCODERS.into_iter().chain(single_characters(others));
    let mut encodings = encodings.map(|encoding| limited(encoding, present));
    let encoding = encodings.find(|encoding| *encoding != Encoding::RFC && gives(encoding))?;
    let trial = EncodingTrial {
        values: [encoding; 3],
        ..EncodingTrial::RFC
    };
    Some((trial.cause(), trial.remedy()))
}

/// Returns the encoders of libraries, then those that treat one character differently.
fn encoders(bytes: &PresentBytes) -> impl Iterator<Item = Encoding> {
    ENCODERS
        .into_iter()
        .chain(single_characters(bytes.all()))
        .chain(URI_ENCODERS)
}

/// Returns the encoders that treat one of these characters differently.
fn single_characters(present: ByteSet) -> impl Iterator<Item = Encoding> {
    let left = present.and(ByteSet::of(SINGLE_CHARACTERS).or(ByteSet::of(OTHER_CHARACTERS)));
    let escaped = present.and(ByteSet::of(b"~.-_"));
    let left = left.iter().map(|byte| Encoding::RFC.leaving(&[byte]));
    left.chain(escaped.iter().map(|byte| Encoding::RFC.escaping(&[byte])))
}

/// Returns every two of these characters, or the usual ones if there are many.
fn couples(present: ByteSet) -> Vec<[u8; 2]> {
    let all: Vec<_> = present.iter().collect();
    if all.len() > MAX_COUPLED {
        let has = |couple: &[u8; 2]| couple.iter().all(|&byte| present.contains(byte));
        return COUPLES.into_iter().filter(has).collect();
    }
    let couples = all.iter().enumerate();
    couples
        .flat_map(|(at, &one)| all[at + 1..].iter().map(move |&other| [one, other]))
        .collect()
}

/// The bytes that are encoded in each part of the base string.
struct PresentBytes {
    names: [ByteSet; 3],
    values: [ByteSet; 3],
    uri: ByteSet,
}

impl PresentBytes {
    fn of(request: &Request<'_>, sent: &SentParameters<'_>) -> Self {
        let path = split_target(request.target).0;
        let uri = [b"https://", request.authority, request.path_prefix, path];
        Self {
            names: sent.name_bytes(),
            values: sent.value_bytes(),
            uri: uri.into_iter().flatten().copied().collect(),
        }
    }

    fn all(&self) -> ByteSet {
        let texts = self.names.iter().chain(&self.values);
        texts.fold(self.uri, |all, &bytes| all.or(bytes))
    }

    /// Returns the ways to use an encoder: for names and values, for one of them, for the parts of
    /// the base string, and for all.
    fn trials(&self, encoding: Encoding) -> [EncodingTrial; 9] {
        let (on, off) = (encoding, Encoding::RFC);
        let everywhere = self.first(&[on; 3], &[on; 3]);
        let plain = self.first(&[off; 3], &[off; 3]);
        [
            everywhere,
            self.first(&[off, on, on], &[off, on, on]),
            self.first(&[off; 3], &[on; 3]),
            self.first(&[on; 3], &[off; 3]),
            self.second(everywhere, on, on),
            self.second(everywhere, off, on),
            self.second(plain, on, on),
            self.second(plain, on, off),
            self.second(plain, off, on),
        ]
    }

    /// Returns the trials that leave two characters plain: in names and values, and everywhere.
    fn trials_of_two(&self) -> Vec<EncodingTrial> {
        let texts = self.names.iter().chain(&self.values);
        let present = texts.fold(ByteSet::NONE, |all, &bytes| all.or(bytes));
        let couples = couples(present.and(ByteSet::of(SINGLE_CHARACTERS)));
        let trials = couples.into_iter().flat_map(|couple| {
            let [first, _, _, _, everywhere, ..] = self.trials(Encoding::RFC.leaving(&couple));
            [first, everywhere]
        });
        trials.collect()
    }

    /// Returns the trial that encodes names and values in this way.
    fn first(&self, names: &[Encoding; 3], values: &[Encoding; 3]) -> EncodingTrial {
        let limited = |encodings: &[Encoding; 3], present: &[ByteSet; 3]| {
            [0, 1, 2].map(|place| limited(encodings[place], present[place]))
        };
        EncodingTrial {
            names: limited(names, &self.names),
            values: limited(values, &self.values),
            ..EncodingTrial::RFC
        }
    }

    /// Returns the trial that also encodes the parts of the base string in this way.
    fn second(&self, first: EncodingTrial, uri: Encoding, joined: Encoding) -> EncodingTrial {
        let mut present = ByteSet::of(b"%=&");
        for (encoding, bytes) in first.texts().zip(self.names.iter().chain(&self.values)) {
            present = present.or(encoding.plain.and(*bytes));
            if encoding.space_as_plus {
                present = present.or(ByteSet::of(b"+"));
            }
        }
        EncodingTrial {
            uri: limited(uri, self.uri),
            joined: limited(joined, present),
            ..first
        }
    }
}

/// Returns an encoding without what these bytes do not show.
fn limited(encoding: Encoding, present: ByteSet) -> Encoding {
    let absent = ByteSet::UNRESERVED.without(present);
    let plain = encoding.plain.and(present).or(absent);
    let escaped = present.without(plain);
    let has_letter = |byte: u8| byte & 15 > 9 || byte >> 4 > 9;
    Encoding {
        plain,
        space_as_plus: encoding.space_as_plus && escaped.contains(b' '),
        lower_case: encoding.lower_case && escaped.iter().any(has_letter),
    }
}

/// The encodings of every part of a base string.
#[derive(Clone, Copy, PartialEq, Eq)]
struct EncodingTrial {
    names: [Encoding; 3],
    values: [Encoding; 3],
    uri: Encoding,
    joined: Encoding,
}

impl EncodingTrial {
    const RFC: Self = Self {
        names: [Encoding::RFC; 3],
        values: [Encoding::RFC; 3],
        uri: Encoding::RFC,
        joined: Encoding::RFC,
    };

    fn texts(&self) -> impl Iterator<Item = &Encoding> {
        self.names.iter().chain(&self.values)
    }

    fn change<'e>(self) -> BaseStringChange<'e> {
        let (cause, remedy) = (self.cause(), self.remedy());
        let is_rare = self.texts().all(|one| *one == Encoding::RFC)
            && cause == MismatchCause::CharactersNotEncoded
            && !self.uri.plain.contains(b'/');
        let change = BaseStringChange::new(cause, BaseStringPart::Values, move |variant| {
            for place in PLACES {
                let at = place as usize;
                if self.names[at] != Encoding::RFC {
                    variant.names[at].encoding = self.names[at];
                }
                if self.values[at] != Encoding::RFC {
                    variant.values[at].encoding = self.values[at];
                }
            }
            if self.uri != Encoding::RFC {
                variant.uri_encoding = self.uri;
            }
            if self.joined != Encoding::RFC {
                variant.joined_encoding = self.joined;
            }
        });
        let change = change.with_own_remedy(remedy);
        match (is_rare, self.is_usual()) {
            (true, _) => change.among_many(),
            (false, true) => change.likely(),
            (false, false) => change,
        }
    }

    /// Returns whether names and values alone are encoded differently, in a frequent way.
    fn is_usual(&self) -> bool {
        let is_usual = |one: &Encoding| {
            let left = left_plain(one);
            one.space_as_plus
                || (!left.is_empty() && left.without(ByteSet::of(b"!*'()/")).is_empty())
        };
        self.texts().any(is_usual) && self.uri == Encoding::RFC && self.joined == Encoding::RFC
    }

    /// Returns whether all that is joined has plain slashes, and the URI has none.
    fn leaves_slashes(&self) -> bool {
        let left = left_plain(&self.joined);
        let is_slash = !left.is_empty() && left.without(ByteSet::of(b"/")).is_empty();
        is_slash && self.uri == Encoding::RFC
    }

    /// Returns the cause that the bytes of this request show.
    fn cause(&self) -> MismatchCause {
        let parts = || self.texts().chain([&self.uri, &self.joined]);
        if parts().any(|one| one.space_as_plus) {
            MismatchCause::SpaceAsPlus
        } else if parts().any(|one| !left_plain(one).is_empty()) {
            MismatchCause::CharactersNotEncoded
        } else if parts().any(|one| !escaped(one).is_empty()) {
            MismatchCause::UnreservedEncoded
        } else {
            MismatchCause::LowerCaseEscapes
        }
    }

    fn remedy(&self) -> String {
        let parts = || self.texts().chain([&self.uri, &self.joined]);
        let all =
            |of: fn(&Encoding) -> ByteSet| parts().fold(ByteSet::NONE, |all, one| all.or(of(one)));
        let (left_plain, escaped) = (all(left_plain), all(escaped));
        let mut does = Vec::new();
        if parts().any(|one| one.space_as_plus) {
            does.push("signs a space as `+`".to_owned());
        }
        if !left_plain.is_empty() {
            does.push(format!("leaves {} unencoded", listed(left_plain)));
        }
        if !escaped.is_empty() {
            does.push(format!("escapes {}", listed(escaped)));
        }
        if parts().any(|one| one.lower_case) {
            does.push("writes escapes in lowercase".to_owned());
        }
        format!(
            "the client {} in its base string: make it encode every character except letters, \
             digits and `-._~`, a space as `%20`, with uppercase hexadecimal digits (RFC 5849 section \
             3.6)",
            does.join(", ")
        )
    }
}

/// Returns the reserved characters that an encoding leaves plain.
fn left_plain(encoding: &Encoding) -> ByteSet {
    encoding.plain.without(ByteSet::UNRESERVED)
}

/// Returns the unreserved characters that an encoding escapes.
fn escaped(encoding: &Encoding) -> ByteSet {
    ByteSet::UNRESERVED.without(encoding.plain)
}

const PLACES: [ParameterPlace; 3] = [
    ParameterPlace::Header,
    ParameterPlace::Query,
    ParameterPlace::Body,
];

/// The reserved characters that an encoder may leave plain alone.
const SINGLE_CHARACTERS: &[u8] = b"!*'()/,:@;$?[]|{}\\^`\"<>#";

/// The reserved characters of base64 and of forms, which few encoders leave plain.
const BASE64: &[u8] = b"+=&";

/// Those, and the space.
const OTHER_CHARACTERS: &[u8] = b"+=& ";

/// The longest texts together, in bytes, that are compared with every encoder.
const MAX_COMPARED_LEN: usize = 8 * 1024;

/// The most characters of which the search leaves every two plain.
const MAX_COUPLED: usize = 6;

/// The characters that clients leave plain together.
const COUPLES: [[u8; 2]; 16] = [
    *b"[]", *b"/:", *b",:", *b"/?", *b",/", *b"@,", *b":@", *b"()", *b"!*", *b"!'", *b"*'", *b"{}",
    *b"$,", *b"/@", *b";,", *b":;",
];

/// The encoders of libraries for names and values.
const ENCODERS: [Encoding; 16] = [
    // Correct except for the case of digits, and for the space.
    Encoding::RFC.in_lower_case(),
    Encoding::RFC.with_plus(),
    // JavaScript's encodeURIComponent, .NET's Uri.EscapeDataString, Perl's uri_escape, jq's @uri.
    Encoding::RFC.leaving(b"!*'()"),
    // Python's quote, and quote before Python 3.7.
    Encoding::RFC.leaving(b"/"),
    Encoding::RFC.leaving(b"/").escaping(b"~"),
    // PHP's rawurlencode before 5.3, and urlencode.
    Encoding::RFC.escaping(b"~"),
    Encoding::RFC.escaping(b"~").with_plus(),
    // java.net.URLEncoder; AsyncHttpClient with its corrections.
    Encoding::RFC.leaving(b"*").escaping(b"~").with_plus(),
    Encoding::RFC.leaving(b"*").escaping(b"~"),
    Encoding::RFC.leaving(b"*").with_plus(),
    // .NET's HttpUtility.UrlEncode and WebUtility.UrlEncode.
    Encoding::RFC
        .leaving(b"!*()")
        .escaping(b"~")
        .with_plus()
        .in_lower_case(),
    Encoding::RFC
        .leaving(b"!*()")
        .escaping(b"~")
        .in_lower_case(),
    Encoding::RFC.leaving(b"!*()").escaping(b"~").with_plus(),
    Encoding::RFC.leaving(b"!*()").with_plus(),
    // jq before 1.6.
    Encoding::RFC.leaving(b"!*'()").in_lower_case(),
    // ColdFusion's URLEncodedFormat.
    Encoding::RFC.escaping(b"~.-_"),
];

/// The encoders of libraries for whole URIs.
const URI_ENCODERS: [Encoding; 4] = [
    // JavaScript's encodeURI, and Ruby's URI.escape.
    Encoding::RFC.leaving(b";/?:@&=+$,#!*'()"),
    Encoding::RFC.leaving(b";/?:@&=+$,[]!*'()"),
    // Swift's urlQueryAllowed and urlHostAllowed.
    Encoding::RFC.leaving(b"!$&'()*+,/:;=?@"),
    Encoding::RFC.leaving(b"!$&'()*+,:;=[]"),
];
