//! The table of users, the list of those that are not deleted, and the index of usernames.

use std::ops::Bound;

use redb::{ReadTransaction, TableDefinition, WriteTransaction};

use super::records::{self, RecordRow, RecordTable};
use crate::store::embedded::error::{WriteError, already_exists};

/// The users' records, by user id.
pub(in crate::store::embedded) const USERS: RecordTable = TableDefinition::new("users");

/// A user as it is written into the tables.
pub(in crate::store::embedded) struct UserRow {
    pub(in crate::store::embedded) id: String,
    /// The username in lower case.
    pub(in crate::store::embedded) username: Option<String>,
    pub(in crate::store::embedded) is_listed: bool,
    pub(in crate::store::embedded) bytes: Vec<u8>,
}

/// Creates the tables that are not in the file yet.
pub(super) fn create_tables(transaction: &WriteTransaction) -> Result<(), WriteError> {
    transaction.open_table(USERS)?;
    transaction.open_table(LISTED_USERS)?;
    transaction.open_table(USERNAMES)?;
    Ok(())
}

/// Lists up to `limit` users after the id `after` that are not deleted, in the order of their ids.
pub(in crate::store::embedded) fn user_page(
    transaction: &ReadTransaction,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<RecordRow>, redb::Error> {
    let users = transaction.open_table(USERS)?;
    let listed = transaction.open_table(LISTED_USERS)?;
    let rest = listed.range::<&str>((records::after_key(after), Bound::Unbounded))?;
    let mut page = Vec::new();
    for entry in rest.take(limit) {
        let (id, _) = entry?;
        page.extend(records::row(&users, id.value())?);
    }
    Ok(page)
}

/// Finds the user with that username, which is in lower case.
pub(in crate::store::embedded) fn user_named(
    transaction: &ReadTransaction,
    username: &str,
) -> Result<Option<RecordRow>, redb::Error> {
    let Some(id) = transaction.open_table(USERNAMES)?.get(username)? else {
        return Ok(None);
    };
    records::row(&transaction.open_table(USERS)?, id.value())
}

/// Creates a user.
pub(in crate::store::embedded) fn create_user(
    transaction: &WriteTransaction,
    row: &UserRow,
) -> Result<(), WriteError> {
    records::create(transaction, USERS, &row.id, &row.bytes)?;
    index_user(transaction, row)
}

/// Updates a user whose bytes are still `before` and whose username was `old_name`.
pub(in crate::store::embedded) fn update_user(
    transaction: &WriteTransaction,
    row: &UserRow,
    before: &[u8],
    old_name: Option<&str>,
) -> Result<(), WriteError> {
    records::update(transaction, USERS, &row.id, before, &row.bytes)?;
    if let Some(old_name) = old_name {
        transaction.open_table(USERNAMES)?.remove(old_name)?;
    }
    index_user(transaction, row)
}

fn index_user(transaction: &WriteTransaction, row: &UserRow) -> Result<(), WriteError> {
    if let Some(username) = &row.username {
        reserve_username(transaction, username, &row.id)?;
    }
    let mut listed = transaction.open_table(LISTED_USERS)?;
    if row.is_listed {
        listed.insert(row.id.as_str(), ())?;
    } else {
        listed.remove(row.id.as_str())?;
    }
    Ok(())
}

/// Gives a username to a user. An error rolls the transaction back, and with it this change.
fn reserve_username(
    transaction: &WriteTransaction,
    username: &str,
    id: &str,
) -> Result<(), WriteError> {
    let mut usernames = transaction.open_table(USERNAMES)?;
    let is_taken = usernames
        .insert(username, id)?
        .is_some_and(|holder| holder.value() != id);
    if is_taken {
        return Err(already_exists().into());
    }
    Ok(())
}

const LISTED_USERS: TableDefinition<'static, &str, ()> = TableDefinition::new("listed_users");
const USERNAMES: TableDefinition<'static, &str, &str> = TableDefinition::new("usernames");
