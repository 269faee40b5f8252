//! Protocol parameters (RFC 5849 section 3.1): their names, and their places in a request (section
//! 3.5).

use std::fmt;

use strum::{IntoStaticStr, VariantArray};

/// A protocol parameter that this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, VariantArray)]
#[strum(prefix = "oauth_", serialize_all = "snake_case")]
pub enum ProtocolParameter {
    /// `oauth_body_hash` (OAuth Request Body Hash extension).
    BodyHash,
    /// `oauth_callback`.
    Callback,
    /// `oauth_consumer_key`.
    ConsumerKey,
    /// `oauth_nonce`.
    Nonce,
    /// `oauth_signature`.
    Signature,
    /// `oauth_signature_method`.
    SignatureMethod,
    /// `oauth_timestamp`.
    Timestamp,
    /// `oauth_token`.
    Token,
    /// `oauth_verifier`.
    Verifier,
    /// `oauth_version`.
    Version,
}

impl ProtocolParameter {
    /// Every known parameter, by name.
    pub const ALL: [Self; Self::VARIANTS.len()] =
        *Self::VARIANTS.first_chunk().expect("the same length");

    /// Returns the name on the wire, for example `oauth_nonce`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the parameter of that name; names are case-sensitive.
    pub(super) fn from_name(name: &[u8]) -> Option<Self> {
        // By length first: few names share one, so a check compares at most three.
        let candidates: &[Self] = match name.len() {
            11 => &[Self::Nonce, Self::Token],
            13 => &[Self::Version],
            14 => &[Self::Callback, Self::Verifier],
            15 => &[Self::Timestamp, Self::Signature, Self::BodyHash],
            18 => &[Self::ConsumerKey],
            22 => &[Self::SignatureMethod],
            _ => &[],
        };
        candidates
            .iter()
            .copied()
            .find(|parameter| parameter.name().as_bytes() == name)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for ProtocolParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.name())
    }
}

/// A set of protocol parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParameterSet(u16);

impl ParameterSet {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Returns the set of one parameter.
    pub const fn only(parameter: ProtocolParameter) -> Self {
        Self(parameter.bit())
    }

    /// Returns this set with one more parameter.
    #[must_use]
    pub const fn with(self, parameter: ProtocolParameter) -> Self {
        Self(self.0 | parameter.bit())
    }

    /// Returns this set without the members of another.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether the set has the parameter.
    pub const fn contains(self, parameter: ProtocolParameter) -> bool {
        self.0 & parameter.bit() != 0
    }

    /// Returns the names on the wire, in alphabetical order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        ProtocolParameter::ALL
            .into_iter()
            .filter(move |&parameter| self.contains(parameter))
            .map(ProtocolParameter::name)
    }
}

impl fmt::Display for ParameterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.names().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}`{name}`")?;
        }
        Ok(())
    }
}

/// The part of a request that holds parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParameterPlace {
    /// The `Authorization` header (RFC 5849 section 3.5.1).
    Header,
    /// The query of the request URI (section 3.5.3).
    Query,
    /// The form-encoded body (section 3.5.2).
    Body,
}

impl fmt::Display for ParameterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "the Authorization header",
            Self::Query => "the query",
            Self::Body => "the form body",
        })
    }
}

/// The prefix of every protocol parameter, including those that this crate does not know.
pub(super) const PREFIX: &[u8] = b"oauth_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_by_its_exact_name() {
        for parameter in ProtocolParameter::ALL {
            assert_eq!(
                ProtocolParameter::from_name(parameter.name().as_bytes()),
                Some(parameter)
            );
        }
        for other in [
            &b"oauth_Nonce"[..],
            b"OAUTH_NONCE",
            b"oauth_nonce ",
            b"oauth_",
            b"",
        ] {
            assert_eq!(ProtocolParameter::from_name(other), None);
        }
    }

    #[test]
    fn a_set_names_its_members_in_order() {
        let set = ParameterSet::only(ProtocolParameter::Timestamp)
            .with(ProtocolParameter::Nonce)
            .with(ProtocolParameter::Nonce);
        assert_eq!(
            set.names().collect::<Vec<_>>(),
            ["oauth_nonce", "oauth_timestamp"]
        );
        assert_eq!(set.to_string(), "`oauth_nonce`, `oauth_timestamp`");
        assert!(ParameterSet::NONE.is_empty() && ParameterSet::NONE.names().next().is_none());
    }
}
