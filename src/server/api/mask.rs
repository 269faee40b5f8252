//! Field masks (AIP-134): the fields of a consumer that an update changes.

use prost_types::FieldMask;
use strum::{EnumString, VariantArray, VariantNames};

use super::convert::consumer_attributes;
use super::fields::Fields;
use crate::issue::ConsumerAttributes;
use crate::v1;

/// An update of a consumer: new values, and the fields that get them.
#[derive(Debug)]
pub(super) struct ConsumerUpdate {
    fields: Vec<ConsumerField>,
    new: ConsumerAttributes,
}

/// A field that an update can change, by its name in `proto/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
enum ConsumerField {
    Name,
    Description,
    Platform,
    AppUrl,
    Verified,
    SignatureMethods,
    Flows,
    Callbacks,
    Scopes,
    CompatProfiles,
    DenyDetail,
    DeprecatedAt,
    SunsetAt,
}

// === impl ConsumerUpdate ===

impl ConsumerUpdate {
    /// Reads the mask and the new values of the fields that it names.
    pub(super) fn parse(
        wrong: &mut Fields,
        mask: Option<FieldMask>,
        mut message: v1::Consumer,
    ) -> Option<Self> {
        let fields = updated_fields(wrong, &mask.unwrap_or_default().paths);
        if !fields.contains(&ConsumerField::DeprecatedAt) {
            message.deprecated_at = None;
        }
        if !fields.contains(&ConsumerField::SunsetAt) {
            message.sunset_at = None;
        }
        let new = wrong.merge(consumer_attributes(message))?;
        Some(Self { fields, new })
    }

    /// Gives `attributes` the new values.
    pub(super) fn apply(&self, attributes: &mut ConsumerAttributes) {
        for field in &self.fields {
            field.copy(&self.new, attributes);
        }
    }
}

// === impl ConsumerField ===

impl ConsumerField {
    fn copy(self, new: &ConsumerAttributes, to: &mut ConsumerAttributes) {
        match self {
            Self::Name => to.name.clone_from(&new.name),
            Self::Description => to.profile.description.clone_from(&new.profile.description),
            Self::Platform => to.profile.platform.clone_from(&new.profile.platform),
            Self::AppUrl => to.profile.app_url.clone_from(&new.profile.app_url),
            Self::Verified => to.verified = new.verified,
            Self::SignatureMethods => to.signature_methods.clone_from(&new.signature_methods),
            Self::Flows => to.flows.clone_from(&new.flows),
            Self::Callbacks => to.callbacks.clone_from(&new.callbacks),
            Self::Scopes => to.scopes.clone_from(&new.scopes),
            Self::CompatProfiles => to.compat_profiles.clone_from(&new.compat_profiles),
            Self::DenyDetail => to.deny_detail.clone_from(&new.deny_detail),
            Self::DeprecatedAt => to.deprecated_at = new.deprecated_at,
            Self::SunsetAt => to.sunset_at = new.sunset_at,
        }
    }
}

fn updated_fields(wrong: &mut Fields, paths: &[String]) -> Vec<ConsumerField> {
    let refused = match paths {
        [] => "is required: name the fields to change, or \"*\" for all".to_owned(),
        [all] if all == "*" => return <ConsumerField as VariantArray>::VARIANTS.to_vec(),
        paths if paths.len() > MAX_PATHS => {
            format!("has {} paths, the limit is {MAX_PATHS}", paths.len())
        }
        paths => return named_fields(wrong, paths),
    };
    wrong.wrong("update_mask", refused);
    Vec::new()
}

fn named_fields(wrong: &mut Fields, paths: &[String]) -> Vec<ConsumerField> {
    let named = paths.iter().enumerate().filter_map(|(at, path)| {
        let field = path.parse().map_err(|_| problem(path));
        wrong.take(&format!("update_mask.paths[{at}]"), field)
    });
    named.collect()
}

fn problem(path: &str) -> String {
    match path {
        "*" => "is \"*\", which must be the only path".to_owned(),
        "rsa_public_keys" => {
            "is rsa_public_keys: call AddRsaPublicKey or RemoveRsaPublicKey".to_owned()
        }
        "status" => "is status: call DisableConsumer or EnableConsumer".to_owned(),
        _ => {
            let shown: String = path.chars().take(SHOWN_LEN).collect();
            let known = <ConsumerField as VariantNames>::VARIANTS.join(", ");
            format!("is {shown:?}, which cannot be updated; known are {known}")
        }
    }
}

/// Room for every path twice.
const MAX_PATHS: usize = 32;

/// Enough characters to find the path in the request.
const SHOWN_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;
    use crate::clock::UnixTime;
    use crate::model::ConsumerProfile;

    #[test]
    fn only_the_fields_of_the_mask_change() {
        let expected = ConsumerAttributes {
            name: "new".to_owned(),
            scopes: vec!["new".to_owned()],
            ..ConsumerAttributes::default()
        };
        assert_eq!(updated(&["name", "scopes"]).unwrap(), expected);
    }

    #[test]
    fn a_star_stands_for_every_field() {
        let new = consumer_attributes(message()).unwrap();
        assert_eq!(updated(&["*"]).unwrap(), new);
        let ConsumerAttributes {
            name: _,
            profile:
                ConsumerProfile {
                    description,
                    platform,
                    app_url,
                },
            verified,
            signature_methods,
            flows,
            callbacks,
            scopes,
            compat_profiles,
            deny_detail,
            deprecated_at,
            sunset_at,
        } = new;
        for text in [description, platform, app_url, deny_detail] {
            assert_eq!(text, "new");
        }
        for list in [signature_methods, flows, callbacks, scopes, compat_profiles] {
            assert_eq!(list, ["new"]);
        }
        let time = Some(UnixTime::from_secs(5));
        assert_eq!((verified, deprecated_at, sunset_at), (true, time, time));
    }

    #[test]
    fn a_field_of_the_mask_without_a_value_is_emptied() {
        let mut attributes = consumer_attributes(message()).unwrap();
        let empty = update(&["*"], v1::Consumer::default()).unwrap();
        empty.apply(&mut attributes);
        assert_eq!(attributes, ConsumerAttributes::default());
    }

    #[test]
    fn an_unknown_path_is_named() {
        let list = "which cannot be updated; known are name, description, platform, app_url, verified, \
                    signature_methods, flows, callbacks, scopes, compat_profiles, deny_detail, deprecated_at, \
                    sunset_at";
        for (paths, problem) in [
            (
                &[][..],
                "update_mask is required: name the fields to change, or \"*\" for all".to_owned(),
            ),
            (
                &["name", "colour"],
                format!("update_mask.paths[1] is \"colour\", {list}"),
            ),
            (
                &["consumer.name"],
                format!("update_mask.paths[0] is \"consumer.name\", {list}"),
            ),
            (
                &["a\0"],
                format!("update_mask.paths[0] is \"a\\0\", {list}"),
            ),
            (
                &["consumer_key"],
                format!("update_mask.paths[0] is \"consumer_key\", {list}"),
            ),
            (
                &["*", "name"],
                "update_mask.paths[0] is \"*\", which must be the only path".to_owned(),
            ),
            (
                &["name"; 33],
                "update_mask has 33 paths, the limit is 32".to_owned(),
            ),
        ] {
            assert_eq!(updated(paths).unwrap_err(), problem);
        }
    }

    #[test]
    fn every_wrong_path_is_named() {
        let refused = updated(&["status", "rsa_public_keys"]).unwrap_err();
        assert!(refused.contains("DisableConsumer"), "{refused}");
        assert!(refused.contains("AddRsaPublicKey"), "{refused}");
        assert!(updated(&[&"x".repeat(1 << 20)]).unwrap_err().len() < 400);
    }

    #[test]
    fn an_invalid_time_is_wrong_only_if_the_mask_names_it() {
        let new = || v1::Consumer {
            sunset_at: Some(Timestamp {
                seconds: 5,
                nanos: -1,
            }),
            ..v1::Consumer::default()
        };
        assert!(update(&["name"], new()).is_ok());
        let problem = "consumer.sunset_at is not a valid Timestamp: its nanos are out of range";
        for paths in [&["sunset_at"], &["*"]] {
            assert_eq!(update(paths, new()).unwrap_err(), problem);
        }
    }

    fn updated(paths: &[&str]) -> Result<ConsumerAttributes, String> {
        let mut attributes = ConsumerAttributes::default();
        update(paths, message())?.apply(&mut attributes);
        Ok(attributes)
    }

    fn update(paths: &[&str], new: v1::Consumer) -> Result<ConsumerUpdate, String> {
        let mask = FieldMask {
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
        };
        let mut fields = Fields::default();
        let update = ConsumerUpdate::parse(&mut fields, Some(mask), new);
        fields
            .all(update)
            .map_err(|refused| refused.message().to_owned())
    }

    fn message() -> v1::Consumer {
        let (text, list) = ("new".to_owned(), vec!["new".to_owned()]);
        let time = Some(Timestamp {
            seconds: 5,
            nanos: 0,
        });
        v1::Consumer {
            name: text.clone(),
            description: text.clone(),
            platform: text.clone(),
            app_url: text.clone(),
            verified: true,
            signature_methods: list.clone(),
            flows: list.clone(),
            callbacks: list.clone(),
            scopes: list.clone(),
            compat_profiles: list,
            deny_detail: text,
            deprecated_at: time,
            sunset_at: time,
            ..v1::Consumer::default()
        }
    }
}
