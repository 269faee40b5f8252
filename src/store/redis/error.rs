//! Errors of Redis, worded for the operator, and the reaction to each.
//!
//! An error that the server sends is reduced to its code: the text after it may repeat keys and
//! values.

use redis::{ErrorKind, RedisError};

use crate::store::{StoreError, StoreErrorKind};

/// The reason why a command did not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CommandError {
    #[error("Redis did not answer in time")]
    Timeout,
    #[error("lost the connection to Redis: {0}")]
    Io(String),
    #[error("cannot connect to Redis at {address}: {cause}")]
    Connect { address: String, cause: String },
    #[error("the connection to Redis is broken and will be replaced")]
    ConnectionBroken,
    /// The pool has no connection, because the last attempt to connect failed.
    #[error("{0}")]
    Unreachable(Box<Self>),
    /// The circuit breaker is open.
    #[error("{0}; retrying")]
    Unavailable(Box<Self>),
    #[error(
        "this Redis is a replica and takes no writes; if it stays one, name the primary in store.url"
    )]
    NotPrimary,
    #[error("Redis is loading its data")]
    Loading,
    #[error("this Redis is a replica that lost its primary")]
    PrimaryLost,
    #[error("Redis is out of memory; raise maxmemory")]
    OutOfMemory,
    #[error("Redis has fewer replicas than min-replicas-to-write requires")]
    TooFewReplicas,
    #[error("Redis cannot save to its disk and refuses writes (stop-writes-on-bgsave-error)")]
    SaveFailed,
    #[error("the Redis Cluster is down or does not cover every slot")]
    ClusterDown,
    #[error("Redis refused the user name or password; correct them in store.url")]
    AuthenticationFailed,
    #[error(
        "the Redis user may not run a command that Countersign needs; allow it with ACL SETUSER"
    )]
    NotPermitted,
    #[error("no Sentinel knows the address of the primary")]
    PrimaryUnknown,
    #[error("Redis {0} is too old; use 7.0 or newer")]
    TooOld(String),
    #[error("this Redis is a node of a Cluster; write redis+cluster:// in store.url")]
    ClusterNode,
    #[error("Redis refused the command with {0}")]
    Refused(String),
    #[error("Redis sent an unexpected answer")]
    UnexpectedAnswer,
    #[error("the key has a value of another type")]
    WrongType,
    #[error("Redis does not know the script")]
    UnknownScript,
    #[error("too many calls are waiting for Redis")]
    Overloaded,
    #[error("the task that sends the call was stopped")]
    RunnerStopped,
}

// === impl CommandError ===

impl CommandError {
    /// Returns the store's error for work that failed for this reason.
    pub(super) fn during(self, context: &'static str) -> StoreError {
        let kind = if self == Self::WrongType {
            StoreErrorKind::Unreadable
        } else if self.is_permanent() {
            StoreErrorKind::Unusable
        } else {
            StoreErrorKind::Unavailable
        };
        StoreError::new(kind, context)
            .in_outage(self.shows_outage())
            .because(self)
    }

    /// Returns the error of an attempt to connect to `address`.
    pub(super) fn connecting_to(address: &impl ToString, error: RedisError) -> Self {
        if error.is_timeout() || error.kind() != ErrorKind::Io {
            return error.into();
        }
        Self::Connect {
            address: address.to_string(),
            cause: error.to_string(),
        }
    }

    /// Returns `true` if the error will not pass by itself.
    pub(super) const fn is_permanent(&self) -> bool {
        matches!(self, Self::TooOld(_) | Self::ClusterNode)
    }

    /// Returns `true` if no call can succeed now: the circuit is open, or no connection can be made.
    /// A refused password and an answer that makes no sense are faults of the configuration, which
    /// nothing may work around.
    fn shows_outage(&self) -> bool {
        let mut cause = self;
        while let Self::Unavailable(inner) | Self::Unreachable(inner) = cause {
            cause = inner;
        }
        let is_certain = !std::ptr::eq(cause, self) || matches!(self, Self::Connect { .. });
        let is_fault = matches!(
            cause,
            Self::AuthenticationFailed | Self::NotPermitted | Self::UnexpectedAnswer
        );
        is_certain && !is_fault
    }

    /// Returns `true` if the connection must not be used again.
    pub(super) const fn breaks_connection(&self) -> bool {
        matches!(
            self,
            Self::Timeout
                | Self::Io(_)
                | Self::Connect { .. }
                | Self::NotPrimary
                | Self::Loading
                | Self::PrimaryLost
                | Self::AuthenticationFailed
                | Self::UnexpectedAnswer
        )
    }

    /// Returns `true` if another connection may succeed at once.
    pub(super) const fn is_worth_a_retry(&self) -> bool {
        matches!(
            self,
            Self::Io(_)
                | Self::Connect { .. }
                | Self::NotPrimary
                | Self::PrimaryLost
                | Self::Unreachable(_)
        )
    }

    /// Returns `true` if the server cannot be used at all, rather than refused one command.
    pub(super) const fn is_outage(&self) -> bool {
        self.breaks_connection()
            || matches!(
                self,
                Self::Unreachable(_) | Self::PrimaryUnknown | Self::ClusterDown
            )
    }
}

impl From<RedisError> for CommandError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the code tells every other kind apart"
    )]
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        match error.kind() {
            ErrorKind::Io => return Self::Io(error.to_string()),
            ErrorKind::AuthenticationFailed => return Self::AuthenticationFailed,
            ErrorKind::ClusterConnectionNotFound => return Self::ClusterDown,
            ErrorKind::MasterNameNotFoundBySentinel => return Self::PrimaryUnknown,
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => return Self::UnexpectedAnswer,
            _ => {}
        }
        match error.code() {
            Some("READONLY") => Self::NotPrimary,
            Some("LOADING") => Self::Loading,
            Some("MASTERDOWN") => Self::PrimaryLost,
            Some("OOM") => Self::OutOfMemory,
            Some("NOREPLICAS") => Self::TooFewReplicas,
            Some("MISCONF") => Self::SaveFailed,
            Some("CLUSTERDOWN") => Self::ClusterDown,
            Some("NOAUTH" | "WRONGPASS") => Self::AuthenticationFailed,
            Some("NOPERM") => Self::NotPermitted,
            Some("WRONGTYPE") => Self::WrongType,
            Some("NOSCRIPT") => Self::UnknownScript,
            Some(code) => Self::Refused(code.to_owned()),
            None => Self::Refused(error.category().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_nobody_can_reach_is_an_outage() {
        let wrapped = |cause: CommandError| {
            let unreachable = CommandError::Unreachable(Box::new(cause));
            CommandError::Unavailable(Box::new(unreachable))
        };
        let connect = CommandError::Connect {
            address: "localhost:6379".into(),
            cause: "connection refused".into(),
        };
        for error in [
            connect.clone(),
            wrapped(connect),
            wrapped(CommandError::Timeout),
            wrapped(CommandError::Loading),
        ] {
            assert!(error.shows_outage(), "{error}");
        }
        for error in [
            CommandError::Timeout,
            CommandError::Io("broken pipe".into()),
            CommandError::OutOfMemory,
            CommandError::TooFewReplicas,
            CommandError::NotPermitted,
            CommandError::WrongType,
            wrapped(CommandError::AuthenticationFailed),
            wrapped(CommandError::NotPermitted),
        ] {
            assert!(!error.shows_outage(), "{error}");
        }
    }
}
