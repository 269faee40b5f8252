//! Password hashes with argon2id (RFC 9106).
//!
//! A hash takes memory and time on purpose. Hashes are computed on other threads than checks, and
//! on at most half of the cores, so that a flood of logins leaves the other half for checks. The
//! queue is bounded.
//!
//! An unknown user, and a user without a password, take as long as a wrong password. Only a hash
//! with outdated parameters takes a different time, until the next login.

use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::password_hash::phc::{Output, PasswordHash as Phc};
use argon2::password_hash::{Error as HashError, PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::DirectoryError;
use super::draft::too_long;
use crate::clock::Entropy;
use crate::config::PasswordConfig;
use crate::model::{PasswordHash, Secret};

/// Computes password hashes, and checks passwords against them.
#[derive(Clone)]
pub(super) struct Hasher {
    argon2: Argon2<'static>,
    /// Permits for computing a hash.
    cores: Arc<Semaphore>,
    /// Permits for computing a hash or waiting for a core.
    places: Arc<Semaphore>,
}

/// The result of checking a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PasswordCheck {
    /// The password is wrong.
    Wrong,
    /// The password is right.
    Right,
    /// The password is right, and its hash has outdated parameters.
    Outdated,
}

impl Hasher {
    pub(super) fn new(config: &PasswordConfig) -> Self {
        let cores = available_parallelism()
            .map_or(1, |cores| usize::from(cores) / 2)
            .max(1);
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params(config)),
            cores: Arc::new(Semaphore::new(cores)),
            places: Arc::new(Semaphore::new(cores + MAX_WAITING)),
        }
    }

    /// Returns a hasher with other parameters that shares its permits with this one.
    pub(super) fn with_params(&self, config: &PasswordConfig) -> Self {
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params(config)),
            ..self.clone()
        }
    }

    /// Hashes a password, with a new salt.
    ///
    /// # Errors
    /// If the queue is full.
    pub(super) async fn hash(
        &self,
        password: &Secret,
        entropy: &dyn Entropy,
    ) -> Result<PasswordHash, DirectoryError> {
        let mut salt = [0; SALT_LEN];
        entropy.fill(&mut salt);
        let (argon2, password) = (self.argon2.clone(), password.clone());
        let hashed = self
            .run(move || argon2.hash_password_with_salt(password.expose(), &salt))
            .await?;
        let phc: Phc =
            hashed.map_err(|error| DirectoryError::new("hashing a password").because(error))?;
        Ok(PasswordHash::new(phc.to_string()))
    }

    /// Checks a password. Without a hash it is wrong, and the check takes as long.
    ///
    /// # Errors
    /// If the queue is full, or the hash is damaged.
    pub(super) async fn check(
        &self,
        password: &Secret,
        hash: Option<&PasswordHash>,
    ) -> Result<PasswordCheck, DirectoryError> {
        let kept = hash.map(parse).transpose()?;
        let is_outdated = kept.as_ref().is_some_and(|phc| !self.is_current(phc));
        let exists = kept.is_some();
        let (argon2, password) = (self.argon2.clone(), password.clone());
        let verified = self.run(move || {
            let phc = kept.map_or_else(|| stand_in(&argon2), Ok)?;
            argon2.verify_password(password.expose(), &phc)
        });
        match verified.await? {
            Ok(()) if exists => Ok(if is_outdated {
                PasswordCheck::Outdated
            } else {
                PasswordCheck::Right
            }),
            Ok(()) | Err(HashError::PasswordInvalid) => Ok(PasswordCheck::Wrong),
            Err(error) => Err(DirectoryError::new("checking a password").because(error)),
        }
    }

    fn is_current(&self, phc: &Phc) -> bool {
        let params = self.argon2.params();
        let same = |kept: Params| {
            (kept.m_cost(), kept.t_cost(), kept.p_cost())
                == (params.m_cost(), params.t_cost(), params.p_cost())
        };
        phc.algorithm == Algorithm::Argon2id.ident()
            && phc.version == Some(Version::V0x13.into())
            && Params::try_from(phc).is_ok_and(same)
    }

    /// Runs `work` on a free core. A caller that stops waiting does not free the core, since the
    /// work continues.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, DirectoryError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place
            .map_err(|_| DirectoryError::new("too many passwords are waiting to be checked"))?;
        let core: OwnedSemaphorePermit = Arc::clone(&self.cores)
            .acquire_owned()
            .await
            .map_err(|error| DirectoryError::new("waiting for a free core").because(error))?;
        let at_work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((core, place));
            done
        });
        at_work
            .await
            .map_err(|error| DirectoryError::new("computing a hash").because(error))
    }
}

/// Checks a new password. Its length makes guessing expensive, so there is no rule about its
/// characters.
pub(super) fn check_password(given: &Secret) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(given.expose()) else {
        return Err("is not UTF-8".to_owned());
    };
    if text.len() < MIN_PASSWORD_LEN {
        return Err(format!(
            "is too short, the minimum is {MIN_PASSWORD_LEN} bytes"
        ));
    }
    if text.len() > MAX_PASSWORD_LEN {
        return Err(too_long(text.len(), MAX_PASSWORD_LEN));
    }
    if text.contains(char::is_control) {
        return Err("has a control character, perhaps a line break at its end".to_owned());
    }
    Ok(())
}

/// Reads a hash. A truncated hash is an error, since no password could ever match it.
fn parse(hash: &PasswordHash) -> Result<Phc, DirectoryError> {
    let damaged = || DirectoryError::new("reading a stored password hash");
    let phc = Phc::new(hash.expose()).map_err(|error| damaged().because(error))?;
    if phc.salt.is_some() && phc.hash.is_some() {
        Ok(phc)
    } else {
        Err(damaged())
    }
}

/// Returns a hash of the current cost that no password matches.
fn stand_in(argon2: &Argon2<'_>) -> Result<Phc, HashError> {
    let mut phc: Phc = Phc::new(ANY_HASH)?;
    phc.params = argon2.params().try_into()?;
    phc.hash = Some(Output::new(&[0; Params::DEFAULT_OUTPUT_LEN])?);
    Ok(phc)
}

/// Returns the configured parameters; the configuration was validated when it was read.
fn params(config: &PasswordConfig) -> Params {
    let memory = config.memory_kib.max(8 * config.parallelism);
    Params::new(memory, config.iterations, config.parallelism, None).unwrap_or(Params::DEFAULT)
}

/// The longest accepted password, in bytes.
pub(super) const MAX_PASSWORD_LEN: usize = 1024;

/// NIST SP 800-63B section 5.1.1.1.
const MIN_PASSWORD_LEN: usize = 8;

/// RFC 9106 section 3.1.
const SALT_LEN: usize = 16;

/// A longer queue would wait for seconds, with a task and a connection for each entry.
const MAX_WAITING: usize = 256;

const ANY_HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c3RhbmRpbnNhbHRzYWx0cw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::CountingEntropy;
    use crate::config::Config;

    #[tokio::test]
    async fn no_password_matches_a_missing_hash() {
        let hasher = cheap(1);
        for given in ["", "password", "standinsaltsalts"] {
            assert_eq!(
                hasher
                    .check(&Secret::new(given.as_bytes()), None)
                    .await
                    .unwrap(),
                PasswordCheck::Wrong
            );
        }
    }

    #[tokio::test]
    async fn the_stand_in_for_a_missing_hash_has_the_current_cost() {
        let hasher = cheap(3);
        assert!(hasher.is_current(&stand_in(&hasher.argon2).unwrap()));
        assert!(!cheap(2).is_current(&stand_in(&hasher.argon2).unwrap()));
    }

    #[tokio::test]
    async fn a_hash_knows_its_password_whatever_the_cost_is_now() {
        let password = Secret::new(*b"correct horse");
        let hash = cheap(1)
            .hash(&password, &CountingEntropy::default())
            .await
            .unwrap();
        assert_eq!(
            cheap(1).check(&password, Some(&hash)).await.unwrap(),
            PasswordCheck::Right
        );
        assert_eq!(
            cheap(2).check(&password, Some(&hash)).await.unwrap(),
            PasswordCheck::Outdated
        );
        let wrong = Secret::new(*b"wrong horse");
        assert_eq!(
            cheap(2).check(&wrong, Some(&hash)).await.unwrap(),
            PasswordCheck::Wrong
        );
    }

    #[tokio::test]
    async fn a_damaged_hash_is_an_error_and_no_answer() {
        let damaged = PasswordHash::new("$argon2id$v=19$m=8");
        assert!(
            cheap(1)
                .check(&Secret::new(*b"correct horse"), Some(&damaged))
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn no_more_wait_than_there_are_places() {
        let hasher = cheap(1);
        let places = u32::try_from(hasher.places.available_permits()).unwrap();
        let taken = hasher.places.acquire_many(places).await.unwrap();
        let password = Secret::new(*b"correct horse");
        assert!(hasher.check(&password, None).await.is_err());
        drop(taken);
        assert!(hasher.check(&password, None).await.is_ok());
    }

    fn cheap(iterations: u32) -> Hasher {
        Hasher::new(&PasswordConfig {
            memory_kib: 8,
            iterations,
            parallelism: 1,
            ..Config::default().password
        })
    }
}
