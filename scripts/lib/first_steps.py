"""Runs the commands of README's "Run it", checks each answer, and prints the time that each takes."""

import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import ports
from shell import Shell, fail

PROJECT = Path.cwd()
# The ports that README and deploy/envoy name, and the settings that choose others.
CLIENTS, ADMIN, CHECK, API, HTTP, OPS, UPSTREAM = 10000, 9901, 50051, 50052, 8080, 9090, 8000
LISTENERS = {"CHECK": CHECK, "API": API, "HTTP": HTTP, "OPS": OPS}
# Seconds.
START_TIMEOUT = 30
ANSWER_TIMEOUT = 10


@dataclass(frozen=True)
class Step:
    """A command of README: how it begins, and the words that its comment there and its output both have."""

    begins: str
    words: tuple = ()
    # Words of the output alone.
    prints: tuple = ()
    status: int = 0
    # What the newcomer has reached with it.
    reaches: str = ""


STEPS = [
    Step("export PATH="),
    Step("mkdir -p target/run"),
    Step("countersign serve --config "),
    Step("python3 scripts/lib/upstream.py "),
    Step("envoy "),
    Step("countersign consumer create ", ("consumer key", "secret")),
    Step("export KEY="),
    Step("countersign token create ", ("token", "secret")),
    Step("export TOKEN="),
    Step(
        "countersign sign GET 'http://",
        ("200",),
        ('"HTTP_X_CONSUMER_USERNAME": "Printer"', '"HTTP_X_AUTHENTICATED_USERID": "alice"'),
        reaches="the first signed request that passes",
    ),
    Step("countersign sign GET 'https://"),
    Step("sh target/run/request.txt", ("401",), ("signature_invalid",)),
    Step("countersign denials", ("signature_mismatch", "scheme")),
    Step("countersign denials DECISION_ID", ("remedy", "base string")),
    Step("countersign explain ", ("scheme",), ("refused",), status=1, reaches="a denied request that is explained"),
    Step("kill "),
]
LAST_START = "envoy "
# The variables for which README has an ellipsis, and the names of their values in the output.
PRINTED = {
    "KEY": "consumer key",
    "COUNTERSIGN_CONSUMER_SECRET": "consumer secret",
    "TOKEN": "token",
    "COUNTERSIGN_TOKEN_SECRET": "token secret",
}


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        # An exception unwinds the stack, which ends all processes.
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    commands = steps_of_readme(Path("README.md").read_text())
    with tempfile.TemporaryDirectory(prefix="countersign-first-steps.") as directory:
        chosen = ports.choose([CLIENTS, ADMIN, CHECK, API, HTTP, OPS, UPSTREAM])
        link(Path(directory), chosen)
        with Shell(directory, environment(chosen)) as shell:
            Walk(shell, chosen).run(commands)


def steps_of_readme(text):
    """Yields each command of the section with its comment and its step. Fails if they are not those of STEPS."""
    section = text.split("\n## Run it\n", 1)[-1].split("\n## ", 1)[0]
    lines = "\n".join(re.findall(r"^    (.*)$", section, re.MULTILINE)).replace("\\\n", " ").splitlines()
    found = []
    for number, line in enumerate(lines):
        command, _, comment = (part.strip() for part in re.sub(r"\s+# ", "\0", line).partition("\0"))
        step = STEPS[number] if number < len(STEPS) else None
        if not step or not command.startswith(step.begins):
            fail(f"README has `{command}`, but scripts/lib/first_steps.py expects `{step.begins if step else 'no more'}`")
        for word in step.words:
            if word not in comment:
                fail(f"the comment after `{command}` in README does not say {word!r}")
        found.append((command, step))
    if len(found) < len(STEPS):
        fail(f"README has no `{STEPS[len(found)].begins}`")
    return found


def link(directory, chosen):
    """Makes a directory look like the project, with its own data and logs, and the chosen ports."""
    for path in ("scripts", "target/debug", "target/envoy"):
        (directory / path).parent.mkdir(exist_ok=True)
        (directory / path).symlink_to(PROJECT / path)
    shutil.copytree("deploy", directory / "deploy")
    envoy = directory / "deploy/envoy/envoy.yaml"
    envoy.write_text(ports.in_envoy_configuration(envoy.read_text(), chosen))


def environment(chosen):
    """Returns this environment with the settings for ports that are not the usual ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")}
    listeners = {f"COUNTERSIGN_{name}__LISTEN": port for name, port in LISTENERS.items() if chosen[port] != port}
    kept.update((name, f"{ports.ADDRESS}:{chosen[port]}") for name, port in listeners.items())
    if chosen[API] != API:
        kept["COUNTERSIGN_SERVER"] = f"http://{ports.ADDRESS}:{chosen[API]}"
    return kept


class Walk:
    """The commands that have run, and what they printed."""

    def __init__(self, shell, chosen):
        self.shell, self.chosen, self.printed = shell, chosen, ""

    def run(self, commands):
        begin = time.monotonic()
        for command, step in commands:
            with timed(command):
                self._run_step(self._filled(command), step)
                if step.begins == LAST_START:
                    self._wait_until_started()
            if step.reaches:
                print(f"{time.monotonic() - begin:6.2f} s  ===> {step.reaches}", flush=True)
        with timed("until all three have stopped"):
            self.shell.wait_for_end_of_jobs()
        print(f"{time.monotonic() - begin:6.2f} s  ===> the end: every answer is as README says")

    def _filled(self, command):
        """Puts in the chosen ports, and what a person copies from the output."""
        for port, other in self.chosen.items():
            command = re.sub(rf"\b{port}\b", str(other), command)
        for name, label in PRINTED.items():
            if f"{name}=…" in command:
                value = self._find(rf"^{label} {{2,}}(\S+)")
                command = command.replace(f"{name}=…", f"{name}={value}")
        if "DECISION_ID" in command:
            command = command.replace("DECISION_ID", self._find(r'"decision_id":"(\w+)"'))
        return command

    def _find(self, pattern):
        found = re.findall(pattern, self.printed, re.MULTILINE)
        return found[-1] if found else fail(f"no output has {pattern}")

    def _run_step(self, command, step):
        """Runs a command until its output is as expected: the cause of a denial is known a moment after it."""
        deadline = time.monotonic() + ANSWER_TIMEOUT
        repeatable = command.startswith("countersign denials")
        while True:
            status, output = self.shell.run(command)
            self.printed += output
            missing = [word for word in (*step.words, *step.prints) if word not in output]
            if status == step.status and not missing:
                return
            if not repeatable or time.monotonic() > deadline:
                wrong = f"has no {missing[0]!r}" if missing else f"came with exit status {status}, not {step.status}"
                fail(f"`{command}` printed the following, which {wrong}:\n{output}{self.shell.logs()}")
            time.sleep(0.1)

    def _wait_until_started(self):
        """Waits as a person does who reads on, until all three listen."""
        deadline = time.monotonic() + START_TIMEOUT
        addresses = [
            f"http://{ports.ADDRESS}:{self.chosen[OPS]}/readyz",
            f"http://{ports.ADDRESS}:{self.chosen[ADMIN]}/ready",
            f"http://{ports.ADDRESS}:{self.chosen[UPSTREAM]}/",
        ]
        while not all(map(is_ok, addresses)):
            running = len(self.shell.run("jobs -r")[1].splitlines())
            if running < len(addresses) or time.monotonic() > deadline:
                fail(f"the programs did not start\n{self.shell.logs()}")
            time.sleep(0.05)


@contextlib.contextmanager
def timed(action):
    """Prints the time that the action took, unless it fails."""
    started = time.monotonic()
    yield
    print(f"{time.monotonic() - started:6.2f} s  {' '.join(action.split())}", flush=True)


def is_ok(address):
    with contextlib.suppress(URLError, OSError):
        with urlopen(address, timeout=5) as response:
            return response.status == 200
    return False


if __name__ == "__main__":
    main()
