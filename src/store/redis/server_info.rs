//! The `INFO` of a server: its identity, and whether it can be used.

use super::error::CommandError;

/// The fields of `INFO` that the store needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerInfo {
    /// The random id that the server draws at every start.
    pub(super) run_id: String,
    /// The replication id of the former primary, if the server was promoted.
    pub(super) promoted_from: Option<String>,
    maxmemory_policy: String,
    version: String,
    is_primary: bool,
    is_loading: bool,
    is_cluster_node: bool,
}

// === impl ServerInfo ===

impl ServerInfo {
    /// Parses the answer to `INFO`.
    pub(super) fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for (name, value) in text
            .lines()
            .filter_map(|line| line.trim_end().split_once(':'))
        {
            match name {
                "redis_version" => value.clone_into(&mut info.version),
                "run_id" => value.clone_into(&mut info.run_id),
                "role" => info.is_primary = value == "master",
                "loading" => info.is_loading = value == "1",
                "cluster_enabled" => info.is_cluster_node = value == "1",
                "maxmemory_policy" => value.clone_into(&mut info.maxmemory_policy),
                "master_replid2" if value.bytes().any(|byte| byte != b'0') => {
                    info.promoted_from = Some(value.to_owned());
                }
                _ => {}
            }
        }
        info
    }

    /// Checks that the server can be used: a primary of version 7.0 or newer that is not loading,
    /// and a Cluster node only if `store.url` names a Cluster.
    pub(super) fn check(&self, in_cluster: bool) -> Result<(), CommandError> {
        let major = self
            .version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        match major {
            Some(major) if major >= MIN_MAJOR_VERSION => {}
            Some(_) => return Err(CommandError::TooOld(self.version.as_str().into())),
            None => return Err(CommandError::UnexpectedAnswer),
        }
        if self.is_cluster_node && !in_cluster {
            return Err(CommandError::ClusterNode);
        }
        if self.is_loading {
            return Err(CommandError::Loading);
        }
        if self.is_primary {
            Ok(())
        } else {
            Err(CommandError::NotPrimary)
        }
    }

    /// Returns the eviction policy if it may evict nonces and credentials.
    pub(super) fn evicting_policy(&self) -> Option<&str> {
        let policy = &*self.maxmemory_policy;
        (!policy.is_empty() && policy != "noeviction").then_some(policy)
    }
}

/// The oldest major version that works: since 7.0, errors of scripts keep their codes, and hashes
/// of up to 512 entries are in one piece of memory.
const MIN_MAJOR_VERSION: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_writable_primary_of_7_0_or_newer_can_be_used() {
        let good = "redis_version:7.0.15\r\nrun_id:a\r\nrole:master\r\nloading:0\r\n";
        assert_eq!(ServerInfo::parse(good).check(false), Ok(()));
        let with = |from: &str, to: &str| ServerInfo::parse(&good.replace(from, to)).check(false);
        assert_eq!(
            with("7.0.15", "6.2.14"),
            Err(CommandError::TooOld("6.2.14".into()))
        );
        assert_eq!(with("7.0.15", "10.1.0"), Ok(()));
        assert_eq!(
            with("role:master", "role:slave"),
            Err(CommandError::NotPrimary)
        );
        assert_eq!(with("loading:0", "loading:1"), Err(CommandError::Loading));
        assert_eq!(
            with("loading:0", "cluster_enabled:1"),
            Err(CommandError::ClusterNode)
        );
        assert_eq!(
            with("redis_version", "version"),
            Err(CommandError::UnexpectedAnswer)
        );
    }
}
