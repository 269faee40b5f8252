//! Lists: pages of an index, and the records that its entries name.

use redis::cmd;

use super::{LISTING, RedisStore, keys, owned};
use crate::model::{
    AccessToken, Consumer, ConsumerKey, Token, User, UserId, UserStatus, ValueError,
};
use crate::store::{StoreError, StoreErrorKind};

impl RedisStore {
    /// Lists consumers by their keys.
    pub(super) async fn list_consumers(
        &self,
        after: Option<&ConsumerKey>,
        limit: usize,
    ) -> Result<Vec<Consumer>, StoreError> {
        let mut page = Vec::new();
        let mut cursor = Cursor::after(after.map(ConsumerKey::as_str));
        while let Some(entries) = self
            .entries(keys::CONSUMERS, &mut cursor, limit - page.len())
            .await?
        {
            let names: Vec<ConsumerKey> = read(entries, ConsumerKey::new)?;
            let found = self
                .fetch(
                    LISTING,
                    &names.iter().map(keys::consumer).collect::<Vec<_>>(),
                )
                .await?;
            for (name, bytes) in present(names, found) {
                page.push(self.records.decode_consumer(&name, &bytes)?);
            }
        }
        Ok(page)
    }

    /// Lists users who are not deleted by their ids.
    pub(super) async fn list_users(
        &self,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<User>, StoreError> {
        let mut page = Vec::new();
        let mut cursor = Cursor::after(after.map(UserId::as_str));
        while let Some(entries) = self
            .entries(keys::USERS, &mut cursor, limit - page.len())
            .await?
        {
            let ids: Vec<UserId> = read(entries, UserId::new)?;
            let found = self
                .fetch(LISTING, &ids.iter().map(keys::user).collect::<Vec<_>>())
                .await?;
            for (id, bytes) in present(ids, found) {
                let user = self.records.decode_user(&id, &bytes)?;
                page.extend(Some(user).filter(|user| user.status != UserStatus::Deleted));
            }
        }
        Ok(page)
    }

    /// Lists a consumer's tokens by their names.
    pub(super) async fn list_consumer_tokens(
        &self,
        consumer: &ConsumerKey,
        after: Option<&Token>,
        limit: usize,
    ) -> Result<Vec<AccessToken>, StoreError> {
        let mut page = Vec::new();
        let mut cursor = Cursor::after(after.map(Token::as_str));
        while let Some(entries) = self
            .entries(&keys::tokens(consumer), &mut cursor, limit - page.len())
            .await?
        {
            let names: Vec<Token> = read(entries, Token::new)?;
            let places: Vec<_> = names
                .iter()
                .map(|name| keys::token(consumer, name))
                .collect();
            for (name, bytes) in present(names, self.fetch(LISTING, &places).await?) {
                page.push(owned(consumer, self.records.decode_token(&name, &bytes)?)?);
            }
        }
        Ok(page)
    }

    /// Lists a user's tokens by their names.
    pub(super) async fn list_user_tokens(
        &self,
        user: &UserId,
        after: Option<&Token>,
        limit: usize,
    ) -> Result<Vec<AccessToken>, StoreError> {
        let mut page = Vec::new();
        let mut cursor = Cursor::after_token(after);
        while let Some(entries) = self
            .entries(&keys::user_tokens(user), &mut cursor, limit - page.len())
            .await?
        {
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| token_and_consumer(entry))
                .collect::<Result<_, _>>()?;
            let places: Vec<_> = entries
                .iter()
                .map(|(token, consumer)| keys::token(consumer, token))
                .collect();
            for ((name, consumer), bytes) in present(entries, self.fetch(LISTING, &places).await?) {
                let token = owned(&consumer, self.records.decode_token(&name, &bytes)?)?;
                page.extend(Some(token).filter(|token| token.user_id.as_ref() == Some(user)));
            }
        }
        Ok(page)
    }

    /// The next entries of an index, at most `limit`; `None` when there are no more, or no more are wanted.
    async fn entries(
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
}

/// Where in an index to go on.
struct Cursor {
    start: Vec<u8>,
    is_done: bool,
}

impl Cursor {
    fn after(entry: Option<&str>) -> Self {
        let start = entry.map_or_else(|| b"-".to_vec(), |entry| format!("({entry}").into_bytes());
        Self {
            start,
            is_done: false,
        }
    }

    /// After every entry of that token in an index of tokens and consumers: no consumer key has the byte 255, and a space
    /// comes before every character of a longer token.
    fn after_token(token: Option<&Token>) -> Self {
        let start = token.map(|token| [b"(", token.as_str().as_bytes(), b" \xFF"].concat());
        Self {
            start: start.unwrap_or_else(|| b"-".to_vec()),
            is_done: false,
        }
    }
}

/// An entry of an index of a user's tokens.
pub(super) fn user_token(token: &Token, consumer: &ConsumerKey) -> String {
    format!("{token} {consumer}")
}

fn token_and_consumer(entry: &str) -> Result<(Token, ConsumerKey), StoreError> {
    let (token, consumer) = entry
        .split_once(' ')
        .ok_or_else(|| StoreError::new(StoreErrorKind::Unreadable, LISTING))?;
    Ok((
        Token::new(token).map_err(unreadable)?,
        ConsumerKey::new(consumer).map_err(unreadable)?,
    ))
}

fn read<T>(
    entries: Vec<String>,
    value: impl Fn(String) -> Result<T, ValueError>,
) -> Result<Vec<T>, StoreError> {
    entries
        .into_iter()
        .map(|entry| value(entry).map_err(unreadable))
        .collect()
}

/// Leaves out entries without a record.
fn present<K>(names: Vec<K>, found: Vec<Option<Vec<u8>>>) -> impl Iterator<Item = (K, Vec<u8>)> {
    names
        .into_iter()
        .zip(found)
        .filter_map(|(name, bytes)| Some((name, bytes?)))
}

fn unreadable(error: ValueError) -> StoreError {
    StoreError::new(StoreErrorKind::Unreadable, LISTING).because(error)
}
