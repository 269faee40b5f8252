//! From `store.url` to a store that is ready.

use std::path::Path;
use std::sync::Arc;

use super::{Store, StoreError};
use crate::clock::{Clock, Entropy};
use crate::config::StoreConfig;

/// Opens the store that `config` names.
///
/// An unreachable Redis is not an error: the store is opened, says that it is unavailable, and recovers by itself.
///
/// # Errors
/// When it can never work as configured: no master key, a locked or damaged file, Redis older than 7.0.
pub async fn open(
    _config: &StoreConfig,
    _data_dir: &Path,
    _clock: Arc<dyn Clock>,
    _entropy: Arc<dyn Entropy>,
) -> Result<Arc<dyn Store>, StoreError> {
    todo!()
}
