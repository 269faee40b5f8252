//! Keys that a running process cannot change.

use super::connection_files::{
    ConnectionFiles, LoginFiles, LoginKeys, REDIS_LOGIN, SENTINEL_LOGIN,
};
use super::listener::{ConnectionAge, ListenerConfig};
use super::sections::Config;
use super::store::StoreConfig;

impl Config {
    /// Returns this configuration as a process that runs with `running` can use it: keys that need
    /// a restart keep their running value. Also returns the names of those keys that differ.
    pub fn within_process(mut self, running: &Self) -> (Self, Vec<&'static str>) {
        let mut kept = KeptKeys::default();
        kept.keep("data_dir", &mut self.data_dir, &running.data_dir);
        kept.keep("workers", &mut self.workers, &running.workers);
        kept.keep("log.json", &mut self.log.json, &running.log.json);
        kept.store(&mut self.store, &running.store);
        kept.cache(&mut self, running);
        kept.diagnostics(&mut self, running);
        let (new, old) = (&mut self.verify, &running.verify);
        kept.keep(
            "nonce.on_store_failure",
            &mut new.on_store_failure,
            &old.on_store_failure,
        );
        kept.listeners(&mut self, running);
        (self, kept.0)
    }
}

/// The keys that differ and keep their running value.
#[derive(Default)]
struct KeptKeys(Vec<&'static str>);

impl KeptKeys {
    fn keep<T: Clone + PartialEq>(&mut self, key: &'static str, new: &mut T, running: &T) {
        if new != running {
            self.0.push(key);
            new.clone_from(running);
        }
    }

    fn store(&mut self, new: &mut StoreConfig, running: &StoreConfig) {
        if new.url != running.url {
            // The keys belong to the store.
            self.keep(
                "store.master_key_file",
                &mut new.master_key_file,
                &running.master_key_file,
            );
        }
        self.keep("store.url", &mut new.url, &running.url);
        self.keep("store.timeout", &mut new.timeout, &running.timeout);
        self.keep(
            "store.connections",
            &mut new.connections,
            &running.connections,
        );
        self.keep(
            "store.min_replicas",
            &mut new.min_replicas,
            &running.min_replicas,
        );
        self.keep(
            "store.fence_on_restart",
            &mut new.fence_on_restart,
            &running.fence_on_restart,
        );
        self.keep(
            "store.max_clock_skew",
            &mut new.max_clock_skew,
            &running.max_clock_skew,
        );
        self.connection_files(&mut new.files, &running.files);
        // All other keys of the section, except the one that can change.
        let rest = StoreConfig {
            master_key_file: new.master_key_file.clone(),
            ..running.clone()
        };
        self.keep("store", new, &rest);
    }

    fn connection_files(&mut self, new: &mut ConnectionFiles, running: &ConnectionFiles) {
        self.login(REDIS_LOGIN, &mut new.redis, &running.redis);
        self.login(SENTINEL_LOGIN, &mut new.sentinel, &running.sentinel);
        self.keep("store.tls.ca_file", &mut new.ca_file, &running.ca_file);
        self.keep(
            "store.tls.certificate_file and store.tls.key_file",
            &mut new.client,
            &running.client,
        );
    }

    fn login(&mut self, keys: LoginKeys, new: &mut LoginFiles, running: &LoginFiles) {
        self.keep(
            keys.username,
            &mut new.username_file,
            &running.username_file,
        );
        self.keep(
            keys.password,
            &mut new.password_file,
            &running.password_file,
        );
    }

    fn cache(&mut self, new: &mut Config, running: &Config) {
        let (new, running) = (&mut new.cache, &running.cache);
        self.keep("cache.max_age", &mut new.max_age, &running.max_age);
        self.keep(
            "cache.max_stale_age",
            &mut new.max_stale_age,
            &running.max_stale_age,
        );
        self.keep("cache.max_bytes", &mut new.max_bytes, &running.max_bytes);
    }

    fn diagnostics(&mut self, new: &mut Config, running: &Config) {
        let (new, running) = (&mut new.diagnostics, &running.diagnostics);
        self.keep("diagnostics.recent", &mut new.recent, &running.recent);
        self.keep(
            "diagnostics.max_bytes",
            &mut new.max_bytes,
            &running.max_bytes,
        );
        self.keep(
            "diagnostics.consumers",
            &mut new.consumers,
            &running.consumers,
        );
    }

    fn age(
        &mut self,
        [limit, grace]: [&'static str; 2],
        new: &mut Option<ConnectionAge>,
        running: Option<ConnectionAge>,
    ) {
        if let (Some(new), Some(running)) = (&mut *new, running) {
            self.keep(limit, &mut new.limit, &running.limit);
            self.keep(grace, &mut new.grace, &running.grace);
        } else {
            // An unlimited age has no grace.
            self.keep(limit, new, &running);
        }
    }

    fn listeners(&mut self, new: &mut Config, running: &Config) {
        let pairs: [([&'static str; 2], &mut ListenerConfig, &ListenerConfig); 4] = [
            (
                ["check.listen", "check.tls"],
                &mut new.check.listener,
                &running.check.listener,
            ),
            (
                ["api.listen", "api.tls"],
                &mut new.api.listener,
                &running.api.listener,
            ),
            (
                ["http.listen", "http.tls"],
                &mut new.http.listener,
                &running.http.listener,
            ),
            (
                ["ops.listen", "ops.tls"],
                &mut new.ops.listener,
                &running.ops.listener,
            ),
        ];
        for ([listen, tls], new, running) in pairs {
            self.keep(listen, &mut new.address, &running.address);
            if new.tls.is_some() != running.tls.is_some() {
                self.keep(tls, &mut new.tls, &running.tls);
            }
        }
        let (check, api) = (&mut new.check.listener, &mut new.api.listener);
        self.age(
            ["check.max_connection_age", "check.max_connection_age_grace"],
            &mut check.age,
            running.check.listener.age,
        );
        self.age(
            ["api.max_connection_age", "api.max_connection_age_grace"],
            &mut api.age,
            running.api.listener.age,
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::config::{ListenAddress, OnStoreFailure, StoreUrl, TlsConfig};

    #[test]
    fn keys_that_need_a_restart_are_named_and_keep_their_value() {
        let running = Config::default();
        let mut new = running.clone();
        new.workers = Some(3);
        new.data_dir = PathBuf::from("elsewhere");
        new.store.url = StoreUrl::Memory;
        new.cache.max_bytes += 1;
        new.api.listener.address = ListenAddress::Unix("api.sock".into());
        new.api.listener.age = None;
        new.http.listener.tls = Some(tls("a"));
        let grace = Duration::from_secs(7);
        let age = new.check.listener.age.as_mut();
        age.unwrap().grace = grace;
        new.verify.on_store_failure = OnStoreFailure::Local;
        new.check.realm = "new".to_owned();
        new.store.master_key_file = Some("keys".into());

        let (used, keys) = new.within_process(&running);
        assert_eq!(
            keys,
            [
                "data_dir",
                "workers",
                "store.master_key_file",
                "store.url",
                "cache.max_bytes",
                "nonce.on_store_failure",
                "api.listen",
                "http.tls",
                "check.max_connection_age_grace",
                "api.max_connection_age"
            ]
        );
        assert_eq!(used.workers, running.workers);
        assert_eq!(used.store.url, running.store.url);
        assert_eq!(used.http.listener.tls, None);
        assert_eq!(used.check.realm, "new", "the others have their new value");
        assert_eq!(used.store.master_key_file, running.store.master_key_file);
    }

    #[test]
    fn the_master_key_file_of_the_same_store_can_change() {
        let running = Config::default();
        let mut new = running.clone();
        new.store.master_key_file = Some("keys".into());
        let (used, keys) = new.within_process(&running);
        assert_eq!(used.store.master_key_file, Some("keys".into()));
        assert_eq!(keys, Vec::<&str>::new());
    }

    #[test]
    fn each_file_of_connections_to_redis_is_named() {
        let running = Config::default();
        let mut new = running.clone();
        new.store.files.redis.username_file = Some("user".into());
        new.store.files.sentinel.password_file = Some("password".into());
        let (used, keys) = new.within_process(&running);
        assert_eq!(
            keys,
            ["store.username_file", "store.sentinel_password_file"]
        );
        assert_eq!(used.store.files, running.store.files);
    }

    #[test]
    fn the_files_of_a_listener_with_tls_can_change() {
        let mut running = Config::default();
        running.check.listener.tls = Some(tls("a"));
        let mut new = running.clone();
        new.check.listener.tls = Some(tls("b"));
        let (used, keys) = new.within_process(&running);
        assert_eq!((used.check.listener.tls, keys), (Some(tls("b")), vec![]));
    }

    fn tls(name: &str) -> TlsConfig {
        TlsConfig {
            certificate_file: format!("{name}.pem").into(),
            key_file: format!("{name}.key").into(),
            client_ca_file: None,
        }
    }
}
