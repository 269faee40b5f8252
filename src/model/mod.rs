//! The records: consumers, users, temporary and token credentials, and newtypes of their keys and
//! secrets.
//!
//! The types hold what is true of a record in every store.
//!
//! Left to others: storage and sealing ([`crate::store`]), and the rules of changes
//! ([`crate::issue`]).

mod consumer;
mod generation;
mod request_token;
mod scopes;
mod secret;
mod session;
mod text;
mod token;
mod user;
mod visible;

pub use consumer::{
    Consumer, ConsumerProfile, ConsumerSecret, ConsumerStatus, DenyDetail, Flow, MIN_RSA_BITS,
};
pub use generation::Generation;
pub use request_token::{Callback, RequestToken, RequestTokenState};
pub use scopes::Scopes;
pub use secret::Secret;
pub use session::{Session, SessionId};
pub use text::{
    ConsumerId, ConsumerKey, ConsumerName, MAX_VALUE_LEN, Token, UserId, Username, ValueError,
};
pub use token::{AccessToken, TokenState, TokenStatus};
pub use user::{PasswordHash, User, UserStanding, UserStatus};
pub use visible::{is_deceptive, visible};

pub use crate::oauth::{CompatProfile, CompatSet};
