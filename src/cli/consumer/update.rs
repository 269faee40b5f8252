//! `countersign consumer update`: what is given is changed, what is not is left as it is.

use clap::ValueEnum;
use countersign::model::{CompatProfile, Flow};
use countersign::oauth::SignatureMethod;
use countersign::v1;

use super::Key;
use super::told::Told;
use crate::cli::Usage;

/// What is to be changed.
#[derive(Debug, clap::Args)]
pub(super) struct Update {
    #[command(flatten)]
    key: Key,
    /// Its name, which upstreams read as x-consumer-username
    #[arg(long)]
    name: Option<String>,
    /// What it is, in words for a user
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Where it runs, for example ios
    #[arg(long, value_name = "TEXT")]
    platform: Option<String>,
    /// Where a user reads about it
    #[arg(long, value_name = "URL")]
    app_url: Option<String>,
    /// Whether you vouch for what it says of itself: users are warned about one that is not verified
    #[arg(long, value_name = "BOOL")]
    verified: Option<bool>,
    /// The signature methods that it may use from now on; may be repeated
    #[arg(long, value_name = "METHOD", value_parser = SignatureMethod::ALL.map(SignatureMethod::name))]
    signature_method: Vec<String>,
    /// The flows that it may use from now on; may be repeated
    #[arg(long, value_name = "FLOW", value_parser = Flow::ALL.map(Flow::name))]
    flow: Vec<String>,
    /// The URIs that users may be sent back to from now on, or oob; may be repeated
    #[arg(long, value_name = "URI")]
    callback: Vec<String>,
    /// The scopes that it may have from now on; may be repeated
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// The deviations from RFC 5849 that are accepted from it from now on, see docs/compat.md; may be repeated
    #[arg(long, value_name = "PROFILE", value_parser = CompatProfile::ALL.map(CompatProfile::name))]
    compat: Vec<String>,
    #[command(flatten)]
    told: Told,
    /// What is to be taken away; may be repeated
    #[arg(long, value_name = "FIELD", value_enum)]
    clear: Vec<Emptied>,
    /// Refuses if the consumer was changed since it had this etag
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

/// `--clear`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Emptied {
    /// The default methods
    SignatureMethods,
    /// Nobody can be sent back
    Callbacks,
    /// No scope
    Scopes,
    /// No deviation from RFC 5849
    CompatProfiles,
    /// As check.deny_detail says
    DenyDetail,
    /// No header Deprecation
    DeprecatedAt,
    /// No header Sunset
    SunsetAt,
}

/// The names of the fields that are to be changed.
#[derive(Default)]
struct Mask(Vec<String>);

// === impl Update ===

impl Update {
    /// What the server is asked.
    ///
    /// # Errors
    /// When nothing is to be changed, or something is to be given and taken away at once.
    pub(super) fn into_request(self) -> anyhow::Result<v1::UpdateConsumerRequest> {
        self.contradiction()?;
        let mut mask = Mask::default();
        let empties = |field| self.clear.contains(&field);
        let consumer = v1::Consumer {
            consumer_key: self.key.into_text(),
            name: mask.text("name", self.name),
            description: mask.text("description", self.description),
            platform: mask.text("platform", self.platform),
            app_url: mask.text("app_url", self.app_url),
            verified: mask.value("verified", self.verified),
            signature_methods: mask.list(
                "signature_methods",
                self.signature_method,
                empties(Emptied::SignatureMethods),
            ),
            flows: mask.list("flows", self.flow, false),
            callbacks: mask.list("callbacks", self.callback, empties(Emptied::Callbacks)),
            scopes: mask.list("scopes", self.scope, empties(Emptied::Scopes)),
            compat_profiles: mask.list(
                "compat_profiles",
                self.compat,
                empties(Emptied::CompatProfiles),
            ),
            deny_detail: mask
                .optional(
                    "deny_detail",
                    self.told.deny_detail,
                    empties(Emptied::DenyDetail),
                )
                .unwrap_or_default(),
            deprecated_at: mask.optional(
                "deprecated_at",
                self.told.deprecated_at,
                empties(Emptied::DeprecatedAt),
            ),
            sunset_at: mask.optional("sunset_at", self.told.sunset_at, empties(Emptied::SunsetAt)),
            etag: self.etag,
            ..v1::Consumer::default()
        };
        if mask.0.is_empty() {
            return Err(Usage(
                "nothing to change: name a new value, for example --name, or --clear".to_owned(),
            )
            .into());
        }
        let update_mask = Some(prost_types::FieldMask { paths: mask.0 });
        Ok(v1::UpdateConsumerRequest {
            consumer: Some(consumer),
            update_mask,
        })
    }

    fn contradiction(&self) -> anyhow::Result<()> {
        for (field, given, option) in [
            (
                Emptied::SignatureMethods,
                !self.signature_method.is_empty(),
                "--signature-method",
            ),
            (Emptied::Callbacks, !self.callback.is_empty(), "--callback"),
            (Emptied::Scopes, !self.scope.is_empty(), "--scope"),
            (Emptied::CompatProfiles, !self.compat.is_empty(), "--compat"),
            (
                Emptied::DenyDetail,
                self.told.deny_detail.is_some(),
                "--deny-detail",
            ),
            (
                Emptied::DeprecatedAt,
                self.told.deprecated_at.is_some(),
                "--deprecated-at",
            ),
            (
                Emptied::SunsetAt,
                self.told.sunset_at.is_some(),
                "--sunset-at",
            ),
        ] {
            if given && self.clear.contains(&field) {
                return Err(Usage(format!(
                    "{option} contradicts --clear, which empties it: leave one of them out"
                ))
                .into());
            }
        }
        Ok(())
    }
}

// === impl Mask ===

impl Mask {
    fn value<T: Default>(&mut self, field: &str, value: Option<T>) -> T {
        if value.is_some() {
            self.0.push(field.to_owned());
        }
        value.unwrap_or_default()
    }

    fn text(&mut self, field: &str, text: Option<String>) -> String {
        self.value(field, text)
    }

    /// A value that may be taken away.
    fn optional<T>(&mut self, field: &str, value: Option<T>, emptied: bool) -> Option<T> {
        self.value(field, (emptied || value.is_some()).then_some(value))
    }

    fn list(&mut self, field: &str, values: Vec<String>, emptied: bool) -> Vec<String> {
        self.value(field, (emptied || !values.is_empty()).then_some(values))
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;
    use crate::cli::consumer::{Command, tests::command};

    #[test]
    fn only_what_is_given_is_changed() {
        let request = request(&[
            "--name=N",
            "--description=",
            "--clear=scopes",
            "--verified=true",
            "--compat=plus-literal",
        ])
        .unwrap();
        assert_eq!(
            request.update_mask.unwrap().paths,
            [
                "name",
                "description",
                "verified",
                "scopes",
                "compat_profiles"
            ]
        );
        let consumer = request.consumer.unwrap();
        assert_eq!(
            (
                consumer.consumer_key.as_str(),
                consumer.name.as_str(),
                consumer.verified
            ),
            ("K", "N", true)
        );
    }

    #[test]
    fn what_answers_tell_is_given_and_taken_away() {
        let given = request(&[
            "--deny-detail=debug",
            "--deprecated-at=1970-01-01T00:00:05Z",
        ])
        .unwrap();
        assert_eq!(
            given.update_mask.unwrap().paths,
            ["deny_detail", "deprecated_at"]
        );
        let consumer = given.consumer.unwrap();
        let time = Some(Timestamp {
            seconds: 5,
            nanos: 0,
        });
        assert_eq!(
            (
                consumer.deny_detail.as_str(),
                consumer.deprecated_at,
                consumer.sunset_at
            ),
            ("debug", time, None)
        );
        let taken = request(&[
            "--clear=deny-detail",
            "--clear=deprecated-at",
            "--clear=sunset-at",
        ])
        .unwrap();
        assert_eq!(
            taken.update_mask.unwrap().paths,
            ["deny_detail", "deprecated_at", "sunset_at"]
        );
        assert_eq!(
            taken.consumer.unwrap(),
            v1::Consumer {
                consumer_key: "K".to_owned(),
                ..Default::default()
            }
        );
    }

    #[test]
    fn a_change_of_nothing_or_of_both_is_a_mistake() {
        for wrong in [
            &[][..],
            &["--scope=read", "--clear=scopes"],
            &["--compat=raw-values", "--clear=compat-profiles"],
            &["--deny-detail=debug", "--clear=deny-detail"],
            &[
                "--deprecated-at=2030-01-31T00:00:00Z",
                "--clear=deprecated-at",
            ],
            &["--sunset-at=2030-01-31T00:00:00Z", "--clear=sunset-at"],
        ] {
            let refused = request(wrong).unwrap_err();
            assert!(refused.downcast_ref::<Usage>().is_some(), "{refused}");
        }
    }

    fn request(options: &[&str]) -> anyhow::Result<v1::UpdateConsumerRequest> {
        let command = command(&[&["update", "K"], options].concat())?;
        let Command::Update(update) = command else {
            panic!("{command:?}")
        };
        update.into_request()
    }
}
