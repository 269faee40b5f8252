//! The configuration of the service, read from every source and checked: values here are valid.
//!
//! `config.default.toml` is the reference: it documents every key and holds its default. [`load()`]
//! overrides it with the operator's file, the environment and the flags, and reports every mistake
//! at once. Each file here has one job:
//!
//! - `source`, `setting`: collect the strongest setting of each key from default, file, environment
//!   and flags.
//! - `reader`: turns settings into values and collects the mistakes.
//! - `value`, `web_url`, `accent_color`: parse the text of one value; `redaction`: addresses without
//!   their credentials.
//! - `api`, `check`, `diagnostics`, `http`, `listener`, `ops`, `route`, `scopes`, `store`, `users`:
//!   the sections of the file, each with its type and the code that reads it.
//! - `store_url`, `connection_files`: the address of the store, and the files of its connections.
//! - `sections`: the whole configuration, read section by section.
//! - `load`: reads the sections, then checks the rules.
//! - `effective`: the value of every key with its source, for operators.
//! - `schema`: the JSON Schema of the file, for editors.
//! - `restart`: keys that a running process cannot change.
//! - `rules`: conditions between keys; a violation is a mistake.
//! - `warnings`: settings that are valid but risky; each start and reload logs them.
//! - `mistake`: the error type, with the place of each mistake and its remedy.

mod accent_color;
mod api;
mod check;
mod connection_files;
mod diagnostics;
mod effective;
mod http;
mod listener;
mod load;
mod mistake;
mod ops;
mod reader;
mod redaction;
mod restart;
pub mod route;
mod rules;
mod schema;
mod scopes;
mod sections;
mod setting;
mod source;
mod store;
mod store_url;
#[cfg(test)]
mod tests;
mod users;
mod value;
mod warnings;
mod web_url;

pub use self::accent_color::AccentColor;
pub use self::api::ApiConfig;
pub use self::check::{CheckConfig, OnError, OnStoreFailure, VerifyConfig};
pub use self::connection_files::{ClientCertificateFiles, ConnectionFiles, LoginFiles};
pub use self::diagnostics::DiagnosticsConfig;
pub use self::effective::{EffectiveSetting, SettingSource, effective};
pub use self::http::{AuthorizeConfig, HttpConfig, IssueConfig};
pub use self::listener::{ConnectionAge, ListenAddress, ListenerConfig, TlsConfig};
pub use self::load::load;
pub use self::mistake::{ConfigError, Mistake};
pub use self::ops::{LogConfig, OpsConfig, ReloadConfig, ShutdownConfig};
pub use self::redaction::without_credentials;
pub use self::route::{Mode, Origin, Requirement, Route, RoutePolicy, UntypedBody};
pub use self::schema::schema;
pub use self::scopes::ScopeWords;
pub use self::sections::Config;
pub use self::source::Sources;
pub use self::store::{CacheConfig, StoreConfig};
pub use self::store_url::StoreUrl;
pub use self::users::{DirectoryKind, PasswordConfig, UsersConfig};
pub use self::value::ValueProblem;
pub use self::web_url::WebUrl;
pub use crate::model::DenyDetail;
