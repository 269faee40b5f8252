//! The files in `deploy/`: each is valid for the program that reads it, and fails closed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::envoy::{self, NEWEST, OLDEST, Shape};
use crate::support::process::project;
use crate::support::program::program;
use crate::support::scripted::{self, node, python_module};

#[test]
fn every_envoy_configuration_is_valid_and_uses_nothing_deprecated() {
    for (version, shape) in [NEWEST, OLDEST]
        .into_iter()
        .flat_map(|version| Shape::ALL.map(|shape| (version, shape)))
    {
        let validated = validate(version, &shape.file());
        let log = String::from_utf8_lossy(&validated.stderr);
        assert!(
            validated.status.success(),
            "{shape:?} with {version}: {log}"
        );
        assert!(
            !log.contains("eprecated"),
            "{shape:?} with {version}: {log}"
        );
    }
}

#[test]
fn a_mistake_in_an_envoy_configuration_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("envoy.yaml");
    let text = fs::read_to_string(Shape::Deploy.file()).unwrap();
    fs::write(
        &file,
        text.replace("failure_mode_allow:", "failure_mode_alow:"),
    )
    .unwrap();
    let validated = validate(NEWEST, &file);
    assert!(!validated.status.success());
    assert!(String::from_utf8_lossy(&validated.stderr).contains("failure_mode_alow"));
}

#[tokio::test]
async fn the_istio_resources_follow_their_schemas() {
    for (file, count) in [
        ("policy.yaml", 3),
        ("issuing.yaml", 3),
        ("destination-rule.yaml", 1),
    ] {
        let documents = istio(&project("deploy/istio").join(file)).await;
        assert_eq!(documents.len(), count, "{file}");
        for held in documents {
            assert_eq!(held["problem"], Value::Null, "{file}: {}", held["document"]);
        }
    }
}

#[tokio::test]
async fn a_mistake_in_an_istio_resource_is_found() {
    for (right, wrong) in [
        ("action: CUSTOM", "action: CUSTOMER"),
        ("mode: STRICT", "mode: STRICTLY"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("policy.yaml");
        let text = fs::read_to_string(project("deploy/istio/policy.yaml")).unwrap();
        fs::write(&file, text.replace(right, wrong)).unwrap();
        let problems = istio(&file)
            .await
            .into_iter()
            .filter(|held| held["problem"].is_string());
        assert_eq!(problems.count(), 1, "{wrong}");
    }
}

/// A path that is neither checked by Countersign nor routed to it would reach the upstream
/// unverified.
#[tokio::test]
async fn unchecked_paths_of_istio_go_to_countersign() {
    let documents = istio(&project("deploy/istio/issuing.yaml")).await;
    let [policy, routes, callers] = [0, 1, 2].map(|at| &documents[at]["document"]);
    let left_out = policy["spec"]["rules"][0]["to"][0]["operation"]["notPaths"]
        .as_array()
        .unwrap();
    let routed: Vec<_> = routes["spec"]["http"][0]["match"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["uri"])
        .collect();
    let exact: Vec<_> = left_out
        .iter()
        .map(|path| json!({ "exact": path }))
        .collect();
    assert_eq!(routed, exact.iter().collect::<Vec<_>>());
    let checked = &istio(&project("deploy/istio/policy.yaml")).await[0]["document"];
    for same in [
        "/metadata",
        "/spec/selector",
        "/spec/action",
        "/spec/provider",
    ] {
        assert_eq!(policy.pointer(same), checked.pointer(same), "{same}");
    }
    let gateway = "cluster.local/ns/istio-ingress/sa/istio-ingressgateway";
    let rule = json!({ "from": [{ "source": { "principals": [gateway] } }], "to": [{ "operation": { "ports": ["8080"] } }] });
    assert_eq!(callers["spec"]["rules"], json!([rule]));
    let destination = &routes["spec"]["http"][0]["route"][0]["destination"];
    let resources = fs::read_to_string(project("deploy/istio/countersign.yaml")).unwrap();
    let service = resources
        .split("\n---\n")
        .find(|one| one.contains("name: countersign-issuing\n"))
        .unwrap();
    assert_eq!(
        destination["host"],
        "countersign-issuing.countersign.svc.cluster.local"
    );
    assert!(
        service.contains("kind: Service") && service.contains("  namespace: countersign\n"),
        "{service}"
    );
    assert!(
        service.contains(&format!("    port: {}\n", destination["port"]["number"])),
        "{service}"
    );
}

/// No schema of it is published, so the expected fields are compared here.
#[tokio::test]
async fn the_istio_provider_fails_closed_and_sends_whole_bodies() {
    let values = istio(&project("deploy/istio/mesh-config.yaml")).await;
    let providers = json!([{
        "name": "countersign",
        "envoyExtAuthzGrpc": {
            "service": "countersign.countersign.svc.cluster.local",
            "port": 50051,
            "timeout": "0.25s",
            "failOpen": false,
            "statusOnError": "503",
            "includeRequestBodyInCheck": {
                "maxRequestBytes": 1_048_576, "allowPartialMessage": false, "packAsBytes": true,
            },
        },
    }]);
    assert_eq!(
        values[0]["document"],
        json!({ "meshConfig": { "extensionProviders": providers } })
    );
    let policy = istio(&project("deploy/istio/policy.yaml")).await;
    assert_eq!(
        policy[0]["document"]["spec"]["provider"]["name"],
        providers[0]["name"]
    );
}

/// The rule applies to the cluster that the provider uses.
#[tokio::test]
async fn the_destination_rule_is_for_the_service_of_the_provider() {
    let rule = &istio(&project("deploy/istio/destination-rule.yaml")).await[0]["document"];
    let values = istio(&project("deploy/istio/mesh-config.yaml")).await;
    let provider = &values[0]["document"]["meshConfig"]["extensionProviders"][0];
    assert_eq!(
        rule["spec"]["host"],
        provider["envoyExtAuthzGrpc"]["service"]
    );
}

/// The schema accepts misspelled fields, and a source without fields allows every caller.
#[tokio::test]
async fn only_the_gateway_may_request_decisions() {
    let policy = istio(&project("deploy/istio/policy.yaml")).await;
    let gateway = "cluster.local/ns/istio-ingress/sa/istio-ingressgateway";
    let rule = json!({
        "from": [{ "source": { "principals": [gateway] } }],
        "to": [{ "operation": { "ports": ["50051"] } }],
    });
    assert_eq!(
        (
            &policy[1]["document"]["spec"]["action"],
            &policy[1]["document"]["spec"]["rules"]
        ),
        (&json!("ALLOW"), &json!([rule]))
    );
}

#[test]
fn the_kubernetes_resources_follow_their_schemas() {
    for file in MANIFESTS {
        let validated = kubernetes(&project(file));
        assert!(
            validated.status.success(),
            "{file}: {}",
            String::from_utf8_lossy(&validated.stdout)
        );
    }
}

#[test]
fn a_mistake_in_a_kubernetes_resource_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("countersign.yaml");
    let text = fs::read_to_string(project("deploy/istio/countersign.yaml")).unwrap();
    fs::write(&file, text.replace("readinessProbe:", "readynessProbe:")).unwrap();
    let validated = kubernetes(&file);
    assert!(!validated.status.success());
    assert!(String::from_utf8_lossy(&validated.stdout).contains("readynessProbe"));
}

/// The pods' configuration is valid, together with the values from their environment.
#[test]
fn the_configurations_in_the_config_maps_are_valid() {
    for file in MANIFESTS {
        let text = fs::read_to_string(project(file)).unwrap();
        let (_, block) = text.split_once("countersign.toml: |\n").unwrap();
        let (block, _) = block.split_once("\n---").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let configuration = directory.path().join("countersign.toml");
        fs::write(&configuration, block.replace("\n    ", "\n")).unwrap();
        let url = ("COUNTERSIGN_STORE__URL", "redis://redis:6379/0");
        let variables = text.contains(url.0).then_some(url);
        assert_is_valid(&configuration, variables.as_slice());
    }
}

/// With a file in the data directory, each replica would have a token of its own.
#[test]
fn all_replicas_have_the_admin_token_of_the_secret() {
    let from_secret = "        - name: COUNTERSIGN_ADMIN_TOKEN\n          valueFrom:\n            secretKeyRef:\n              \
                       name: countersign\n              key: admin-token\n";
    for file in MANIFESTS {
        let text = fs::read_to_string(project(file)).unwrap();
        assert!(text.contains(from_secret), "{file}");
    }
}

#[test]
fn the_configuration_beside_envoy_is_valid() {
    assert_is_valid(&project("deploy/envoy/countersign.toml"), &[]);
}

fn assert_is_valid(configuration: &Path, variables: &[(&str, &str)]) {
    let mut command = program();
    let checked = command
        .args(["config", "check", "--no-files"])
        .arg(configuration)
        .envs(variables.iter().copied());
    let checked = checked.output().unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}

async fn istio(file: &Path) -> Vec<Value> {
    let mut command = node("istio.mjs");
    command.arg(file);
    scripted::run(command).await.as_array().unwrap().clone()
}

fn kubernetes(file: &Path) -> Output {
    python_module("kubernetes_validate")
        .arg("--strict")
        .arg(file)
        .output()
        .unwrap()
}

fn validate(version: &str, file: &Path) -> Output {
    let mut command = Command::new(envoy::binary(version));
    command.args([
        "--mode",
        "validate",
        "--disable-hot-restart",
        "--log-level",
        "warning",
        "--config-path",
    ]);
    command.arg(file).output().unwrap()
}

/// Generated by `scripts/charts --write`.
const MANIFESTS: [&str; 3] = [
    "deploy/istio/countersign.yaml",
    "deploy/kubernetes/embedded.yaml",
    "deploy/kubernetes/redis.yaml",
];
