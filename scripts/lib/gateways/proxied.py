"""Runs one gateway: Envoy with its configuration, Countersign, and an upstream."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import upstream
from stack import COUNTERSIGN, LISTENERS, end, environment, run

from examples import HOST

LOGS = Path("target/gateways/logs")
# Seconds. The check may take longer than in the examples, because machines that run tests are busy.
START_TIMEOUT = 60
REQUEST_TIMEOUT = 60
CHECK_TIMEOUT = 4
SETTINGS = {
    "COUNTERSIGN_LOG__JSON": "true",
    "COUNTERSIGN_LOG__FILTER": "info,countersign=debug",
    "COUNTERSIGN_CHECK__TIMEOUT": "3500ms",
    "COUNTERSIGN_SHUTDOWN__DELAY": "0s",
    # A manifest may name Redis and files of the pod.
    "COUNTERSIGN_STORE__URL": "embedded:countersign.redb",
    "COUNTERSIGN_STORE__MASTER_KEY_FILE": "",
    "COUNTERSIGN_API__ISSUER_TOKEN_FILE": "",
}


class Proxied:
    """The running processes of one gateway, which stop when the context ends."""

    def __init__(self, example, envoy, certificate, is_tls=False):
        self.example, self._envoy, self._certificate, self._is_tls = example, envoy, certificate, is_tls
        self.log = LOGS / f"{example.name}-{Path(envoy).parent.name}"

    def __enter__(self):
        self.log.mkdir(parents=True, exist_ok=True)
        self.processes, self.received = [], []
        with contextlib.ExitStack() as ending:
            self.data = ending.enter_context(tempfile.TemporaryDirectory(prefix="countersign-gateway."))
            ending.callback(lambda: [end(process) for process in reversed(self.processes)])
            server = upstream.serve(self._record)
            ending.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.listeners = self._start_countersign()
            self.port = self._start_envoy(server.server_port)
            self._create_credentials()
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *_exception):
        self._ending.close()

    def sign(self, method, target, *options, port=None):
        """Returns a request signed by `countersign sign` for the URL that clients call."""
        host = f"{HOST}:{port}" if port else HOST
        url = f"{self.example.scheme}://{host}{target}"
        command = [COUNTERSIGN, "sign", method, url, *self.credentials, *options, "--output=json"]
        signed = json.loads(run(command))
        found = urlsplit(signed["url"])
        headers = {"Host": host, "Authorization": signed["authorization"], "Content-Type": signed["content_type"]}
        return {
            "method": method,
            "target": f"{found.path}?{found.query}" if found.query else found.path,
            "headers": {name: value for name, value in headers.items() if value},
            "body": (signed["body"] or "").encode(),
        }

    def send(self, request, port=None):
        """Sends a request to Envoy, or to a plaintext port. Returns the status, the headers and the body of the
        response, and the headers that the upstream received, if any."""
        self.received.clear()
        with self._connected(port) as connection:
            connection.putrequest(request["method"], request["target"], skip_host=True, skip_accept_encoding=True)
            headers = {"Host": HOST, **request["headers"]}
            is_chunked = "Transfer-Encoding" in headers
            if request["body"] and not is_chunked:
                headers["Content-Length"] = str(len(request["body"]))
            for name, value in headers.items():
                connection.putheader(name, value)
            # Envoy may respond before it has read a long body.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.endheaders(request["body"] or None, encode_chunked=is_chunked)
            response = connection.getresponse()
            body = response.read().decode()
        return response.status, response.headers, body, self.received[-1] if self.received else None

    def freeze(self):
        self.processes[0].send_signal(signal.SIGSTOP)
        # Until all threads have stopped.
        os.waitpid(self.processes[0].pid, os.WUNTRACED)

    def stop_countersign(self):
        self.processes[0].send_signal(signal.SIGCONT)
        end(self.processes[0])

    @contextlib.contextmanager
    def _connected(self, port):
        raw = socket.create_connection(("127.0.0.1", port or self.port), timeout=REQUEST_TIMEOUT)
        if self.example.scheme == "https" and not port and self._has_tls:
            raw = ssl.create_default_context(cafile=self._certificate[0]).wrap_socket(raw, server_hostname=HOST)
        connection = HTTPConnection(HOST)
        connection.sock = raw
        with contextlib.closing(connection):
            yield connection

    def _record(self, environ, start_response):
        # Without the variables of this process, which are not for messages.
        self.received.append({name: value for name, value in environ.items() if name.startswith("HTTP_")})
        read_body(environ)
        return upstream.headers(environ, start_response)

    def _start_countersign(self):
        configuration = self.log / "countersign.toml"
        configuration.write_text(self.example.toml())
        log = self.log / "countersign.log"
        listen = [f"--{listener}=127.0.0.1:0" for listener in LISTENERS]
        command = [COUNTERSIGN, "serve", "--config", str(configuration), "--data-dir", self.data, *listen]
        settings = dict(SETTINGS)
        if self.example.name == "istio-gateway":
            settings["COUNTERSIGN_HTTP__PUBLIC_URL"] = f"https://{HOST}"
        if self._is_tls:
            settings.update(self._tls_settings())
        self._start(command, log, settings)

        def ports():
            lines = log.read_text().rpartition("\n")[0].splitlines()
            events = [json.loads(line) for line in lines if line.startswith("{")]
            found = {one["listener"]: one["address"] for one in events if one.get("message") == "listening"}
            return set(LISTENERS) <= set(found) and {name: port_of(address) for name, address in found.items()}

        return self._wait_for(ports, log)

    def _tls_settings(self):
        listeners = ("CHECK", "HTTP")
        files = {"CERTIFICATE_FILE": self._certificate[0], "KEY_FILE": self._certificate[1]}
        if self.example.has_client_certificate:
            files["CLIENT_CA_FILE"] = self._certificate[0]
        return {f"COUNTERSIGN_{one}__TLS__{name}": file for one in listeners for name, file in files.items()}

    def _start_envoy(self, upstream_port):
        log = self.log / "envoy.log"
        configuration = self.example.envoy_with_tls() if self._is_tls else self.example.envoy()
        self._has_tls = any(
            "transport_socket" in chain
            for listener in configuration["static_resources"]["listeners"]
            for chain in listener["filter_chains"]
        )
        real = {10000: 0, 9901: 0, 50051: self.listeners["check"], 8080: self.listeners["http"], 8000: upstream_port}
        certificate, key = self._certificate
        prepared = replaced(configuration, real, {"CERTIFICATE": certificate, "KEY": key})
        file, admin = self.log / "envoy.json", Path(self.data, "envoy-admin")
        file.write_text(json.dumps(prepared))
        options = ["--disable-hot-restart", "--log-level", "warning", "--concurrency", "1"]
        self._start([self._envoy, "-c", str(file), "--admin-address-path", str(admin), *options], log)

        def port():
            where = port_of(admin.read_text())
            if get(where, "/ready")[0] != 200:
                return None
            listener = json.loads(get(where, "/listeners?format=json")[1])["listener_statuses"][0]
            return listener["local_address"]["socket_address"]["port_value"]

        return self._wait_for(port, log)

    def _create_credentials(self):
        consumer = self._admin("consumer", "create", "--name", "Partner")
        key, secret = consumer["consumer_key"], consumer["consumer_secret"]
        token = self._admin("token", "create", "--consumer-key", key, "--user-id", "alice")
        self.consumer = ["--consumer-key", key, "--consumer-secret", secret]
        self.credentials = [*self.consumer, "--token", token["token"], "--token-secret", token["token_secret"]]

    def _admin(self, *arguments):
        server = [f"--server=http://127.0.0.1:{self.listeners['api']}", "--data-dir", self.data, "--output=json"]
        return json.loads(run([COUNTERSIGN, *arguments, *server]))

    def _start(self, command, log, settings=None):
        with log.open("w") as output:
            env = {**environment(), **(settings or {})}
            self.processes.append(subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env))

    def _wait_for(self, read, log):
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and all(process.poll() is None for process in self.processes):
            # The file or the socket may not exist yet, or the file may be incomplete.
            with contextlib.suppress(OSError, ValueError, HTTPException):
                value = read()
                if value:
                    return value
            time.sleep(0.1)
        raise RuntimeError(f"{self.example.name}: a process did not start listening; see {log}")


def replaced(value, ports, texts):
    """Returns the configuration with other ports and texts, and with a check that may take longer."""
    if isinstance(value, list):
        return [replaced(one, ports, texts) for one in value]
    if not isinstance(value, dict):
        return texts.get(value, value) if isinstance(value, str) else value
    result = {key: replaced(one, ports, texts) for key, one in value.items()}
    if "port_value" in value:
        result["port_value"] = ports.get(value["port_value"], value["port_value"])
    if "envoy_grpc" in value:
        result["timeout"] = f"{CHECK_TIMEOUT}s"
        if "retry_policy" in value:
            result["retry_policy"]["retry_back_off"]["max_interval"] = f"{CHECK_TIMEOUT}s"
    return result


def read_body(environ):
    """Reads the body, so that the connection is not reset when it is closed."""
    body = environ["wsgi.input"]
    if environ.get("HTTP_TRANSFER_ENCODING") != "chunked":
        body.read(int(environ.get("CONTENT_LENGTH") or 0))
        return
    while length := int(body.readline(), 16):
        body.read(length + len("\r\n"))


def port_of(address):
    return int(address.rpartition(":")[2])


def get(port, target):
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT)) as connection:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, response.read().decode()
