"""Runs Envoy and Countersign with deploy/envoy and the embedded store, and an upstream."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Optional
from urllib.parse import urlsplit

import ports
import upstream

# A test of a package runs its program instead.
COUNTERSIGN = os.environ.get("COUNTERSIGN_PROGRAM", "target/debug/countersign")
ENVOY = "target/envoy/1.40.0/envoy"
LOGS = Path("target/demo")
# Seconds.
START_TIMEOUT = 30
REQUEST_TIMEOUT = 30
STOP_TIMEOUT = 10

CONFIG = "deploy/envoy/countersign.toml"
SETTINGS = {
    "COUNTERSIGN_LOG__JSON": "true",
    "COUNTERSIGN_LOG__FILTER": "info,countersign=debug",
    "COUNTERSIGN_CHECK__REALM": "demo",
    "COUNTERSIGN_SHUTDOWN__DELAY": "0s",
}
LISTENERS = ("check", "api", "http", "ops")
# The ports of deploy/envoy/envoy.yaml and of the listeners: Envoy's for clients and for administrators, those of
# Countersign, and the upstream's.
CLIENTS, ADMIN, CHECK, API, HTTP, OPS, UPSTREAM = USUAL = (10000, 9901, 50051, 50052, 8080, 9090, 8000)


class Stack:
    """The running processes and the upstream, which stop when the context ends.

    They listen on free ports: with `on_usual_ports`, on those that deploy/envoy names, except the taken ones.
    """

    def __init__(self, on_usual_ports=False):
        # The port 0 stands for any free one.
        self._ports = ports.choose(USUAL) if on_usual_ports else dict.fromkeys(USUAL, 0)

    def __enter__(self):
        LOGS.mkdir(parents=True, exist_ok=True)
        self.processes, self.received, self.body = [], [], ""
        with contextlib.ExitStack() as ending:
            self.data = ending.enter_context(tempfile.TemporaryDirectory(prefix="countersign-demo."))
            ending.callback(lambda: [end(process) for process in reversed(self.processes)])
            server = upstream.serve(self._record, self._ports[UPSTREAM])
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.check, self.api, self.http, self.ops = self._start_countersign()
            self.address = self._start_envoy(server.server_port)
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *_exception):
        self._ending.close()

    def is_running(self):
        return all(process.poll() is None for process in self.processes)

    def admin(self, *arguments):
        """Runs an administration command and returns its output."""
        server = [f"--server=http://{self.api}", "--data-dir", self.data, "--output=json"]
        return json.loads(run([COUNTERSIGN, *arguments, *server]))

    def sign(self, method, target, *options):
        """Returns a request signed by `countersign sign`."""
        command = [COUNTERSIGN, "sign", method, f"http://{self.address}{target}", *options, "--output=json"]
        signed = json.loads(run(command))
        url = urlsplit(signed["url"])
        headers = {"Authorization": signed["authorization"], "Content-Type": signed["content_type"]}
        return Request(
            method,
            f"{url.path}?{url.query}" if url.query else url.path,
            {name: value for name, value in headers.items() if value},
            signed["body"],
        )

    def send(self, request):
        """Sends a request to Envoy. Returns the status, the body, and the headers that the upstream received, if any."""
        self.received.clear()
        status, self.body = fetch(self.address, request)
        return status, self.body, self.received[-1] if self.received else None

    def _record(self, environ, start_response):
        self.received.append(environ)
        return upstream.headers(environ, start_response)

    def _start_countersign(self):
        log = LOGS / "countersign.log"
        chosen = zip(LISTENERS, (CHECK, API, HTTP, OPS))
        listen = [f"--{listener}={ports.ADDRESS}:{self._ports[port]}" for listener, port in chosen]
        self._start([COUNTERSIGN, "serve", "--config", CONFIG, "--data-dir", self.data, *listen], log, SETTINGS)

        def addresses():
            lines = log.read_text().rpartition("\n")[0].splitlines()
            events = [json.loads(line) for line in lines if line.startswith("{")]
            found = {event["listener"]: event["address"] for event in events if event.get("message") == "listening"}
            return found.get("ops") and [found[listener] for listener in LISTENERS]

        return self._wait_for(addresses, f"Countersign did not start listening; see {log}")

    def _start_envoy(self, upstream_port):
        check, http = (listener.rpartition(":")[2] for listener in (self.check, self.http))
        real = {**self._ports, CHECK: check, HTTP: http, UPSTREAM: upstream_port}
        text = Path("deploy/envoy/envoy.yaml").read_text()
        config, admin, log = LOGS / "envoy.yaml", Path(self.data, "envoy-admin"), LOGS / "envoy.log"
        config.write_text(ports.in_envoy_configuration(text, real))
        options = ["--disable-hot-restart", "--log-level", "warning", "--concurrency", "2"]
        self._start([ENVOY, "-c", str(config), "--admin-address-path", str(admin), *options], log)

        def address():
            where = admin.read_text()
            if fetch(where, Request("GET", "/ready"))[0] != 200:
                return None
            _, listeners = fetch(where, Request("GET", "/listeners?format=json"))
            listener = json.loads(listeners)["listener_statuses"][0]["local_address"]["socket_address"]
            return f"{listener['address']}:{listener['port_value']}"

        return self._wait_for(address, f"Envoy did not start listening; see {log}")

    def _start(self, command, log, settings=None):
        with log.open("w") as output:
            env = {**environment(), **(settings or {})}
            self.processes.append(subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env))

    def _wait_for(self, read, problem):
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self.is_running():
            # The file or the socket may not exist yet.
            with contextlib.suppress(OSError):
                value = read()
                if value:
                    return value
            time.sleep(0.05)
        sys.exit(f"error: {problem}")


@dataclass(frozen=True)
class Request:
    """A request that is sent without changes."""

    method: str
    target: str
    headers: dict = field(default_factory=dict)
    body: Optional[str] = None

    def changed(self, **changes):
        """Returns the request with some fields changed."""
        return replace(self, **changes)

    def with_headers(self, headers):
        return self.changed(headers={**self.headers, **headers})


def fetch(address, request):
    """Sends a request and returns the status and the body of the response."""
    with contextlib.closing(HTTPConnection(address, timeout=REQUEST_TIMEOUT)) as connection:
        body = request.body.encode() if request.body else None
        connection.request(request.method, request.target, body, request.headers)
        response = connection.getresponse()
        return response.status, response.read().decode()


def environment():
    """Returns this environment without variables that configure Countersign."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")}


def run(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment()).stdout


def end(process):
    process.terminate()
    try:
        process.wait(timeout=STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
