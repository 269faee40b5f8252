//! Indexes: sorted sets with one score, so that their entries are in byte order and are read in
//! pages.

use redis::cmd;

use super::{CREATING, DELETING, LISTING, RedisStore, keys};
use crate::model::{ConsumerKey, Token, UserId, ValueError};
use crate::store::{StoreError, StoreErrorKind};

/// The position in an index from which the next page starts.
pub(super) struct Cursor {
    start: Vec<u8>,
    is_done: bool,
}

impl RedisStore {
    /// Adds an entry to an index.
    pub(super) async fn add_to_index(&self, index: &str, entry: &str) -> Result<(), StoreError> {
        let _added: u64 = self
            .call(CREATING, cmd("ZADD").arg(index).arg(0).arg(entry))
            .await?;
        Ok(())
    }

    /// Removes an entry from an index.
    pub(super) async fn remove_from_index(
        &self,
        index: &str,
        entry: &str,
    ) -> Result<(), StoreError> {
        let _removed: u64 = self
            .call(DELETING, cmd("ZREM").arg(index).arg(entry))
            .await?;
        Ok(())
    }

    /// Reads the next entries of an index, at most `limit`; `None` if there are no more, or `limit`
    /// is 0.
    pub(super) async fn index_page(
        &self,
        index: &str,
        cursor: &mut Cursor,
        limit: usize,
    ) -> Result<Option<Vec<String>>, StoreError> {
        if limit == 0 || cursor.is_done {
            return Ok(None);
        }
        let mut range = cmd("ZRANGE");
        range
            .arg(index)
            .arg(&cursor.start)
            .arg("+")
            .arg("BYLEX")
            .arg("LIMIT")
            .arg(0)
            .arg(limit);
        let entries: Vec<String> = self.call(LISTING, &range).await?;
        cursor.is_done = entries.len() < limit;
        if let Some(last) = entries.last() {
            cursor.start = format!("({last}").into_bytes();
        }
        Ok(Some(entries).filter(|entries| !entries.is_empty()))
    }

    /// Reads the next entries of the index of a user's tokens, as [`index_page`](Self::index_page)
    /// does.
    pub(super) async fn user_token_page(
        &self,
        user: &UserId,
        cursor: &mut Cursor,
        limit: usize,
    ) -> Result<Option<Vec<(Token, ConsumerKey)>>, StoreError> {
        let page = self
            .index_page(&keys::user_tokens(user), cursor, limit)
            .await?;
        page.map(|entries| {
            entries
                .iter()
                .map(|entry| decode_user_token_entry(entry))
                .collect()
        })
        .transpose()
    }
}

// === impl Cursor ===

impl Cursor {
    /// Starts after `entry`.
    pub(super) fn after(entry: Option<&str>) -> Self {
        let start = entry.map_or_else(|| b"-".to_vec(), |entry| format!("({entry}").into_bytes());
        Self {
            start,
            is_done: false,
        }
    }

    /// Starts after every entry of that token in an index of a user's tokens: no consumer key has
    /// the byte 255, and a space sorts before every character of a longer token.
    pub(super) fn after_token(token: Option<&Token>) -> Self {
        let start = token.map(|token| [b"(", token.as_str().as_bytes(), b" \xFF"].concat());
        Self {
            start: start.unwrap_or_else(|| b"-".to_vec()),
            is_done: false,
        }
    }
}

/// Returns the entry of a token in the index of its user's tokens.
pub(super) fn user_token_entry(token: &Token, consumer: &ConsumerKey) -> String {
    format!("{token} {consumer}")
}

fn decode_user_token_entry(entry: &str) -> Result<(Token, ConsumerKey), StoreError> {
    let (token, consumer) = entry
        .split_once(' ')
        .ok_or_else(|| StoreError::new(StoreErrorKind::Unreadable, LISTING))?;
    Ok((
        Token::new(token).map_err(unreadable)?,
        ConsumerKey::new(consumer).map_err(unreadable)?,
    ))
}

/// Turns entries into names.
pub(super) fn decode_names<T>(
    entries: Vec<String>,
    name: impl Fn(String) -> Result<T, ValueError>,
) -> Result<Vec<T>, StoreError> {
    entries
        .into_iter()
        .map(|entry| name(entry).map_err(unreadable))
        .collect()
}

/// Pairs names with their records, and omits names without a record.
pub(super) fn with_records<K>(
    names: Vec<K>,
    found: Vec<Option<Vec<u8>>>,
) -> impl Iterator<Item = (K, Vec<u8>)> {
    names
        .into_iter()
        .zip(found)
        .filter_map(|(name, bytes)| Some((name, bytes?)))
}

fn unreadable(error: ValueError) -> StoreError {
    StoreError::new(StoreErrorKind::Unreadable, LISTING).because(error)
}
