//! The examples at the end of each command's `--help`; a test parses all of them.

use clap::Command;

/// Adds the examples to a command and to the commands below it.
pub(crate) fn add_to(command: Command) -> Command {
    add(command, "")
}

fn add(mut command: Command, path: &str) -> Command {
    let names: Vec<_> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    for name in names {
        let path = format!("{path} {name}");
        command = command.mut_subcommand(name, |below| add(below, &path));
    }
    let own = command.get_after_help().map(ToString::to_string);
    let own = own.unwrap_or_default();
    match examples(path.trim_start()) {
        [] => command,
        examples => {
            let text = format!("Examples:\n  {}\n\n{own}", examples.join("\n  "));
            command.after_help(text.trim_end().to_owned())
        }
    }
}

fn examples(path: &str) -> &'static [&'static str] {
    let found = EXAMPLES.iter().find(|(command, _)| *command == path);
    found.map_or(&[], |(_, examples)| examples)
}

/// The examples of each command. A `#` begins a comment.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "serve",
        &[
            "countersign serve                                  # embedded store in ./data",
            "countersign serve --config countersign.toml",
            "countersign serve --store redis://redis:6379/0 --master-key-file master-key",
        ],
    ),
    (
        "consumer",
        &[
            "countersign consumer create --name Printer",
            "countersign consumer list",
            "countersign consumer disable KEY",
        ],
    ),
    (
        "consumer create",
        &[
            "countersign consumer create --name Printer",
            "countersign consumer create --name Printer --scope read \\\n      \
             --callback https://printer.example.com/done",
            "countersign consumer create --name Bank --no-secret --rsa-public-key public.pem",
            "countersign consumer create --name Printer --consumer-key KEY --consumer-secret-file secret",
        ],
    ),
    (
        "consumer get",
        &[
            "countersign consumer get KEY",
            "countersign consumer get KEY -o json",
            "countersign consumer get --consumer-id ID",
        ],
    ),
    (
        "consumer list",
        &[
            "countersign consumer list",
            "countersign consumer list --limit 10 -o json",
        ],
    ),
    (
        "consumer update",
        &[
            "countersign consumer update KEY --name 'Photo printer' --verified true",
            "countersign consumer update KEY --scope photos.read --scope photos.write",
            "countersign consumer update KEY --deny-detail debug",
            "countersign consumer update KEY --clear deny-detail --clear scopes",
        ],
    ),
    (
        "consumer delete",
        &[
            "countersign consumer delete KEY --dry-run",
            "countersign consumer delete KEY --yes",
        ],
    ),
    ("consumer disable", &["countersign consumer disable KEY"]),
    ("consumer enable", &["countersign consumer enable KEY"]),
    (
        "consumer rotate-secret",
        &[
            "countersign consumer rotate-secret KEY --overlap 7d  # accept the old secret for a week",
        ],
    ),
    (
        "consumer expire-previous-secret",
        &["countersign consumer expire-previous-secret KEY --yes"],
    ),
    (
        "consumer add-rsa-key",
        &["countersign consumer add-rsa-key KEY --rsa-public-key next.pem"],
    ),
    (
        "consumer remove-rsa-key",
        &["countersign consumer remove-rsa-key KEY --fingerprint SHA256"],
    ),
    (
        "user",
        &[
            "countersign user create --username alice --password-file password",
            "countersign user list",
        ],
    ),
    (
        "user create",
        &[
            "countersign user create --username alice --password-file password",
            "countersign user create --username alice --user-id u-1001 --password-file -",
        ],
    ),
    (
        "user get",
        &[
            "countersign user get u-1001",
            "countersign user get --username alice -o json",
        ],
    ),
    ("user list", &["countersign user list --limit 10"]),
    (
        "user set-password",
        &["countersign user set-password u-1001 --password-file password"],
    ),
    ("user disable", &["countersign user disable u-1001"]),
    ("user enable", &["countersign user enable u-1001"]),
    (
        "user delete",
        &[
            "countersign user delete u-1001 --dry-run",
            "countersign user delete u-1001 --yes",
        ],
    ),
    (
        "token",
        &[
            "countersign token create --consumer-key KEY --user-id alice",
            "countersign token list --user-id alice",
            "countersign token revoke TOKEN",
        ],
    ),
    (
        "token create",
        &[
            "countersign token create --consumer-key KEY --user-id alice --scope read --expires-in 30d",
            "countersign token create --consumer-key KEY --token TOKEN --token-secret-file secret",
        ],
    ),
    ("token get", &["countersign token get TOKEN"]),
    (
        "token list",
        &[
            "countersign token list --consumer-key KEY",
            "countersign token list --user-id alice -o json",
        ],
    ),
    ("token introspect", &["countersign token introspect TOKEN"]),
    (
        "token revoke",
        &[
            "countersign token revoke TOKEN",
            "countersign token revoke TOKEN --consumer-key KEY --yes",
        ],
    ),
    (
        "token revoke-all",
        &[
            "countersign token revoke-all --user-id alice --yes",
            "countersign token revoke-all --consumer-key KEY --dry-run",
        ],
    ),
    (
        "token exchange-password",
        &[
            "countersign token exchange-password --consumer-key KEY --username alice \\\n      \
             --password-file password",
        ],
    ),
    (
        "request-token",
        &[
            "countersign request-token create --consumer-key KEY --callback oob",
            "countersign request-token authorize TOKEN --user-id alice",
            "countersign request-token exchange TOKEN --consumer-key KEY --verifier VERIFIER",
        ],
    ),
    (
        "request-token create",
        &[
            "countersign request-token create --consumer-key KEY \\\n      \
             --callback https://printer.example.com/done",
        ],
    ),
    (
        "request-token get",
        &["countersign request-token get TOKEN"],
    ),
    (
        "request-token authorize",
        &["countersign request-token authorize TOKEN --user-id alice --scope read"],
    ),
    (
        "request-token refuse",
        &["countersign request-token refuse TOKEN"],
    ),
    (
        "request-token exchange",
        &["countersign request-token exchange TOKEN --consumer-key KEY --verifier VERIFIER"],
    ),
    (
        "apply",
        &[
            "countersign apply -f consumers.yaml --dry-run      # show the differences",
            "countersign apply -f consumers.yaml",
            "countersign apply -f consumers.yaml --prune --yes",
            "countersign apply -f - --generate-secrets secrets.jsonl",
        ],
    ),
    (
        "export",
        &[
            "countersign export consumers.yaml --format yaml    # without secrets, for apply",
            "countersign export backup.jsonl                    # sealed: needs the master key to restore",
            "countersign export - > backup.jsonl",
            "countersign export everything.jsonl --plaintext    # secrets in plaintext, for another product",
        ],
    ),
    (
        "import",
        &[
            "countersign import backup.jsonl                    # restore an export",
            "countersign import consumers.csv --dry-run         # check every row first",
            "countersign import tokens.csv --report refused.jsonl",
            "countersign import --redis redis://127.0.0.1:6379/0",
        ],
    ),
    (
        "rekey",
        &[
            "countersign rekey --dry-run                        # count the records of each key",
            "countersign rekey",
        ],
    ),
    (
        "denials",
        &[
            "countersign denials --limit 20",
            "countersign denials --follow --consumer-key KEY",
            "countersign denials DECISION_ID                    # the id in the client's response",
        ],
    ),
    (
        "report",
        &["countersign report", "countersign report -o json"],
    ),
    (
        "sign",
        &[
            "countersign sign GET https://api.example.com/photos \\\n      \
             --consumer-key KEY --consumer-secret SECRET",
            "countersign sign POST https://api.example.com/photos --form 'size=original' -o curl \\\n      \
             --consumer-key KEY --consumer-secret-file secret",
        ],
    ),
    (
        "explain",
        &[
            "countersign explain request.txt --consumer-secret SECRET --token-secret SECRET",
            "countersign explain - --scheme http --consumer-secret-file secret -o json",
            "countersign explain session.har --entry 3 --consumer-secret-file secret",
            "countersign explain access.log --host api.example.com --consumer-secret-file secret",
        ],
    ),
    (
        "config",
        &[
            "countersign config default > countersign.toml",
            "countersign config check countersign.toml",
            "countersign config show countersign.toml --changed",
        ],
    ),
    (
        "config check",
        &[
            "countersign config check countersign.toml",
            "countersign config check countersign.toml --no-files   # on another machine",
        ],
    ),
    (
        "config show",
        &[
            "countersign config show countersign.toml",
            "countersign config show countersign.toml --changed -o json",
        ],
    ),
    (
        "config default",
        &["countersign config default > countersign.toml"],
    ),
    (
        "config schema",
        &["countersign config schema > countersign.schema.json"],
    ),
    (
        "healthcheck",
        &[
            "countersign healthcheck",
            "countersign healthcheck --server unix:/run/countersign/check.sock --timeout 1s",
        ],
    ),
    ("keygen", &["(umask 077; countersign keygen > master-key)"]),
    (
        "man",
        &[
            "countersign man /usr/share/man/man1                # then: man countersign-consumer-create",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use clap::{Arg, CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_has_an_example() {
        visit(&|path, command| {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let own = format!("countersign {path}");
            assert!(help.contains(own.trim_end()), "{path}: {help}");
            let headings = help.matches("Example").count();
            assert!(path.is_empty() || headings == 1, "{path}: {help}");
            // clap breaks longer lines, which cannot be pasted then.
            assert!(help.lines().all(|line| line.len() <= 100), "{path}: {help}");
        });
    }

    #[test]
    fn every_option_has_a_description_of_one_line() {
        visit(&|path, command| {
            let own = |option: &&Arg| !matches!(option.get_id().as_str(), "help" | "version");
            for option in command.get_arguments().filter(own) {
                let help = option.get_help().map(ToString::to_string);
                let help = help.unwrap_or_default();
                assert!(
                    is_line(&help) && !has_long_help(option),
                    "{path} {option}: {help:?}"
                );
            }
        });
    }

    #[test]
    fn every_example_is_accepted() {
        visit(&|path, command| {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default().replace("\\\n", " ");
            for line in help.lines().filter(|line| line.contains("countersign ")) {
                let words = words(line);
                let parsed = Cli::try_parse_from(&words);
                assert!(parsed.is_ok(), "{path}: {words:?}: {parsed:?}");
            }
        });
    }

    fn is_line(help: &str) -> bool {
        !help.is_empty() && !help.contains('\n') && !help.ends_with('.')
    }

    fn has_long_help(option: &Arg) -> bool {
        option.get_long_help().is_some()
    }

    /// Calls `check` with each command and its path.
    fn visit(check: &impl Fn(&str, &Command)) {
        fn walk(path: &str, command: &Command, check: &impl Fn(&str, &Command)) {
            check(path, command);
            for below in command
                .get_subcommands()
                .filter(|below| below.get_name() != "help")
            {
                walk(&format!("{path} {}", below.get_name()), below, check);
            }
        }
        let mut command = add_to(Cli::command());
        command.build();
        check("", &command);
        for below in command
            .get_subcommands()
            .filter(|below| below.get_name() != "help")
        {
            walk(below.get_name(), below, check);
        }
    }

    /// Splits a command as a shell does, as far as the examples need it.
    fn words(example: &str) -> Vec<String> {
        let command = example
            .trim_start()
            .trim_start_matches("(umask 077; ")
            .trim_end_matches(')');
        let command = command.split(" #").next().unwrap();
        let command = command.split(" > ").next().unwrap();
        let mut words = vec![String::new()];
        let mut is_quoted = false;
        for character in command.chars() {
            match character {
                '\'' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(String::new()),
                _ => words.last_mut().unwrap().push(character),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }
}
