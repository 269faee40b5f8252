//! What must hold between keys, and what is legal and yet worth a warning.

use super::read::Reader;
use super::{Config, DenyDetail, DirectoryKind, ListenAddress, Mode, Route, StoreUrl};

/// Keeps a mistake for every rule that `config` breaks.
pub(super) fn check(config: &Config, reader: &mut Reader) {
    secrets_are_not_overheard(config, reader);
    named_clients_show_a_certificate(config, reader);
    a_directory_can_be_asked(config, reader);
    redis_has_a_master_key(config, reader);
    every_lane_has_memory(config, reader);
    listeners_are_apart(config, reader);
    every_route_can_match(&config.routes, reader);
}

fn secrets_are_not_overheard(config: &Config, reader: &mut Reader) {
    let listeners = [
        ("api", &config.api.listener, "the admin token"),
        ("http", &config.http.listener, "passwords and secrets"),
    ];
    for (name, listener, what) in listeners {
        if listener.is_exposed_plaintext() && !listener.insecure_plaintext {
            let remedy = format!(
                "is beyond loopback and not encrypted, so {what} could be overheard: set `{name}.tls.certificate_file` \
                 and `{name}.tls.key_file`, or `{name}.insecure_plaintext = true` if something else encrypts it"
            );
            reader.reject::<()>(&format!("{name}.listen"), &remedy);
        }
    }
}

fn named_clients_show_a_certificate(config: &Config, reader: &mut Reader) {
    let asks = config
        .api
        .listener
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_ca_file.is_some());
    let named = [
        ("api.admin_clients", &config.api.admin_clients),
        ("api.issuer_clients", &config.api.issuer_clients),
    ];
    for (key, _) in named.iter().filter(|(_, names)| !asks && !names.is_empty()) {
        reader.reject::<()>(
            key,
            "names client certificates, which nobody is asked for: set `api.tls.client_ca_file`",
        );
    }
    if let Some(both) = config
        .api
        .issuer_clients
        .iter()
        .find(|name| config.api.admin_clients.contains(name))
    {
        reader.reject::<()>(
            "api.issuer_clients",
            &format!("has {both:?}, which is in `api.admin_clients` too"),
        );
    }
}

fn a_directory_can_be_asked(config: &Config, reader: &mut Reader) {
    let users = &config.users;
    match (&users.url, users.directory) {
        (None, DirectoryKind::Builtin) => {}
        (Some(_), DirectoryKind::Builtin) => {
            reader.reject::<()>(
                "users.url",
                "needs `users.directory` to be \"grpc\" or \"http\"",
            );
        }
        (None, _) => {
            reader.reject::<()>(
                "users.directory",
                "needs `users.url`: where the directory is asked",
            );
        }
        (Some(url), _) => {
            if !users.insecure_plaintext && is_remote_plaintext(url) {
                let remedy = "is beyond loopback and not encrypted, so passwords could be overheard: use https, or \
                              `users.insecure_plaintext = true` if something else encrypts it";
                reader.reject::<()>("users.url", remedy);
            }
        }
    }
}

fn is_remote_plaintext(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>();
    host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
}

/// RFC 9106 section 3.1.
fn every_lane_has_memory(config: &Config, reader: &mut Reader) {
    let least = 8 * config.password.parallelism;
    if config.password.memory_kib < least {
        let remedy = format!("must be at least {least}: 8 for each of `password.parallelism`");
        reader.reject::<()>("password.memory_kib", &remedy);
    }
}

fn redis_has_a_master_key(config: &Config, reader: &mut Reader) {
    if matches!(config.store.url, StoreUrl::Redis(_)) && config.store.master_key_file.is_none() {
        let remedy = "names Redis, which needs `store.master_key_file`: `countersign keygen > FILE` makes one, the same \
                      for every replica";
        reader.reject::<()>("store.url", remedy);
    }
}

fn listeners_are_apart(config: &Config, reader: &mut Reader) {
    let listeners = listeners(config);
    for (at, (key, address)) in listeners.iter().enumerate() {
        let any_port = matches!(address, ListenAddress::Tcp(address) if address.port() == 0);
        let taken = listeners[..at].iter().find(|(_, other)| other == address);
        if let Some((other, _)) = taken.filter(|_| !any_port) {
            reader.reject::<()>(
                key,
                &format!("is the address of `{other}` too; give it its own"),
            );
        }
    }
}

fn every_route_can_match(routes: &[Route], reader: &mut Reader) {
    for (at, route) in routes.iter().enumerate() {
        if let Some(first) = routes[..at]
            .iter()
            .position(|earlier| earlier.covers(route))
        {
            let (nth, first) = (at + 1, first + 1);
            let remedy = format!(
                "`route[{nth}]` can never match, since `route[{first}]` above it matches all that it would: move it up, \
                 or remove it"
            );
            let place = reader.place_of_route(at);
            reader.reject_at(&place, remedy);
        }
    }
}

fn listeners(config: &Config) -> [(&'static str, &ListenAddress); 4] {
    [
        ("check.listen", &config.check.listener.address),
        ("api.listen", &config.api.listener.address),
        ("http.listen", &config.http.listener.address),
        ("ops.listen", &config.ops.listener.address),
    ]
}

/// One sentence for each thing that is legal and yet worth a warning.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let check = &config.check;
    let mut warnings = Vec::new();
    let mut warn = |applies: bool, text: &str| {
        if applies {
            warnings.push(text.to_owned());
        }
    };
    let exposed = check.listener.is_exposed_plaintext();
    warn(
        config.store.url == StoreUrl::Memory,
        "the memory store forgets nonces: replays cross a restart",
    );
    warn(
        exposed && !check.listener.insecure_plaintext,
        "check.listen is plaintext beyond loopback",
    );
    warn(
        config.api.listener.is_exposed_plaintext(),
        "api.listen is plaintext beyond loopback: it carries admin tokens",
    );
    let ops = &config.ops;
    warn(
        ops.console && ops.listener.insecure_plaintext && ops.listener.is_exposed_plaintext(),
        "ops.listen is plaintext beyond loopback: the console takes admin tokens there",
    );
    warn(
        config.http.listener.is_exposed_plaintext(),
        "http.listen is plaintext beyond loopback: it carries passwords",
    );
    let is_without_addresses = matches!(config.http.listener.address, ListenAddress::Unix(_))
        && config.http.trusted_hops == 0;
    warn(
        is_without_addresses,
        "http.listen is a Unix socket and http.trusted_hops is 0: wrong passwords are not limited by address",
    );
    warn(
        config.verify.trust_envoy_request_id,
        "nonce.trust_envoy_request_id: who can choose that id can replay",
    );
    warn(
        check.deny_detail == DenyDetail::Debug,
        "check.deny_detail = \"debug\" shows base strings to clients",
    );
    warn(
        check.policy.mode == Some(Mode::Shadow),
        "check.mode = \"shadow\": what no route enforces is let through",
    );
    let shadowed = config
        .routes
        .iter()
        .enumerate()
        .filter(|(_, route)| route.set.mode == Some(Mode::Shadow));
    warnings.extend(shadowed.map(|(at, route)| {
        let matched = [route.host.as_deref(), route.path_prefix.as_deref()]
            .into_iter()
            .flatten()
            .collect::<String>();
        format!(
            "route[{}], {matched:?}, is in shadow mode: everything is let through",
            at + 1
        )
    }));
    warnings
}
