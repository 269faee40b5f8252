//! The audit log: one event for each change, without secrets.
//!
//! A change with an unknown result also leaves an event, with the outcome "unknown".

use std::fmt;

use super::{DirectoryUser, Login};
use crate::model::{AccessToken, ConsumerKey, RequestToken, UserId};
use crate::store::{StoreError, StoreErrorKind};

/// The originator of a change, as the audit log names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Actor {
    /// An administrator: the holder of the admin token, or of a client certificate with this name.
    Admin(Option<Box<str>>),
    /// An issuer, authenticated in the same two ways.
    Issuer(Option<Box<str>>),
    /// A consumer that signed the request.
    Consumer(ConsumerKey),
    /// A user of the authorize page.
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

/// A change, for the audit log: its actor, its action, and the records that it concerns.
#[derive(Clone, Copy, Debug)]
pub(super) struct AuditEvent<'a> {
    actor: &'a Actor,
    action: &'static str,
    consumer_key: Option<&'a ConsumerKey>,
    token: Option<&'a str>,
    user_id: Option<&'a UserId>,
    /// The parts of the record that changed, as words without values.
    changed: Option<&'a str>,
}

/// The event of a change in progress. Dropping it logs the outcome "unknown".
struct UnsettledEvent<'a>(Option<AuditEvent<'a>>);

/// Makes a change and logs its event.
///
/// The outcome is "unknown" if the change failed but may have been made, or if the caller
/// disconnected before its end.
pub(super) async fn audited<T>(
    event: AuditEvent<'_>,
    change: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let unsettled = UnsettledEvent(Some(event));
    let outcome = change.await;
    match &outcome {
        Ok(_) => unsettled.succeed(),
        Err(error) if is_refusal(error) => unsettled.cancel(),
        Err(_) => drop(unsettled),
    }
    outcome
}

/// Logs a successful login.
pub(super) fn log_in_succeeded(login: &Login, user: &DirectoryUser) {
    let client_address = login.client_address.map(tracing::field::display);
    tracing::info!(
        target: "countersign::audit",
        action = "log_in",
        consumer_key = login.consumer_key.as_str(),
        client_address,
        user_id = user.id.as_str(),
    );
}

/// Logs a refused login, without the username: it may be a password, typed into the wrong field.
pub(super) fn log_in_refused(login: &Login) {
    let client_address = login.client_address.map(tracing::field::display);
    tracing::info!(
        target: "countersign::audit",
        action = "log_in.refused",
        consumer_key = login.consumer_key.as_str(),
        client_address,
    );
}

// === impl AuditEvent ===

impl<'a> AuditEvent<'a> {
    /// Returns the event of a change to a consumer.
    pub(super) const fn of_consumer(
        actor: &'a Actor,
        action: &'static str,
        key: &'a ConsumerKey,
    ) -> Self {
        Self {
            actor,
            action,
            consumer_key: Some(key),
            token: None,
            user_id: None,
            changed: None,
        }
    }

    /// Returns the event of a change to an access token.
    pub(super) fn of_token(actor: &'a Actor, action: &'static str, token: &'a AccessToken) -> Self {
        Self {
            actor,
            action,
            consumer_key: Some(&token.consumer_key),
            token: Some(token.token.as_str()),
            user_id: token.user_id.as_ref(),
            changed: None,
        }
    }

    /// Returns the event of a change to temporary credentials.
    pub(super) fn of_request_token(
        actor: &'a Actor,
        action: &'static str,
        token: &'a RequestToken,
    ) -> Self {
        Self {
            actor,
            action,
            consumer_key: Some(&token.consumer_key),
            token: Some(token.token.as_str()),
            user_id: None,
            changed: None,
        }
    }

    /// Returns the event of a change to a user.
    pub(super) const fn of_user(
        actor: &'a Actor,
        action: &'static str,
        user_id: &'a UserId,
    ) -> Self {
        Self {
            actor,
            action,
            consumer_key: None,
            token: None,
            user_id: Some(user_id),
            changed: None,
        }
    }

    /// Returns the event of a change to all records, or of their export.
    pub(super) const fn of_store(actor: &'a Actor, action: &'static str) -> Self {
        Self {
            actor,
            action,
            consumer_key: None,
            token: None,
            user_id: None,
            changed: None,
        }
    }

    /// Logs an event that changes nothing: an export.
    pub(super) fn note(self) {
        self.log(None);
    }

    /// Names the user whom the change also concerns.
    pub(super) const fn with_user(self, user_id: Option<&'a UserId>) -> Self {
        Self { user_id, ..self }
    }

    /// Names the parts that changed.
    pub(super) const fn with_changed(self, changed: &'a str) -> Self {
        Self {
            changed: Some(changed),
            ..self
        }
    }

    fn log(self, outcome: Option<&'static str>) {
        // As text, so that it is quoted: a name may have spaces and look like a field.
        let actor = &*self.actor.to_string();
        tracing::info!(
            target: "countersign::audit",
            actor,
            action = self.action,
            consumer_key = self.consumer_key.map(ConsumerKey::as_str),
            token = self.token,
            user_id = self.user_id.map(UserId::as_str),
            changed = self.changed,
            outcome,
        );
    }
}

// === impl UnsettledEvent ===

impl UnsettledEvent<'_> {
    fn succeed(mut self) {
        if let Some(event) = self.0.take() {
            event.log(None);
        }
    }

    fn cancel(mut self) {
        self.0 = None;
    }
}

impl Drop for UnsettledEvent<'_> {
    fn drop(&mut self) {
        if let Some(event) = self.0.take() {
            event.log(Some("unknown"));
        }
    }
}

fn is_refusal(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        StoreErrorKind::AlreadyExists | StoreErrorKind::Conflict | StoreErrorKind::WrongMasterKey
    )
}
