//! `docs/debugging.md`: each command prints the output below it, and the page names every cause.

use std::fs;
use std::process::Command;

use countersign::oauth::diagnosis::MismatchCause;

use crate::docs::issuing::blocks;
use crate::support::process::project;

#[test]
fn every_command_of_the_page_prints_the_output_on_the_page() {
    let page = fs::read_to_string(project("docs/debugging.md")).unwrap();
    let (commands, printed) = (blocks(&page, "sh"), blocks(&page, "text"));
    assert_eq!((commands.len(), printed.len()), (10, 10));
    for (command, expected) in commands.iter().zip(printed) {
        let program = format!(
            "countersign() {{ '{}' \"$@\"; }}",
            env!("CARGO_BIN_EXE_countersign")
        );
        let output = Command::new("bash")
            .args(["-c", &format!("{program}\n{command}")])
            .env_clear()
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            expected,
            "{command}"
        );
        assert_eq!(
            (output.status.code(), output.stderr),
            (Some(1), Vec::new()),
            "{command}"
        );
    }
}

#[test]
fn the_page_names_every_cause_and_which_are_for_operators() {
    let page = fs::read_to_string(project("docs/debugging.md")).unwrap();
    for cause in MismatchCause::ALL {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{cause}` |")));
        assert_eq!(
            row.map(|row| row.contains("*operators*")),
            Some(cause.depends_on_secret()),
            "{cause}"
        );
    }
}
