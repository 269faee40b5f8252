//! The rules of configuration, from sources to a [`Config`] or every mistake.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::model::Scopes;
use crate::oauth::BodyHashRule;

#[test]
fn the_compiled_in_default_is_what_the_design_says() {
    let config = Config::default();
    let tcp = |port: u16| ListenAddress::Tcp(([127, 0, 0, 1], port).into());
    assert_eq!(config.data_dir, PathBuf::from("./data"));
    assert_eq!(config.workers, None);
    assert_eq!(
        config.log,
        LogConfig {
            filter: "info".to_owned(),
            json: false
        }
    );
    assert_eq!(
        config.store.url,
        StoreUrl::Embedded("countersign.redb".into())
    );
    assert_eq!(
        (config.store.master_key_file, config.store.connections),
        (None, 4)
    );
    assert_eq!(
        (config.store.timeout, config.store.fence_on_restart),
        (Duration::from_millis(80), true)
    );
    assert_eq!(config.store.max_clock_skew, Duration::from_secs(30));
    let verify = VerifyConfig {
        timestamp_window: Duration::from_secs(300),
        max_parameters: 1000,
        trust_envoy_request_id: false,
        not_before: 0,
        on_store_failure: OnStoreFailure::Deny,
    };
    assert_eq!(config.verify, verify);
    assert_eq!(config.cache.max_stale_age, Duration::ZERO);
    for (listener, port) in [
        (&config.check.listener, 50051),
        (&config.api.listener, 50052),
        (&config.ops.listener, 9090),
    ] {
        assert_eq!((&listener.address, &listener.tls), (&tcp(port), &None));
    }
    assert!(!config.check.listener.insecure_plaintext && !config.api.listener.insecure_plaintext);
    assert!(config.ops.console && !config.ops.listener.insecure_plaintext);
    assert_eq!(config.http.listener.address.to_string(), "127.0.0.1:8080");
    let shutdown = ShutdownConfig {
        delay: Duration::from_secs(5),
        timeout: Duration::from_secs(20),
    };
    assert_eq!(config.shutdown, shutdown);
    assert!(config.routes.is_empty());
}

#[test]
fn checks_are_strict_by_default() {
    let check = Config::default().check;
    assert_eq!((check.realm.as_str(), check.realm_match), ("api", false));
    assert_eq!(
        (check.timeout, check.max_body_bytes),
        (Duration::from_millis(180), 1024 * 1024)
    );
    assert!(!check.envoy_sends_whole_bodies && !check.reflection);
    assert_eq!(
        (check.deny_detail, check.on_error),
        (DenyDetail::Problem, OnError::Grpc)
    );
    let policy = RoutePolicy {
        require: Some(Requirement::Consumer),
        scopes: Some(Scopes::default()),
        realm: None,
        origin: None,
        body_hash: Some(BodyHashRule::Accept),
        untyped_body: Some(UntypedBody::Refuse),
        max_form_bytes: Some(64 * 1024),
        hide_credentials: Some(true),
        mode: Some(Mode::Enforce),
    };
    assert_eq!(check.policy, policy);
}

#[test]
fn the_default_warns_of_nothing() {
    assert_eq!(Config::default().warnings(), Vec::<String>::new());
}

#[test]
fn every_key_of_the_default_file_is_read() {
    let keys = default_lines().filter_map(|line| {
        line.split_once(" = ")
            .map(|(key, _)| (line, key.to_owned()))
    });
    let (keys, examples): (Vec<_>, Vec<_>) = keys.partition(|(line, _)| !line.starts_with('#'));
    let dates: Vec<_> = default_lines()
        .filter(|line| !line.starts_with('#'))
        .map(no_value_is_a_date)
        .collect();
    let error = load_file(&dates.join("\n")).unwrap_err();
    assert_eq!(error.mistakes().len(), keys.len(), "{error}");
    assert_eq!(examples.len(), 7, "of [[route]] and [scopes]");
}

#[test]
fn the_examples_in_the_default_file_are_right() {
    let example = default_lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with(' '));
    let config = load_file(&example.collect::<Vec<_>>().join("\n")).unwrap();
    let [route] = config.routes.as_slice() else {
        panic!("{:?}", config.routes)
    };
    assert!(route.matches("api.example.com", b"/v1/orders/7", "PUT"));
    assert_eq!(route.set.require, Some(Requirement::User));
    assert_eq!(config.scopes.of("orders.read"), Some("See your orders"));
    assert_eq!(config.scopes.of("orders.delete"), None);
}

#[test]
fn the_look_of_the_authorize_page_is_checked() {
    let authorize = Config::default().authorize;
    assert_eq!(
        (
            authorize.service_name,
            authorize.logo_file,
            authorize.accent_color
        ),
        (None, None, None)
    );
    let long = "x".repeat(61);
    for (lines, mistake) in [
        (
            "service_name = \" \"",
            "`authorize.service_name` must be a text of one line, at most 60 bytes, without \
             invisible characters, not \" \"",
        ),
        (
            &format!("service_name = {long:?}"),
            "`authorize.service_name` must be a text of one line",
        ),
        (
            "service_name = \"a\\u202eb\"",
            "`authorize.service_name` must be a text of one line",
        ),
        (
            "accent_color = \"red\"",
            "`authorize.accent_color` must be a color such as \"#0b57d0\", not \"red\"",
        ),
        (
            "accent_color = \"#ffcc00\"",
            "`authorize.accent_color` must be a darker color",
        ),
        (
            "logo_file = \"logo.png\"",
            "`authorize.logo_file` needs `authorize.service_name`",
        ),
    ] {
        let error = load_file(&format!("[authorize]\n{lines}\n")).unwrap_err();
        assert!(error.to_string().contains(mistake), "{error}");
    }
}

#[test]
fn flags_are_stronger_than_environment_and_environment_than_file() {
    let (_directory, file) =
        file("[check]\nlisten = \"127.0.0.1:1\"\nrealm = \"file\"\ntimeout = \"1s\"\n");
    let env = [
        ("COUNTERSIGN_CHECK__LISTEN", "127.0.0.1:2"),
        ("COUNTERSIGN_CHECK__REALM", "environment"),
    ];
    let sources = Sources {
        file: Some(file),
        env: owned(&env),
        flags: vec![("check.listen", "127.0.0.1:3".to_owned())],
    };
    let check = load(&sources).unwrap().check;
    assert_eq!(check.listener.address.to_string(), "127.0.0.1:3");
    assert_eq!(check.realm, "environment");
    assert_eq!(check.timeout, Duration::from_secs(1));
    let hides = check.policy.hide_credentials;
    assert_eq!(hides, Some(true), "the default is below them all");
}

#[test]
fn every_key_can_be_set_in_the_environment() {
    let env = [
        ("COUNTERSIGN_DATA_DIR", "/var/lib/countersign"),
        ("COUNTERSIGN_WORKERS", "3"),
        ("COUNTERSIGN_CHECK__HIDE_CREDENTIALS", "false"),
        ("COUNTERSIGN_CHECK__TLS__CERTIFICATE_FILE", "a.pem"),
        ("COUNTERSIGN_CHECK__TLS__KEY_FILE", "b.pem"),
        ("COUNTERSIGN_NONCE__NOT_BEFORE", "1700000000"),
    ];
    let config = load(&Sources {
        env: owned(&env),
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(
        (config.data_dir.to_str(), config.workers),
        (Some("/var/lib/countersign"), Some(3))
    );
    assert_eq!(config.check.policy.hide_credentials, Some(false));
    assert_eq!(
        config.check.listener.tls.unwrap().key_file,
        PathBuf::from("b.pem")
    );
    assert_eq!(config.verify.not_before, 1_700_000_000);
}

#[test]
fn secrets_of_commands_and_what_kubernetes_sets_are_no_keys() {
    let env = [
        ("COUNTERSIGN_ADMIN_TOKEN", "x"),
        ("COUNTERSIGN_CONSUMER_SECRET", "x"),
        ("COUNTERSIGN_TOKEN_SECRET", "x"),
        ("COUNTERSIGN_SERVICE_HOST", "10.0.0.1"),
        ("COUNTERSIGN_PORT_50051_TCP", "tcp://10.0.0.1:50051"),
        ("PATH", "/bin"),
    ];
    assert!(
        load(&Sources {
            env: owned(&env),
            ..Sources::default()
        })
        .is_ok()
    );
}

#[test]
fn every_mistake_is_reported_with_its_place_and_remedy() {
    let (_directory, file) = file(MISTAKES);
    let env = [
        ("COUNTERSIGN_CHECK__TIMEOTU", "1s"),
        ("COUNTERSIGN_VERIFY__MAX_PARAMETERS", "many"),
    ];
    let sources = Sources {
        file: Some(file.clone()),
        env: owned(&env),
        flags: vec![("workers", "-1".to_owned())],
    };
    let expected = REPORT.replace("{name}", &file.display().to_string());
    assert_eq!(load(&sources).unwrap_err().to_string(), expected);
}

/// A file with a mistake of every kind.
const MISTAKES: &str = r#"
data_dir = 5
wrokers = 2
[log]
filter = "no=such=filter"
json = "yes"
[check]
listen = "localhost:50051"
reelm = "x"
timeout = 180
max_body_bytes = 1.5
deny_detail = "all"
origin = "api.example.com"
[chekc]
[store]
url = "redsi://:hunter2@host"
connections = 0
[api]
listen = "0.0.0.0:50052"
tls = true
[[route]]
host = "a:80"
methods = ["get"]
path = "/a"
"#;

/// The report about [`MISTAKES`].
const REPORT: &str = r#"21 mistakes in the configuration
  {name}:2: `data_dir` must be a text in quotes, not 5
  {name}:3: `wrokers` is unknown; did you mean `workers`?
  {name}:5: `log.filter` must be a log filter such as "info" or "info,countersign=debug", not "no=such=filter"
  {name}:6: `log.json` must be true or false, not "yes"
  {name}:8: `check.listen` must be an IP address and port such as "127.0.0.1:50051", or "unix:PATH", not "localhost:50051"
  {name}:9: `check.reelm` is unknown; did you mean `check.realm`?
  {name}:10: `check.timeout` must be a duration from 1ms to 10s, for example "1s" or "80ms", not "180"
  {name}:11: `check.max_body_bytes` must be a whole number from 0 to 67108864, not "1.5"
  {name}:12: `check.deny_detail` must be "none" or "problem" or "debug", not "all"
  {name}:13: `check.origin` must be an origin such as "https://api.example.com" or "https://example.com:8443/api", not "api.example.com"
  {name}:14: `chekc` is unknown; did you mean `check`?
  {name}:16: `store.url` must be "embedded:FILE", "memory:", or an address that begins with redis://, redis+sentinel:// or redis+cluster://, or with rediss instead of redis for TLS
  {name}:17: `store.connections` must be a whole number from 1 to 64, not "0"
  {name}:19: `api.listen` is 0.0.0.0:50052 without TLS, so others on the network could read the admin token: set `api.tls.certificate_file` and `api.tls.key_file`, or `api.insecure_plaintext = true` if a sidecar encrypts the connection
  {name}:20: `api.tls` is a section: write [api.tls]
  {name}:22: `route[1].host` must be a host name without port and wildcard, such as "api.example.com", not "a:80"
  {name}:23: `route[1].methods` must be an HTTP method in upper case, not "get"
  {name}:24: `path` is unknown; did you mean `path_prefix`?
  COUNTERSIGN_CHECK__TIMEOTU: `COUNTERSIGN_CHECK__TIMEOTU` is unknown; did you mean `COUNTERSIGN_CHECK__TIMEOUT`?
  COUNTERSIGN_VERIFY__MAX_PARAMETERS: `verify.max_parameters` must be a whole number from 10 to 10000, not "many"
  --workers: `workers` must be a whole number from 0 to 1024, not "-1""#;

#[test]
fn what_is_not_toml_is_reported_by_line() {
    let error = load_file("[check]\nrealm = \n").unwrap_err().to_string();
    assert!(
        error.contains("countersign.toml:2: invalid TOML: "),
        "{error}"
    );
}

#[test]
fn a_file_that_is_not_there_is_a_mistake() {
    let sources = Sources {
        file: Some("no/such/file.toml".into()),
        ..Sources::default()
    };
    let expected = "1 mistake in the configuration\n  no/such/file.toml: cannot read this file: No such file \
                    or directory (os error 2)";
    assert_eq!(load(&sources).unwrap_err().to_string(), expected);
}

#[test]
fn the_api_beyond_loopback_needs_tls_or_the_operators_word() {
    let api = |more: &str| load_file(&format!("[api]\nlisten = \"0.0.0.0:50052\"\n{more}"));
    assert!(api("").is_err());
    assert!(api("[api.tls]\ncertificate_file = \"a\"\nkey_file = \"b\"\n").is_ok());
    let plaintext = api("insecure_plaintext = true").unwrap();
    assert_eq!(
        plaintext.warnings(),
        ["api.listen is plaintext beyond loopback: others on the network can read admin tokens"]
    );
    assert!(load_file("[api]\nlisten = \"unix:/run/api.sock\"").is_ok());
}

#[test]
fn named_clients_need_a_certificate_authority() {
    for key in ["admin_clients", "issuer_clients"] {
        for tls in [
            "",
            "[api.tls]\ncertificate_file = \"a\"\nkey_file = \"b\"\n",
        ] {
            let error = load_file(&format!("[api]\n{key} = \"ops.example.com\"\n{tls}"))
                .unwrap_err()
                .to_string();
            let expected = format!(
                ":2: `api.{key}` names client certificates, but the API asks for none: set `api.tls.client_ca_file`"
            );
            assert!(error.contains(&expected), "{error}");
        }
    }
    let tls = "[api.tls]\ncertificate_file = \"a\"\nkey_file = \"b\"\nclient_ca_file = \"c\"\n";
    let named = |issuers: &str| {
        load_file(&format!(
            "[api]\nadmin_clients = \"a.example b.example\"\nissuer_clients = \"{issuers}\"\n{tls}"
        ))
    };
    let config = named("spiffe://c/login").unwrap();
    assert_eq!(config.api.admin_clients, ["a.example", "b.example"]);
    assert_eq!(config.api.issuer_clients, ["spiffe://c/login"]);
    let error = named("b.example").unwrap_err().to_string();
    assert!(
        error.contains(
            "`api.issuer_clients` has \"b.example\", which is in `api.admin_clients` too: remove one"
        ),
        "{error}"
    );
}

#[test]
fn redis_needs_a_master_key() {
    let flags = vec![("store.url", "redis://:hunter2@localhost".to_owned())];
    let sources = Sources {
        flags,
        ..Sources::default()
    };
    let error = load(&sources).unwrap_err().to_string();
    let expected = "1 mistake in the configuration\n  --store: `store.url` is a Redis address, which needs \
                    `store.master_key_file`: create one with `countersign keygen > FILE`, and give every \
                    replica the same";
    assert_eq!(error, expected);
}

#[test]
fn every_lane_of_a_hash_has_its_memory() {
    let error = load_file("[password]\nmemory_kib = 8\nparallelism = 2\n")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(
            "`password.memory_kib` must be at least 16, 8 for each `password.parallelism`, not 8"
        ),
        "{error}"
    );
}

#[test]
fn a_password_of_the_store_is_never_shown() {
    let env = [
        ("COUNTERSIGN_STORE__URL", "redis://:hunter2@h"),
        ("COUNTERSIGN_STORE__MASTER_KEY_FILE", "k"),
    ];
    let config = load(&Sources {
        env: owned(&env),
        ..Sources::default()
    })
    .unwrap();
    assert!(matches!(config.store.url, StoreUrl::Redis(_)));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_variable_with_one_underscore_too_few_is_a_mistake() {
    let env = [("COUNTERSIGN_STORE_URL", "redis://:hunter2@h")];
    let error = load(&Sources {
        env: owned(&env),
        ..Sources::default()
    });
    let error = error.unwrap_err().to_string();
    let expected = "did you mean `COUNTERSIGN_STORE__URL`?";
    assert!(
        error.contains(expected) && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn the_built_in_users_need_no_files() {
    let text = "[users]\nca_file = \"ca.pem\"\ntoken_file = \"token\"";
    let error = load_file(text).unwrap_err().to_string();
    for key in ["ca_file", "token_file"] {
        let expected = format!("`users.{key}` needs `users.directory` to be");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn a_mistake_in_an_address_repeats_no_credential() {
    for (text, shown) in [
        (
            "[users]\nurl = \"https://bob:hunter2@h/?token=hunter2\"",
            "https://***@h/?token=***",
        ),
        (
            "[http]\npublic_url = \"https://bob:hunter2@h/\"",
            "https://***@h/",
        ),
        ("[[route]]\norigin = \"bob:hunter2@h\"", "not \"***@h\""),
    ] {
        let error = load_file(text).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(error.contains(shown), "{error}");
    }
}

#[test]
fn tls_needs_both_of_its_files() {
    let tls = |more: &str| load_file(&format!("[check.tls]\n{more}"));
    let error = tls("client_ca_file = \"ca.pem\"").unwrap_err().to_string();
    let expected = "`check.tls.client_ca_file` needs `check.tls.certificate_file` and `check.tls.key_file` too";
    assert!(error.contains(expected), "{error}");
    assert!(
        tls("key_file = \"k\"")
            .unwrap_err()
            .to_string()
            .contains("needs `check.tls.certificate_file` too")
    );
    assert!(
        tls("certificate_file = \"c\"")
            .unwrap_err()
            .to_string()
            .contains("needs `check.tls.key_file` too")
    );
}

#[test]
fn two_listeners_can_not_share_an_address() {
    let error = load_file("[ops]\nlisten = \"127.0.0.1:50051\"")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(
            ":2: `ops.listen` is 127.0.0.1:50051, which `check.listen` already uses: set another address"
        ),
        "{error}"
    );
    let any = "[check]\nlisten = \"127.0.0.1:0\"\n[ops]\nlisten = \"127.0.0.1:0\"";
    assert!(load_file(any).is_ok(), "port 0 is a new one each time");
}

#[test]
fn a_route_that_can_never_match_is_a_mistake() {
    let text = "[[route]]\npath_prefix = \"/a\"\n[[route]]\nhost = \"h\"\npath_prefix = \"/a/b\"\nrequire = \"user\"\n";
    let error = load_file(text).unwrap_err().to_string();
    let expected = ":3: `route[2]` never matches, because `route[1]` above it matches the same requests: \
                    move it up, or remove it";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn words_are_about_one_scope_and_have_one_line() {
    let text = "[scopes]\n\"a b\" = \"Two\"\nc = \"\"\nd = \"x\\ny\"\ne = 5\nf.g = \"Words\"\n";
    let error = load_file(text).unwrap_err().to_string();
    for expected in [
        ":2: `scopes.a b` must be about one scope, of visible ASCII characters without \" and \\, not \"a b\"",
        ":3: `scopes.c` must be a text of one line, at most 200 bytes, without invisible characters, \
         not \"\"",
        ":4: `scopes.d` must be a text of one line, at most 200 bytes, without invisible characters, \
         not \"x\\ny\"",
        ":5: `scopes.e` must be a text in quotes, not 5",
    ] {
        assert!(error.contains(expected), "{error}");
    }
    assert!(error.starts_with("4 mistakes"), "{error}");
    let error = load_file("scopes = 1").unwrap_err().to_string();
    assert!(
        error.contains(":1: `scopes` is a section: write [scopes]"),
        "{error}"
    );
    let env = owned(&[("COUNTERSIGN_SCOPES__A", "x")]);
    let error = load(&Sources {
        env,
        ..Sources::default()
    })
    .unwrap_err()
    .to_string();
    assert!(
        error.contains(
            "COUNTERSIGN_SCOPES__A: a variable cannot describe scopes; set [scopes] in a file"
        ),
        "{error}"
    );
}

#[test]
fn what_weakens_a_check_is_warned_about() {
    let text = r#"
[store]
url = "memory:"
[nonce]
trust_envoy_request_id = true
[check]
listen = "0.0.0.0:50051"
deny_detail = "debug"
mode = "shadow"
[[route]]
path_prefix = "/a"
mode = "shadow"
"#;
    let expected = [
        "store.url = \"memory:\" loses nonces at a restart: requests from before it can be replayed",
        "check.listen is plaintext beyond loopback: others on the network can read and change checks",
        "nonce.trust_envoy_request_id is on: clients that can choose the request id can replay requests; Envoy and Istio let no client choose it",
        "check.deny_detail = \"debug\" shows base strings to clients",
        "check.mode = \"shadow\": requests are never denied, except on routes that enforce",
        "route[1], \"/a\", is in shadow mode: its requests are never denied",
    ];
    assert_eq!(load_file(text).unwrap().warnings(), expected);
}

#[test]
fn what_passes_in_an_outage_is_warned_about() {
    let warnings = |url: &str| {
        let more = "[nonce]\non_store_failure = \"local\"\n[cache]\nmax_stale_age = \"10m\"\n";
        load_file(&format!(
            "[store]\nurl = \"{url}\"\nmaster_key_file = \"keys\"\n{more}"
        ))
        .unwrap()
        .warnings()
    };
    let local = "nonce.on_store_failure = \"local\": while Redis is unavailable, a request can be replayed once at each \
                 other replica";
    assert!(warnings("redis://localhost").contains(&local.to_owned()));
    let embedded = warnings("embedded:countersign.redb");
    assert!(
        !embedded.contains(&local.to_owned()),
        "the embedded store has no outage"
    );
    assert!(
        embedded
            .iter()
            .any(|warning| warning.starts_with("cache.max_stale_age is set"))
    );
}

#[test]
fn a_console_that_takes_tokens_in_plaintext_is_warned_about() {
    let warnings = |more: &str| {
        load_file(&format!("[ops]\nlisten = \"0.0.0.0:9090\"\n{more}"))
            .unwrap()
            .warnings()
    };
    let expected = "ops.listen is plaintext beyond loopback: others on the network can read the admin \
                    tokens that the console takes";
    assert_eq!(warnings("insecure_plaintext = true"), [expected]);
    assert!(warnings("insecure_plaintext = true\nconsole = false").is_empty());
    assert!(warnings("").is_empty(), "the console takes none");
}

#[test]
fn log_ins_without_an_address_are_warned_about() {
    let warnings = |hops: &str| {
        let text =
            format!("[http]\nlisten = \"unix:/run/countersign.sock\"\ntrusted_hops = {hops}\n");
        load_file(&text).unwrap().warnings()
    };
    let expected = "http.listen is a Unix socket and http.trusted_hops is 0: wrong passwords are not limited \
                    by client address";
    assert_eq!(warnings("0"), [expected]);
    assert!(warnings("1").is_empty());
}

#[test]
fn no_spelling_of_a_directory_address_sends_passwords_in_plaintext() {
    let with = |url: &str| load_file(&format!("[users]\ndirectory = \"http\"\nurl = \"{url}\"\n"));
    for refused in [
        "http://users.example.com/a",
        "HTTP://users.example.com/a",
        "http://LOCALHOST.example.com/a",
        "http://[::ffff:10.0.0.1]/a",
    ] {
        let error = with(refused).unwrap_err().to_string();
        let expected = ":3: `users.url` is plaintext to another machine, so others on the network could \
                        read passwords: use https";
        assert!(error.contains(expected), "{refused}: {error}");
    }
    for accepted in [
        "http://[::1]/a",
        "http://[::1]:8080/a",
        "http://LocalHost/a",
        "http://127.1.2.3:8080/a",
        "HTTPS://users.example.com/a",
    ] {
        assert!(with(accepted).is_ok(), "{accepted}");
    }
}

fn load_file(text: &str) -> Result<Config, ConfigError> {
    let (_directory, file) = file(text);
    load(&Sources {
        file: Some(file),
        ..Sources::default()
    })
}

fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("countersign.toml");
    fs::write(&path, text).unwrap();
    (directory, path)
}

fn owned(env: &[(&str, &str)]) -> Vec<(String, String)> {
    env.iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The lines of the default file that set something, also the commented-out ones, and the sections.
fn default_lines() -> impl Iterator<Item = &'static str> {
    Config::DEFAULT_FILE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# ") && *line != "#")
}

fn no_value_is_a_date(line: &str) -> String {
    line.split_once(" = ")
        .map_or_else(|| line.to_owned(), |(key, _)| format!("{key} = 1979-05-27"))
}
