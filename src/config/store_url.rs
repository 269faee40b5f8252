//! `store.url`: the kind and address of the store.

use std::fmt;
use std::path::PathBuf;

use super::value::ValueProblem;

/// `store.url`.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `embedded:PATH`; a relative path is below the data directory.
    Embedded(PathBuf),
    /// `memory:`.
    Memory,
    /// `redis://`, `redis+sentinel://` or `redis+cluster://`, or with `rediss` for TLS. It may hold
    /// a password, so it is never shown.
    Redis(String),
}

/// The facts about an address of Redis that decide which files it can be used with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RedisUrlFacts {
    pub(super) is_tls: bool,
    pub(super) is_sentinel: bool,
    pub(super) has_username: bool,
    pub(super) has_password: bool,
    pub(super) has_sentinel_password: bool,
}

// === impl StoreUrl ===

impl StoreUrl {
    /// Parses `store.url`. The text may hold a password, so the problem does not repeat it.
    pub(super) fn parse(text: &str) -> Result<Self, ValueProblem> {
        let parsed = match text.strip_prefix("embedded:") {
            Some("") => None,
            Some(path) => Some(Self::Embedded(path.into())),
            None if text == "memory:" => Some(Self::Memory),
            None => redis_url(text).map(Self::Redis),
        };
        parsed.ok_or(ValueProblem::SecretShape {
            expected: "\"embedded:FILE\", \"memory:\", or an address that begins with redis://, \
                       redis+sentinel:// or redis+cluster://, or with rediss instead of redis for TLS",
        })
    }

    /// Returns the facts about an address of Redis.
    pub(super) fn redis_facts(&self) -> Option<RedisUrlFacts> {
        match self {
            Self::Redis(url) => RedisUrlFacts::of(url),
            Self::Embedded(_) | Self::Memory => None,
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(path) => write!(f, "embedded:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
            Self::Redis(_) => f.write_str("redis (address redacted)"),
        }
    }
}

/// Returns the address with its scheme in lower case, as the Redis client needs it.
fn redis_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let is_redis = REDIS_SCHEMES.contains(&scheme.as_str()) && !rest.is_empty();
    is_redis.then(|| format!("{scheme}://{rest}"))
}

// === impl RedisUrlFacts ===

impl RedisUrlFacts {
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let user = rest[..end].rsplit_once('@').map_or("", |(user, _)| user);
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        let sentinel_password = query.strip_prefix("sentinel_password=");
        Some(Self {
            is_tls: scheme.starts_with("rediss"),
            is_sentinel: scheme.ends_with("+sentinel"),
            has_username: !name.is_empty(),
            has_password: !password.is_empty(),
            has_sentinel_password: sentinel_password.is_some_and(|password| !password.is_empty()),
        })
    }
}

const REDIS_SCHEMES: [&str; 6] = [
    "redis",
    "rediss",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_embedded_in_memory_or_redis() {
        assert_eq!(
            StoreUrl::parse("embedded:a.redb"),
            Ok(StoreUrl::Embedded("a.redb".into()))
        );
        assert_eq!(StoreUrl::parse("memory:"), Ok(StoreUrl::Memory));
        for (text, url) in [
            ("redis+cluster://a,b", "redis+cluster://a,b"),
            ("REDISS://User@Host", "rediss://User@Host"),
            ("rediss+sentinel://a,b/main", "rediss+sentinel://a,b/main"),
            ("Rediss+Cluster://a,b", "rediss+cluster://a,b"),
        ] {
            assert_eq!(StoreUrl::parse(text), Ok(StoreUrl::Redis(url.to_owned())));
        }
    }

    #[test]
    fn a_store_address_that_is_wrong_is_not_repeated() {
        for wrong in [
            "",
            "embedded:",
            "memory:x",
            "redis://",
            "http://user:hunter2@host",
        ] {
            let problem = StoreUrl::parse(wrong).unwrap_err().to_string();
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn an_address_says_which_credentials_it_holds() {
        let none = RedisUrlFacts::default();
        for (url, facts) in [
            ("redis://h:6379/0", none),
            ("redis://h/p@x:y", none),
            (
                "rediss://u@h",
                RedisUrlFacts {
                    is_tls: true,
                    has_username: true,
                    ..none
                },
            ),
            (
                "redis+cluster://:p@a,b",
                RedisUrlFacts {
                    has_password: true,
                    ..none
                },
            ),
            (
                "rediss+sentinel://u:p%40@a:1,b/main/0?sentinel_password=s",
                RedisUrlFacts {
                    is_tls: true,
                    is_sentinel: true,
                    has_username: true,
                    has_password: true,
                    has_sentinel_password: true,
                },
            ),
            (
                "redis+sentinel://a/main?sentinel_password=",
                RedisUrlFacts {
                    is_sentinel: true,
                    ..none
                },
            ),
        ] {
            assert_eq!(RedisUrlFacts::of(url), Some(facts), "{url}");
        }
    }
}
