//! `[users]` and `[password]`: the directory of users, and the protection of passwords.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::value::{self, DAY, MILLISECOND, MINUTE, SECOND};

/// `[users]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsersConfig {
    /// The kind of directory that authenticates users.
    pub directory: DirectoryKind,
    /// The address of the operator's directory; set unless the directory is built in.
    pub url: Option<String>,
    /// The longest time for one answer of the directory.
    pub timeout: Duration,
    /// The CA certificates of the directory, PEM; `None` is those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The file with the bearer token that is sent to the directory.
    pub token_file: Option<PathBuf>,
    /// The operator's permission to send passwords in plaintext beyond loopback.
    pub insecure_plaintext: bool,
}

/// `users.directory`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum DirectoryKind {
    /// The users in Countersign's own store.
    #[default]
    Builtin,
    /// The operator's `countersign.v1.UserDirectory`.
    Grpc,
    /// The operator's HTTP endpoint.
    Http,
}

/// `[password]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordConfig {
    /// The memory of one argon2id hash, in KiB.
    pub memory_kib: u32,
    /// The passes over that memory.
    pub iterations: u32,
    /// The lanes of that memory.
    pub parallelism: u32,
    /// The time for which a wrong password counts.
    pub window: Duration,
    /// The wrong passwords of one user that are answered without a delay.
    pub free_failures: u32,
    /// The longest delay.
    pub max_delay: Duration,
    /// The most wrong passwords from one client address.
    pub address_failures: u32,
}

impl UsersConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            directory: reader.word("users.directory"),
            url: reader.text("users.url", value::optional_url),
            timeout: reader.duration("users.timeout", MILLISECOND..=MINUTE),
            ca_file: reader.text("users.ca_file", value::optional_path),
            token_file: reader.text("users.token_file", value::optional_path),
            insecure_plaintext: reader.boolean("users.insecure_plaintext"),
        }
    }
}

impl PasswordConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            memory_kib: reader.integer("password.memory_kib", 8..=4 * 1024 * 1024),
            iterations: reader.integer("password.iterations", 1..=100),
            parallelism: reader.integer("password.parallelism", 1..=64),
            window: reader.duration("password.window", SECOND..=DAY),
            free_failures: reader.integer("password.free_failures", 0..=1000),
            max_delay: reader.duration("password.max_delay", Duration::ZERO..=MINUTE),
            address_failures: reader.integer("password.address_failures", 1..=1_000_000),
        }
    }
}
