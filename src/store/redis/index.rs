//! Indexes: sorted sets with one score, so that their entries are in byte order and are read in
//! pages.

use std::fmt;

use futures_util::future::join_all;
use redis::cmd;

use super::error::CommandError;
use super::{CREATING, DELETING, LISTING, RedisStore};
use crate::model::{ConsumerKey, Token};
use crate::store::StoreError;
use crate::store::record::{RecordKind, unreadable};

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
    ) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
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
        let entries: Vec<Vec<u8>> = self.call(LISTING, &range).await?;
        cursor.is_done = entries.len() < limit;
        if let Some(last) = entries.last() {
            cursor.start = [b"(", last.as_slice()].concat();
        }
        Ok(Some(entries).filter(|entries| !entries.is_empty()))
    }

    /// Returns the names that the entries of an index have. Entries that are no names are skipped.
    pub(super) fn names<N, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        &self,
        kind: RecordKind,
        entries: Vec<Vec<u8>>,
        name: impl Fn(String) -> Result<N, E>,
    ) -> Result<Vec<N>, StoreError> {
        let mut names = Vec::with_capacity(entries.len());
        for entry in entries {
            let text =
                String::from_utf8(entry).map_err(|_| unreadable("an index entry is not text"));
            let read = text.and_then(|text| name(text).map_err(unreadable));
            names.extend(self.records.listed(kind, None, read)?);
        }
        Ok(names)
    }

    /// Reads and decodes the records of `names`. Names without a record are omitted, and records
    /// that cannot be read are skipped.
    pub(super) async fn listed<N: fmt::Display, T>(
        &self,
        kind: RecordKind,
        names: Vec<N>,
        key: impl Fn(&N) -> String,
        decode: impl Fn(&N, &[u8]) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let keys: Vec<_> = names.iter().map(key).collect();
        let mut records = Vec::new();
        for (name, found) in names.iter().zip(self.fetch(&keys).await?) {
            let read = found.and_then(|bytes| bytes.map(|bytes| decode(name, &bytes)).transpose());
            records.extend(self.records.listed(kind, Some(name), read)?.flatten());
        }
        Ok(records)
    }

    /// Reads records, each with its own outcome. `MGET` reports a value of another type as absent,
    /// so absent records that exist are read again.
    pub(super) async fn fetch(
        &self,
        keys: &[String],
    ) -> Result<Vec<Result<Option<Vec<u8>>, StoreError>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let found: Vec<Option<Vec<u8>>> = self.call(LISTING, cmd("MGET").arg(keys)).await?;
        if found.len() != keys.len() {
            return Err(CommandError::UnexpectedAnswer.during(LISTING));
        }
        let absent = keys.iter().zip(&found);
        let absent: Vec<_> = absent
            .filter_map(|(key, found)| found.is_none().then_some(key))
            .collect();
        if absent.is_empty()
            || self
                .call::<u64>(LISTING, cmd("EXISTS").arg(&absent))
                .await?
                == 0
        {
            return Ok(found.into_iter().map(Ok).collect());
        }
        let read = keys.iter().zip(found).map(|(key, found)| async move {
            match found {
                Some(bytes) => Ok(Some(bytes)),
                None => self.fetch_one(LISTING, key.clone()).await,
            }
        });
        Ok(join_all(read).await)
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

/// The token and the consumer of an entry in the index of a user's tokens.
pub(super) struct UserTokenEntry {
    pub(super) token: Token,
    pub(super) consumer: ConsumerKey,
}

impl UserTokenEntry {
    /// Parses an entry.
    pub(super) fn parse(entry: String) -> Result<Self, StoreError> {
        let (token, consumer) = entry
            .split_once(' ')
            .ok_or_else(|| unreadable("an index entry names no consumer"))?;
        Ok(Self {
            token: Token::new(token).map_err(unreadable)?,
            consumer: ConsumerKey::new(consumer).map_err(unreadable)?,
        })
    }
}

impl fmt::Display for UserTokenEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.token.fmt(f)
    }
}
