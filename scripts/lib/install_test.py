"""Tests scripts/lib/install.sh with a pretended apt: what is listed, when it asks, and what it then installs."""

import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPT = """
source scripts/lib/common.sh
tools() { need nosuch1 hello; need nosuch2 hello cowsay; install_tool cargo-nosuch 1.0; need bash bash; }
install_tool() { ! is_listed "$1 from crates.io" || return 0; }
provide tools
echo "arguments: $*"
"""
# Provides what a package of that name would: the commands that SCRIPT needs.
APT = """#!/usr/bin/env bash
echo "$*" >>"$HOME/apt"
printf '#!/bin/sh\\n' >"$HOME/bin/nosuch1" && cp "$HOME/bin/nosuch1" "$HOME/bin/nosuch2" && /bin/chmod 755 "$HOME"/bin/nosuch?
"""
NOTHING = "#!/bin/sh\n"
SUDO = '#!/usr/bin/env bash\nexec "$@"\n'
MISSING = ["with apt      cowsay hello", "into target/  cargo-nosuch from crates.io"]
QUESTION = "Install the packages with apt? [Y/n]"


def main():
    check("without a terminal, nobody is asked", run("x", "y"), 0, [*MISSING, "arguments: x y"], [QUESTION], True)
    check("--no-install lists and stops", run("x", "--no-install"), 1, [*MISSING, "--no-install"], [QUESTION], False)
    check("a no installs nothing", run(answer="n\n"), 1, [*MISSING, QUESTION, "nothing was installed"], [], False)
    check("a yes installs", run("x", answer="\n"), 0, [*MISSING, QUESTION, "arguments: x"], [], True)
    check("nothing is missing", run("--no-install", present=True), 0, ["arguments: \n"], ["Missing"], False)
    print("scripts/lib/install.sh lists, asks and installs as it should.")


def run(*arguments, answer=None, present=False):
    """Returns the exit status, the output and what apt was called with; with an answer, on a terminal."""
    with tempfile.TemporaryDirectory() as home:
        # The last three would keep the services of packages from starting.
        fakes = {"apt-get": APT, "sudo": SUDO, "tee": "#!/bin/sh\ncat >/dev/null\n", "chmod": NOTHING, "rm": NOTHING}
        if present:
            fakes.update({"nosuch1": NOTHING, "nosuch2": NOTHING})
        directory = Path(home, "bin")
        directory.mkdir()
        for name, text in fakes.items():
            (directory / name).write_text(text)
            (directory / name).chmod(0o755)
        script = SCRIPT.replace("install_tool cargo-nosuch 1.0; ", "") if present else SCRIPT
        environment = {**os.environ, "HOME": home, "PATH": f"{directory}:{os.environ['PATH']}", "NO_INSTALL": ""}
        command = ["bash", "-c", script, "script", *arguments]
        status, output = on_terminal(command, environment, answer) if answer else plain(command, environment)
        called = Path(home, "apt")
        return status, output, called.read_text() if called.exists() else ""


def plain(command, environment):
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.returncode, done.stdout


def on_terminal(command, environment, answer):
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(command, env=environment, stdin=other_end, stdout=other_end, stderr=other_end)
    os.close(other_end)
    os.write(terminal, answer.encode())
    output = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            # The last program on the terminal has ended.
            break
        if not part:
            break
        output += part
    os.close(terminal)
    return process.wait(30), output.decode()


def check(name, result, status, words, absent, is_installed):
    got, output, apt = result
    wrong = [word for word in words if word not in output] + [word for word in absent if word in output]
    if got != status or wrong or ("install" in apt and "cowsay hello" in apt) != is_installed:
        sys.exit(f"error: {name}: exit status {got}, not {status}; wrong: {wrong}; apt: {apt!r}\n{output}")


if __name__ == "__main__":
    main()
