//! Opens the store that `store.url` names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::census::count_in_background;
use super::embedded::EmbeddedStore;
use super::master_key::{MasterKeyError, MasterKeys, ReplacementKeys};
use super::record::Records;
use super::redis::{self, RedisStore};
use super::seal::Sealer;
use super::{Store, StoreError, StoreErrorKind};
use crate::clock::{Clock, Entropy};
use crate::config::{StoreConfig, StoreUrl};
use crate::trusted_file::{FileKind, TrustError, prepare_directory};

/// Opens the store that `config` names.
///
/// An unreachable Redis is not an error: the store opens, reports that it is unavailable, and
/// recovers by itself.
///
/// The current tokio runtime must outlive the store: every store has a task in the background,
/// which ends when the store is dropped.
///
/// # Errors
/// If the store can never work as configured: no master key or not the one that the store was
/// written with, a locked or damaged file, Redis older than 7.0.
pub async fn open(
    config: &StoreConfig,
    data_dir: &Path,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Arc<dyn Store>, StoreError> {
    let store = open_store(config, data_dir, clock, Arc::clone(&entropy)).await?;
    tokio::spawn(count_in_background(Arc::downgrade(&store), entropy));
    Ok(store)
}

async fn open_store(
    config: &StoreConfig,
    data_dir: &Path,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Arc<dyn Store>, StoreError> {
    let records = |keys| Records::new(Sealer::new(keys, Arc::clone(&entropy)));
    match &config.url {
        StoreUrl::Embedded(path) => {
            let path = data_dir.join(path);
            let keys = embedded_keys(config, data_dir, &path, &*entropy).map_err(unusable)?;
            Ok(EmbeddedStore::open(&path, records(keys), clock).await?)
        }
        StoreUrl::Memory => {
            let keys = match &config.master_key_file {
                Some(file) => MasterKeys::read(file, FileKind::Secret),
                None => MasterKeys::ephemeral(&*entropy),
            };
            Ok(EmbeddedStore::in_memory(records(keys.map_err(unusable)?), clock).await?)
        }
        StoreUrl::Redis(url) => {
            let file = config
                .master_key_file
                .as_deref()
                .ok_or(OpenError::NoKey)
                .map_err(unusable)?;
            let keys = MasterKeys::read(file, FileKind::Secret).map_err(unusable)?;
            Ok(RedisStore::open(url, config, records(keys), clock, &*entropy).await?)
        }
    }
}

/// Returns the master key file of a store, whether configured or in the data directory; `None` if
/// its keys are in memory alone.
pub fn master_key_file(config: &StoreConfig, data_dir: &Path) -> Option<PathBuf> {
    let own = || matches!(config.url, StoreUrl::Embedded(_)).then(|| data_dir.join(OWN_KEY_FILE));
    config.master_key_file.clone().or_else(own)
}

/// Reads the master keys of an open store again; `None` if they are in memory alone.
///
/// # Errors
/// If the file cannot be read, others could read it, or a line of it is wrong.
pub fn read_keys(
    config: &StoreConfig,
    data_dir: &Path,
) -> Result<Option<ReplacementKeys>, StoreError> {
    let Some(path) = master_key_file(config, data_dir) else {
        return Ok(None);
    };
    let kind = match &config.master_key_file {
        Some(_) => FileKind::Secret,
        None => FileKind::Own,
    };
    let keys = MasterKeys::read(&path, kind).map_err(unusable)?;
    Ok(Some(ReplacementKeys(keys)))
}

/// Reads the address of Redis and the files of connections to it, as opening the store does; returns
/// the paths of the files.
///
/// # Errors
/// If the address or a file cannot be used.
pub fn read_connection_files(config: &StoreConfig) -> Result<Vec<PathBuf>, StoreError> {
    if let StoreUrl::Redis(url) = &config.url {
        redis::check_inputs(url, config)?;
    }
    let files = &config.files;
    let client = files.client.iter();
    let client = client.flat_map(|client| [&client.certificate_file, &client.key_file]);
    let logins = [&files.redis, &files.sentinel].into_iter();
    let logins = logins.flat_map(|login| [&login.username_file, &login.password_file]);
    let optional = logins.chain([&files.ca_file]).flatten();
    Ok(optional.chain(client).cloned().collect())
}

/// Reads the configured keys, or those in the directory of the embedded store, which creates its
/// own at the first start.
fn embedded_keys(
    config: &StoreConfig,
    data_dir: &Path,
    store: &Path,
    entropy: &dyn Entropy,
) -> Result<MasterKeys, OpenError> {
    let own = data_dir.join(OWN_KEY_FILE);
    match &config.master_key_file {
        Some(file) => Ok(MasterKeys::read(file, FileKind::Secret)?),
        None => own_keys(data_dir, &own, store, entropy),
    }
}

/// Reads the keys in the data directory, or creates them for a store that does not exist.
fn own_keys(
    data_dir: &Path,
    own: &Path,
    store: &Path,
    entropy: &dyn Entropy,
) -> Result<MasterKeys, OpenError> {
    prepare_directory(data_dir).map_err(OpenError::DataDir)?;
    match MasterKeys::read(own, FileKind::Own) {
        Err(MasterKeyError::Untrusted(error)) if error.is_missing() && store.exists() => {
            Err(OpenError::KeyLost {
                key: own.to_owned(),
                store: store.to_owned(),
            })
        }
        Err(MasterKeyError::Untrusted(error)) if error.is_missing() => {
            Ok(MasterKeys::create(own, entropy)?)
        }
        read => Ok(read?),
    }
}

/// The reason why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Key(#[from] MasterKeyError),
    #[error(
        "store.master_key_file is not set, and Redis needs a master key to seal secrets; write the line that `countersign keygen` prints to a file and name it there"
    )]
    NoKey,
    #[error("the store {} exists, but its master key file {} does not; restore the key file, without which no secret can be read", store.display(), key.display())]
    KeyLost { key: PathBuf, store: PathBuf },
    #[error("data_dir: {0}")]
    DataDir(TrustError),
}

/// Returns `true` if a store cannot be opened because of a mistake in its address or in a file that
/// the configuration names: a mistake of the operator, unlike other failures.
pub fn is_configuration_mistake(error: &StoreError) -> bool {
    let Some(source) = std::error::Error::source(error) else {
        return false;
    };
    matches!(
        source.downcast_ref(),
        Some(OpenError::Key(_) | OpenError::NoKey)
    ) || redis::is_configuration_mistake(source)
}

fn unusable(error: impl Into<OpenError>) -> StoreError {
    StoreError::new(StoreErrorKind::Unusable, "opening the store").because(error.into())
}

/// The key file that the embedded store creates in the data directory.
const OWN_KEY_FILE: &str = "master-key";
