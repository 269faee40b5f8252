//! The check of the files that a configuration names, for `countersign config check`.
//!
//! Each file is read as a start reads it, so that a missing file, wrong permissions or a key of
//! another certificate are found before. Nothing is created, and no connection is made.

use std::error::Error;
use std::path::{Path, PathBuf};

use super::api::{AdminToken, IssuerToken};
use super::http::ServiceLogo;
use super::reload::TokenVariables;
use super::transport::{LoadedTls, Protocol};
use crate::config::{Config, ListenerConfig, StoreUrl};
use crate::{directory, store};

/// The check of the files of one key or section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheck {
    /// The key or section that names the files.
    pub key: &'static str,
    /// The files.
    pub files: Vec<PathBuf>,
    /// The outcome.
    pub state: FileState,
}

/// The outcome of a check of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// A start can use them.
    Usable,
    /// The first start creates it.
    ToBeCreated,
    /// A start would fail, and the reason.
    Unusable(String),
}

/// Reads every file that `config` names. Needs a tokio runtime.
pub fn check_files(config: &Config, variables: &TokenVariables) -> Vec<FileCheck> {
    let listeners: [(&'static str, &ListenerConfig, Protocol); 4] = [
        ("check.tls", &config.check.listener, Protocol::Http2),
        ("api.tls", &config.api.listener, Protocol::Http2),
        ("http.tls", &config.http.listener, Protocol::Http1),
        ("ops.tls", &config.ops.listener, Protocol::Http1),
    ];
    let mut checks: Vec<_> = listeners
        .into_iter()
        .filter_map(|(key, listener, protocol)| certificates(key, listener, protocol))
        .collect();
    checks.extend(master_keys(config));
    checks.push(connections(config));
    checks.extend(tokens(config, variables));
    checks.push(user_directory(config));
    checks.push(logo(config));
    checks.retain(|check| !check.files.is_empty() || check.state != FileState::Usable);
    checks
}

fn certificates(
    key: &'static str,
    listener: &ListenerConfig,
    protocol: Protocol,
) -> Option<FileCheck> {
    let tls = listener.tls.as_ref()?;
    let files = [&tls.certificate_file, &tls.key_file].into_iter();
    Some(FileCheck {
        key,
        files: files.chain(&tls.client_ca_file).cloned().collect(),
        state: state_of(LoadedTls::load(tls, protocol)),
    })
}

/// Reads the master keys. Those of an embedded store are created with it.
fn master_keys(config: &Config) -> Option<FileCheck> {
    let file = store::master_key_file(&config.store, &config.data_dir)?;
    let is_new = match &config.store.url {
        StoreUrl::Embedded(path) => !config.data_dir.join(path).exists(),
        StoreUrl::Memory | StoreUrl::Redis(_) => false,
    };
    let is_own = config.store.master_key_file.is_none();
    let state = if is_own && is_new && !file.exists() {
        FileState::ToBeCreated
    } else {
        state_of(store::read_keys(&config.store, &config.data_dir))
    };
    Some(FileCheck {
        key: "store.master_key_file",
        files: vec![file],
        state,
    })
}

fn connections(config: &Config) -> FileCheck {
    let read = store::read_connection_files(&config.store);
    FileCheck {
        key: "store",
        files: read.as_ref().map_or_else(|_| Vec::new(), Vec::clone),
        state: state_of(read),
    }
}

/// Reads the tokens that no variable holds.
fn tokens(config: &Config, variables: &TokenVariables) -> [FileCheck; 2] {
    let file = config.data_dir.join(AdminToken::FILE);
    let is_created = variables.admin.is_none() && !file.exists();
    let admin = AdminToken::load(&config.data_dir, variables.admin.as_deref());
    let named = config.api.issuer_token_file.as_deref();
    let issuer = IssuerToken::load(named, variables.issuer.as_deref(), admin.as_ref().ok());
    let in_file = |file: Option<PathBuf>, variable: &Option<String>| {
        let files = file.into_iter().filter(|_| variable.is_none());
        files.collect()
    };
    [
        FileCheck {
            key: "data_dir",
            files: in_file(Some(file), &variables.admin),
            state: if is_created {
                FileState::ToBeCreated
            } else {
                state_of(admin)
            },
        },
        FileCheck {
            key: "api.issuer_token_file",
            files: in_file(config.api.issuer_token_file.clone(), &variables.issuer),
            state: state_of(issuer),
        },
    ]
}

fn user_directory(config: &Config) -> FileCheck {
    let users = &config.users;
    let files = users.ca_file.iter().chain(&users.token_file);
    FileCheck {
        key: "users",
        files: files.cloned().collect(),
        state: state_of(directory::open(users)),
    }
}

fn logo(config: &Config) -> FileCheck {
    let file = config.authorize.logo_file.as_deref();
    FileCheck {
        key: "authorize.logo_file",
        files: file.map(Path::to_owned).into_iter().collect(),
        state: state_of(ServiceLogo::load(file)),
    }
}

fn state_of<T, E: Error>(read: Result<T, E>) -> FileState {
    match read {
        Ok(_) => FileState::Usable,
        Err(error) => FileState::Unusable(with_causes(&error)),
    }
}

/// Returns the text of an error and of its causes.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::{Sources, load};

    #[tokio::test]
    async fn a_new_data_directory_is_not_created() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        let checks = check(&format!("data_dir = {data:?}"), home.path());
        let states: Vec<_> = checks.iter().map(|one| (one.key, &one.state)).collect();
        assert_eq!(
            states,
            [
                ("store.master_key_file", &FileState::ToBeCreated),
                ("data_dir", &FileState::ToBeCreated),
            ]
        );
        assert!(!data.exists());
    }

    #[tokio::test]
    async fn every_named_file_is_read() {
        let home = tempfile::tempdir().unwrap();
        let checks = check(EVERY_FILE, home.path());
        let unusable: Vec<_> = checks
            .iter()
            .filter_map(|one| match &one.state {
                FileState::Unusable(why) => Some((one.key, why.as_str())),
                FileState::Usable | FileState::ToBeCreated => None,
            })
            .collect();
        let keys: Vec<_> = unusable.iter().map(|(key, _)| *key).collect();
        let expected = [
            "check.tls",
            "ops.tls",
            "store.master_key_file",
            "store",
            "api.issuer_token_file",
            "users",
            "authorize.logo_file",
        ];
        assert_eq!(keys, expected, "{unusable:?}");
        for (key, why) in unusable {
            assert!(why.contains("/no/such/"), "{key}: {why}");
        }
    }

    #[tokio::test]
    async fn a_usable_token_is_not_repeated_and_an_exposed_one_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let token = home.path().join("issuer");
        fs::write(&token, "a-token-of-the-issuers-0123456789\n").unwrap();
        fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
        let text = format!(
            "data_dir = {:?}\n[api]\nissuer_token_file = {token:?}",
            home.path()
        );
        let state = |text: &str| {
            let checks = check(text, home.path());
            let mut found = checks
                .into_iter()
                .filter(|one| one.key == "api.issuer_token_file");
            found.next().unwrap().state
        };
        assert_eq!(state(&text), FileState::Usable);
        fs::set_permissions(&token, Permissions::from_mode(0o644)).unwrap();
        let FileState::Unusable(why) = state(&text) else {
            panic!("an exposed token is usable")
        };
        assert!(
            why.contains("chmod") && !why.contains("0123456789"),
            "{why}"
        );
    }

    fn check(text: &str, home: &Path) -> Vec<FileCheck> {
        let file = home.join("countersign.toml");
        fs::write(&file, text).unwrap();
        let sources = Sources {
            file: Some(file),
            ..Sources::default()
        };
        check_files(&load(&sources).unwrap(), &TokenVariables::default())
    }

    const EVERY_FILE: &str = r#"
        data_dir = "/no/such/data"
        [check.tls]
        certificate_file = "/no/such/check.pem"
        key_file = "/no/such/check.key"
        [ops.tls]
        certificate_file = "/no/such/ops.pem"
        key_file = "/no/such/ops.key"
        [store]
        url = "rediss://h"
        master_key_file = "/no/such/keys"
        password_file = "/no/such/password"
        [api]
        issuer_token_file = "/no/such/issuer"
        [users]
        directory = "grpc"
        url = "https://h"
        ca_file = "/no/such/ca.pem"
        [authorize]
        service_name = "Photos"
        logo_file = "/no/such/logo.svg"
    "#;
}
