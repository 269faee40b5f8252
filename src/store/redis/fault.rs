//! What can go wrong with Redis, in words for the operator, and what follows from it.
//!
//! Of a server's error only its code is passed on: the text after it may repeat keys and values.

use redis::{ErrorKind, RedisError};

use crate::store::{StoreError, StoreErrorKind};

/// Why Redis did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("Redis did not answer in time")]
    Timeout,
    #[error("the connection to Redis failed: {0}")]
    Io(String),
    #[error("the connection to Redis broke before")]
    Broken,
    #[error("there is no connection to Redis: {0}")]
    Unreachable(Box<Self>),
    #[error("Redis was found unavailable and is asked until it answers: {0}")]
    Down(Box<Self>),
    #[error("this Redis is a replica, not the primary that takes writes")]
    NotPrimary,
    #[error("Redis is loading its data")]
    Loading,
    #[error("this Redis is a replica that lost its primary")]
    PrimaryLost,
    #[error("Redis is out of memory; raise maxmemory")]
    OutOfMemory,
    #[error("Redis has fewer replicas than min-replicas-to-write")]
    TooFewReplicas,
    #[error("Redis can not save to its disk and refuses writes (stop-writes-on-bgsave-error)")]
    CanNotSave,
    #[error("the Redis Cluster is down or does not cover every slot")]
    ClusterDown,
    #[error("Redis refused the user name or password in store.url, or wants one")]
    Credentials,
    #[error("the Redis user may not run a command that is needed; allow it with ACL SETUSER")]
    NotPermitted,
    #[error("the Sentinels do not know where the primary is")]
    NoSentinel,
    #[error("Redis is version {0}; 7.0 or newer is needed")]
    TooOld(String),
    #[error("this Redis is a node of a Cluster; write redis+cluster:// in store.url")]
    ClusterNode,
    #[error("Redis answered with {0}")]
    Refused(String),
    #[error("Redis answered with something else than was asked for")]
    Unexpected,
    #[error("another kind of value is kept under the key")]
    WrongType,
    #[error("Redis does not know the script")]
    UnknownScript,
    #[error("more calls wait for Redis than it answers")]
    Overloaded,
    #[error("what was to send the call was stopped")]
    Abandoned,
}

// === impl Fault ===

impl Fault {
    /// The error of a call that failed by it.
    pub(super) fn during(self, context: &'static str) -> StoreError {
        let kind = if self == Self::WrongType {
            StoreErrorKind::Unreadable
        } else if self.is_permanent() {
            StoreErrorKind::Unusable
        } else {
            StoreErrorKind::Unavailable
        };
        StoreError::new(kind, context).because(self)
    }

    /// Whether it will not pass by itself.
    pub(super) const fn is_permanent(&self) -> bool {
        matches!(self, Self::TooOld(_) | Self::ClusterNode)
    }

    /// Whether the connection that it came by must not be used again.
    pub(super) const fn breaks_connection(&self) -> bool {
        matches!(
            self,
            Self::Timeout
                | Self::Io(_)
                | Self::NotPrimary
                | Self::Loading
                | Self::PrimaryLost
                | Self::Credentials
                | Self::Unexpected
        )
    }

    /// Whether another connection may do better at once.
    pub(super) const fn is_worth_a_retry(&self) -> bool {
        matches!(
            self,
            Self::Io(_) | Self::NotPrimary | Self::PrimaryLost | Self::Unreachable(_)
        )
    }

    /// Whether it says that the server can not be used, rather than that it refused one command.
    pub(super) const fn is_outage(&self) -> bool {
        self.breaks_connection()
            || matches!(
                self,
                Self::Unreachable(_) | Self::NoSentinel | Self::ClusterDown
            )
    }
}

impl From<RedisError> for Fault {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is not named here is named by its code below"
    )]
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        match error.kind() {
            ErrorKind::Io => return Self::Io(error.to_string()),
            ErrorKind::AuthenticationFailed => return Self::Credentials,
            ErrorKind::ClusterConnectionNotFound => return Self::ClusterDown,
            ErrorKind::MasterNameNotFoundBySentinel => return Self::NoSentinel,
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => return Self::Unexpected,
            _ => {}
        }
        match error.code() {
            Some("READONLY") => Self::NotPrimary,
            Some("LOADING") => Self::Loading,
            Some("MASTERDOWN") => Self::PrimaryLost,
            Some("OOM") => Self::OutOfMemory,
            Some("NOREPLICAS") => Self::TooFewReplicas,
            Some("MISCONF") => Self::CanNotSave,
            Some("CLUSTERDOWN") => Self::ClusterDown,
            Some("NOAUTH" | "WRONGPASS") => Self::Credentials,
            Some("NOPERM") => Self::NotPermitted,
            Some("WRONGTYPE") => Self::WrongType,
            Some("NOSCRIPT") => Self::UnknownScript,
            Some(code) => Self::Refused(code.to_owned()),
            None => Self::Refused(error.category().to_owned()),
        }
    }
}
