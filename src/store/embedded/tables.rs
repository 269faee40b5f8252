//! The tables of records, and what is changed together.
//!
//! | table | key | value |
//! |---|---|---|
//! | `consumers` | consumer key | record |
//! | `tokens` | token | record |
//! | `users` | user id | record |
//! | `listed_users` | user id | nothing; those who are not deleted |
//! | `usernames` | username in lower case | user id |
//! | `consumer_tokens` | consumer key, its life, token | nothing |
//! | `user_tokens` | user id, token | nothing |
//! | `lives` | consumer key | how many lives it had before this one |
//! | `dropped` | consumer key, its life | nothing; what it was issued is being removed |
//!
//! A consumer key lives again when it is deleted and created anew. Its tokens are indexed under the life in which they
//! were issued, so that none is seen in a later one; those of an ended life are removed by `sweep`, some at a time.

use std::ops::Bound;

use redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};

use super::disk::Stop;
use super::{conflict, taken};
use crate::store::record::Records;

/// A table of records.
pub(super) type Table = TableDefinition<'static, &'static str, &'static [u8]>;

/// The consumers' records, by consumer key.
pub(super) const CONSUMERS: Table = TableDefinition::new("consumers");

/// The tokens' records, by token.
pub(super) const TOKENS: Table = TableDefinition::new("tokens");

/// The users' records, by user id.
pub(super) const USERS: Table = TableDefinition::new("users");

/// A token as it is put into the tables.
pub(super) struct TokenRow {
    pub(super) token: String,
    pub(super) consumer: String,
    pub(super) user: Option<String>,
    pub(super) bytes: Vec<u8>,
}

/// A user as put into the tables.
pub(super) struct UserRow {
    pub(super) id: String,
    /// In lower case.
    pub(super) username: Option<String>,
    pub(super) is_listed: bool,
    pub(super) bytes: Vec<u8>,
}

/// A record and its key.
pub(super) type Row = (String, Vec<u8>);

/// Makes the tables that are not there yet.
pub(super) fn prepare(transaction: &WriteTransaction) -> Result<(), Stop> {
    for table in [CONSUMERS, TOKENS, USERS] {
        transaction.open_table(table)?;
    }
    transaction.open_table(LISTED_USERS)?;
    transaction.open_table(USERNAMES)?;
    transaction.open_table(CONSUMER_TOKENS)?;
    transaction.open_table(USER_TOKENS)?;
    transaction.open_table(LIVES)?;
    transaction.open_table(DROPPED)?;
    Ok(())
}

/// Indexes every token: what the layout before this one did not do.
pub(super) fn index_tokens(transaction: &WriteTransaction) -> Result<(), Stop> {
    for row in transaction.open_table(TOKENS)?.iter()? {
        let (token, bytes) = row?;
        let (consumer, user) = Records::token_holders(bytes.value())?;
        let user = user.as_ref().map(|user| user.as_str());
        index(transaction, token.value(), consumer.as_str(), user)?;
    }
    Ok(())
}

// === What is read ===

/// The record of that key.
pub(super) fn record(
    transaction: &ReadTransaction,
    table: Table,
    key: &str,
) -> Result<Option<Vec<u8>>, redb::Error> {
    Ok(transaction
        .open_table(table)?
        .get(key)?
        .map(|value| value.value().to_vec()))
}

/// Up to `limit` records in the order of their keys, those after `after`.
pub(super) fn page(
    transaction: &ReadTransaction,
    table: Table,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Row>, redb::Error> {
    let table = transaction.open_table(table)?;
    let rows = table
        .range::<&str>((after_key(after), Bound::Unbounded))?
        .take(limit);
    rows.map(|row| {
        row.map(|(key, value)| (key.value().to_owned(), value.value().to_vec()))
            .map_err(Into::into)
    })
    .collect()
}

/// Up to `limit` users who are not deleted, in the order of their ids, those after `after`.
pub(super) fn user_page(
    transaction: &ReadTransaction,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Row>, redb::Error> {
    let (listed, users) = (
        transaction.open_table(LISTED_USERS)?,
        transaction.open_table(USERS)?,
    );
    let mut page = Vec::new();
    for row in listed
        .range::<&str>((after_key(after), Bound::Unbounded))?
        .take(limit)
    {
        let id = row?.0;
        page.extend(
            users
                .get(id.value())?
                .map(|bytes| (id.value().to_owned(), bytes.value().to_vec())),
        );
    }
    Ok(page)
}

/// The user who has that username, which is in lower case.
pub(super) fn user_named(
    transaction: &ReadTransaction,
    username: &str,
) -> Result<Option<Row>, redb::Error> {
    let Some(id) = transaction
        .open_table(USERNAMES)?
        .get(username)?
        .map(|id| id.value().to_owned())
    else {
        return Ok(None);
    };
    Ok(record(transaction, USERS, &id)?.map(|bytes| (id, bytes)))
}

/// Up to `limit` tokens of a consumer in its present life.
pub(super) fn consumer_token_page(
    transaction: &ReadTransaction,
    consumer: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Row>, redb::Error> {
    let life = transaction
        .open_table(LIVES)?
        .get(consumer)?
        .map_or(0, |life| life.value());
    let (index, tokens) = (
        transaction.open_table(CONSUMER_TOKENS)?,
        transaction.open_table(TOKENS)?,
    );
    let start = match after {
        Some(after) => Bound::Excluded((consumer, life, after)),
        None => Bound::Included((consumer, life, "")),
    };
    let mut page = Vec::new();
    for row in index
        .range::<Issued<'_>>((start, Bound::Excluded((consumer, life + 1, ""))))?
        .take(limit)
    {
        let key = row?.0;
        let token = key.value().2;
        page.extend(
            tokens
                .get(token)?
                .map(|bytes| (token.to_owned(), bytes.value().to_vec())),
        );
    }
    Ok(page)
}

/// Up to `limit` tokens of a user.
pub(super) fn user_token_page(
    transaction: &ReadTransaction,
    user: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Row>, redb::Error> {
    let (index, tokens) = (
        transaction.open_table(USER_TOKENS)?,
        transaction.open_table(TOKENS)?,
    );
    let start = after.map_or(Bound::Included((user, "")), |after| {
        Bound::Excluded((user, after))
    });
    let mut page = Vec::new();
    for row in index
        .range::<(&str, &str)>((start, Bound::Unbounded))?
        .take(limit)
    {
        let key = row?.0;
        let (of, token) = key.value();
        if of != user {
            break;
        }
        page.extend(
            tokens
                .get(token)?
                .map(|bytes| (token.to_owned(), bytes.value().to_vec())),
        );
    }
    Ok(page)
}

// === What is changed ===

/// Replaces a record if its bytes are still `before`.
pub(super) fn swap(
    transaction: &WriteTransaction,
    table: Table,
    key: &str,
    before: &[u8],
    bytes: &[u8],
) -> Result<(), Stop> {
    let mut table = transaction.open_table(table)?;
    if table
        .get(key)?
        .is_none_or(|stored| stored.value() != before)
    {
        return Err(conflict().into());
    }
    table.insert(key, bytes)?;
    Ok(())
}

/// Puts a new consumer, who begins a life without tokens.
pub(super) fn create_consumer(
    transaction: &WriteTransaction,
    key: &str,
    bytes: &[u8],
) -> Result<(), Stop> {
    let mut consumers = transaction.open_table(CONSUMERS)?;
    if consumers.get(key)?.is_some() {
        return Err(taken().into());
    }
    consumers.insert(key, bytes)?;
    let life = life(transaction, key)?;
    // Who issued a token while the consumer was being deleted left it here.
    let has_tokens = {
        let index = transaction.open_table(CONSUMER_TOKENS)?;
        index
            .range::<Issued<'_>>((key, life, "")..(key, life + 1, ""))?
            .next()
            .transpose()?
            .is_some()
    };
    if has_tokens {
        end_life(transaction, key, life)
    } else {
        Ok(())
    }
}

/// Removes a consumer if its bytes are still `before`, and ends its life.
pub(super) fn delete_consumer(
    transaction: &WriteTransaction,
    key: &str,
    before: &[u8],
) -> Result<(), Stop> {
    let mut consumers = transaction.open_table(CONSUMERS)?;
    if consumers
        .get(key)?
        .is_none_or(|stored| stored.value() != before)
    {
        return Err(conflict().into());
    }
    consumers.remove(key)?;
    end_life(transaction, key, life(transaction, key)?)
}

/// Puts a new token.
pub(super) fn create_token(transaction: &WriteTransaction, row: &TokenRow) -> Result<(), Stop> {
    let mut tokens = transaction.open_table(TOKENS)?;
    if tokens.get(row.token.as_str())?.is_some() {
        return Err(taken().into());
    }
    tokens.insert(row.token.as_str(), row.bytes.as_slice())?;
    index(transaction, &row.token, &row.consumer, row.user.as_deref())
}

/// Removes a token, if it is that consumer's.
pub(super) fn delete_token(
    transaction: &WriteTransaction,
    token: &str,
    consumer: &str,
) -> Result<(), Stop> {
    let mut tokens = transaction.open_table(TOKENS)?;
    let Some(bytes) = tokens.get(token)?.map(|bytes| bytes.value().to_vec()) else {
        return Ok(());
    };
    let (holder, user) = Records::token_holders(&bytes)?;
    if holder.as_str() != consumer {
        return Ok(());
    }
    tokens.remove(token)?;
    transaction.open_table(CONSUMER_TOKENS)?.remove((
        consumer,
        life(transaction, consumer)?,
        token,
    ))?;
    if let Some(user) = user {
        transaction
            .open_table(USER_TOKENS)?
            .remove((user.as_str(), token))?;
    }
    Ok(())
}

/// Puts a new user.
pub(super) fn create_user(transaction: &WriteTransaction, row: &UserRow) -> Result<(), Stop> {
    if transaction
        .open_table(USERS)?
        .get(row.id.as_str())?
        .is_some()
    {
        return Err(taken().into());
    }
    put_user(transaction, row)
}

/// Replaces a user, whose bytes must still be `before` and whose username was `old_name`.
pub(super) fn replace_user(
    transaction: &WriteTransaction,
    row: &UserRow,
    before: &[u8],
    old_name: Option<&str>,
) -> Result<(), Stop> {
    if transaction
        .open_table(USERS)?
        .get(row.id.as_str())?
        .is_none_or(|stored| stored.value() != before)
    {
        return Err(conflict().into());
    }
    if let Some(old_name) = old_name {
        transaction.open_table(USERNAMES)?.remove(old_name)?;
    }
    put_user(transaction, row)
}

fn put_user(transaction: &WriteTransaction, row: &UserRow) -> Result<(), Stop> {
    let id = row.id.as_str();
    if let Some(username) = &row.username {
        let before = transaction
            .open_table(USERNAMES)?
            .insert(username.as_str(), id)?
            .map(|id| id.value().to_owned());
        if before.is_some_and(|before| before != id) {
            return Err(taken().into());
        }
    }
    let mut listed = transaction.open_table(LISTED_USERS)?;
    if row.is_listed {
        listed.insert(id, ())?;
    } else {
        listed.remove(id)?;
    }
    transaction
        .open_table(USERS)?
        .insert(id, row.bytes.as_slice())?;
    Ok(())
}

// === What is removed later ===

/// Whether `sweep` has anything to do.
pub(super) fn has_dropped(transaction: &ReadTransaction) -> Result<bool, redb::Error> {
    Ok(transaction.open_table(DROPPED)?.first()?.is_some())
}

/// Removes up to `limit` of the tokens that were issued in a life that ended.
pub(super) fn sweep(transaction: &WriteTransaction, limit: usize) -> Result<(), Stop> {
    let mut dropped = transaction.open_table(DROPPED)?;
    let Some((consumer, ended)) = dropped.first()?.map(|(key, _)| {
        let (consumer, ended) = key.value();
        (consumer.to_owned(), ended)
    }) else {
        return Ok(());
    };
    let consumer = consumer.as_str();
    let names: Vec<String> = {
        let index = transaction.open_table(CONSUMER_TOKENS)?;
        let rows = index
            .range::<Issued<'_>>((consumer, ended, "")..(consumer, ended + 1, ""))?
            .take(limit);
        rows.map(|row| row.map(|(key, _)| key.value().2.to_owned()))
            .collect::<Result<_, _>>()?
    };
    let present = life(transaction, consumer)?;
    for token in &names {
        let index = |life| (consumer, life, token.as_str());
        transaction
            .open_table(CONSUMER_TOKENS)?
            .remove(index(ended))?;
        // The name may be in use again.
        if transaction
            .open_table(CONSUMER_TOKENS)?
            .get(index(present))?
            .is_none()
        {
            delete_token(transaction, token, consumer)?;
        }
    }
    if names.len() < limit {
        dropped.remove((consumer, ended))?;
    }
    Ok(())
}

fn end_life(transaction: &WriteTransaction, consumer: &str, life: u64) -> Result<(), Stop> {
    transaction
        .open_table(DROPPED)?
        .insert((consumer, life), ())?;
    transaction.open_table(LIVES)?.insert(consumer, life + 1)?;
    Ok(())
}

fn life(transaction: &WriteTransaction, consumer: &str) -> Result<u64, Stop> {
    Ok(transaction
        .open_table(LIVES)?
        .get(consumer)?
        .map_or(0, |life| life.value()))
}

fn index(
    transaction: &WriteTransaction,
    token: &str,
    consumer: &str,
    user: Option<&str>,
) -> Result<(), Stop> {
    transaction
        .open_table(CONSUMER_TOKENS)?
        .insert((consumer, life(transaction, consumer)?, token), ())?;
    if let Some(user) = user {
        transaction
            .open_table(USER_TOKENS)?
            .insert((user, token), ())?;
    }
    Ok(())
}

fn after_key(after: Option<&str>) -> Bound<&str> {
    after.map_or(Bound::Unbounded, Bound::Excluded)
}

/// A consumer, one of its lives, and a token that was issued in it.
type Issued<'k> = (&'k str, u64, &'k str);

const LISTED_USERS: TableDefinition<'static, &str, ()> = TableDefinition::new("listed_users");
const USERNAMES: TableDefinition<'static, &str, &str> = TableDefinition::new("usernames");
const CONSUMER_TOKENS: TableDefinition<'static, Issued<'static>, ()> =
    TableDefinition::new("consumer_tokens");
const USER_TOKENS: TableDefinition<'static, (&str, &str), ()> = TableDefinition::new("user_tokens");
const LIVES: TableDefinition<'static, &str, u64> = TableDefinition::new("lives");
const DROPPED: TableDefinition<'static, (&str, u64), ()> = TableDefinition::new("dropped");
