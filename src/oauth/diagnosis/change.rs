//! Changes to the base string that explain a signature.

use std::borrow::Cow;

use super::super::variant::BaseStringVariant;
use super::MismatchCause;

/// A way in which the client may have made its base string differently.
pub(super) struct BaseStringChange<'e> {
    pub(super) cause: MismatchCause,
    /// The part that changes. Two changes of one part are never tried together.
    pub(super) part: BaseStringPart,
    /// A remedy that is more precise than that of the cause.
    pub(super) remedy: Option<Cow<'static, str>>,
    /// The change is a frequent one, or a header names it: it is tried with others first.
    pub(super) is_likely: bool,
    /// The change is one of very many, which are tried last, and together with the scheme alone.
    pub(super) is_one_of_many: bool,
    /// The change is a guess, which is tried behind all others, and together with the scheme last.
    pub(super) is_guess: bool,
    /// Neither a header of a proxy nor the configuration names the host, port or path of this change:
    /// it may be that of another server.
    pub(super) is_assumed: bool,
    apply: Box<dyn Fn(&mut BaseStringVariant<'e>) + 'e>,
}

/// A part of the base string, or of the way to make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BaseStringPart {
    Scheme,
    Uri,
    Authority,
    Path,
    Method,
    Label,
    Timestamp,
    Query,
    Form,
    Body,
    Parameters,
    Unsent,
    Token,
    Version,
    Realm,
    Values,
    Names,
    Text,
    Joined,
    Order,
    Finish,
}

impl<'e> BaseStringChange<'e> {
    pub(super) fn new(
        cause: MismatchCause,
        part: BaseStringPart,
        apply: impl Fn(&mut BaseStringVariant<'e>) + 'e,
    ) -> Self {
        Self {
            cause,
            part,
            remedy: None,
            is_likely: false,
            is_one_of_many: false,
            is_guess: false,
            is_assumed: false,
            apply: Box::new(apply),
        }
    }

    pub(super) fn with_remedy(mut self, remedy: Option<&'static str>) -> Self {
        self.remedy = remedy.map(Cow::Borrowed);
        self
    }

    /// Sets a remedy that is made for this request.
    pub(super) fn with_own_remedy(mut self, remedy: String) -> Self {
        self.remedy = Some(Cow::Owned(remedy));
        self
    }

    /// Returns the change with another one; both count as one of `part`.
    pub(super) fn and(
        self,
        part: BaseStringPart,
        apply: impl Fn(&mut BaseStringVariant<'e>) + 'e,
    ) -> Self {
        let first = self.apply;
        Self {
            part,
            apply: Box::new(move |variant| {
                first(variant);
                apply(variant);
            }),
            ..self
        }
    }

    pub(super) const fn likely(mut self) -> Self {
        self.is_likely = true;
        self
    }

    pub(super) const fn among_many(mut self) -> Self {
        self.is_one_of_many = true;
        self
    }

    pub(super) const fn guess(mut self) -> Self {
        self.is_guess = true;
        self
    }

    /// Marks a change that may be to the address of another server, if it is one.
    pub(super) const fn assumed(mut self, is_assumed: bool) -> Self {
        self.is_assumed = is_assumed;
        self
    }

    /// Returns a variant with this change too.
    pub(super) fn of(&self, variant: &BaseStringVariant<'e>) -> BaseStringVariant<'e> {
        let mut changed = variant.clone();
        (self.apply)(&mut changed);
        changed
    }
}
