"""Runs deploy/compose without containers: its first commands, then each service's command with its configuration.

    run.py COMPOSE PROGRAM ENVOY    COMPOSE is the binary of Docker Compose

Each container becomes a process with a loopback address of its own, so that all ports stay as they are. In commands
and configuration, that address replaces 0.0.0.0, 127.0.0.1 and the name of the service, and files below a directory
of the test replace the mounted ones. Nothing is mounted, read-only or without capabilities here.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parent.parent))

import stack  # noqa: E402
from shell import Shell, fail  # noqa: E402

DIRECTORY = Path("deploy/compose")
LOGS = Path("target/compose")
# Seconds.
START_TIMEOUT = 30
# What a container's own network and file system would do.
OPTIONS = {
    "envoy": ["--disable-hot-restart", "--concurrency", "1"],
    "prometheus": ["--web.listen-address={address}:9090"],
    "redis": ["--bind", "{address}"],
}
# Stand-ins for the engine: `compose build` and `up` do nothing, `run` and `exec` run the program.
DOCKER = """#!/bin/sh
while [ $# -gt 0 ] && [ "$1" != countersign ]; do shift; done
[ $# -gt 0 ] || exit 0
shift
[ "$1" != countersign ] || shift
exec countersign "$@"
"""
SUDO = """#!/bin/sh
[ "$1" = chown ] || exec "$@"
"""


def main():
    compose, program, envoy = (Path(argument).resolve() for argument in sys.argv[1:])
    LOGS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="countersign-compose.") as directory:
        project = Project(Path(directory), compose, {"countersign": program, "envoy": envoy})
        setup, trial = commands()
        with Shell(project.compose, project.environment()) as shell, contextlib.ExitStack() as ending:
            for command in setup:
                project.run(shell, command)
            for service in ("redis", "countersign", "upstream", "envoy", "prometheus"):
                project.start(service, ending)
            test(project, shell, trial)
    print("compose.yaml: a signed request passed, a tampered one did not, and Prometheus reads the metrics.")


def commands():
    """Returns the commands in the comment at the top of compose.yaml: those up to the start, and the others."""
    lines = re.findall(r"^#   ((?:mkdir|openssl|hash=|sed|docker|sudo) ?.*)", (DIRECTORY / "compose.yaml").read_text(), re.M)
    start = next(index for index, line in enumerate(lines) if line.startswith("docker compose up"))
    return lines[: start + 1], lines[start + 1 :]


class Project:
    """A copy of deploy/compose with the addresses and files of processes instead of containers."""

    def __init__(self, directory, compose, programs):
        self.directory, self.programs = directory, programs
        self.compose = directory / "deploy/compose"
        shutil.copytree(DIRECTORY, self.compose, ignore=shutil.ignore_patterns("secrets"))
        shutil.copytree("deploy/redis", directory / "deploy/redis")
        self.services = self._read(compose)
        self.processes = {}
        # Two runs at once get other addresses.
        network = f"127.{os.getpid() // 250 % 250 + 2}.{os.getpid() % 250}"
        self.addresses = {name: f"{network}.{index}" for index, name in enumerate(sorted(self.services), 1)}
        self._make_bin()

    def _read(self, compose):
        command = [compose, "--file", self.compose / "compose.yaml", "config", "--format", "json"]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["services"]

    def _make_bin(self):
        bin = self.directory / "bin"
        bin.mkdir()
        for name, text in {"docker": DOCKER, "sudo": SUDO}.items():
            (bin / name).write_text(text)
            (bin / name).chmod(0o755)
        for name, program in self.programs.items():
            (bin / name).symlink_to(program)
        # curl connects to Envoy, and keeps the name and port that the signature covers.
        connect = f"localhost:10000:{self.addresses['envoy']}:10000"
        (self.directory / ".curlrc").write_text(f'connect-to = "{connect}"\n')

    def environment(self):
        return {
            **stack.environment(),
            "PATH": f"{self.directory / 'bin'}:{os.environ['PATH']}",
            "CURL_HOME": str(self.directory),
            "COUNTERSIGN_SERVER": f"http://{self.addresses['countersign']}:50052",
            "COUNTERSIGN_DATA_DIR": str(self._root("countersign") / "data"),
        }

    def run(self, shell, command):
        status, output = shell.run(command)
        return output if status == 0 else fail(f"`{command}` failed: {output}")

    def start(self, name, ending):
        self._mount(name)
        command = [self._local(name, word) for word in self.services[name]["command"]]
        if name in self.programs and name != command[0]:
            command = [str(self.programs[name]), *command]
        elif name == "prometheus":
            command = ["prometheus", *command]
        command += [option.format(address=self.addresses[name]) for option in OPTIONS.get(name, ())]
        log = LOGS / f"{name}.log"
        with log.open("w") as output:
            # Without the variables of the commands: a container has none of them.
            env = {**stack.environment(), "COUNTERSIGN_SHUTDOWN__DELAY": "0s"}
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=self._root(name))
        self.processes[name] = process
        ending.callback(stack.end, process)

    def wait_for(self, subject, is_ready):
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            with contextlib.suppress(OSError):
                if is_ready():
                    return
            for name, process in self.processes.items():
                if process.poll() is not None:
                    fail(f"{name} ended; see {LOGS}/{name}.log")
            if time.monotonic() > deadline:
                fail(f"{subject} is not ready after {START_TIMEOUT} s; see {LOGS}")
            time.sleep(0.1)

    def _local(self, service, text):
        """Returns the text with the addresses and files of processes."""
        files = self._files(service)
        targets = "|".join(sorted(map(re.escape, files), reverse=True))
        text = re.sub(rf"(?<![\w.])(?:{targets})(?![\w.])", lambda target: str(files[target[0]]), text)
        text = re.sub(r"\b(?:0\.0\.0\.0|127\.0\.0\.1)\b", self.addresses[service], text)
        names = "|".join(self.services)
        return re.sub(rf"\b({names})(?=:\d|, port_value)", lambda name: self.addresses[name[1]], text)

    def _files(self, service):
        """Returns where each file is here, by the place where the service finds it."""
        mounts = self.services[service].get("volumes", ())
        secrets = self.services[service].get("secrets", ())
        return {
            **{secret["target"]: self.compose / "secrets" / secret["source"] for secret in secrets},
            **{mount["target"]: self._root(service) / mount["target"][1:] for mount in mounts},
        }

    def _mount(self, service):
        """Makes the directories and the configuration of a service."""
        for mount in self.services[service].get("volumes", ()):
            local = self._files(service)[mount["target"]]
            local.parent.mkdir(parents=True, exist_ok=True)
            if mount["type"] == "volume":
                local.mkdir(mode=0o700)
            else:
                # The copy of deploy/compose lacks the rest of the project.
                source = Path(os.path.relpath(mount["source"], self.directory))
                local.write_text(self._local(service, source.read_text()))

    def _root(self, service):
        """Returns the directory that stands for the root of the container."""
        directory = self.directory / "roots" / service
        directory.mkdir(parents=True, exist_ok=True)
        return directory


def test(project, shell, trial):
    envoy, prometheus = project.addresses["envoy"], project.addresses["prometheus"]
    create, sign = trial
    health = [project.programs["countersign"], "healthcheck", "--server", f"{project.addresses['countersign']}:50051"]
    project.wait_for("Countersign", lambda: subprocess.run(health, capture_output=True, check=False).returncode == 0)
    project.wait_for("Envoy", lambda: read(f"http://{envoy}:9901/ready") == "LIVE\n")
    created = project.run(shell, create)
    for word, label in {"KEY": "consumer key", "SECRET": "consumer secret"}.items():
        value = re.search(rf"^{label} +(\S+)", created, re.M)[1]
        sign = sign.replace(f" {word} ", f" {value} ")
    signed = project.run(shell, sign).strip()
    answer = project.run(shell, f"{signed} --silent --include")
    if " 200 " not in answer.splitlines()[0] or '"HTTP_X_CONSUMER_USERNAME": "Printer"' not in answer:
        fail(f"a signed request: {answer}; see {LOGS}")
    tampered = project.run(shell, f"{signed} --silent --include".replace("/photos", "/photos/1"))
    if " 401 " not in tampered.splitlines()[0]:
        fail(f"a tampered request: {tampered}; see {LOGS}")
    query = f"http://{prometheus}:9090/api/v1/query?query=up%7Bjob%3D%22countersign%22%7D"
    project.wait_for("Prometheus", lambda: [one["value"][1] for one in json.loads(read(query))["data"]["result"]] == ["1"])


def read(url):
    with urlopen(url, timeout=5) as response:
        return response.read().decode()


if __name__ == "__main__":
    main()
