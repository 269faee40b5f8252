//! Changes of the set of signed parameters: sent and not signed, signed and not sent, or signed
//! another number of times (RFC 5849 section 3.4.1.3.1).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::super::pair::ParameterPair;
use super::super::uri::split_target;
use super::super::variant::SignedParameter;
use super::super::{ParameterPlace, ProtocolParameter, Request, RequestBody};
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};
use super::sent::{SentParameter, SentParameters};

/// Returns every change of the set of parameters.
pub(super) fn changes<'e>(
    request: &Request<'e>,
    sent: &SentParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let mut changes = repeated(sent);
    changes.extend(each_left_out(sent));
    changes.extend(several_left_out(sent));
    changes.extend(signed_twice(sent));
    changes.extend(not_sent(sent));
    changes.extend(empty_segments(request));
    changes
}

/// Returns the changes of clients that sign every name or every pair once.
fn repeated<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let repetitions = Repetitions::of(sent);
    if repetitions.names.is_empty() {
        return Vec::new();
    }
    let names = sent.named(sent.application().filter(|one| repetitions.has(one)));
    let collapsed = left_out(
        repetitions.cause_of_identical(sent),
        repetitions.identical.clone(),
        format!(
            "the client sends {names} more than once with the same value, but signs each pair \
             once: make it send each pair once, or sign every one that it sends (RFC 5849 section \
             3.4.1.3.1)"
        ),
    );
    let others = |kept: &str, at: Vec<usize>| {
        left_out(
            MismatchCause::RepeatedName,
            at,
            format!(
                "the client sends {names} more than once, but signs only the {kept} value, or \
                 somebody added the others on the way: make it sign every value, sorted (RFC 5849 \
                 section 3.4.1.3.2)"
            ),
        )
    };
    let first = repetitions.all_but(|occurrences| occurrences.first());
    let last = repetitions.all_but(|occurrences| occurrences.last());
    let usual = [collapsed, others("first", first), others("last", last)];
    let mut changes: Vec<_> = usual.into_iter().map(BaseStringChange::likely).collect();
    changes.extend(one_name_repeated(sent, &repetitions));
    changes
}

/// Returns the changes of clients that sign some occurrences of one of several repeated names.
fn one_name_repeated<'e>(
    sent: &SentParameters<'e>,
    repetitions: &Repetitions<'_>,
) -> Vec<BaseStringChange<'e>> {
    let mut changes = Vec::new();
    for occurrences in &repetitions.names {
        let named = sent.named(sent.iter().filter(|one| occurrences.contains(&one.at)));
        let remedy = format!(
            "the client sends {named} more than once, but does not sign every value, or somebody \
             added some on the way: make it sign every value, sorted (RFC 5849 section 3.4.1.3.2)"
        );
        let change = |at: Vec<usize>| left_out(MismatchCause::RepeatedName, at, remedy.clone());
        if repetitions.names.len() > 1 {
            changes.push(change(occurrences[1..].to_vec()));
            changes.push(change(occurrences[..occurrences.len() - 1].to_vec()));
        }
        if occurrences.len() > 2 {
            changes.extend(occurrences.iter().map(|&at| change(vec![at])));
        }
        changes.push(change(occurrences.clone()));
    }
    changes
}

/// Returns the changes of clients that do not sign one parameter.
fn each_left_out<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let repetitions = Repetitions::of(sent);
    let has_own_cause = |one: &SentParameter<'_>| {
        one.name == ProtocolParameter::Version.name().as_bytes()
            || (one.name == ProtocolParameter::Token.name().as_bytes() && one.value.is_empty())
            || repetitions.has(one)
    };
    let parameters: Vec<_> = sent.iter().filter(|one| !has_own_cause(one)).collect();
    let are_many = parameters.len() > USUAL_COUNT;
    let changes = parameters.iter().map(|one| {
        let change = these_left_out(sent, &[one]);
        match (is_tracking(&one.name), are_many) {
            (true, _) => change.likely(),
            (false, true) => change.among_many(),
            (false, false) => change,
        }
    });
    changes.collect()
}

/// Returns the changes of clients that leave out every parameter of a kind, or of proxies that add
/// some at either end.
fn several_left_out<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let application: Vec<_> = sent.application().collect();
    let empty = application.iter().filter(|one| one.value.is_empty());
    let tracking = application.iter().filter(|one| is_tracking(&one.name));
    let with_semicolon = application.iter().filter(|one| one.wire_has(b';'));
    let groups = [
        empty.copied().collect(),
        tracking.copied().collect(),
        with_semicolon.copied().collect(),
        sent.iter().filter(|one| one.is_protocol()).collect(),
    ];
    let at_ends = (2..application.len().min(MAX_RUN)).flat_map(|count| {
        let begin = application.len() - count;
        [application[begin..].to_vec(), application[..count].to_vec()]
    });
    let groups = groups.into_iter().chain(at_ends);
    let groups = groups.filter(|group: &Vec<_>| group.len() > 1);
    let groups = groups.map(|group| {
        let change = these_left_out(sent, &group);
        if group.iter().all(|one| is_tracking(&one.name)) {
            change.likely()
        } else {
            change
        }
    });
    let mut changes: Vec<_> = groups.collect();
    changes.extend(two_left_out(sent, &application));
    changes
}

/// Returns the changes of clients that do not sign two parameters, wherever they stand.
fn two_left_out<'e>(
    sent: &SentParameters<'e>,
    application: &[&SentParameter<'e>],
) -> Vec<BaseStringChange<'e>> {
    if application.len() > MAX_PAIRED {
        return Vec::new();
    }
    let pairs = application.iter().enumerate().flat_map(|(at, one)| {
        let others = application[at + 1..].iter();
        others.map(move |other| [*one, *other])
    });
    pairs
        .map(|pair| these_left_out(sent, &pair).among_many())
        .collect()
}

fn these_left_out<'e>(
    sent: &SentParameters<'e>,
    these: &[&SentParameter<'e>],
) -> BaseStringChange<'e> {
    let names = sent.named(these.iter().copied());
    let remedy = if these.iter().all(|one| one.is_protocol()) {
        format!(
            "the client sends {names}, but leaves it out of the signature: make it sign every \
             `oauth_` parameter that it sends, except `oauth_signature` (RFC 5849 section \
             3.4.1.3.1)"
        )
    } else {
        format!(
            "the client does not sign {names}, or somebody added it on the way: make the client \
             sign every parameter that it sends (RFC 5849 section 3.4.1.3.1), and stop proxies and \
             pages from adding any"
        )
    };
    let at = these.iter().map(|one| one.at).collect();
    left_out(MismatchCause::ParameterLeftOut, at, remedy)
}

fn left_out<'e>(cause: MismatchCause, at: Vec<usize>, remedy: String) -> BaseStringChange<'e> {
    BaseStringChange::new(cause, BaseStringPart::Parameters, move |variant| {
        variant.left_out.extend_from_slice(&at);
    })
    .with_own_remedy(remedy)
}

/// Returns the changes of clients that sign what they send once more: from the URL, and from their
/// list of parameters.
fn signed_twice<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let of = |place| {
        sent.application()
            .filter(move |one| one.wire.place == place)
    };
    let query: Vec<_> = of(ParameterPlace::Query).collect();
    let body: Vec<_> = of(ParameterPlace::Body).collect();
    let protocol: Vec<_> = sent.iter().filter(|one| one.is_protocol()).collect();
    let wholes = [
        ("the query", query.clone()),
        ("the form", body.clone()),
        ("query and form", [query, body].concat()),
        ("the `oauth_` parameters", protocol),
    ];
    let wholes = wholes.into_iter().filter(|(_, twice)| !twice.is_empty());
    let mut changes: Vec<_> = wholes
        .map(|(what, twice)| these_twice(sent, what, &twice))
        .collect();
    changes.extend(sent.application().map(|one| {
        let name = sent.named(std::iter::once(one));
        these_twice(sent, &name, &[one]).among_many()
    }));
    changes
}

fn these_twice<'e>(
    sent: &SentParameters<'e>,
    what: &str,
    twice: &[&SentParameter<'e>],
) -> BaseStringChange<'e> {
    let mut list = sent.unchanged();
    list.extend(twice.iter().map(|one| one.signed()));
    instead(MismatchCause::SignedTwice, list).with_own_remedy(format!(
        "the client signs {what} twice: make it sign every parameter as often as it sends it (RFC \
         5849 section 3.4.1.3.1)"
    ))
}

/// Returns the change of a client that signs another list of parameters.
pub(super) fn instead(
    cause: MismatchCause,
    list: Vec<SignedParameter<'_>>,
) -> BaseStringChange<'_> {
    let list: Rc<[_]> = list.into();
    BaseStringChange::new(cause, BaseStringPart::Parameters, move |variant| {
        variant.instead = Some(Rc::clone(&list));
    })
}

/// Returns the changes of clients that sign a protocol parameter that they do not send: mostly an
/// empty one.
fn not_sent<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let is_sent = |name: &str| sent.iter().any(|one| one.name == name.as_bytes());
    let absent = |name: &&str| !is_sent(name);
    let empty: Vec<_> = EMPTY.into_iter().filter(absent).collect();
    let subsets = 1..1_usize << empty.len();
    let subsets = subsets.map(|subset| {
        let members = empty.iter().enumerate();
        let members = members.filter(|(at, _)| subset >> at & 1 == 1);
        members.map(|(_, &name)| (name, "")).collect::<Vec<_>>()
    });
    let own_cause = [("oauth_token", "")];
    let with_value = WITH_VALUE.into_iter().filter(|(name, _)| !is_sent(name));
    subsets
        .chain(with_value.map(|one| vec![one]))
        .filter(|unsent| unsent[..] != own_cause)
        .map(|unsent| {
            let change = these_not_sent(&unsent);
            let is_usual = |one: &(&str, &str)| USUAL_EMPTY.contains(one);
            if unsent.iter().all(is_usual) {
                change.likely()
            } else {
                change
            }
        })
        .collect()
}

pub(super) fn these_not_sent<'e>(unsent: &[(&str, &str)]) -> BaseStringChange<'e> {
    let named = unsent.iter().map(|(name, value)| match *value {
        "" => format!("an empty `{name}`"),
        value => format!("`{name}={value}`"),
    });
    let names: Vec<_> = named.collect();
    let pairs = unsent
        .iter()
        .map(|(name, value)| ParameterPair::encode(name.as_bytes(), value.as_bytes()));
    let them = if names.len() == 1 { "it" } else { "them" };
    unsent_pairs(pairs.collect()).with_own_remedy(format!(
        "the client signs {}, but does not send {them}: make it sign only what it sends (RFC 5849 \
         section 3.4.1.3.1)",
        names.join(" and ")
    ))
}

/// Returns the changes of clients that sign an empty parameter where query or form have nothing
/// between two separators.
fn empty_segments<'e>(request: &Request<'e>) -> Vec<BaseStringChange<'e>> {
    let query = split_target(request.target).1;
    let has_query = request.target.contains(&b'?');
    let form = match request.body {
        RequestBody::Whole(body) if body.len() <= MAX_BODY_LEN => body,
        RequestBody::Whole(_) | RequestBody::NotWhole | RequestBody::Unseen => b"",
    };
    let in_query = if has_query { empty_count(query) } else { 0 };
    let in_form = if form.is_empty() {
        0
    } else {
        empty_count(form)
    };
    let all = in_query + in_form;
    // One more: a client may lose the `?` or `&` before it sends.
    let counts = BTreeSet::from([1, in_query, in_form, all]);
    let counts = counts
        .into_iter()
        .filter(|count| (1..MAX_RUN).contains(count));
    counts
        .map(|count| {
            let empty = ParameterPair::encode(b"", b"");
            unsent_pairs(vec![empty; count]).with_own_remedy(EMPTY_SEGMENT.to_owned())
        })
        .collect()
}

fn empty_count(form: &[u8]) -> usize {
    form.split(|&byte| byte == b'&')
        .filter(|segment| segment.is_empty())
        .count()
}

pub(super) fn unsent_pairs<'e>(pairs: Vec<ParameterPair<'static>>) -> BaseStringChange<'e> {
    BaseStringChange::new(
        MismatchCause::ParameterNotSent,
        BaseStringPart::Unsent,
        move |variant| variant.unsent.extend(pairs.iter().cloned()),
    )
}

/// The names that a request repeats.
struct Repetitions<'s> {
    by_name: HashMap<&'s [u8], usize>,
    /// The indices of the occurrences of each repeated name.
    names: Vec<Vec<usize>>,
    /// The indices of pairs that stood there before.
    identical: Vec<usize>,
}

impl<'s> Repetitions<'s> {
    fn of(sent: &'s SentParameters<'_>) -> Self {
        let mut by_name: HashMap<&[u8], usize> = HashMap::new();
        let mut names: Vec<Vec<usize>> = Vec::new();
        let mut pairs = HashSet::new();
        let mut identical = Vec::new();
        for one in sent.application() {
            let at = *by_name.entry(&one.name).or_insert(names.len());
            if at == names.len() {
                names.push(Vec::new());
            }
            names[at].push(one.at);
            if !pairs.insert((&one.name, &one.value)) {
                identical.push(one.at);
            }
        }
        by_name.retain(|_, at| names[*at].len() > 1);
        names.retain(|occurrences| occurrences.len() > 1);
        Self {
            by_name,
            names,
            identical,
        }
    }

    fn has(&self, one: &SentParameter<'_>) -> bool {
        self.by_name.contains_key(&*one.name)
    }

    /// Returns every occurrence except one of each name.
    fn all_but(&self, kept: impl Fn(&[usize]) -> Option<&usize>) -> Vec<usize> {
        let names = self.names.iter();
        names
            .flat_map(|occurrences| {
                let kept = kept(occurrences).copied();
                occurrences
                    .iter()
                    .copied()
                    .filter(move |&at| Some(at) != kept)
            })
            .collect()
    }

    /// Returns the cause of a signature with each pair once: the whole query twice, or single names.
    fn cause_of_identical(&self, sent: &SentParameters<'_>) -> MismatchCause {
        let count = sent.application().count();
        let is_doubled = self.identical.len() * 2 == count
            && self.names.iter().all(|occurrences| occurrences.len() == 2);
        let first = self.identical.first().copied().unwrap_or_default();
        let is_apart = count > 2
            || sent
                .iter()
                .any(|one| one.is_protocol() && one.follows(first, sent));
        if is_doubled && is_apart {
            MismatchCause::SentTwice
        } else {
            MismatchCause::RepeatedName
        }
    }
}

impl SentParameter<'_> {
    fn wire_has(&self, byte: u8) -> bool {
        self.wire.name.contains(&byte) || self.wire.value.contains(&byte)
    }

    /// Returns whether the parameter shares the place of another.
    fn follows(&self, other: usize, sent: &SentParameters<'_>) -> bool {
        sent.iter()
            .any(|one| one.at == other && one.wire.place == self.wire.place)
    }
}

/// Returns whether advertisers and mailers add a parameter of that name to links.
fn is_tracking(name: &[u8]) -> bool {
    name.starts_with(b"utm_") || TRACKING.contains(&name)
}

const TRACKING: [&[u8]; 10] = [
    b"gclid", b"fbclid", b"gbraid", b"wbraid", b"msclkid", b"dclid", b"mc_cid", b"mc_eid", b"_ga",
    b"_gl",
];

/// The protocol parameters that clients sign empty without sending them.
const EMPTY: [&str; 3] = ["oauth_callback", "oauth_verifier", "oauth_token"];

/// Those that clients with other mistakes sign too.
const USUAL_EMPTY: [(&str, &str); 2] = [("oauth_callback", ""), ("oauth_verifier", "")];

/// The protocol parameters that clients sign with a value of their own without sending them.
const WITH_VALUE: [(&str, &str); 4] = [
    ("oauth_callback", "oob"),
    ("oauth_callback", "about:blank"),
    ("oauth_signature", ""),
    ("realm", ""),
];

/// The most parameters that are left out one by one before all other changes are tried.
const USUAL_COUNT: usize = 40;

/// The most parameters at one end that are left out together.
const MAX_RUN: usize = 8;

/// The largest number of parameters for which the search leaves out every pair.
const MAX_PAIRED: usize = 10;

/// The longest body that is searched for empty segments.
pub(super) const MAX_BODY_LEN: usize = 64 * 1024;

const EMPTY_SEGMENT: &str = "the client signs an empty parameter, as it makes one of an empty query, of `&&` or of an `&` at \
     the end: make it leave out empty parameters";
