//! Other authors' clients that deviate from RFC 5849: refused and explained, until their consumer
//! has the compat profile that they need. With it, changed requests are still refused.

use std::collections::BTreeMap;

use countersign::v1;
use serde_json::{Value, json};
use tonic::Streaming;

use super::clients::{public_key_file, rsa_key};
use super::on_every_stack;
use crate::support::observer::Observer;
use crate::support::scripted::{self, node};
use crate::support::stack::{Stack, identity};

on_every_stack!(clients_that_deviate_are_let_through_by_the_profile_that_they_need);

/// A case of `tests/clients/node/deviating.mjs`; its name is the consumer key.
struct Deviation {
    name: &'static str,
    profiles: &'static [&'static str],
    /// The response without the profiles: the status, the problem, and the causes for operators.
    refused: (u16, &'static str, &'static [&'static str]),
    /// The causes of the changed request. The signature of a request with a changed body shows only
    /// the deviation: `oauth_body_hash` protects the body, and is checked after the signature.
    changed: &'static [&'static str],
}

const DEVIATIONS: [Deviation; 8] = [
    Deviation {
        name: "plus-literal",
        profiles: &["plus-literal"],
        refused: (401, "signature_invalid", &["plus-literal"]),
        changed: &["none"],
    },
    Deviation {
        name: "no-root-slash",
        profiles: &["no-root-slash"],
        refused: (401, "signature_invalid", &["root-slash"]),
        changed: &["none"],
    },
    Deviation {
        name: "version-lenient",
        profiles: &["version-lenient"],
        refused: (400, "version_rejected", &["version-text"]),
        changed: &["none"],
    },
    Deviation {
        name: "scheme-any",
        profiles: &["scheme-any"],
        refused: (401, "signature_invalid", &["scheme"]),
        changed: &["none"],
    },
    Deviation {
        name: "ignore-query-on-post",
        profiles: &["ignore-query-on-post"],
        refused: (401, "signature_invalid", &["query-left-out"]),
        changed: &["none"],
    },
    Deviation {
        name: "raw-values!get",
        profiles: &["raw-values"],
        refused: (401, "signature_invalid", &["encoded-once"]),
        changed: &["none"],
    },
    Deviation {
        name: "raw-values!json",
        profiles: &["raw-values"],
        refused: (401, "signature_invalid", &["encoded-once"]),
        changed: &["encoded-once"],
    },
    Deviation {
        name: "body-unsigned-form!form",
        profiles: &["raw-values", "body-unsigned-form"],
        refused: (401, "signature_invalid", &["form-left-out", "encoded-once"]),
        changed: &["form-left-out", "encoded-once"],
    },
];

async fn clients_that_deviate_are_let_through_by_the_profile_that_they_need(stack: &Stack) {
    let (private_key, public_key) = rsa_key();
    create_consumers(stack, &public_key).await;

    let mut watch = Observer::of(&stack.countersign).await.watch().await;
    let without = outcomes(stack, &private_key).await;
    let mut explained = causes(&mut watch).await;
    for Deviation {
        name,
        refused: (status, problem, causes),
        changed,
        ..
    } in DEVIATIONS
    {
        assert_eq!(
            without[name]["as_signed"],
            json!([status, problem]),
            "{name}"
        );
        assert_eq!(
            without[name]["changed"],
            json!([401, "signature_invalid"]),
            "{name}"
        );
        let mut explained = explained.remove(name).unwrap();
        let mut expected = [causes, changed];
        expected.sort_unstable();
        explained.sort_unstable();
        assert_eq!(explained, expected, "{name}");
    }
    assert_eq!(stack.upstream.received().len(), 0);

    allow_profiles(stack).await;
    let with = outcomes(stack, &private_key).await;
    for Deviation { name, .. } in DEVIATIONS {
        assert_eq!(
            with[name]["as_signed"],
            json!([200, null]),
            "{name}: {}",
            stack.countersign.log()
        );
        assert_eq!(
            with[name]["changed"],
            json!([401, "signature_invalid"]),
            "{name}"
        );
    }
    let received = stack.upstream.received();
    let callers = received.iter().map(|request| {
        let headers = identity(request);
        headers
            .into_iter()
            .find_map(|(name, value)| (name == "x-credential-identifier").then_some(value))
            .unwrap()
    });
    assert_eq!(
        callers.collect::<Vec<_>>(),
        DEVIATIONS.map(|deviation| deviation.name)
    );
}

async fn create_consumers(stack: &Stack, public_key: &str) {
    let public_key = public_key_file(public_key);
    for Deviation { name, .. } in DEVIATIONS {
        let key = format!("--consumer-key={name}");
        let rsa = format!("--rsa-public-key={}", public_key.path().display());
        // The card network issues consumer keys with a `!`.
        let secret = if name.contains('!') {
            ["--no-secret", &rsa]
        } else {
            ["--consumer-secret", SECRET]
        };
        stack
            .countersign
            .admin(
                &[
                    &["consumer", "create", "--name=Deviating", &key][..],
                    &secret,
                ]
                .concat(),
            )
            .await;
    }
}

async fn allow_profiles(stack: &Stack) {
    for Deviation { name, profiles, .. } in DEVIATIONS {
        let profiles: Vec<_> = profiles
            .iter()
            .map(|profile| format!("--compat={profile}"))
            .collect();
        let update = ["consumer", "update", name]
            .into_iter()
            .chain(profiles.iter().map(String::as_str));
        stack.countersign.admin(&update.collect::<Vec<_>>()).await;
    }
}

/// Returns the causes of the denials of each consumer.
async fn causes(
    watch: &mut Streaming<v1::WatchDenialsResponse>,
) -> BTreeMap<String, Vec<Vec<String>>> {
    let mut explained = BTreeMap::<_, Vec<_>>::new();
    for _ in 0..2 * DEVIATIONS.len() {
        let denial = watch.message().await.unwrap().unwrap().denial.unwrap();
        explained
            .entry(denial.consumer_key)
            .or_default()
            .push(denial.causes);
    }
    explained
}

async fn outcomes(stack: &Stack, private_key: &str) -> Value {
    let mut command = node("deviating.mjs");
    let given =
        json!({ "address": stack.envoy.address.to_string(), "secret": SECRET, "rsa_key": private_key }).to_string();
    command.arg(given);
    scripted::run(command).await
}

const SECRET: &str = "kd94hf93k423kf44";
