//! `countersign consumer create`.

use std::path::{Path, PathBuf};

use countersign::v1;

use super::SecretArgs;
use super::attributes::AttributeArgs;
use super::mask::UpdateMask;
use crate::cli::{Usage, input};

/// The arguments of `countersign consumer create`.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// Name of the consumer, which upstreams receive as x-consumer-username
    #[arg(long)]
    name: String,
    /// Key that the application already has [default: a generated key]
    #[arg(long, value_name = "KEY")]
    consumer_key: Option<String>,
    #[command(flatten)]
    secret: SecretArgs,
    /// Create no secret: the consumer signs with --rsa-public-key only
    #[arg(long, group = "secret", requires = "rsa_public_key")]
    no_secret: bool,
    /// File with an RSA public key or certificate in PEM of at least 2048 bits; repeat for several
    /// [default: none]
    #[arg(long, value_name = "FILE")]
    rsa_public_key: Vec<PathBuf>,
    #[command(flatten)]
    attributes: AttributeArgs,
    /// Check every value, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

// === impl CreateArgs ===

impl CreateArgs {
    /// Returns the request for the server.
    pub(super) fn into_request(self) -> anyhow::Result<v1::CreateConsumerRequest> {
        let consumer_secret = self.secret.read()?;
        let rsa_public_keys = self.rsa_public_key.iter().map(|file| public_key(file));
        let consumer = v1::Consumer {
            consumer_key: self.consumer_key.unwrap_or_default(),
            name: self.name,
            rsa_public_keys: rsa_public_keys.collect::<Result<_, _>>()?,
            ..self.attributes.into_message(&mut UpdateMask::default())
        };
        Ok(v1::CreateConsumerRequest {
            consumer: Some(consumer),
            consumer_secret,
            no_shared_secret: self.no_secret,
            allow_existing: false,
            validate_only: self.dry_run,
        })
    }
}

/// Reads the public key in a file.
///
/// # Errors
/// If the file cannot be read, or holds a private key.
pub(super) fn public_key(file: &Path) -> anyhow::Result<v1::RsaPublicKey> {
    let pem = input::text(file)?;
    if pem.contains("PRIVATE KEY-----") {
        let file = file.display();
        return Err(Usage(format!(
            "{file} is a private key, which must stay with the application; extract its public key with `openssl pkey \
             -pubout`"
        ))
        .into());
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
    fn existing_credentials_can_be_imported() {
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
    fn repeated_options_keep_their_order() {
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
