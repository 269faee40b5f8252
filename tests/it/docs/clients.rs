//! `docs/clients.md`: its table is made from `tests/clients/field/clients.toml`. The test of
//! `through_envoy::field` sends every request of that file, so no row is without a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use serde::Deserialize;

use crate::support::process::project;

#[test]
fn the_table_on_the_page_is_the_one_of_the_data() {
    let clients = field_clients();
    assert!(clients.len() >= 40, "{} clients", clients.len());
    let page = fs::read_to_string(project("docs/clients.md")).unwrap();
    let table = table(&clients);
    assert!(
        page.ends_with(&table),
        "docs/clients.md must end with this table:\n\n{table}"
    );
}

#[test]
fn a_client_that_does_not_just_work_has_a_known_defect() {
    for client in field_clients() {
        let deviates = !client.needs.is_empty() || !client.refused.is_empty();
        assert!(!deviates || !client.defect.is_empty(), "{}", client.name);
        let is_profiled = !client.profiles.is_empty();
        assert_eq!(is_profiled, !client.needs.is_empty(), "{}", client.name);
    }
}

/// An unmodified client, and the expected verdicts on its requests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldClient {
    pub(crate) name: String,
    pub(crate) registry: String,
    /// The version that was tried.
    pub(crate) version: String,
    /// The kinds of requests that it sends.
    pub(crate) requests: Vec<String>,
    /// The compat profiles that its consumer needs.
    #[serde(default)]
    pub(crate) profiles: Vec<String>,
    /// The causes of the denials without the profiles, by kind of request.
    #[serde(default)]
    pub(crate) needs: BTreeMap<String, String>,
    /// The causes of the denials that no profile prevents, by kind of request.
    #[serde(default)]
    pub(crate) refused: BTreeMap<String, String>,
    /// The mistake of the client, if it has one.
    #[serde(default)]
    pub(crate) defect: String,
}

/// Returns the clients of the data file.
pub(crate) fn field_clients() -> Vec<FieldClient> {
    #[derive(Deserialize)]
    struct Data {
        client: Vec<FieldClient>,
    }
    let text = fs::read_to_string(project("tests/clients/field/clients.toml")).unwrap();
    toml::from_str::<Data>(&text).unwrap().client
}

/// Returns the table of the page.
fn table(clients: &[FieldClient]) -> String {
    let mut table =
        "| client | version | requests | verdict | known defect |\n|---|---|---|---|---|\n"
            .to_owned();
    for client in clients {
        let FieldClient {
            name,
            registry,
            version,
            requests,
            defect,
            ..
        } = client;
        let (requests, verdict) = (requests.join(", "), client.verdict());
        writeln!(
            table,
            "| `{name}` ({registry}) | {version} | {requests} | {verdict} | {defect} |"
        )
        .unwrap();
    }
    table
}

impl FieldClient {
    fn verdict(&self) -> String {
        let profiles: Vec<_> = self
            .profiles
            .iter()
            .map(|profile| format!("[`{profile}`](compat.md)"))
            .collect();
        let mut parts = Vec::new();
        if !self.needs.is_empty() {
            let denied = denied(&self.needs);
            parts.push(format!("needs {}: {denied}", profiles.join(" and ")));
        }
        if !self.refused.is_empty() {
            parts.push(format!("refused: {}", denied(&self.refused)));
        }
        if parts.is_empty() {
            "works".to_owned()
        } else {
            parts.join("; ")
        }
    }
}

/// Lists denied requests with their causes.
fn denied(causes: &BTreeMap<String, String>) -> String {
    let each: Vec<_> = causes
        .iter()
        .map(|(kind, causes)| format!("{kind} (`{causes}`)"))
        .collect();
    each.join(", ")
}
