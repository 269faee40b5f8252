//! The audit log: one event for every change, without secrets.

use std::fmt;

use super::{DirectoryUser, Login};
use crate::model::{ConsumerKey, UserId};

/// Who asks for a change; the audit log names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Actor {
    /// An administrator: the holder of the admin token, or of a client certificate with this name.
    Admin(Option<Box<str>>),
    /// An issuer, known in the same two ways.
    Issuer(Option<Box<str>>),
    /// A consumer, for itself, signed.
    Consumer(ConsumerKey),
    /// A user, on the authorize page.
    User(UserId),
}

impl Actor {
    /// The holder of the admin token.
    pub const ADMIN: Self = Self::Admin(None);
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin(None) => f.write_str("admin"),
            Self::Admin(Some(name)) => write!(f, "admin {name}"),
            Self::Issuer(None) => f.write_str("issuer"),
            Self::Issuer(Some(name)) => write!(f, "issuer {name}"),
            Self::Consumer(key) => write!(f, "consumer {key}"),
            Self::User(id) => write!(f, "user {id}"),
        }
    }
}

/// What a change was about: what it names is in the log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Subject<'a> {
    pub(super) consumer_key: Option<&'a str>,
    pub(super) token: Option<&'a str>,
    pub(super) user_id: Option<&'a str>,
}

/// Leaves the event of a change that was made.
pub(super) fn audit(actor: &Actor, action: &'static str, subject: Subject<'_>) {
    let Subject { consumer_key, token, user_id } = subject;
    tracing::info!(target: "countersign::audit", %actor, action, consumer_key, token, user_id);
}

/// Leaves the event of a log-in.
pub(super) fn logged_in(login: &Login, user: &DirectoryUser) {
    let Login { username: _, password: _, consumer_key, client_address } = login;
    let client_address = client_address.map(tracing::field::display);
    tracing::info!(target: "countersign::audit", action = "log_in", %consumer_key, client_address, user_id = %user.id);
}

/// Leaves the event of a log-in that was refused. Not with the name: it may be a password, typed into the wrong field.
pub(super) fn refused_log_in(login: &Login) {
    let Login { username: _, password: _, consumer_key, client_address } = login;
    let client_address = client_address.map(tracing::field::display);
    tracing::info!(target: "countersign::audit", action = "log_in.refused", %consumer_key, client_address);
}
