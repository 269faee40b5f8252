//! What `deploy/` holds is valid, and says what it has to.

use std::path::Path;
use std::process::{Command, Output};

use crate::envoy::{self, NEWEST, OLDEST, Shape};

#[test]
fn every_envoy_configuration_is_valid_and_uses_nothing_deprecated() {
    for (version, shape) in [NEWEST, OLDEST].into_iter().flat_map(|version| Shape::ALL.map(|shape| (version, shape))) {
        let validated = validate(version, &shape.file());
        let log = String::from_utf8_lossy(&validated.stderr);
        assert!(validated.status.success(), "{shape:?} with {version}: {log}");
        assert!(!log.contains("eprecated"), "{shape:?} with {version}: {log}");
    }
}

#[test]
fn a_mistake_in_an_envoy_configuration_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("envoy.yaml");
    let text = std::fs::read_to_string(Shape::Deploy.file()).unwrap();
    std::fs::write(&file, text.replace("failure_mode_allow:", "failure_mode_alow:")).unwrap();
    let validated = validate(NEWEST, &file);
    assert!(!validated.status.success());
    assert!(String::from_utf8_lossy(&validated.stderr).contains("failure_mode_alow"));
}

fn validate(version: &str, file: &Path) -> Output {
    let mut command = Command::new(envoy::binary(version));
    command.args(["--mode", "validate", "--disable-hot-restart", "--log-level", "warning", "--config-path"]);
    command.arg(file).output().unwrap()
}
