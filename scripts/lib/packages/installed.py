"""Installs the deb in a fresh Debian root, and uses it as an administrator does: installed.py ROOT.tar DEB. Needs root.

The service runs with the command, the user and the environment file of its unit, because a chroot has no systemd.
Nothing is mounted, and every process ends with this one.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import ports
import stack
import upstream

ENVOY = Path("target/envoy/1.40.0/envoy")
CLIENTS, ADMIN, CHECK, API, HTTP, OPS, UPSTREAM = stack.USUAL
UNIT = "usr/lib/systemd/system/countersign.service"
CONFIG = "etc/countersign/countersign.toml"
STATE = "var/lib/countersign"
# Seconds.
START_TIMEOUT = 30


def main(archive, deb):
    directory = Path(tempfile.mkdtemp(prefix="countersign-root."))
    try:
        subprocess.run(["tar", "--extract", "--file", archive, "--directory", directory], check=True)
        Installed(directory).use(Path(deb))
    finally:
        shutil.rmtree(directory)
    print("The deb was installed, served requests, was upgraded, removed and purged.")


class Installed:
    """A Debian below a directory."""

    def __init__(self, root):
        self.root = root

    def use(self, deb):
        shutil.copy(deb, self.root / "package.deb")
        self.install()
        self.check_files()
        with contextlib.ExitStack() as running:
            self.serve(running)
        expect((self.root / STATE / "admin-token").exists(), "the service has no admin token")
        with (self.root / CONFIG).open("a") as config:
            config.write("# changed by the administrator\n")
        self.put_systemctl()
        self.install()
        self.check_calls("daemon-reload", "try-restart countersign.service")
        expect("changed by the administrator" in (self.root / CONFIG).read_text(), "the upgrade lost the configuration")
        self.remove()

    def install(self):
        self.run("dpkg", "--install", "--force-confold", "/package.deb")

    def put_systemctl(self):
        """Makes the scripts see a systemd on which the service does not restart, and records what they ask of it."""
        (self.root / "run/systemd/system").mkdir(parents=True)
        systemctl = self.root / "usr/local/bin/systemctl"
        systemctl.write_text('#!/bin/sh\necho "$*" >>/systemctl.calls\n[ "$1" != try-restart ]\n')
        systemctl.chmod(0o755)

    def check_calls(self, *expected):
        """Compares the last calls of systemctl, and forgets all."""
        record = self.root / "systemctl.calls"
        calls = record.read_text().splitlines()
        record.unlink()
        expect(calls[-len(expected) :] == list(expected), f"the scripts called systemctl with {calls}")

    def remove(self):
        self.run("dpkg", "--remove", "countersign")
        self.check_calls("disable --now countersign.service", "daemon-reload")
        expect(not (self.root / "usr/bin/countersign").exists(), "the program stays after the removal")
        for path in STATE, CONFIG:
            expect((self.root / path).exists(), f"the removal deleted {path}")
        self.run("dpkg", "--purge", "countersign")
        for path in STATE, "etc/countersign":
            expect(not (self.root / path).exists(), f"the purge kept {path}")

    def check_files(self):
        expect(self.run("dpkg", "--verify", "countersign") == "", "installed files differ from the package")
        user = self.run("getent", "passwd", "countersign").strip().split(":")
        expect(user[5:] == ["/var/lib/countersign", "/usr/sbin/nologin"], f"the user is {user}")
        self.run("countersign", "config", "check", f"/{CONFIG}", user="countersign")

    def serve(self, running):
        """Runs the service and Envoy, and sends requests."""
        chosen = ports.choose(stack.USUAL)
        unit = Unit(self.root / UNIT)
        listen = {"CHECK": CHECK, "API": API, "HTTP": HTTP, "OPS": OPS}
        lines = [f"COUNTERSIGN_{name}__LISTEN=127.0.0.1:{chosen[port]}\n" for name, port in listen.items()]
        (self.root / unit.environment_file).write_text("".join(lines))
        self.make_directories(unit)
        received = []
        server = upstream.serve(lambda environ, start: received.append(environ) or upstream.headers(environ, start), chosen[UPSTREAM])
        running.callback(server.server_close)
        running.callback(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.start(running, unit.command, unit.user, unit.environment(self.root))
        self.wait(f"http://127.0.0.1:{chosen[OPS]}/readyz")
        self.start_envoy(running, chosen)
        self.send_requests(chosen)
        expect(received[0]["HTTP_X_CONSUMER_USERNAME"] == "Printer" and len(received) == 1, "the upstream saw other requests")

    def make_directories(self, unit):
        """Makes the state directory as systemd does before the start."""
        state = self.root / "var/lib" / unit.values["StateDirectory"]
        state.mkdir(mode=int(unit.values["StateDirectoryMode"], 8))
        owner = self.run("id", "--user", unit.user).strip()
        os.chown(state, int(owner), int(owner))

    def start_envoy(self, running, chosen):
        shutil.copy(ENVOY, self.root / "usr/local/bin/envoy")
        example = self.root / "usr/share/doc/countersign/examples/envoy/envoy.yaml"
        config = self.root / "etc/envoy.yaml"
        config.write_text(ports.in_envoy_configuration(example.read_text(), chosen))
        self.start(running, ["envoy", "-c", "/etc/envoy.yaml", "--disable-hot-restart", "--log-level", "error"], "nobody", {})
        self.wait(f"http://127.0.0.1:{chosen[ADMIN]}/ready")

    def send_requests(self, chosen):
        api = f"--server=http://127.0.0.1:{chosen[API]}"
        created = self.run("countersign", "consumer", "create", "--name=Printer", api, "--data-dir", f"/{STATE}", "--output=json", user="countersign")
        consumer = json.loads(created)
        address = f"127.0.0.1:{chosen[CLIENTS]}"
        secrets = [f"--consumer-key={consumer['consumer_key']}", f"--consumer-secret={consumer['consumer_secret']}"]
        signed = json.loads(self.run("countersign", "sign", "GET", f"http://{address}/photos?size=original", *secrets, "--output=json"))
        url = urlsplit(signed["url"])
        request = stack.Request("GET", f"{url.path}?{url.query}", {"Authorization": signed["authorization"]})
        for expected, sent in (401, request.changed(target="/photos?size=small")), (200, request), (401, request):
            status, body = stack.fetch(address, sent)
            expect(status == expected, f"{sent.target} got {status} instead of {expected}: {body}")

    def start(self, running, command, user, environment):
        """Starts a process in the root, which ends when `running` does."""
        chroot = ["chroot", f"--userspec={user}", self.root, *command]
        log = running.enter_context(tempfile.TemporaryFile())
        process = subprocess.Popen(chroot, stdout=log, stderr=log, env={"PATH": "/usr/sbin:/usr/bin:/usr/local/bin", **environment})
        running.callback(stack.end, process)
        self.log, self.process = log, process

    def wait(self, url):
        """Waits until the last process answers 200."""
        parts = urlsplit(url)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                if stack.fetch(parts.netloc, stack.Request("GET", parts.path))[0] == 200:
                    return
            time.sleep(0.05)
        self.log.seek(0)
        sys.exit(f"error: {url} is not ready:\n{self.log.read().decode()}")

    def run(self, *command, user="root"):
        """Runs a command in the root, and returns its output."""
        chroot = ["chroot", f"--userspec={user}", self.root, *command]
        environment = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        done = subprocess.run(chroot, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        expect(done.returncode == 0, f"{shlex.join(map(str, command[:3]))} failed:\n{done.stdout}")
        return done.stdout


class Unit:
    """The settings of a unit that a start needs."""

    def __init__(self, path):
        lines = path.read_text().splitlines()
        self.values = dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))
        self.command = shlex.split(self.values["ExecStart"])
        self.user = self.values["User"]
        self.environment_file = self.values["EnvironmentFile"].lstrip("-/")

    def environment(self, root):
        lines = (root / self.environment_file).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


def expect(condition, problem):
    if not condition:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main(*sys.argv[1:])
