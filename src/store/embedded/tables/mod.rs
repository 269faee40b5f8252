//! The tables of records, and the indexes that change with them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `consumers` | consumer key | record |
//! | `tokens` | token | record |
//! | `users` | user id | record |
//! | `listed_users` | user id | nothing; users that are not deleted |
//! | `usernames` | username in lower case | user id |
//! | `consumer_tokens` | consumer key, incarnation, token | nothing |
//! | `user_tokens` | user id, token | nothing |
//! | `incarnations` | consumer key | number of its current incarnation; 0 if it has no row |
//! | `ended_incarnations` | consumer key, incarnation | nothing; tokens of this incarnation are being deleted |
//!
//! A consumer key has a new incarnation each time it is created again after its deletion. Tokens
//! are indexed under the incarnation that they were issued to, so that no later one lists them.
//! [`sweep`] deletes the tokens of ended incarnations, a few at a time.

mod consumers;
mod incarnations;
mod records;
mod tokens;
mod users;

use redb::WriteTransaction;

use super::error::WriteError;

pub(super) use consumers::{CONSUMERS, create_consumer, delete_consumer};
pub(super) use incarnations::has_ended;
pub(super) use records::{RecordRow, RecordTable, page, record, update};
pub(super) use tokens::{
    TOKENS, TokenRow, consumer_token_page, create_token, delete_token, sweep, user_token_page,
};
pub(super) use users::{USERS, UserRow, create_user, update_user, user_named, user_page};

/// Creates the tables that are not in the file yet.
pub(super) fn create_all(transaction: &WriteTransaction) -> Result<(), WriteError> {
    consumers::create_tables(transaction)?;
    tokens::create_tables(transaction)?;
    users::create_tables(transaction)?;
    incarnations::create_tables(transaction)
}
