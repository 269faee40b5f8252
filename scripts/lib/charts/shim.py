#!/usr/bin/env python3
"""Stands for helm, kubectl and countersign while the commands of a page run without a cluster.

It runs what needs no cluster. `helm install` and `helm upgrade` become `helm template`, with the values of the
commands before if the command reuses them. Of all other commands, it checks that they and their options exist.
"""

import os
import subprocess
import sys
from pathlib import Path

from paths import HELM, KUBECTL, PROGRAM

REUSING = {"--reuse-values", "--reset-then-reuse-values"}
ONLY_UPGRADE = REUSING | {"--install"}
STATE = Path(os.environ.get("SHIM_STATE", "."))


def main():
    name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    {"helm": helm, "kubectl": kubectl, "countersign": countersign}[name](arguments)


def helm(arguments):
    command, *rest = arguments
    if command in ("template", "lint", "show"):
        return run(HELM, arguments)
    exists(HELM, arguments)
    if command in ("install", "upgrade"):
        render(rest)


def render(arguments):
    """Renders the release as the command would install it."""
    values = STATE / "values"
    before = values.read_text(encoding="utf-8").splitlines() if REUSING & set(arguments) and values.exists() else []
    settings = [argument for argument in arguments if argument not in ONLY_UPGRADE]
    # A cluster would have the Secret.
    given = ["--set", "secrets.existingSecret=countersign", *before, *options(settings)]
    subprocess.run([HELM, "template", *positions(settings), *given], check=True, stdout=subprocess.DEVNULL)
    values.write_text("\n".join(before + options(settings)), encoding="utf-8")


def positions(arguments):
    """Returns the arguments that are neither values nor files of values."""
    return [one for index, one in enumerate(arguments) if not is_option(arguments, index)]


def options(arguments):
    """Returns the values and files of values."""
    return [one for index, one in enumerate(arguments) if is_option(arguments, index)]


def is_option(arguments, index):
    """Returns true for --set and --values, and for their parameters."""
    names = ("--set", "--values")
    return arguments[index] in names or (index > 0 and arguments[index - 1] in names)


def kubectl(arguments):
    if "--" in arguments:
        at = arguments.index("--")
        assert arguments[at + 1] == "countersign", arguments
        exists(KUBECTL, arguments[:at])
        return countersign(arguments[at + 2 :])
    if "create" in arguments:
        return run(KUBECTL, [*arguments, "--dry-run=client"])
    for file in [after for option, after in zip(arguments, arguments[1:]) if option == "--filename"]:
        assert Path(file).exists(), file
    exists(KUBECTL, arguments)


def countersign(arguments):
    if arguments[0] in ("keygen", "config", "sign"):
        return run(PROGRAM, arguments)
    exists(PROGRAM, arguments)


def exists(program, arguments):
    """Fails unless the command and its options exist."""
    command = [program, *arguments, "--help"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    # helm and kubectl answer with the help of the group if they do not know the command.
    if "SUBCOMMAND" in done.stdout or "[command]" in done.stdout or "kubectl [flags]" in done.stdout:
        sys.exit(f"{program.name} has no command {' '.join(arguments)}")


def run(program, arguments):
    sys.exit(subprocess.run([program, *arguments], check=False).returncode)


if __name__ == "__main__":
    main()
