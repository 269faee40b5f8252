//! The table `meta`: the state of the store file, a number under each key.
//!
//! | key | number |
//! |---|---|
//! | `format` | version of the tables in the file |
//! | `clean` | 1 if the file was closed cleanly, 0 while it is in use |
//! | `horizon` | latest timestamp whose claims may have been in memory alone |
//! | `fence` | latest timestamp that is refused |

use redb::{ReadableTable as _, TableDefinition, WriteTransaction};

use super::error::{WriteError, unusable};

/// The state of the file when it was opened.
#[derive(Clone, Copy)]
pub(super) struct FileState {
    /// `false` for a file that is in use, or whose process ended without closing it.
    pub(super) is_clean: bool,
    /// The stored fence.
    pub(super) fence: u64,
    /// The stored horizon.
    pub(super) horizon: u64,
}

/// Reads the state of the file. A new file is clean.
///
/// # Errors
/// If the file has a format that this release does not know.
pub(super) fn read(transaction: &WriteTransaction) -> Result<FileState, WriteError> {
    let meta = transaction.open_table(META)?;
    let number = |key| Ok::<_, redb::Error>(meta.get(key)?.map(|value| value.value()));
    check_format(number(FORMAT)?)?;
    Ok(FileState {
        is_clean: number(CLEAN)? != Some(0),
        fence: number(FENCE)?.unwrap_or(0),
        horizon: number(HORIZON)?.unwrap_or(0),
    })
}

/// Writes the state of a file that is in use: not clean, with this fence and this horizon.
pub(super) fn mark_in_use(
    transaction: &WriteTransaction,
    fence: u64,
    horizon: u64,
) -> Result<(), WriteError> {
    let mut meta = transaction.open_table(META)?;
    meta.insert(FORMAT, FORMAT_VERSION)?;
    meta.insert(CLEAN, 0)?;
    meta.insert(FENCE, fence)?;
    meta.insert(HORIZON, horizon)?;
    Ok(())
}

/// Writes the state of a file that is closed cleanly.
pub(super) fn mark_clean(transaction: &WriteTransaction, fence: u64) -> Result<(), WriteError> {
    let mut meta = transaction.open_table(META)?;
    meta.insert(FENCE, fence)?;
    meta.insert(CLEAN, 1)?;
    Ok(())
}

/// Moves the fence forward.
pub(super) fn raise_fence(transaction: &WriteTransaction, fence: u64) -> Result<(), WriteError> {
    let mut meta = transaction.open_table(META)?;
    let before = meta.get(FENCE)?.map_or(0, |value| value.value());
    meta.insert(FENCE, before.max(fence))?;
    Ok(())
}

/// Writes the horizon.
pub(super) fn set_horizon(transaction: &WriteTransaction, horizon: u64) -> Result<(), WriteError> {
    transaction.open_table(META)?.insert(HORIZON, horizon)?;
    Ok(())
}

fn check_format(format: Option<u64>) -> Result<(), WriteError> {
    match format {
        None | Some(FORMAT_VERSION) => Ok(()),
        Some(other) => Err(unusable(format!(
            "it has format {other}, and this release reads format {FORMAT_VERSION}; start the \
             release that wrote it, or restore a backup of this release"
        ))
        .into()),
    }
}

const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");

const FORMAT: &str = "format";
const CLEAN: &str = "clean";
const HORIZON: &str = "horizon";
const FENCE: &str = "fence";

/// The format that this release reads and writes. Development versions used 1 to 3.
const FORMAT_VERSION: u64 = 4;
