//! Errors of Redis, worded for the operator, and the reaction to each.
//!
//! An error that the server words itself carries the first line of its answer, cut where the server
//! begins to repeat arguments: these may be keys, values or a password.

use redis::{ErrorKind, RedisError};

use super::tls_failure;
use crate::store::{StoreError, StoreErrorKind};

/// The reason why a command did not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CommandError {
    #[error(
        "the primary was replaced or restarted, and changes that it may have lost are being made again"
    )]
    Recovering,
    #[error("cannot reach a majority of the Sentinels, so Redis' primary may have been replaced")]
    Isolated,
    #[error("the Sentinels have replaced Redis' primary")]
    PrimaryReplaced,
    #[error(
        "Redis made the change, but fewer replicas than store.min_replicas confirmed it in time ({confirmed} of {wanted}); it may be lost in a failover, so repeat it"
    )]
    TooFewConfirmed { confirmed: u32, wanted: u32 },
    #[error("Redis did not answer in time")]
    Timeout,
    #[error("lost the connection to Redis: {0}")]
    Io(Box<str>),
    #[error(transparent)]
    Connect(Box<ConnectFailure>),
    #[error("the connection to Redis is broken and will be replaced")]
    ConnectionBroken,
    /// The pool has no connection, because the last attempt to connect failed.
    #[error("{0}")]
    Unreachable(Box<Self>),
    /// The circuit breaker is open.
    #[error("{0}; retrying")]
    Unavailable(Box<Self>),
    #[error(
        "this Redis is a replica and takes no writes (READONLY); if it stays one, name the primary in store.url"
    )]
    NotPrimary,
    #[error("Redis is loading its data (LOADING)")]
    Loading,
    #[error("this Redis is a replica that lost its primary (MASTERDOWN)")]
    PrimaryLost,
    #[error("Redis is out of memory (OOM); raise maxmemory")]
    OutOfMemory,
    #[error("Redis has fewer replicas than min-replicas-to-write requires (NOREPLICAS)")]
    TooFewReplicas,
    #[error(
        "Redis cannot save to its disk and refuses writes (MISCONF, stop-writes-on-bgsave-error)"
    )]
    SaveFailed,
    #[error("the Redis Cluster is down or does not cover every slot (CLUSTERDOWN)")]
    ClusterDown,
    #[error(
        "Redis refused the user name or password (WRONGPASS or NOAUTH); correct them in store.url, or in the files of store.username_file and store.password_file"
    )]
    AuthenticationFailed,
    #[error("Redis refused a command: {0}; {remedy}", remedy = remedy(.0))]
    NotPermitted(Box<str>),
    #[error(
        "Redis does not know a command: {0}; Countersign needs it under its own name: remove its rename-command"
    )]
    UnknownCommand(Box<str>),
    #[error(
        "Redis refused the database of store.url: {0}; use one below the setting `databases`, such as /0"
    )]
    Database(Box<str>),
    #[error("no Sentinel knows the address of the primary")]
    PrimaryUnknown,
    #[error(
        "the Sentinels require a password, or refuse the given one; write it in store.url after the name of the primary: ?sentinel_password=PASSWORD, or set store.sentinel_password_file"
    )]
    SentinelPassword,
    #[error("Redis {0} is too old; use 7.0 or newer")]
    TooOld(Box<str>),
    #[error("this Redis is a node of a Cluster; write redis+cluster:// in store.url")]
    ClusterNode,
    #[error("Redis refused a command: {0}")]
    Refused(Box<str>),
    /// Redis' clock minus this host's, in seconds.
    #[error(
        "the clock of Redis is {} s {} this host's, which is more than store.max_clock_skew, so that a replay could pass; set both by NTP",
        .0.unsigned_abs(),
        if *.0 < 0 { "behind" } else { "ahead of" }
    )]
    ClockSkew(i64),
    #[error("Redis lost its data or was replaced while a nonce was claimed")]
    EpochChanged,
    #[error("Redis sent an unexpected answer")]
    UnexpectedAnswer,
    #[error("the key has a value of another type (WRONGTYPE)")]
    WrongType,
    #[error("Redis does not know the script")]
    UnknownScript,
    #[error("too many calls are waiting for Redis")]
    Overloaded,
    #[error("the task that sends the call was stopped")]
    RunnerStopped,
}

/// A failed attempt to connect. It has a box of its own, since every call carries room for a
/// [`CommandError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot connect to Redis at {address}: {cause}")]
pub(super) struct ConnectFailure {
    address: String,
    cause: String,
    /// Set unless nobody listens at the address.
    was_reached: bool,
}

// === impl CommandError ===

impl CommandError {
    /// Returns the store's error for work that failed for this reason.
    pub(super) fn during(self, context: &'static str) -> StoreError {
        let kind = if self == Self::WrongType {
            StoreErrorKind::Unreadable
        } else if matches!(self, Self::ClockSkew(_)) {
            StoreErrorKind::ClockSkew
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
        let remedy = tls_failure::remedy(&error);
        let remedy = remedy.map_or_else(String::new, |remedy| format!("; {remedy}"));
        Self::Connect(Box::new(ConnectFailure {
            address: address.to_string(),
            cause: format!("{error}{remedy}"),
            was_reached: !error.is_connection_refusal(),
        }))
    }

    /// Returns the error of an attempt to connect to the nodes of a Cluster, which names the last
    /// failure only in its text.
    pub(super) fn connecting_to_cluster(error: RedisError) -> Self {
        if error.kind() == ErrorKind::Io && error.to_string().contains(LOGIN_REFUSED) {
            return Self::AuthenticationFailed;
        }
        error.into()
    }

    /// Returns `true` if the error will not pass by itself.
    pub(super) const fn is_permanent(&self) -> bool {
        matches!(self, Self::TooOld(_) | Self::ClusterNode)
    }

    /// Returns `true` if no call can succeed now, because nobody answers: the circuit is open, or no
    /// connection can be made. A server that answers is no outage, whatever it refuses, and neither
    /// is a failover, which must end first: nothing may work around them.
    fn shows_outage(&self) -> bool {
        let mut cause = self;
        while let Self::Unavailable(inner) | Self::Unreachable(inner) = cause {
            cause = inner;
        }
        let is_certain = !std::ptr::eq(cause, self) || matches!(self, Self::Connect(_));
        is_certain
            && matches!(
                cause,
                Self::Timeout
                    | Self::Io(_)
                    | Self::Connect(_)
                    | Self::ConnectionBroken
                    | Self::Loading
                    | Self::ClusterDown
                    | Self::PrimaryUnknown
            )
    }

    /// Returns `true` if the connection must not be used again.
    pub(super) const fn breaks_connection(&self) -> bool {
        matches!(
            self,
            Self::Timeout
                | Self::Io(_)
                | Self::Connect(_)
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
                | Self::Connect(_)
                | Self::NotPrimary
                | Self::PrimaryLost
                | Self::PrimaryReplaced
                | Self::Unreachable(_)
        )
    }

    /// Returns `true` if the Sentinels may name another primary.
    pub(super) const fn hints_at_failover(&self) -> bool {
        self.breaks_connection() || matches!(self, Self::TooFewReplicas | Self::Unreachable(_))
    }

    /// Returns `true` if a connection may have failed because credentials or certificates have
    /// changed.
    pub(super) fn hints_at_credentials(&self) -> bool {
        matches!(
            self,
            Self::AuthenticationFailed | Self::Io(_) | Self::ClusterDown
        ) || matches!(self, Self::Connect(failure) if failure.was_reached)
    }

    /// Returns `true` if the server cannot be used at all, rather than refused one command.
    pub(super) const fn is_outage(&self) -> bool {
        self.breaks_connection()
            || matches!(
                self,
                Self::Unreachable(_)
                    | Self::PrimaryUnknown
                    | Self::SentinelPassword
                    | Self::ClusterDown
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
        let error = first_failure(error);
        match error.kind() {
            ErrorKind::Io => return Self::Io(error.to_string().into()),
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
            Some("NOPERM") => Self::NotPermitted(answer(&error)),
            Some("WRONGTYPE") => Self::WrongType,
            Some("NOSCRIPT") => Self::UnknownScript,
            _ => Self::worded(&error),
        }
    }
}

/// Returns the error of the first command that failed, if they were sent together.
fn first_failure(error: RedisError) -> RedisError {
    let failures = error.clone().into_server_errors();
    let first = failures.as_deref().and_then(<[_]>::first);
    first.map_or(error, |(_, failure)| failure.clone().into())
}

impl CommandError {
    /// Returns the error for an answer whose code says little.
    fn worded(error: &RedisError) -> Self {
        let answer = answer(error);
        if error.to_string().starts_with(DATABASE_REFUSED) {
            Self::Database(answer)
        } else if answer.contains("unknown command") {
            Self::UnknownCommand(answer)
        } else {
            Self::Refused(answer)
        }
    }
}

/// Returns the first line of the server's answer, without the arguments that it may repeat.
fn answer(error: &RedisError) -> Box<str> {
    let code = error.code().unwrap_or_else(|| error.category());
    let detail = error.detail().unwrap_or_default();
    let end = detail
        .find(['\r', '\n'])
        .into_iter()
        .chain(detail.find(ARGUMENTS))
        .min();
    let line = detail
        .get(..end.unwrap_or(detail.len()))
        .unwrap_or_default();
    let line = line.chars().filter(|character| !character.is_control());
    let line: String = line.take(MAX_ANSWER).collect();
    format!("{code} {line}").trim_end().into()
}

/// Returns what to do about a refusal by the access control list.
fn remedy(answer: &str) -> String {
    let quoted = answer.split('\'').nth(1);
    let grant = match quoted {
        Some(command) => format!("+{command}"),
        None if answer.contains("channel") => "&countersign:changes*".to_owned(),
        None if answer.contains("key") => "~countersign:*".to_owned(),
        None => "the list in docs/redis.md".to_owned(),
    };
    format!("grant {grant} to the user with ACL SETUSER")
}

/// The client's error if `AUTH` was refused.
const LOGIN_REFUSED: &str = "Password authentication failed";

/// The beginning of the client's error if `SELECT` was refused.
const DATABASE_REFUSED: &str = "Redis server refused to switch database";

/// The text after which Redis repeats arguments of an unknown command, for example the password of
/// a renamed `AUTH`.
const ARGUMENTS: &str = ", with args";

/// The longest part of an answer that is shown, in characters.
const MAX_ANSWER: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_nobody_can_reach_is_an_outage() {
        let wrapped = |cause: CommandError| {
            let unreachable = CommandError::Unreachable(Box::new(cause));
            CommandError::Unavailable(Box::new(unreachable))
        };
        let connect = CommandError::Connect(Box::new(ConnectFailure {
            address: "localhost:6379".into(),
            cause: "connection refused".into(),
            was_reached: false,
        }));
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
            CommandError::NotPermitted("NOPERM".into()),
            CommandError::WrongType,
            wrapped(CommandError::AuthenticationFailed),
            wrapped(CommandError::NotPermitted("NOPERM".into())),
            wrapped(CommandError::Recovering),
            wrapped(CommandError::NotPrimary),
            wrapped(CommandError::PrimaryLost),
            wrapped(CommandError::Refused("ERR max number of clients".into())),
            wrapped(CommandError::TooOld("6.2".into())),
        ] {
            assert!(!error.shows_outage(), "{error}");
        }
    }

    #[test]
    fn an_error_is_as_small_as_its_way_to_each_caller_demands() {
        assert!(
            size_of::<CommandError>() <= 24,
            "{}",
            size_of::<CommandError>()
        );
    }

    #[test]
    fn an_answer_names_what_is_missing_and_repeats_no_argument() {
        for (code, detail, shown) in [
            (
                "NOPERM",
                "User app has no permissions to run the 'evalsha' command",
                "Redis refused a command: NOPERM User app has no permissions to run the 'evalsha' command; grant +evalsha to the user with ACL SETUSER",
            ),
            (
                "NOPERM",
                "No permissions to access a key",
                "Redis refused a command: NOPERM No permissions to access a key; grant ~countersign:* to the user with ACL SETUSER",
            ),
            (
                "NOPERM",
                "No permissions to access a channel",
                "Redis refused a command: NOPERM No permissions to access a channel; grant &countersign:changes* to the user with ACL SETUSER",
            ),
            (
                "ERR",
                "unknown command `AUTH`, with args beginning with: `s3cr3t` ",
                "Redis does not know a command: ERR unknown command `AUTH`; Countersign needs it under its own name: remove its rename-command",
            ),
            (
                "BUSY",
                "Redis is busy\r\ns3cr3t",
                "Redis refused a command: BUSY Redis is busy",
            ),
        ] {
            let error = redis::make_extension_error(code.to_owned(), Some(detail.to_owned()));
            assert_eq!(CommandError::from(error).to_string(), shown);
        }
        let long = redis::make_extension_error("ERR".to_owned(), Some("x".repeat(10_000)));
        assert!(CommandError::from(long).to_string().len() < 300);
    }
}
