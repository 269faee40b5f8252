//! What is demanded of a request, by where it goes.
//!
//! Three layers, each stronger than the one before it, key by key: `[check]`, the first `[[route]]` that matches, and
//! Envoy's `context_extensions` of the route.

use crate::model::Scopes;
use crate::oauth::{BodyHashRule, Scheme};

/// `[[route]]`: a match and what it sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// The `Host` without port, in lower case; `None` matches every one.
    pub host: Option<String>,
    /// The beginning of the path, ending at a `/` or at its end; `None` matches every one.
    pub path_prefix: Option<String>,
    /// HTTP methods; empty matches every one.
    pub methods: Vec<String>,
    /// What it sets.
    pub set: RoutePolicy,
}

/// What one layer sets; `None` leaves it to the layer below.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoutePolicy {
    /// `require`.
    pub require: Option<Requirement>,
    /// `scopes`: all of them are needed.
    pub scopes: Option<Scopes>,
    /// `realm`.
    pub realm: Option<String>,
    /// `origin`.
    pub origin: Option<Origin>,
    /// `body_hash`.
    pub body_hash: Option<BodyHashRule>,
    /// `mode`.
    pub mode: Option<Mode>,
}

/// `countersign.require`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Requirement {
    /// Signed with a token that acts for a user.
    User,
    /// Signed; a token is optional.
    #[default]
    Consumer,
    /// Not signed at all, or signed truly.
    Optional,
}

/// `countersign.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// What is refused is denied.
    #[default]
    Enforce,
    /// What is refused is let through and reported.
    Shadow,
}

/// What clients sign when it is not what Envoy sees: scheme, host, port, and a path prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The scheme.
    pub scheme: Scheme,
    /// Host and port, as they stand in the URL.
    pub authority: String,
    /// Put in front of the path; empty or beginning with `/` and not ending with one.
    pub path_prefix: String,
}

impl RoutePolicy {
    /// stub
    pub fn set(&mut self, _key: &str, _value: &str) -> Result<(), String> {
        todo!()
    }
}
impl Route {
    /// stub
    pub fn matches(&self, _host: &str, _path: &[u8], _method: &str) -> bool {
        todo!()
    }
}
