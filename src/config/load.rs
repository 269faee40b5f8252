//! From settings to values: every section reads its keys, and every mistake is kept until the end.
//!
//! A key whose setting is wrong is read as its default, so that the keys after it are checked as well.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::mistake::{Mistake, Place};
use super::source::{Setting, Settings, Value};
use super::{
    ApiConfig, AuthorizeConfig, CacheConfig, CheckConfig, Config, ConfigError, DenyDetail,
    DiagnosticsConfig, DirectoryKind, HttpConfig, IssueConfig, ListenerConfig, LogConfig, OnError,
    OpsConfig, Origin, PasswordConfig, Route, RoutePolicy, ScopeWords, ShutdownConfig, Sources,
    StoreConfig, TlsConfig, UsersConfig, ValueProblem, VerifyConfig,
};
use super::{route, rules, value};

/// Reads the configuration from its sources.
///
/// # Errors
/// Every mistake there is, each naming its place, the key and the remedy.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut mistakes = Vec::new();
    let settings = Settings::gather(sources, &mut mistakes);
    let mut reader = Reader { settings, mistakes };
    let config = config(&mut reader);
    rules::check(&config, &mut reader);
    match ConfigError::of(reader.mistakes) {
        Some(error) => Err(error),
        None => Ok(config),
    }
}

fn config(reader: &mut Reader) -> Config {
    Config {
        data_dir: reader.text("data_dir", value::path),
        workers: Some(reader.integer("workers", 0..=1024)).filter(|&workers| workers > 0),
        log: LogConfig {
            filter: reader.text("log.filter", value::log_filter),
            json: reader.boolean("log.json"),
        },
        store: store(reader),
        cache: CacheConfig {
            max_age: reader.duration("cache.max_age", Duration::ZERO..=HOUR),
            max_bytes: reader.integer("cache.max_bytes", 65_536..=u64::from(u32::MAX)),
        },
        diagnostics: diagnostics(reader),
        verify: verify(reader),
        check: check(reader),
        api: api(reader),
        http: http(reader),
        issue: IssueConfig {
            request_token_ttl: reader.duration("issue.request_token_ttl", SECOND..=DAY),
            access_token_ttl: Some(
                reader.duration("issue.access_token_ttl", Duration::ZERO..=TEN_YEARS),
            )
            .filter(|ttl| !ttl.is_zero()),
        },
        authorize: AuthorizeConfig {
            external_url: reader.text("authorize.external_url", value::optional_url),
            session_ttl: reader.duration("authorize.session_ttl", SECOND..=DAY),
        },
        users: users(reader),
        password: password(reader),
        ops: OpsConfig {
            listener: listener(reader, "ops"),
            console: reader.boolean("ops.console"),
        },
        shutdown: ShutdownConfig {
            delay: reader.duration("shutdown.delay", Duration::ZERO..=HOUR),
            timeout: reader.duration("shutdown.timeout", Duration::ZERO..=HOUR),
        },
        routes: routes(reader),
        scopes: scopes(reader),
    }
}

fn store(reader: &mut Reader) -> StoreConfig {
    StoreConfig {
        url: reader.text("store.url", value::store_url),
        master_key_file: reader.text("store.master_key_file", value::optional_path),
        timeout: reader.duration("store.timeout", MILLISECOND..=TEN_SECONDS),
        connections: reader.integer("store.connections", 1..=64),
        fence_on_restart: reader.boolean("store.fence_on_restart"),
    }
}

fn diagnostics(reader: &mut Reader) -> DiagnosticsConfig {
    DiagnosticsConfig {
        recent: reader.integer("diagnostics.recent", 0..=100_000),
        max_bytes: reader.integer("diagnostics.max_bytes", 0..=1024 * 1024 * 1024),
        consumers: reader.integer("diagnostics.consumers", 0..=1_000_000),
        explain: reader.boolean("diagnostics.explain"),
        explain_sample: reader.integer("diagnostics.explain_sample", 1..=1_000_000),
        explain_rate: reader.integer("diagnostics.explain_rate", 0..=1_000_000),
        explain_total_rate: reader.integer("diagnostics.explain_total_rate", 0..=1_000_000),
    }
}

fn verify(reader: &mut Reader) -> VerifyConfig {
    VerifyConfig {
        timestamp_window: reader.duration("verify.timestamp_window", SECOND..=DAY),
        max_parameters: reader.integer("verify.max_parameters", 10..=10_000),
        trust_envoy_request_id: reader.boolean("nonce.trust_envoy_request_id"),
        not_before: reader.integer("nonce.not_before", 0..=u64::from(u32::MAX)),
    }
}

fn check(reader: &mut Reader) -> CheckConfig {
    CheckConfig {
        listener: listener(reader, "check"),
        realm: reader.text("check.realm", route::realm),
        realm_match: reader.boolean("check.realm_match"),
        timeout: reader.duration("check.timeout", MILLISECOND..=TEN_SECONDS),
        max_body_bytes: reader.integer("check.max_body_bytes", 0..=64 * 1024 * 1024),
        envoy_sends_whole_bodies: reader.boolean("check.envoy_sends_whole_bodies"),
        hide_credentials: reader.boolean("check.hide_credentials"),
        deny_detail: reader.text("check.deny_detail", deny_detail),
        on_error: reader.text("check.on_error", on_error),
        reflection: reader.boolean("check.reflection"),
        policy: RoutePolicy {
            require: Some(reader.text("check.require", route::requirement)),
            scopes: Some(reader.text("check.scopes", route::scopes)),
            realm: None,
            origin: reader.text("check.origin", optional_origin),
            body_hash: Some(reader.text("check.body_hash", route::body_hash)),
            mode: Some(reader.text("check.mode", route::mode)),
        },
    }
}

fn api(reader: &mut Reader) -> ApiConfig {
    ApiConfig {
        listener: listener(reader, "api"),
        issuer_token_file: reader.text("api.issuer_token_file", value::optional_path),
        admin_clients: reader.text("api.admin_clients", value::words),
        issuer_clients: reader.text("api.issuer_clients", value::words),
    }
}

fn http(reader: &mut Reader) -> HttpConfig {
    HttpConfig {
        listener: listener(reader, "http"),
        public_url: reader.text("http.public_url", optional_origin),
        allow_get: reader.boolean("http.allow_get"),
        trusted_hops: reader.integer("http.trusted_hops", 0..=16),
    }
}

fn users(reader: &mut Reader) -> UsersConfig {
    UsersConfig {
        directory: reader.text("users.directory", directory),
        url: reader.text("users.url", value::optional_url),
        timeout: reader.duration("users.timeout", MILLISECOND..=MINUTE),
        ca_file: reader.text("users.ca_file", value::optional_path),
        token_file: reader.text("users.token_file", value::optional_path),
        insecure_plaintext: reader.boolean("users.insecure_plaintext"),
    }
}

fn password(reader: &mut Reader) -> PasswordConfig {
    PasswordConfig {
        memory_kib: reader.integer("password.memory_kib", 8..=4 * 1024 * 1024),
        iterations: reader.integer("password.iterations", 1..=100),
        parallelism: reader.integer("password.parallelism", 1..=64),
        window: reader.duration("password.window", SECOND..=DAY),
        free_failures: reader.integer("password.free_failures", 0..=1000),
        max_delay: reader.duration("password.max_delay", Duration::ZERO..=MINUTE),
        address_failures: reader.integer("password.address_failures", 1..=1_000_000),
    }
}

fn directory(text: &str) -> Result<DirectoryKind, ValueProblem> {
    let known = [
        ("builtin", DirectoryKind::Builtin),
        ("grpc", DirectoryKind::Grpc),
        ("http", DirectoryKind::Http),
    ];
    value::one_of(text, &known)
}

fn deny_detail(text: &str) -> Result<DenyDetail, ValueProblem> {
    value::one_of(
        text,
        &[
            ("none", DenyDetail::None),
            ("problem", DenyDetail::Problem),
            ("debug", DenyDetail::Debug),
        ],
    )
}

fn on_error(text: &str) -> Result<OnError, ValueProblem> {
    value::one_of(
        text,
        &[
            ("grpc", OnError::Grpc),
            ("error_response", OnError::ErrorResponse),
        ],
    )
}

fn optional_origin(text: &str) -> Result<Option<Origin>, ValueProblem> {
    if text.is_empty() {
        Ok(None)
    } else {
        Origin::parse(text).map(Some)
    }
}

fn listener(reader: &mut Reader, section: &'static str) -> ListenerConfig {
    ListenerConfig {
        address: reader.text(&format!("{section}.listen"), value::address),
        tls: tls(reader, section),
        insecure_plaintext: reader.boolean(&format!("{section}.insecure_plaintext")),
    }
}

fn tls(reader: &mut Reader, section: &str) -> Option<TlsConfig> {
    let key = |name: &str| format!("{section}.tls.{name}");
    let [certificate, private_key, client_ca] =
        ["certificate_file", "key_file", "client_ca_file"].map(key);
    let certificate_file = reader.text(&certificate, value::optional_path);
    let key_file = reader.text(&private_key, value::optional_path);
    let client_ca_file = reader.text(&client_ca, value::optional_path);
    match (certificate_file, key_file) {
        (Some(certificate_file), Some(key_file)) => Some(TlsConfig {
            certificate_file,
            key_file,
            client_ca_file,
        }),
        (None, None) if client_ca_file.is_none() => None,
        (None, None) => reader.reject(
            &client_ca,
            &format!("needs `{certificate}` and `{private_key}` too"),
        ),
        (None, Some(_)) => reader.reject(&private_key, &format!("needs `{certificate}` too")),
        (Some(_), None) => reader.reject(&certificate, &format!("needs `{private_key}` too")),
    }
}

fn routes(reader: &mut Reader) -> Vec<Route> {
    let settings = std::mem::take(&mut reader.settings.routes);
    let routes = settings
        .iter()
        .enumerate()
        .map(|(at, setting)| route(reader, at + 1, setting))
        .collect();
    reader.settings.routes = settings;
    routes
}

fn route(reader: &mut Reader, nth: usize, setting: &Setting) -> Route {
    let mut route = Route::default();
    let Value::Table(table) = &setting.value else {
        reader.mistakes.push(Mistake::new(
            &setting.place,
            "`route` must be written as [[route]]",
        ));
        return route;
    };
    for (key, setting) in table {
        if let Err(problem) = set_in_route(&mut route, key, &setting.value) {
            reader
                .mistakes
                .push(route_mistake(nth, key, setting, &problem));
        }
    }
    route
}

fn scopes(reader: &mut Reader) -> ScopeWords {
    let mut words = ScopeWords::default();
    for (scope, setting) in std::mem::take(&mut reader.settings.scopes) {
        if let Err(problem) = typed(&setting.value, Kind::String, |text| words.set(&scope, text)) {
            reader.mistakes.push(Mistake::value(
                &setting.place,
                &format!("scopes.{scope}"),
                &problem,
            ));
        }
    }
    words
}

fn set_in_route(route: &mut Route, key: &str, value: &Value) -> Result<(), ValueProblem> {
    match key {
        "host" => route.host = Some(typed(value, Kind::String, route::host)?),
        "path_prefix" => route.path_prefix = Some(typed(value, Kind::String, route::path_prefix)?),
        "methods" => route.methods = methods(value)?,
        _ => typed(value, Kind::String, |text| route.set.set(key, text))?,
    }
    Ok(())
}

fn methods(value: &Value) -> Result<Vec<String>, ValueProblem> {
    if let Value::Array(items) = value
        && !items.is_empty()
    {
        return items
            .iter()
            .map(|item| typed(&item.value, Kind::String, route::method))
            .collect();
    }
    Err(ValueProblem::shape(
        "a list such as [\"GET\", \"HEAD\"]",
        &written(value),
    ))
}

fn route_mistake(nth: usize, key: &str, setting: &Setting, problem: &ValueProblem) -> Mistake {
    match problem {
        ValueProblem::UnknownKey => {
            let known = ROUTE_MATCHES.into_iter().chain(RoutePolicy::KEYS);
            Mistake::unknown(&setting.place, key, known)
        }
        ValueProblem::Shape { .. } | ValueProblem::SecretShape { .. } => {
            Mistake::value(&setting.place, &format!("route[{nth}].{key}"), problem)
        }
    }
}

/// Reads keys, and keeps what is wrong with them.
pub(super) struct Reader {
    settings: Settings,
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn text<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, ValueProblem>) -> T {
        self.take(key, Kind::String, parse)
    }

    fn boolean(&mut self, key: &str) -> bool {
        self.take(key, Kind::Boolean, value::boolean)
    }

    fn integer<N>(&mut self, key: &str, within: RangeInclusive<N>) -> N
    where
        N: FromStr + PartialOrd + fmt::Display,
    {
        self.take(key, Kind::Integer, |text| value::integer(text, &within))
    }

    fn duration(&mut self, key: &str, within: RangeInclusive<Duration>) -> Duration {
        self.take(key, Kind::String, |text| value::duration(text, &within))
    }

    fn take<T>(
        &mut self,
        key: &str,
        kind: Kind,
        parse: impl Fn(&str) -> Result<T, ValueProblem>,
    ) -> T {
        if let Some(setting) = self.settings.overrides.get(key) {
            match typed(&setting.value, kind, &parse) {
                Ok(value) => return value,
                Err(problem) => self
                    .mistakes
                    .push(Mistake::value(&setting.place, key, &problem)),
            }
        }
        let default = self
            .settings
            .defaults
            .get(key)
            .and_then(|setting| typed(&setting.value, kind, &parse).ok());
        default.expect("the compiled-in default has every key, and it is right; a test proves it")
    }

    /// Where the strongest setting of `key` stands.
    pub(super) fn place(&self, key: &str) -> Place {
        self.settings
            .strongest(key)
            .map_or(Place::Default, |setting| setting.place.clone())
    }

    /// Where the `nth` route stands, counted from 0.
    pub(super) fn place_of_route(&self, nth: usize) -> Place {
        self.settings
            .routes
            .get(nth)
            .map_or(Place::Default, |setting| setting.place.clone())
    }

    /// Keeps a mistake that shows only beside other keys; reads on after the name of `key`.
    pub(super) fn reject<T>(&mut self, key: &str, problem: &str) -> Option<T> {
        let place = self.place(key);
        self.reject_at(&place, format!("`{key}` {problem}"));
        None
    }

    /// Keeps a mistake that is not about one key.
    pub(super) fn reject_at(&mut self, place: &Place, problem: String) {
        self.mistakes.push(Mistake::new(place, problem));
    }
}

/// How a value must be written in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    String,
    Integer,
    Boolean,
}

/// Parses a value that must be of `kind`; the parser has the first word on what is wrong, since it knows the shape.
fn typed<T>(
    value: &Value,
    kind: Kind,
    parse: impl FnOnce(&str) -> Result<T, ValueProblem>,
) -> Result<T, ValueProblem> {
    let text = written(value);
    let parsed = parse(&text)?;
    let fits = match value {
        Value::Untyped(_) => true,
        Value::String(_) => kind == Kind::String,
        Value::Integer(_) => kind == Kind::Integer,
        Value::Boolean(_) => kind == Kind::Boolean,
        Value::Array(_) | Value::Table(_) | Value::Other(_) => false,
    };
    let expected = match kind {
        Kind::String => "a text in quotes",
        Kind::Integer | Kind::Boolean => "written without quotes",
    };
    if fits {
        Ok(parsed)
    } else {
        Err(ValueProblem::shape(expected, &text))
    }
}

fn written(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Untyped(text) | Value::String(text) | Value::Integer(text) | Value::Other(text) => {
            text.into()
        }
        Value::Boolean(true) => "true".into(),
        Value::Boolean(false) => "false".into(),
        Value::Array(_) => "a list".into(),
        Value::Table(_) => "a section".into(),
    }
}

/// The keys of `[[route]]` that are not policy.
const ROUTE_MATCHES: [&str; 3] = ["host", "path_prefix", "methods"];

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const TEN_SECONDS: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const TEN_YEARS: Duration = Duration::from_hours(24 * 3650);
