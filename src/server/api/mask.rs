//! Field masks (AIP-134): which fields of a consumer are to be changed.

use prost_types::Timestamp;

use super::convert::unix_time;
use super::fields::Fields;
use crate::clock::UnixTime;
use crate::issue::ConsumerChange;
use crate::v1;

/// What the mask takes from the new values.
///
/// A path that is none, or that of a field that can not be changed, is told by its place and its name.
pub(super) fn consumer_change(
    fields: &mut Fields,
    mask: Option<prost_types::FieldMask>,
    new: &v1::Consumer,
) -> Option<ConsumerChange> {
    let paths = mask.unwrap_or_default().paths;
    match &paths[..] {
        [] => fields.wrong(
            "update_mask",
            "is required: the fields to change, or \"*\" for all",
        ),
        [all] if all == "*" => return Some(every_field(fields, new)),
        too_many if too_many.len() > MAX_PATHS => {
            fields.wrong(
                "update_mask",
                format_args!("has {} paths, the limit is {MAX_PATHS}", too_many.len()),
            );
        }
        paths => return named_fields(fields, paths, new),
    }
    None
}

fn every_field(fields: &mut Fields, new: &v1::Consumer) -> ConsumerChange {
    let mut change = ConsumerChange::default();
    for path in PATHS {
        set(fields, &mut change, path, new);
    }
    change
}

fn named_fields(
    fields: &mut Fields,
    paths: &[String],
    new: &v1::Consumer,
) -> Option<ConsumerChange> {
    let mut change = ConsumerChange::default();
    let mut known = true;
    for (at, path) in paths.iter().enumerate() {
        if !set(fields, &mut change, path, new) {
            fields.wrong(&format!("update_mask.paths[{at}]"), problem(path));
            known = false;
        }
    }
    known.then_some(change)
}

/// Whether there is such a field to change.
fn set(fields: &mut Fields, change: &mut ConsumerChange, path: &str, new: &v1::Consumer) -> bool {
    match path {
        "name" => change.name = Some(new.name.clone()),
        "description" => change.description = Some(new.description.clone()),
        "platform" => change.platform = Some(new.platform.clone()),
        "app_url" => change.app_url = Some(new.app_url.clone()),
        "verified" => change.verified = Some(new.verified),
        "signature_methods" => change.signature_methods = Some(new.signature_methods.clone()),
        "flows" => change.flows = Some(new.flows.clone()),
        "callbacks" => change.callbacks = Some(new.callbacks.clone()),
        "scopes" => change.scopes = Some(new.scopes.clone()),
        "compat_profiles" => change.compat_profiles = Some(new.compat_profiles.clone()),
        "deny_detail" => change.deny_detail = Some(new.deny_detail.clone()),
        "deprecated_at" => {
            change.deprecated_at = time(fields, "consumer.deprecated_at", new.deprecated_at)
        }
        "sunset_at" => change.sunset_at = time(fields, "consumer.sunset_at", new.sunset_at),
        _ => return false,
    }
    true
}

/// A time that is not there takes back the one that is.
fn time(fields: &mut Fields, field: &str, new: Option<Timestamp>) -> Option<Option<UnixTime>> {
    fields.take(field, new.map(unix_time).transpose())
}

fn problem(path: &str) -> String {
    match path {
        "*" => "is \"*\", which must stand alone".to_owned(),
        "rsa_public_keys" => {
            "is rsa_public_keys, which AddRsaPublicKey and RemoveRsaPublicKey change".to_owned()
        }
        "status" => "is status, which DisableConsumer and EnableConsumer change".to_owned(),
        _ => {
            let shown: String = path.chars().take(SHOWN_LEN).collect();
            format!("is {shown:?}; what can be changed is {}", PATHS.join(", "))
        }
    }
}

const PATHS: [&str; 13] = [
    "name",
    "description",
    "platform",
    "app_url",
    "verified",
    "signature_methods",
    "flows",
    "callbacks",
    "scopes",
    "compat_profiles",
    "deny_detail",
    "deprecated_at",
    "sunset_at",
];

/// Every path twice, and more.
const MAX_PATHS: usize = 32;

/// Enough to find it in the request.
const SHOWN_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use prost_types::FieldMask;

    use super::*;

    #[test]
    fn only_what_the_mask_names_is_changed() {
        let change = asked(&["name", "scopes"]).unwrap();
        let expected = ConsumerChange {
            name: Some("new".to_owned()),
            scopes: Some(vec!["read".to_owned()]),
            ..ConsumerChange::default()
        };
        assert_eq!(change, expected);
    }

    #[test]
    fn a_star_is_every_field_that_can_be_changed() {
        let ConsumerChange {
            name,
            description,
            platform,
            app_url,
            verified,
            signature_methods,
            flows,
            callbacks,
            scopes,
            compat_profiles,
            deny_detail,
            deprecated_at,
            sunset_at,
        } = asked(&["*"]).unwrap();
        let texts = [name, description, platform, app_url, deny_detail]
            .into_iter()
            .flatten()
            .count();
        let lists = [signature_methods, flows, callbacks, scopes, compat_profiles]
            .into_iter()
            .flatten()
            .count();
        let times = [deprecated_at, sunset_at];
        assert_eq!(
            (texts, verified, lists, times),
            (5, Some(false), 5, [Some(None); 2])
        );
    }

    #[test]
    fn a_path_that_is_none_is_named() {
        let list = "what can be changed is name, description, platform, app_url, verified, signature_methods, flows, \
                    callbacks, scopes, compat_profiles, deny_detail, deprecated_at, sunset_at";
        for (paths, problem) in [
            (
                &[][..],
                "update_mask is required: the fields to change, or \"*\" for all".to_owned(),
            ),
            (
                &["name", "colour"],
                format!("update_mask.paths[1] is \"colour\"; {list}"),
            ),
            (
                &["consumer.name"],
                format!("update_mask.paths[0] is \"consumer.name\"; {list}"),
            ),
            (
                &["a\0"],
                format!("update_mask.paths[0] is \"a\\0\"; {list}"),
            ),
            (
                &["consumer_key"],
                format!("update_mask.paths[0] is \"consumer_key\"; {list}"),
            ),
            (
                &["*", "name"],
                "update_mask.paths[0] is \"*\", which must stand alone".to_owned(),
            ),
            (
                &["name"; 33],
                "update_mask has 33 paths, the limit is 32".to_owned(),
            ),
        ] {
            assert_eq!(asked(paths).unwrap_err(), problem);
        }
        assert!(asked(&[&"x".repeat(1 << 20)]).unwrap_err().len() < 300);
        assert!(asked(&["status"]).unwrap_err().contains("DisableConsumer"));
        assert!(
            asked(&["rsa_public_keys"])
                .unwrap_err()
                .contains("AddRsaPublicKey")
        );
    }

    #[test]
    fn a_time_that_is_none_is_wrong_only_where_the_mask_names_it() {
        let new = v1::Consumer {
            sunset_at: Some(Timestamp {
                seconds: 5,
                nanos: -1,
            }),
            ..Default::default()
        };
        assert!(change(&["name"], &new).is_ok());
        let problem = "consumer.sunset_at is no valid Timestamp: its nanos are out of range";
        for paths in [&["sunset_at"], &["*"]] {
            assert_eq!(change(paths, &new).unwrap_err(), problem);
        }
    }

    fn asked(paths: &[&str]) -> Result<ConsumerChange, String> {
        let new = v1::Consumer {
            name: "new".to_owned(),
            scopes: vec!["read".to_owned()],
            ..Default::default()
        };
        change(paths, &new)
    }

    fn change(paths: &[&str], new: &v1::Consumer) -> Result<ConsumerChange, String> {
        let mask = FieldMask {
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
        };
        let mut fields = Fields::default();
        let change = consumer_change(&mut fields, Some(mask), new);
        fields
            .all(change)
            .map_err(|refused| refused.message().to_owned())
    }
}
