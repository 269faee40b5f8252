//! The files with the credentials and certificates of connections to Redis.

use std::path::PathBuf;

use super::reader::Reader;
use super::store_url::{RedisUrlFacts, StoreUrl};
use super::value;

/// The files of connections to Redis, which are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFiles {
    /// The user and password at Redis.
    pub redis: LoginFiles,
    /// The user and password at the Sentinels.
    pub sentinel: LoginFiles,
    /// The CA certificates that servers are verified with, PEM; `None` is those that the system
    /// trusts.
    pub ca_file: Option<PathBuf>,
    /// The certificate that servers ask for.
    pub client: Option<ClientCertificateFiles>,
}

/// The files of a user and its password. What is missing is in `store.url`, or not needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginFiles {
    /// The name of the user.
    pub username_file: Option<PathBuf>,
    /// The password of the user.
    pub password_file: Option<PathBuf>,
}

/// The files of a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificateFiles {
    /// The certificate chain, PEM.
    pub certificate_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
}

/// The keys of a user and its password.
#[derive(Clone, Copy)]
pub(super) struct LoginKeys {
    pub(super) username: &'static str,
    pub(super) password: &'static str,
}

// === impl ConnectionFiles ===

impl ConnectionFiles {
    /// Reads the keys of the files, and compares them with the URL.
    pub(super) fn read(reader: &mut Reader, url: &StoreUrl) -> Self {
        let files = Self {
            redis: LoginFiles::read(reader, REDIS_LOGIN),
            sentinel: LoginFiles::read(reader, SENTINEL_LOGIN),
            ca_file: reader.text(CA, value::optional_path),
            client: ClientCertificateFiles::read(reader),
        };
        match url.redis_facts() {
            Some(url) => files.check(url, reader),
            None => files.reject_all(reader, OTHER_STORE),
        }
        files
    }

    fn check(&self, url: RedisUrlFacts, reader: &mut Reader) {
        if !url.is_tls {
            self.tls_keys()
                .for_each(|key| reader.reject(key, PLAINTEXT));
        }
        if !url.is_sentinel {
            let keys = self.sentinel.keys(SENTINEL_LOGIN);
            keys.for_each(|key| reader.reject(key, NO_SENTINELS));
        }
        let in_url = [url.has_username, url.has_password];
        self.redis.check(REDIS_LOGIN, in_url, reader);
        let in_url = [false, url.has_sentinel_password];
        self.sentinel.check(SENTINEL_LOGIN, in_url, reader);
    }

    fn reject_all(&self, reader: &mut Reader, problem: &str) {
        let logins = self.redis.keys(REDIS_LOGIN);
        let logins = logins.chain(self.sentinel.keys(SENTINEL_LOGIN));
        let keys = logins.chain(self.tls_keys());
        keys.for_each(|key| reader.reject(key, problem));
    }

    /// Returns the keys of TLS that are set.
    fn tls_keys(&self) -> impl Iterator<Item = &'static str> {
        let ca = self.ca_file.is_some().then_some(CA);
        ca.into_iter()
            .chain(self.client.is_some().then_some(CERTIFICATE))
    }
}

// === impl LoginFiles ===

impl LoginFiles {
    fn read(reader: &mut Reader, keys: LoginKeys) -> Self {
        Self {
            username_file: reader.text(keys.username, value::optional_path),
            password_file: reader.text(keys.password, value::optional_path),
        }
    }

    /// Returns the keys that are set.
    fn keys(&self, keys: LoginKeys) -> impl Iterator<Item = &'static str> {
        let username = self.username_file.is_some().then_some(keys.username);
        let password = self.password_file.is_some().then_some(keys.password);
        username.into_iter().chain(password)
    }

    /// Checks that user and password each have one source, and that a user has a password.
    fn check(&self, keys: LoginKeys, in_url: [bool; 2], reader: &mut Reader) {
        let [has_username, has_password] = in_url;
        if self.username_file.is_some() && has_username {
            let problem = "is set, and `store.url` names a user too: remove one of them";
            reader.reject(keys.username, problem);
        }
        if self.password_file.is_some() && has_password {
            let problem = "is set, and `store.url` holds that password too: remove it from the URL";
            reader.reject(keys.password, problem);
        }
        if self.username_file.is_some() && self.password_file.is_none() && !has_password {
            reader.reject(keys.username, &format!("needs `{}` too", keys.password));
        }
    }
}

// === impl ClientCertificateFiles ===

impl ClientCertificateFiles {
    fn read(reader: &mut Reader) -> Option<Self> {
        let certificate_file = reader.text(CERTIFICATE, value::optional_path);
        let key_file = reader.text(KEY, value::optional_path);
        match (certificate_file, key_file) {
            (Some(certificate_file), Some(key_file)) => {
                return Some(Self {
                    certificate_file,
                    key_file,
                });
            }
            (Some(_), None) => reader.reject(CERTIFICATE, &format!("needs `{KEY}` too")),
            (None, Some(_)) => reader.reject(KEY, &format!("needs `{CERTIFICATE}` too")),
            (None, None) => {}
        }
        None
    }
}

pub(super) const REDIS_LOGIN: LoginKeys = LoginKeys {
    username: "store.username_file",
    password: "store.password_file",
};

pub(super) const SENTINEL_LOGIN: LoginKeys = LoginKeys {
    username: "store.sentinel_username_file",
    password: "store.sentinel_password_file",
};

const CA: &str = "store.tls.ca_file";
const CERTIFICATE: &str = "store.tls.certificate_file";
const KEY: &str = "store.tls.key_file";

const PLAINTEXT: &str = "needs TLS, and `store.url` is plaintext: begin it with rediss:// \
                         (rediss+sentinel://, rediss+cluster://)";

const NO_SENTINELS: &str = "is for Sentinels, and `store.url` names none: remove it, or begin the \
                            URL with redis+sentinel:// or rediss+sentinel://";

const OTHER_STORE: &str = "is for Redis, and `store.url` names another store: remove it, or set the \
                           URL of Redis";

#[cfg(test)]
mod tests {
    use super::super::{Sources, load};

    #[test]
    fn the_files_of_redis_fit_its_address() {
        for (url, files, expected) in CASES {
            let said = mistakes(url, files);
            assert_eq!(said.len(), expected.len(), "{url}: {said:?}");
            for (said, expected) in said.iter().zip(*expected) {
                assert!(said.contains(expected), "{url}: {said}");
                assert!(!said.contains("hunter2"), "{said}");
            }
        }
    }

    /// Returns the mistakes in a configuration with this address and these files.
    fn mistakes(url: &str, files: &[&str]) -> Vec<String> {
        let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut env = vec![
            set("COUNTERSIGN_STORE__URL", url),
            set("COUNTERSIGN_STORE__MASTER_KEY_FILE", "key"),
        ];
        env.extend(files.iter().map(|file| {
            let name = file.to_ascii_uppercase();
            set(&format!("COUNTERSIGN_STORE__{name}"), "/file")
        }));
        let sources = Sources {
            env,
            ..Sources::default()
        };
        let said = load(&sources).map_or_else(|error| error.to_string(), |_| String::new());
        said.lines().skip(1).map(str::to_owned).collect()
    }

    /// An address, the files beside it, and what each mistake says.
    const CASES: &[(&str, &[&str], &[&str])] = &[
        (
            "rediss://u@h",
            &[
                "password_file",
                "tls__ca_file",
                "tls__certificate_file",
                "tls__key_file",
            ],
            &[],
        ),
        (
            "rediss+sentinel://a/main",
            &["username_file", "password_file", "sentinel_password_file"],
            &[],
        ),
        (
            "redis+cluster://a",
            &["tls__ca_file", "tls__certificate_file", "tls__key_file"],
            &[
                "`store.tls.ca_file` needs TLS, and `store.url` is plaintext: begin it with rediss://",
                "`store.tls.certificate_file` needs TLS",
            ],
        ),
        (
            "rediss://h",
            &["tls__certificate_file"],
            &["`store.tls.certificate_file` needs `store.tls.key_file` too"],
        ),
        (
            "rediss://h",
            &["tls__key_file", "username_file"],
            &[
                "`store.tls.key_file` needs `store.tls.certificate_file` too",
                "`store.username_file` needs `store.password_file` too",
            ],
        ),
        (
            "redis://u:hunter2@h",
            &["username_file", "password_file", "sentinel_password_file"],
            &[
                "`store.password_file` is set, and `store.url` holds that password too: remove it",
                "`store.sentinel_password_file` is for Sentinels, and `store.url` names none: remove it",
                "`store.username_file` is set, and `store.url` names a user too: remove one of them",
            ],
        ),
        (
            "redis+sentinel://a/main?sentinel_password=hunter2",
            &["sentinel_password_file"],
            &["`store.sentinel_password_file` is set, and `store.url` holds that password too"],
        ),
        (
            "memory:",
            &["password_file", "tls__ca_file"],
            &[
                "`store.password_file` is for Redis, and `store.url` names another store: remove it",
                "`store.tls.ca_file` is for Redis",
            ],
        ),
    ];
}
