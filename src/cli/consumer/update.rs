//! `countersign consumer update`.

use clap::Arg;
use countersign::v1;

use super::ConsumerArg;
use super::attributes::AttributeArgs;
use super::mask::{ClearableField, UpdateMask};

/// The arguments of `countersign consumer update`.
#[derive(Debug, clap::Args)]
#[command(mut_args(without_default))]
pub(super) struct UpdateArgs {
    #[command(flatten)]
    consumer: ConsumerArg,
    /// Name of the consumer, which upstreams receive as x-consumer-username
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    attributes: AttributeArgs,
    /// Field to empty; repeat for several
    #[arg(long, value_name = "FIELD", value_enum)]
    clear: Vec<ClearableField>,
    /// Fail unless the consumer still has this etag [default: change any state]
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

/// Removes the default of an attribute: an update keeps the fields that are not given.
fn without_default(argument: Arg) -> Arg {
    let help = argument.get_help().map(ToString::to_string);
    match help.as_deref().and_then(|help| help.split_once(DEFAULT)) {
        Some((help, _)) if argument.get_id() != "etag" => {
            let help = help.to_owned();
            argument.help(help)
        }
        _ => argument,
    }
}

const DEFAULT: &str = " [default: ";

// === impl UpdateArgs ===

impl UpdateArgs {
    /// Returns the request for the server, with a mask of the given fields.
    ///
    /// # Errors
    /// If no field is given, or a field is both set and cleared.
    pub(super) fn into_request(self) -> anyhow::Result<v1::UpdateConsumerRequest> {
        let mut mask = UpdateMask::clearing(&self.clear);
        let consumer = v1::Consumer {
            consumer_key: self.consumer.into_key(),
            etag: self.etag,
            name: mask.value("name", self.name),
            ..self.attributes.into_message(&mut mask)
        };
        Ok(v1::UpdateConsumerRequest {
            consumer: Some(consumer),
            update_mask: Some(mask.into_message()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;
    use crate::cli::Usage;
    use crate::cli::consumer::Command;
    use crate::cli::consumer::tests::{command, parse};

    #[test]
    fn only_given_fields_are_updated() {
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
    fn announcements_are_set_and_cleared() {
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

    #[test]
    fn the_help_of_an_attribute_has_a_default_only_on_create() {
        let help = |words: &[&str]| parse(words).unwrap_err().to_string();
        let update = help(&["update", "--help"]);
        assert!(!update.contains("[default: two-legged"), "{update}");
        assert!(update.contains("[default: change any state]"), "{update}");
        let create = help(&["create", "--help"]);
        assert!(create.contains("[default: two-legged"), "{create}");
    }

    fn request(options: &[&str]) -> anyhow::Result<v1::UpdateConsumerRequest> {
        let command = command(&[&["update", "K"], options].concat())?;
        let Command::Update(update) = command else {
            panic!("{command:?}")
        };
        update.into_request()
    }
}
