//! Completion scripts, manual pages, `--version`, and the effective configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::process::project;

#[test]
fn the_shell_reads_its_completion_script_and_completes_commands() {
    for (shell, mark) in [
        ("bash", "complete -F _countersign"),
        ("zsh", "#compdef countersign"),
        ("fish", "complete -c countersign"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let output = run(&["completion", shell]);
        assert_eq!(output.status.code(), Some(0));
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(
            script.contains(mark) && script.contains("rotate-secret"),
            "{shell}"
        );
    }
    let completed = Command::new("bash")
        .args([
            "-c",
            "source /dev/stdin; COMP_WORDS=(countersign con); COMP_CWORD=1; \
                      _countersign countersign con countersign; echo \"${COMPREPLY[@]}\"",
        ])
        .stdin(Stdio::from(script_file("bash")))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(completed.stdout).unwrap(),
        "consumer config\n"
    );
    assert_eq!(run(&["completion", "tcsh"]).status.code(), Some(64));
}

#[test]
fn every_command_has_a_manual_page_with_its_options_and_examples() {
    let home = tempfile::tempdir().unwrap();
    let pages = home.path().join("share/man1");
    let output = run(&["man", pages.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for (page, parts) in [
        (
            "countersign.1",
            &["First steps", "countersign\\-explain(1)"][..],
        ),
        (
            "countersign-explain.1",
            &["\\-\\-consumer\\-secret", "Exit status"],
        ),
        (
            "countersign-consumer-create.1",
            &["\\-\\-callback", "countersign consumer create"],
        ),
    ] {
        let page = fs::read_to_string(pages.join(page)).unwrap();
        for part in parts {
            assert!(
                page.contains(part) || page.contains(&part.replace("\\-", "-")),
                "{part}: {page}"
            );
        }
        assert!(
            !page.contains("built "),
            "a page depends on the date of the build"
        );
    }
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = run(&["man", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(text(&refused.stderr).starts_with("error: cannot write manual pages to "));
}

#[test]
fn the_version_names_commit_and_date() {
    let printed = text(&run(&["--version"]).stdout).trim_end().to_owned();
    let build = printed
        .strip_prefix(concat!("countersign ", env!("CARGO_PKG_VERSION"), " ("))
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or_else(|| panic!("{printed}"));
    let date = build.rsplit(' ').next().unwrap();
    assert!(
        build.ends_with(&format!("built {date}")) && date.len() == 10,
        "{printed}"
    );
    // An archive has no repository.
    if project(".git").exists() {
        let commit = build
            .split_once("commit ")
            .unwrap()
            .1
            .split(',')
            .next()
            .unwrap();
        assert!(
            commit.len() >= 12 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{printed}"
        );
    }
}

#[test]
fn config_show_prints_each_value_with_its_source() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("countersign.toml");
    fs::write(&file, "[check]\nrealm = \"photos\"\n[[route]]\npath_prefix = \"/public\"\nrequire = \"optional\"\n").unwrap();
    let show = |options: &[&str]| {
        let mut command = countersign(&["config", "show"]);
        command.arg(&file).args(options);
        command.env("COUNTERSIGN_STORE__URL", "redis://:hunter2@h/0");
        command.env("COUNTERSIGN_STORE__MASTER_KEY_FILE", "keys");
        let output = command.args(["--check", "127.0.0.1:1"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout).replace(file.to_str().unwrap(), "countersign.toml")
    };
    let toml = show(&["--changed"]);
    let expected = "\n[store]\n\
                    url = \"redis://***@h/0\"   # COUNTERSIGN_STORE__URL\n\
                    master_key_file = \"keys\"  # COUNTERSIGN_STORE__MASTER_KEY_FILE\n\
                    \n[check]\n\
                    listen = \"127.0.0.1:1\"    # --check\n\
                    realm = \"photos\"          # countersign.toml:2\n\
                    \n[[route]]\n\
                    path_prefix = \"/public\"   # countersign.toml:4\n\
                    require = \"optional\"      # countersign.toml:5\n";
    assert_eq!(toml, expected);
    let all: Value = serde_json::from_str(&show(&["-o", "json"])).unwrap();
    let found = |key: &str| {
        all.as_array()
            .unwrap()
            .iter()
            .find(|one| one["key"] == key)
            .unwrap()
            .clone()
    };
    assert_eq!(
        found("check.realm"),
        json!({"key": "check.realm", "value": "photos", "source": "file", "place": "countersign.toml:2"})
    );
    assert_eq!(
        found("store.connections"),
        json!({"key": "store.connections", "value": 4, "source": "default", "place": "default"})
    );
    assert!(!all.to_string().contains("hunter2"));
}

#[test]
fn config_check_reads_the_files_that_the_configuration_names() {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("keys");
    fs::write(&key, run(&["keygen"]).stdout).unwrap();
    let check = |mode: u32, more: &str| {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let file = home.path().join("countersign.toml");
        let own = home.path().join("data");
        fs::write(&file, format!("data_dir = {own:?}\n[store]\nurl = \"redis://127.0.0.1:1\"\nmaster_key_file = {key:?}\n{more}")).unwrap();
        countersign(&["config", "check"])
            .arg(&file)
            .output()
            .unwrap()
    };
    let right = check(0o600, "");
    let printed = shortened(&right.stdout, home.path());
    assert_eq!(
        printed,
        "read store.master_key_file: HOME/keys\n\
         not checked: HOME/data/admin-token (data_dir) does not exist; the first start creates it\n\
         not contacted: Redis (store.url)\n\
         no mistakes\n"
    );
    assert_eq!(right.status.code(), Some(0));
    let wrong = check(
        0o644,
        "[check.tls]\ncertificate_file = \"missing.pem\"\nkey_file = \"missing.key\"\n",
    );
    let printed = shortened(&wrong.stderr, home.path());
    assert_eq!(wrong.status.code(), Some(64));
    assert!(
        printed.starts_with(
            "error: 2 mistakes in the files that the configuration names\n  check.tls: "
        ),
        "{printed}"
    );
    assert!(
        printed.contains("missing.pem") && printed.contains("chmod 640 HOME/keys"),
        "{printed}"
    );
    assert!(
        !home.path().join("data").exists(),
        "a check creates nothing"
    );
}

#[test]
fn a_variable_names_the_configuration_file() {
    for arguments in [&["serve"][..], &["config", "check"], &["config", "show"]] {
        let mut command = countersign(arguments);
        let output = command
            .env("COUNTERSIGN_CONFIG", "no/such.toml")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(
            text(&output.stderr).contains("no/such.toml: cannot read this file"),
            "{arguments:?}"
        );
    }
}

fn shortened(output: &[u8], home: &Path) -> String {
    text(output).replace(home.to_str().unwrap(), "HOME")
}

/// Returns the completion script of a shell as a file.
fn script_file(shell: &str) -> fs::File {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &run(&["completion", shell]).stdout).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    file
}

fn run(arguments: &[&str]) -> Output {
    countersign(arguments).output().unwrap()
}

/// Returns the program, with no variables of this test's environment.
fn countersign(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments).env_clear();
    command
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}
