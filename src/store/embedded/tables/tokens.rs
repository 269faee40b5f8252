//! The table of tokens, and its indexes by consumer and by user.

use std::ops::Bound;

use redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};

use super::incarnations;
use super::records::{self, RecordRow, RecordTable};
use crate::model::Token;
use crate::store::embedded::error::WriteError;
use crate::store::record::Records;

/// The tokens' records, by token.
pub(in crate::store::embedded) const TOKENS: RecordTable = TableDefinition::new("tokens");

/// A token as it is written into the tables.
pub(in crate::store::embedded) struct TokenRow {
    pub(in crate::store::embedded) token: String,
    pub(in crate::store::embedded) consumer: String,
    pub(in crate::store::embedded) user: Option<String>,
    pub(in crate::store::embedded) bytes: Vec<u8>,
}

/// Creates the tables that are not in the file yet.
pub(super) fn create_tables(transaction: &WriteTransaction) -> Result<(), WriteError> {
    transaction.open_table(TOKENS)?;
    transaction.open_table(CONSUMER_TOKENS)?;
    transaction.open_table(USER_TOKENS)?;
    Ok(())
}

/// Lists up to `limit` tokens of the current incarnation of a consumer, those after `after`.
pub(in crate::store::embedded) fn consumer_token_page(
    transaction: &ReadTransaction,
    consumer: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<RecordRow>, redb::Error> {
    let number = incarnations::current_as_of(transaction, consumer)?;
    let tokens = transaction.open_table(TOKENS)?;
    let start = match after {
        Some(after) => Bound::Excluded((consumer, number, after)),
        None => Bound::Included((consumer, number, "")),
    };
    let end = Bound::Excluded((consumer, number + 1, ""));
    let index = transaction.open_table(CONSUMER_TOKENS)?;
    let mut page = Vec::new();
    for entry in index.range::<IssuedToken<'_>>((start, end))?.take(limit) {
        let (key, _) = entry?;
        page.extend(records::row(&tokens, key.value().2)?);
    }
    Ok(page)
}

/// Lists up to `limit` tokens of a user, those after `after`.
pub(in crate::store::embedded) fn user_token_page(
    transaction: &ReadTransaction,
    user: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<RecordRow>, redb::Error> {
    let tokens = transaction.open_table(TOKENS)?;
    let start = match after {
        Some(after) => Bound::Excluded((user, after)),
        None => Bound::Included((user, "")),
    };
    let index = transaction.open_table(USER_TOKENS)?;
    let rest = index.range::<(&str, &str)>((start, Bound::Unbounded))?;
    let mut page = Vec::new();
    for entry in rest.take(limit) {
        let (key, _) = entry?;
        let (holder, token) = key.value();
        if holder != user {
            break;
        }
        page.extend(records::row(&tokens, token)?);
    }
    Ok(page)
}

/// Creates a token.
pub(in crate::store::embedded) fn create_token(
    transaction: &WriteTransaction,
    row: &TokenRow,
) -> Result<(), WriteError> {
    let token = row.token.as_str();
    records::create(transaction, TOKENS, token, &row.bytes)?;
    let number = incarnations::current(transaction, &row.consumer)?;
    transaction
        .open_table(CONSUMER_TOKENS)?
        .insert((row.consumer.as_str(), number, token), ())?;
    if let Some(user) = &row.user {
        transaction
            .open_table(USER_TOKENS)?
            .insert((user.as_str(), token), ())?;
    }
    Ok(())
}

/// Deletes a token if it belongs to that consumer, or cannot be read.
pub(in crate::store::embedded) fn delete_token(
    transaction: &WriteTransaction,
    records: &Records,
    token: &str,
    consumer: &str,
) -> Result<(), WriteError> {
    let mut tokens = transaction.open_table(TOKENS)?;
    let Some(bytes) = tokens.get(token)?.map(|bytes| bytes.value().to_vec()) else {
        return Ok(());
    };
    let stored = Token::from_bytes(token.as_bytes())
        .and_then(|name| records.decode_token(&name, &bytes).ok());
    if stored
        .as_ref()
        .is_some_and(|stored| stored.consumer_key.as_str() != consumer)
    {
        return Ok(());
    }
    tokens.remove(token)?;
    let number = incarnations::current(transaction, consumer)?;
    transaction
        .open_table(CONSUMER_TOKENS)?
        .remove((consumer, number, token))?;
    if let Some(user) = stored.and_then(|stored| stored.user_id) {
        transaction
            .open_table(USER_TOKENS)?
            .remove((user.as_str(), token))?;
    }
    Ok(())
}

/// Returns whether the current incarnation of a consumer key has any token.
pub(super) fn has_any(transaction: &WriteTransaction, consumer: &str) -> Result<bool, WriteError> {
    let number = incarnations::current(transaction, consumer)?;
    Ok(!names(transaction, consumer, number, 1)?.is_empty())
}

/// Deletes up to `limit` tokens of an incarnation that has ended.
pub(in crate::store::embedded) fn sweep(
    transaction: &WriteTransaction,
    records: &Records,
    limit: usize,
) -> Result<(), WriteError> {
    let Some((consumer, ended)) = incarnations::first_ended(transaction)? else {
        return Ok(());
    };
    let tokens = names(transaction, &consumer, ended, limit)?;
    for token in &tokens {
        delete_ended(transaction, records, (&consumer, ended, token))?;
    }
    if tokens.len() < limit {
        incarnations::delete_ended(transaction, &consumer, ended)?;
    }
    Ok(())
}

/// Deletes a token of an incarnation that has ended, unless its name is in use again in the current
/// one.
fn delete_ended(
    transaction: &WriteTransaction,
    records: &Records,
    (consumer, ended, token): IssuedToken<'_>,
) -> Result<(), WriteError> {
    let current = incarnations::current(transaction, consumer)?;
    let is_in_use = {
        let mut index = transaction.open_table(CONSUMER_TOKENS)?;
        index.remove((consumer, ended, token))?;
        index.get((consumer, current, token))?.is_some()
    };
    if is_in_use {
        Ok(())
    } else {
        delete_token(transaction, records, token, consumer)
    }
}

/// Lists the names of up to `limit` tokens of an incarnation.
fn names(
    transaction: &WriteTransaction,
    consumer: &str,
    number: u64,
    limit: usize,
) -> Result<Vec<String>, WriteError> {
    let index = transaction.open_table(CONSUMER_TOKENS)?;
    let entries =
        index.range::<IssuedToken<'_>>((consumer, number, "")..(consumer, number + 1, ""))?;
    let mut names = Vec::new();
    for entry in entries.take(limit) {
        let (key, _) = entry?;
        names.push(key.value().2.to_owned());
    }
    Ok(names)
}

/// A consumer key, the number of its incarnation, and a token that was issued to it.
type IssuedToken<'k> = (&'k str, u64, &'k str);

const CONSUMER_TOKENS: TableDefinition<'static, IssuedToken<'static>, ()> =
    TableDefinition::new("consumer_tokens");
const USER_TOKENS: TableDefinition<'static, (&str, &str), ()> = TableDefinition::new("user_tokens");
