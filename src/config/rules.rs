//! Conditions between keys; a violation is a mistake.

use super::listener::ListenAddress;
use super::mistake::Mistake;
use super::reader::Reader;
use super::route::Route;
use super::sections::Config;
use super::store_url::StoreUrl;
use super::users::DirectoryKind;
use super::web_url::WebUrl;

/// Adds a mistake for every rule that `config` breaks.
pub(super) fn check(config: &Config, reader: &mut Reader) {
    secrets_are_encrypted(config, reader);
    client_names_need_certificates(config, reader);
    issuers_are_not_administrators(config, reader);
    a_directory_has_an_address(config, reader);
    redis_has_a_master_key(config, reader);
    every_lane_has_memory(config, reader);
    listeners_are_apart(config, reader);
    a_logo_has_a_name(config, reader);
    every_route_can_match(&config.routes, reader);
}

fn secrets_are_encrypted(config: &Config, reader: &mut Reader) {
    let listeners = [
        ("api", &config.api.listener, "the admin token"),
        ("http", &config.http.listener, "passwords and secrets"),
    ];
    for (name, listener, secrets) in listeners {
        if listener.is_exposed_plaintext() && !listener.insecure_plaintext {
            let problem = format!(
                "is {} without TLS, so others on the network could read {secrets}: set \
                 `{name}.tls.certificate_file` and `{name}.tls.key_file`, or \
                 `{name}.insecure_plaintext = true` if a sidecar encrypts the connection",
                listener.address
            );
            reader.reject(&format!("{name}.listen"), &problem);
        }
    }
}

fn client_names_need_certificates(config: &Config, reader: &mut Reader) {
    let api = &config.api;
    let tls = api.listener.tls.as_ref();
    if tls.is_some_and(|tls| tls.client_ca_file.is_some()) {
        return;
    }
    for (key, names) in [
        ("api.admin_clients", &api.admin_clients),
        ("api.issuer_clients", &api.issuer_clients),
    ] {
        if !names.is_empty() {
            let problem = "names client certificates, but the API asks for none: set \
                           `api.tls.client_ca_file`";
            reader.reject(key, problem);
        }
    }
}

fn issuers_are_not_administrators(config: &Config, reader: &mut Reader) {
    let (administrators, issuers) = (&config.api.admin_clients, &config.api.issuer_clients);
    if let Some(both) = issuers.iter().find(|name| administrators.contains(name)) {
        let problem = format!("has {both:?}, which is in `api.admin_clients` too: remove one");
        reader.reject("api.issuer_clients", &problem);
    }
}

fn a_directory_has_an_address(config: &Config, reader: &mut Reader) {
    let users = &config.users;
    match (&users.url, users.directory) {
        (_, DirectoryKind::Builtin) => {
            let given = [
                ("users.url", users.url.is_some()),
                ("users.ca_file", users.ca_file.is_some()),
                ("users.token_file", users.token_file.is_some()),
            ];
            for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
                let problem = "needs `users.directory` to be \"grpc\" or \"http\"";
                reader.reject(key, problem);
            }
        }
        (None, DirectoryKind::Grpc | DirectoryKind::Http) => {
            let problem = "needs `users.url`, the address of the directory";
            reader.reject("users.directory", problem);
        }
        (Some(url), DirectoryKind::Grpc | DirectoryKind::Http) => {
            let is_exposed = WebUrl::parse(url).is_none_or(|url| url.is_exposed());
            if is_exposed && !users.insecure_plaintext {
                let problem = "is plaintext to another machine, so others on the network could \
                               read passwords: use https, or set `users.insecure_plaintext = \
                               true` if a sidecar encrypts the connection";
                reader.reject("users.url", problem);
            }
        }
    }
}

/// Checks that the memory suffices for every lane (RFC 9106 section 3.1).
fn every_lane_has_memory(config: &Config, reader: &mut Reader) {
    let (memory, lanes) = (config.password.memory_kib, config.password.parallelism);
    let least = 8 * lanes;
    if memory < least {
        let problem =
            format!("must be at least {least}, 8 for each `password.parallelism`, not {memory}");
        reader.reject("password.memory_kib", &problem);
    }
}

fn redis_has_a_master_key(config: &Config, reader: &mut Reader) {
    if matches!(config.store.url, StoreUrl::Redis(_)) && config.store.master_key_file.is_none() {
        let problem = "is a Redis address, which needs `store.master_key_file`: create one with \
                       `countersign keygen > FILE`, and give every replica the same";
        reader.reject("store.url", problem);
    }
}

fn a_logo_has_a_name(config: &Config, reader: &mut Reader) {
    let authorize = &config.authorize;
    if authorize.logo_file.is_some() && authorize.service_name.is_none() {
        let problem = "needs `authorize.service_name`, for users who cannot see the logo";
        reader.reject("authorize.logo_file", problem);
    }
}

fn listeners_are_apart(config: &Config, reader: &mut Reader) {
    let listeners = [
        ("check.listen", &config.check.listener.address),
        ("api.listen", &config.api.listener.address),
        ("http.listen", &config.http.listener.address),
        ("ops.listen", &config.ops.listener.address),
    ];
    for (at, (key, address)) in listeners.iter().enumerate() {
        let earlier = listeners[..at].iter().find(|(_, other)| other == address);
        if let Some((other, _)) = earlier
            && !is_any_port(address)
        {
            let problem =
                format!("is {address}, which `{other}` already uses: set another address");
            reader.reject(key, &problem);
        }
    }
}

fn is_any_port(address: &ListenAddress) -> bool {
    matches!(address, ListenAddress::Tcp(address) if address.port() == 0)
}

fn every_route_can_match(routes: &[Route], reader: &mut Reader) {
    for (at, route) in routes.iter().enumerate() {
        if let Some(first) = routes[..at].iter().position(|first| first.covers(route)) {
            let problem = format!(
                "`route[{}]` never matches, because `route[{}]` above it matches the same \
                 requests: move it up, or remove it",
                at + 1,
                first + 1
            );
            let place = reader.place_of_route(at);
            reader.add(Mistake::new(&place, problem));
        }
    }
}
