//! Changes of the character set and the line breaks of names and values (RFC 5849 section 3.6).

use super::super::variant::{
    ByteSet, Charset, Encoding, SurrogateForm, TextChange, TextForm, UnitForm,
};
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};
use super::sent::SentParameters;

/// Returns the changes that this request would show.
pub(super) fn changes<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let mut changes = Vec::new();
    if sent.has_any(NOT_ASCII) {
        let is_utf8 = sent.is_utf8();
        changes.extend(CHARSETS.iter().map(|&(change, remedy)| {
            let remedy = if is_utf8 { remedy } else { NOT_UTF8 };
            changed(MismatchCause::Charset, TextForm::changed_by(change)).with_remedy(Some(remedy))
        }));
        changes.push(javascript());
    }
    if sent.has_any(ByteSet::of(b"\r\n")) {
        changes.extend(LINE_BREAKS.map(|(instead, remedy)| {
            let form = TextForm::changed_by(TextChange::LineBreaks(instead));
            changed(MismatchCause::LineBreaks, form).with_remedy(remedy)
        }));
    }
    if sent.has_any(ByteSet::of(b" \t\r\n")) {
        let form = TextForm::changed_by(TextChange::Trimmed);
        changes.push(changed(MismatchCause::ValueLeftOut, form).with_remedy(Some(TRIMMED)));
    }
    changes
}

fn changed<'e>(cause: MismatchCause, form: TextForm) -> BaseStringChange<'e> {
    BaseStringChange::new(cause, BaseStringPart::Text, move |variant| {
        for texts in [&mut variant.names, &mut variant.values] {
            texts.iter_mut().for_each(|text| text.change = form.change);
        }
    })
}

/// Returns the change to JavaScript's `escape`.
fn javascript<'e>() -> BaseStringChange<'e> {
    let change = BaseStringChange::new(MismatchCause::Charset, BaseStringPart::Text, |variant| {
        for texts in [&mut variant.names, &mut variant.values] {
            for text in texts {
                text.change = TextChange::Units(UnitForm::Escape);
                text.encoding = Encoding::RFC.leaving(b"@*+/").escaping(b"~");
            }
        }
    });
    change.with_remedy(Some(UNITS))
}

const NOT_ASCII: ByteSet = ByteSet::ALL.without(ByteSet::of(&ASCII));

const ASCII: [u8; 128] = {
    let mut all = [0; 128];
    let mut at = 0;
    while at < 128 {
        all[at] = at as u8;
        at += 1;
    }
    all
};

const CHARSETS: [(TextChange, &str); 12] = [
    (TextChange::Narrowed(Charset::Latin1), NARROWED),
    (TextChange::Narrowed(Charset::Windows1252), NARROWED),
    (TextChange::Widened(Charset::Latin1), WIDENED),
    (TextChange::Widened(Charset::Windows1252), WIDENED),
    (TextChange::Ascii, ASCII_ONLY),
    (TextChange::Units(UnitForm::Escape), UNITS),
    (TextChange::Units(UnitForm::Percent), UNITS),
    (TextChange::Units(UnitForm::Hexadecimal), UNITS),
    (TextChange::Surrogates(SurrogateForm::Cesu), SURROGATES),
    (
        TextChange::Surrogates(SurrogateForm::QuestionMark),
        SURROGATES,
    ),
    (
        TextChange::Surrogates(SurrogateForm::Replacement),
        SURROGATES,
    ),
    (TextChange::Lossy, NOT_UTF8),
];

/// The texts that clients sign for a line break.
const LINE_BREAKS: [(&[u8], Option<&str>); 5] = [
    (b"\n", None),
    (b"\r\n", None),
    (b"\r", None),
    (b"", Some(WITHOUT_BREAKS)),
    (b" ", Some(WITHOUT_BREAKS)),
];

const NARROWED: &str = "the client signs ISO 8859-1 or windows-1252, but sends UTF-8: make it encode names and \
     values as UTF-8 before it signs (RFC 5849 section 3.6)";

const WIDENED: &str = "the client encodes the bytes that it sends as UTF-8 again before it signs: make it sign \
     the bytes that it sends, in UTF-8 (RFC 5849 section 3.6)";

const ASCII_ONLY: &str = "the client signs `?` for characters outside of ASCII: make it encode names and values as \
     UTF-8 before it signs (RFC 5849 section 3.6)";

const UNITS: &str = "the client escapes UTF-16 units, like JavaScript's `escape`: make it encode names and \
     values as UTF-8 before it signs (RFC 5849 section 3.6)";

const SURROGATES: &str = "the client encodes each half of a surrogate pair alone: make it encode whole characters as \
     UTF-8 (RFC 5849 section 3.6)";

const NOT_UTF8: &str = "the client sends a character set other than UTF-8, and signs different bytes than it sends: make \
     it send UTF-8 (RFC 5849 section 3.6)";

const WITHOUT_BREAKS: &str = "the client signs values without the line breaks that it sends: make it sign the line breaks \
     too, or send none";

const TRIMMED: &str = "the client signs values without the white space around them, but sends it: make it remove \
     the white space before it sends and signs";
