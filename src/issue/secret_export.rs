//! Exports with secrets in plaintext, for operators who leave.

use std::collections::VecDeque;
use std::fmt;

use super::audit::AuditEvent;
use super::{Actor, IssueError, Issuer, TokenWithState};
use crate::model::{Consumer, ConsumerKey, Token, User, UserId};
use crate::store::TokenHolder;

/// An export with secrets that is being read, page by page: consumers, then tokens, then users.
pub struct SecretExport {
    issuer: Issuer,
    position: Position,
}

/// A record of an export with secrets.
#[derive(Debug)]
pub enum ExposedRecord {
    /// A consumer.
    Consumer(Consumer),
    /// A token.
    Token(TokenWithState),
    /// A user.
    User(User),
}

enum Position {
    /// Consumers after that key.
    Consumers(Option<ConsumerKey>),
    /// Tokens of these consumers after that token.
    Tokens(TokenPosition),
    /// Users after that id.
    Users(Option<UserId>),
    End,
}

#[derive(Default)]
struct TokenPosition {
    /// A page of consumers whose tokens are still to be listed.
    consumers: VecDeque<ConsumerKey>,
    /// The last consumer of that page.
    last: Option<ConsumerKey>,
    /// The last token of the first of these consumers.
    after: Option<Token>,
}

impl Issuer {
    /// Begins an export with secrets.
    pub fn export_secrets(&self, actor: &Actor) -> SecretExport {
        AuditEvent::of_store(actor, "store.export_secrets").note();
        SecretExport {
            issuer: self.clone(),
            position: Position::Consumers(None),
        }
    }
}

// === impl SecretExport ===

impl SecretExport {
    /// Returns the next page, which may be empty; `None` after the last one.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn next(&mut self) -> Result<Option<Vec<ExposedRecord>>, IssueError> {
        match std::mem::replace(&mut self.position, Position::End) {
            Position::Consumers(after) => self.consumers(after).await.map(Some),
            Position::Tokens(position) => self.tokens(position).await.map(Some),
            Position::Users(after) => self.users(after).await.map(Some),
            Position::End => Ok(None),
        }
    }

    async fn consumers(
        &mut self,
        after: Option<ConsumerKey>,
    ) -> Result<Vec<ExposedRecord>, IssueError> {
        let page = self.issuer.consumers(after.as_ref(), PAGE).await?;
        self.position = match page.last() {
            Some(last) if page.len() == PAGE => Position::Consumers(Some(last.key.clone())),
            _ => Position::Tokens(TokenPosition::default()),
        };
        Ok(page.into_iter().map(ExposedRecord::Consumer).collect())
    }

    async fn tokens(
        &mut self,
        mut position: TokenPosition,
    ) -> Result<Vec<ExposedRecord>, IssueError> {
        let Some(consumer) = position.consumers.front() else {
            self.position = self.next_consumers(position.last).await?;
            return Ok(Vec::new());
        };
        let (holder, after) = (TokenHolder::Consumer(consumer), position.after.as_ref());
        let page = self.issuer.tokens(holder, after, PAGE).await?;
        position.after = page
            .last()
            .filter(|_| page.len() == PAGE)
            .map(|last| last.token.token.clone());
        if position.after.is_none() {
            position.consumers.pop_front();
        }
        self.position = Position::Tokens(position);
        Ok(page.into_iter().map(ExposedRecord::Token).collect())
    }

    /// Returns the position at the tokens of the next page of consumers, or at the users after the
    /// last page.
    async fn next_consumers(&self, after: Option<ConsumerKey>) -> Result<Position, IssueError> {
        let page = self.issuer.consumers(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(Position::Users(None));
        };
        Ok(Position::Tokens(TokenPosition {
            last: Some(last.key.clone()),
            consumers: page.into_iter().map(|consumer| consumer.key).collect(),
            after: None,
        }))
    }

    async fn users(&mut self, after: Option<UserId>) -> Result<Vec<ExposedRecord>, IssueError> {
        let page = self.issuer.users(after.as_ref(), PAGE).await?;
        if let Some(last) = page.last().filter(|_| page.len() == PAGE) {
            self.position = Position::Users(Some(last.id.clone()));
        }
        Ok(page.into_iter().map(ExposedRecord::User).collect())
    }
}

impl fmt::Debug for SecretExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretExport").finish_non_exhaustive()
    }
}

/// The size of a page.
const PAGE: usize = 100;
