//! The printed form of changes: a difference for people, objects for programs. Neither has a
//! secret.

use countersign::v1;
use serde::Serialize;

use super::plan::{ConsumerChange, TokenChange};
use crate::cli::output::{self, printable};

/// A change of a record.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    kind: &'static str,
    name: String,
    action: Action,
    fields: Vec<FieldChange>,
}

/// The ways in which a record changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Create,
    Change,
    Delete,
    Revoke,
}

/// A field before and after; `None` if it is empty.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct FieldChange {
    field: &'static str,
    before: Option<String>,
    after: Option<String>,
}

/// The numbers of changed and unchanged records.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    created: usize,
    changed: usize,
    deleted: usize,
    revoked: usize,
    pub(super) unchanged: usize,
}

// === impl Change ===

impl Change {
    /// Returns the change of a consumer; `None` if it has none.
    pub(super) fn of_consumer(change: &ConsumerChange) -> Option<Self> {
        if change.is_unchanged() {
            return None;
        }
        let before = change.previous.as_ref().map(fields).unwrap_or_default();
        let mut fields: Vec<_> = fields(&change.new)
            .into_iter()
            .enumerate()
            .map(|(at, (field, after))| {
                let before = before.get(at).map(|(_, before)| before.clone());
                FieldChange::new(field, before.unwrap_or_default(), after)
            })
            .filter(|one| one.before != one.after)
            .collect();
        fields.extend(secret(change));
        let action = match change.previous {
            Some(_) => Action::Change,
            None => Action::Create,
        };
        let name = change.new.consumer_key.clone();
        Some(Self::new("consumer", name, action, fields))
    }

    /// Returns the change of a token; `None` if it has none.
    pub(super) fn of_token(change: &TokenChange) -> Option<Self> {
        match change {
            TokenChange::None => None,
            TokenChange::Revoke(token) => {
                let name = token.token.clone();
                Some(Self::new("token", name, Action::Revoke, Vec::new()))
            }
            TokenChange::Create(request) => {
                let token = request.token.clone().unwrap_or_default();
                let mut fields = new_token(&token);
                let secret = if request.token_secret.is_empty() {
                    GENERATED
                } else {
                    GIVEN
                };
                fields.push(FieldChange::new("token_secret", "", secret));
                Some(Self::new("token", token.token, Action::Create, fields))
            }
        }
    }

    /// Returns the deletion of a consumer.
    pub(super) fn deletion(consumer: &v1::Consumer) -> Self {
        let name = FieldChange::new("name", consumer.name.as_str(), "");
        let key = consumer.consumer_key.clone();
        Self::new("consumer", key, Action::Delete, vec![name])
    }

    fn new(kind: &'static str, name: String, action: Action, fields: Vec<FieldChange>) -> Self {
        Self {
            kind,
            name,
            action,
            fields,
        }
    }

    /// Prints the change for people.
    pub(super) fn print(&self) -> anyhow::Result<()> {
        let (mark, rest) = match self.action {
            Action::Create => ("+", ""),
            Action::Change => ("~", ""),
            Action::Delete => ("-", " and its tokens"),
            Action::Revoke => ("-", ""),
        };
        let name = printable(&self.name);
        output::line(&format!("{mark} {} {name}{rest}", self.kind))?;
        for FieldChange {
            field,
            before,
            after,
        } in &self.fields
        {
            for (mark, value) in [("-", before), ("+", after)] {
                if let Some(value) = value.as_deref().map(printable) {
                    output::line(&format!("    {mark} {field}: {value}"))?;
                }
            }
        }
        Ok(())
    }
}

// === impl FieldChange ===

impl FieldChange {
    fn new(field: &'static str, before: impl Into<String>, after: impl Into<String>) -> Self {
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            field,
            before: given(before.into()),
            after: given(after.into()),
        }
    }
}

// === impl Summary ===

impl Summary {
    /// Counts a change.
    pub(super) const fn count(&mut self, change: &Change) {
        match change.action {
            Action::Create => self.created += 1,
            Action::Change => self.changed += 1,
            Action::Delete => self.deleted += 1,
            Action::Revoke => self.revoked += 1,
        }
    }

    /// Returns the summary in a line.
    pub(super) fn line(&self, is_dry: bool) -> String {
        let counts = [
            (self.created, "created"),
            (self.changed, "changed"),
            (self.deleted, "deleted"),
            (self.revoked, "revoked"),
            (self.unchanged, "unchanged"),
        ];
        let shown = counts.iter().filter(|(count, _)| *count > 0);
        let shown: Vec<_> = shown
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let shown = match &shown[..] {
            [] => "no records".to_owned(),
            shown => shown.join(", "),
        };
        if is_dry {
            format!("dry run: {shown}; nothing was changed")
        } else {
            shown
        }
    }
}

/// Returns the fields of a consumer as the file names them.
fn fields(consumer: &v1::Consumer) -> Vec<(&'static str, String)> {
    let text = |text: &String| text.clone();
    let list = |values: &[String]| values.join(" ");
    let keys = consumer.rsa_public_keys.iter();
    let keys: Vec<_> = keys
        .map(|key| format!("SHA-256 {}", key.fingerprint))
        .collect();
    let flag = if consumer.verified { "true" } else { "" };
    vec![
        ("name", text(&consumer.name)),
        ("description", text(&consumer.description)),
        ("platform", text(&consumer.platform)),
        ("app_url", text(&consumer.app_url)),
        ("verified", flag.to_owned()),
        ("status", status(consumer.status()).to_owned()),
        ("signature_methods", list(&consumer.signature_methods)),
        ("flows", list(&consumer.flows)),
        ("callbacks", list(&consumer.callbacks)),
        ("scopes", list(&consumer.scopes)),
        ("rsa_public_keys", list(&keys)),
        ("compat_profiles", list(&consumer.compat_profiles)),
        ("deny_detail", text(&consumer.deny_detail)),
        ("deprecated_at", output::time(consumer.deprecated_at)),
        ("sunset_at", output::time(consumer.sunset_at)),
    ]
}

fn new_token(token: &v1::Token) -> Vec<FieldChange> {
    let fields = [
        ("consumer_key", token.consumer_key.clone()),
        ("user_id", token.user_id.clone()),
        ("scopes", token.scopes.join(" ")),
        ("expire_time", output::time(token.expire_time)),
    ];
    let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
    fields
        .map(|(field, value)| FieldChange::new(field, "", value))
        .collect()
}

/// Returns the change of a consumer's secret, without any secret.
fn secret(change: &ConsumerChange) -> Option<FieldChange> {
    let (before, after) = match &change.previous {
        None if change.generates() => ("", GENERATED.to_owned()),
        None if change.request.consumer_secret.is_empty() => return None,
        None => ("", GIVEN.to_owned()),
        Some(_) if !change.secret_changed => return None,
        Some(previous) if previous.secret_count == 0 => ("", GIVEN.to_owned()),
        Some(_) => {
            let end = change.new.previous_secret_expire_time;
            let end = end.map(|end| format!(" (the one before stays valid until {end})"));
            (MASKED, format!("{GIVEN}{}", end.unwrap_or_default()))
        }
    };
    Some(FieldChange::new("consumer_secret", before, after))
}

const fn status(status: v1::ConsumerStatus) -> &'static str {
    match status {
        v1::ConsumerStatus::Unspecified => "",
        v1::ConsumerStatus::Active => "active",
        v1::ConsumerStatus::Disabled => "disabled",
    }
}

const MASKED: &str = "***";

const GIVEN: &str = "*** (of the file)";

const GENERATED: &str = "*** (generated)";
