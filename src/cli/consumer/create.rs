//! `countersign consumer create`.

use std::path::{Path, PathBuf};

use countersign::model::{CompatProfile, Flow, Secret};
use countersign::oauth::SignatureMethod;
use countersign::v1;

use super::told::Told;
use crate::cli::{Usage, input, secret_input};

/// A consumer to be created.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Its name, which upstreams read as x-consumer-username
    #[arg(long)]
    name: String,
    /// The key that the application has already [default: a new one]
    #[arg(long, value_name = "KEY")]
    consumer_key: Option<String>,
    /// The secret that the application has already [default: a new one]; other users of this machine can see it here,
    /// so prefer --consumer-secret-file
    #[arg(long, value_name = "SECRET", value_parser = secret_input::inline, group = "secret")]
    consumer_secret: Option<Secret>,
    /// A file with that secret; - is standard input
    #[arg(long, value_name = "FILE", group = "secret")]
    consumer_secret_file: Option<PathBuf>,
    /// Gives it no secret: it signs with --rsa-public-key alone
    #[arg(long, group = "secret", requires = "rsa_public_key")]
    no_secret: bool,
    /// What it is, in words for a user
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    description: String,
    /// Where it runs, for example ios
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    platform: String,
    /// Where a user reads about it
    #[arg(
        long,
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    app_url: String,
    /// A signature method that it may use; may be repeated [default: HMAC-SHA1, -256 and -512, and with a public key
    /// RSA-SHA256 and -512]
    #[arg(long, value_name = "METHOD", value_parser = SignatureMethod::ALL.map(SignatureMethod::name))]
    signature_method: Vec<String>,
    /// A flow that it may use; may be repeated [default: two-legged and three-legged]
    #[arg(long, value_name = "FLOW", value_parser = Flow::ALL.map(Flow::name))]
    flow: Vec<String>,
    /// A URI that users may be sent back to, or oob; may be repeated
    #[arg(long, value_name = "URI")]
    callback: Vec<String>,
    /// A scope that it may have; may be repeated
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// A deviation from RFC 5849 that is accepted from it, see docs/compat.md; may be repeated
    #[arg(long, value_name = "PROFILE", value_parser = CompatProfile::ALL.map(CompatProfile::name))]
    compat: Vec<String>,
    /// A file with an RSA public key or certificate in PEM, at least 2048 bits; may be repeated
    #[arg(long, value_name = "FILE")]
    rsa_public_key: Vec<PathBuf>,
    /// You vouch for what it says of itself: users are not warned about it
    #[arg(long)]
    verified: bool,
    #[command(flatten)]
    told: Told,
}

// === impl Create ===

impl Create {
    /// What the server is asked.
    pub(super) fn into_request(self) -> anyhow::Result<v1::CreateConsumerRequest> {
        let file = self.consumer_secret_file.as_deref();
        let secret = secret_input::read(self.consumer_secret.as_ref(), file, "--consumer-secret")?;
        let consumer = v1::Consumer {
            consumer_key: self.consumer_key.unwrap_or_default(),
            name: self.name,
            description: self.description,
            platform: self.platform,
            app_url: self.app_url,
            signature_methods: self.signature_method,
            flows: self.flow,
            verified: self.verified,
            callbacks: self.callback,
            scopes: self.scope,
            compat_profiles: self.compat,
            rsa_public_keys: self
                .rsa_public_key
                .iter()
                .map(|file| public_key(file))
                .collect::<Result<_, _>>()?,
            deny_detail: self.told.deny_detail.unwrap_or_default(),
            deprecated_at: self.told.deprecated_at,
            sunset_at: self.told.sunset_at,
            ..v1::Consumer::default()
        };
        Ok(v1::CreateConsumerRequest {
            consumer: Some(consumer),
            consumer_secret: secret_input::text(secret.as_ref())?,
            no_shared_secret: self.no_secret,
            allow_existing: false,
            validate_only: false,
        })
    }
}

/// The public key in this file.
pub(super) fn public_key(file: &Path) -> anyhow::Result<v1::RsaPublicKey> {
    let pem = input::text(file)?;
    if pem.contains("PRIVATE KEY-----") {
        let remedy = "is a private key, which stays with the application; `openssl pkey -pubout` makes its public key";
        return Err(Usage(format!("{} {remedy}", file.display())).into());
    }
    Ok(v1::RsaPublicKey {
        pem,
        ..v1::RsaPublicKey::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::consumer::Command;
    use crate::cli::consumer::tests::parse;

    #[test]
    fn existing_credentials_can_be_brought_in() {
        let request = request(&[
            "--name",
            "N",
            "--consumer-key",
            "K",
            "--consumer-secret",
            "S",
        ])
        .unwrap();
        let consumer = request.consumer.unwrap();
        assert_eq!(
            (consumer.name.as_str(), consumer.consumer_key.as_str()),
            ("N", "K")
        );
        assert_eq!(
            (request.consumer_secret.as_str(), request.no_shared_secret),
            ("S", false)
        );
    }

    #[test]
    fn what_may_be_repeated_is_kept_in_order() {
        let consumer = request(&[
            "--name=N",
            "--scope=write",
            "--scope=read",
            "--flow=xauth",
            "--signature-method=PLAINTEXT",
            "--compat=scheme-any",
        ])
        .unwrap()
        .consumer
        .unwrap();
        assert_eq!(consumer.scopes, ["write", "read"]);
        assert_eq!(consumer.flows, ["xauth"]);
        assert_eq!(consumer.signature_methods, ["PLAINTEXT"]);
        assert_eq!(consumer.compat_profiles, ["scheme-any"]);
    }

    #[test]
    fn a_secret_is_given_in_one_way_only() {
        for wrong in [
            &[
                "create",
                "--name=N",
                "--consumer-secret=S",
                "--consumer-secret-file=F",
            ][..],
            &[
                "create",
                "--name=N",
                "--consumer-secret=S",
                "--no-secret",
                "--rsa-public-key=F",
            ],
            &["create", "--name=N", "--no-secret"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        let empty = request(&["--name=N", "--consumer-secret="]).unwrap_err();
        assert!(empty.downcast_ref::<Usage>().is_some(), "{empty}");
    }

    #[test]
    fn a_private_key_does_not_leave_the_machine() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("key.pem");
        std::fs::write(&file, "-----BEGIN RSA PRIVATE KEY-----\n").unwrap();
        let refused = public_key(&file).unwrap_err();
        assert!(refused.downcast_ref::<Usage>().is_some(), "{refused}");
    }

    #[test]
    fn a_secret_is_not_in_the_debug_form_of_the_command_line() {
        let args = parse(&["create", "--name=N", "--consumer-secret=kd94hf93k423kf44"]).unwrap();
        assert!(!format!("{args:?}").contains("kd94hf93k423kf44"));
    }

    fn request(options: &[&str]) -> anyhow::Result<v1::CreateConsumerRequest> {
        let command = parse(&[&["create"], options].concat())?.command;
        let Command::Create(create) = command else {
            panic!("{command:?}")
        };
        create.into_request()
    }
}
