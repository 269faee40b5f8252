"""Envoy as in deploy/envoy, Countersign on its embedded store, and an upstream: running, on free ports."""

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

import upstream

COUNTERSIGN = "target/debug/countersign"
ENVOY = "target/envoy/1.40.0/envoy"
LOGS = Path("target/demo")
PATIENCE = 30

SETTINGS = {
    "COUNTERSIGN_LOG__JSON": "true",
    "COUNTERSIGN_LOG__FILTER": "info,countersign=debug",
    "COUNTERSIGN_CHECK__REALM": "demo",
    # deploy/envoy has allow_partial_message: false.
    "COUNTERSIGN_CHECK__ENVOY_SENDS_WHOLE_BODIES": "true",
    "COUNTERSIGN_SHUTDOWN__DELAY": "0s",
}


class Stack:
    """The running parts; leaving the context ends them."""

    def __enter__(self):
        LOGS.mkdir(parents=True, exist_ok=True)
        self.processes, self.arrived, self.body = [], [], ""
        with contextlib.ExitStack() as ending:
            self.data = ending.enter_context(tempfile.TemporaryDirectory(prefix="countersign-demo."))
            ending.callback(lambda: [end(process) for process in reversed(self.processes)])
            server = upstream.serve(self._record)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.check, self.api, self.http = self._start_countersign()
            self.address = self._start_envoy(server.server_port)
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *_exception):
        self._ending.close()

    def is_running(self):
        return all(process.poll() is None for process in self.processes)

    def admin(self, *arguments):
        """Runs an administration command, and returns what it prints."""
        server = [f"--server=http://{self.api}", "--data-dir", self.data, "--output=json"]
        return json.loads(run([COUNTERSIGN, *arguments, *server]))

    def sign(self, method, target, *options):
        """A signed request, as `countersign sign` makes it."""
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
        """Sends a request to Envoy: its status, its body, and the headers that the upstream saw, if it was reached."""
        self.arrived.clear()
        status, self.body = fetch(self.address, request)
        return status, self.body, self.arrived[-1] if self.arrived else None

    def _record(self, environ, start_response):
        self.arrived.append(environ)
        return upstream.headers(environ, start_response)

    def _start_countersign(self):
        log = LOGS / "countersign.log"
        listen = [f"--{listener}=127.0.0.1:0" for listener in ("check", "api", "http", "ops")]
        self._start([COUNTERSIGN, "serve", "--data-dir", self.data, *listen], log, SETTINGS)

        def addresses():
            lines = log.read_text().rpartition("\n")[0].splitlines()
            events = [json.loads(line) for line in lines if line.startswith("{")]
            found = {event["listener"]: event["address"] for event in events if event.get("message") == "listening"}
            return found.get("ops") and (found["check"], found["api"], found["http"])

        return self._wait_for(addresses, f"Countersign to listen; see {log}")

    def _start_envoy(self, upstream_port):
        text = Path("deploy/envoy/envoy.yaml").read_text()
        check, http = (listener.rpartition(":")[2] for listener in (self.check, self.http))
        ports = {10000: 0, 9901: 0, 50051: check, 8080: http, 8000: upstream_port}
        for stands, real in ports.items():
            text = text.replace(f"port_value: {stands} ", f"port_value: {real} ")
        config, admin, log = LOGS / "envoy.yaml", Path(self.data, "envoy-admin"), LOGS / "envoy.log"
        config.write_text(text)
        options = ["--disable-hot-restart", "--log-level", "warning", "--concurrency", "2"]
        self._start([ENVOY, "-c", str(config), "--admin-address-path", str(admin), *options], log)

        def address():
            where = admin.read_text()
            if fetch(where, Request("GET", "/ready"))[0] != 200:
                return None
            _, listeners = fetch(where, Request("GET", "/listeners?format=json"))
            listener = json.loads(listeners)["listener_statuses"][0]["local_address"]["socket_address"]
            return f"{listener['address']}:{listener['port_value']}"

        return self._wait_for(address, f"Envoy to listen; see {log}")

    def _start(self, command, log, settings=None):
        with log.open("w") as output:
            env = {**environment(), **(settings or {})}
            self.processes.append(subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env))

    def _wait_for(self, ask, what):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.is_running():
            # A file or a socket that is not there yet.
            with contextlib.suppress(OSError):
                answer = ask()
                if answer:
                    return answer
            time.sleep(0.05)
        sys.exit(f"error: waited in vain for {what}")


@dataclass(frozen=True)
class Request:
    """A request, sent as it stands here."""

    method: str
    target: str
    headers: dict = field(default_factory=dict)
    body: Optional[str] = None

    def but(self, **changes):
        """The same with something changed."""
        return replace(self, **changes)

    def with_headers(self, headers):
        return self.but(headers={**self.headers, **headers})


def fetch(address, request):
    """Status and body of what a request gets."""
    with contextlib.closing(HTTPConnection(address, timeout=PATIENCE)) as connection:
        body = request.body.encode() if request.body else None
        connection.request(request.method, request.target, body, request.headers)
        response = connection.getresponse()
        return response.status, response.read().decode()


def environment():
    """This environment, without what would configure Countersign."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")}


def run(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment()).stdout


def end(process):
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
