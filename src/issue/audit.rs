//! The audit log: one event for every change, without secrets. Also for one of which nobody learned whether it was made.

use std::fmt;

use super::{DirectoryUser, Login};
use crate::model::{ConsumerKey, UserId};
use crate::store::{StoreError, StoreErrorKind};

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

/// A change that somebody asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<'a> {
    pub(super) actor: &'a Actor,
    pub(super) action: &'static str,
    pub(super) subject: Subject<'a>,
}

/// Makes a change and leaves its event. One that failed and may have been made all the same, or whose caller went away
/// before its end, has the outcome "unknown".
pub(super) async fn audited<T>(
    event: Event<'_>,
    change: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let pending = Pending(Some(event));
    let outcome = change.await;
    match &outcome {
        Ok(_) => pending.made(),
        Err(error) if was_refused(error) => pending.refused(),
        Err(_) => drop(pending),
    }
    outcome
}

/// A change of which nobody knows yet whether it was made.
struct Pending<'a>(Option<Event<'a>>);

impl Pending<'_> {
    fn made(mut self) {
        if let Some(event) = self.0.take() {
            event.leave(None);
        }
    }

    fn refused(mut self) {
        self.0 = None;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(event) = self.0.take() {
            event.leave(Some("unknown"));
        }
    }
}

impl Event<'_> {
    fn leave(self, outcome: Option<&'static str>) {
        let Self {
            actor,
            action,
            subject:
                Subject {
                    consumer_key,
                    token,
                    user_id,
                },
        } = self;
        // As a text, so that it is quoted: a name may have spaces and look like a field.
        let actor = &*actor.to_string();
        tracing::info!(target: "countersign::audit", actor, action, consumer_key, token, user_id, outcome);
    }
}

fn was_refused(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        StoreErrorKind::AlreadyExists | StoreErrorKind::Conflict
    )
}

/// Leaves the event of a log-in.
pub(super) fn logged_in(login: &Login, user: &DirectoryUser) {
    let Login {
        username: _,
        password: _,
        consumer_key,
        client_address,
    } = login;
    let client_address = client_address.map(tracing::field::display);
    tracing::info!(target: "countersign::audit", action = "log_in", consumer_key = consumer_key.as_str(),
        client_address, user_id = user.id.as_str());
}

/// Leaves the event of a log-in that was refused. Not with the name: it may be a password, typed into the wrong field.
pub(super) fn refused_log_in(login: &Login) {
    let Login {
        username: _,
        password: _,
        consumer_key,
        client_address,
    } = login;
    let client_address = client_address.map(tracing::field::display);
    tracing::info!(target: "countersign::audit", action = "log_in.refused", consumer_key = consumer_key.as_str(),
        client_address);
}
