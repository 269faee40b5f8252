"""Countersign starts with what the chart renders, and its probes, `helm test` and commands in the pod succeed."""

import contextlib
import json
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from paths import PROGRAM
from rehearsal import admin_token, generated, replica, write
from render import documents, of_kind, rendered, template

MUTUAL_TLS = """\
secrets: { existingSecret: countersign, keys: { issuerToken: issuer-token } }
check: { tls: { enabled: true, dnsNames: [localhost] } }
api: { expose: true, tls: { enabled: true } }
issuing: { enabled: true, tls: { enabled: true } }
ops: { tls: { enabled: true, dnsNames: [localhost] } }
certManager: { enabled: true, issuerRef: { name: ca } }
"""


class RehearsalTest(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        self.secrets = {
            "countersign": {"master-key": keygen(), "admin-token": admin_token(), "issuer-token": admin_token()}
        }

    def test_the_embedded_store_on_a_volume(self):
        with replica(rendered()["embedded"], self.secrets, self.place) as started:
            self.probes(f"http://{started.addresses['ops']}", None)
            self.succeeds(started.run("healthcheck", "--server", started.addresses["check"]))
            created = self.succeeds(
                started.run("consumer", "create", "--name", "Printer", "--server", started.addresses["api"])
            )
            self.assertIn("Printer", created)
        self.assertTrue(self.place.joinpath("data/countersign/countersign.redb").exists())

    def test_replicas_share_the_admin_token_and_the_master_key(self):
        with redis(self.place) as url, contextlib.ExitStack() as stack:
            self.secrets["countersign"]["store-url"] = url
            first, second = [
                stack.enter_context(replica(rendered()["redis"], self.secrets, self.directory(name))) for name in "ab"
            ]
            created = [
                "consumer",
                "create",
                "--name",
                "Printer",
                "--output",
                "json",
                "--server",
                first.addresses["api"],
            ]
            key = json.loads(self.succeeds(first.run(*created)))["consumer_key"]
            # The token of the first one, for a record that the second one must decrypt.
            shown = first.run("consumer", "get", key, "--server", second.addresses["api"])
            self.assertIn("Printer", self.succeeds(shown))
            other = {"countersign": self.secrets["countersign"] | {"master-key": keygen()}}
            with self.assertRaisesRegex(AssertionError, "master_key_file"):
                stack.enter_context(replica(rendered()["redis"], other, self.directory("c")))

    def test_mutual_tls_with_certificates_of_cert_manager(self):
        found = self.render(MUTUAL_TLS)
        self.issue(found)
        with replica(found, self.secrets, self.place) as started:
            trusted = ssl.create_default_context(cadata=self.secrets["countersign-ops-tls"]["ca.crt"])
            self.probes(f"https://localhost:{port(started, 'ops')}", trusted)
            self.helm_test(found, started)
            # Without options, as in the notes of the chart.
            self.assertIn("Printer", self.succeeds(started.run("consumer", "create", "--name", "Printer")))

    def test_mutual_tls_refuses_a_client_without_a_certificate(self):
        found = self.render(MUTUAL_TLS)
        self.issue(found)
        with replica(found, self.secrets, self.place) as started:
            server = f"https://localhost:{port(started, 'check')}"
            asked = started.run("healthcheck", "--server", server, "--ca", "/secrets/tls/api/ca.crt")
            # The variables of the pod have a certificate for its own commands; other clients do not.
            del started.variables["COUNTERSIGN_CLIENT_CERTIFICATE"], started.variables["COUNTERSIGN_CLIENT_KEY"]
            refused = started.run("healthcheck", "--server", server, "--ca", "/secrets/tls/api/ca.crt")
            self.assertEqual((asked.returncode, refused.returncode), (0, 1), asked.stderr + refused.stderr)

    def directory(self, name):
        directory = self.place / name
        directory.mkdir()
        return directory

    def probes(self, server, context):
        """Calls the addresses of the probes until they succeed, as the kubelet does."""
        deadline = time.monotonic() + 10
        for path in ("livez", "readyz"):
            while (status := get(f"{server}/{path}", context)) != 200 and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertEqual(status, 200, path)

    def helm_test(self, found, started):
        """Runs the container of `helm test` with the address of the replica."""
        for key, content in self.secrets["countersign-client-tls"].items():
            write(self.place / "secrets/tls/client", key, content)
        (test,) = of_kind(found, "Pod")
        server = f"--server=https://localhost:{port(started, 'check')}"
        arguments = [server if one.startswith("--server=") else one for one in test["spec"]["containers"][0]["args"]]
        self.succeeds(started.run(*arguments))

    def issue(self, found):
        """Does the work of cert-manager: a certificate for each Certificate, with its names and usages."""
        authority = Authority(self.place)
        for certificate in of_kind(found, "Certificate"):
            self.secrets[certificate["spec"]["secretName"]] = authority.issue(certificate)

    def render(self, values):
        file = self.place / "values.yaml"
        file.write_text(values, encoding="utf-8")
        return documents(template("--values", file))

    def succeeds(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


class Authority:
    """A CA that issues certificates with openssl."""

    def __init__(self, place):
        self.place = place / "ca"
        self.place.mkdir()
        self.openssl("req", "-x509", "-days", "1", "-subj", "/CN=ca", "-keyout", "ca-key.pem", "-out", "ca.pem", *KEY)

    def issue(self, certificate):
        name, specification = certificate["metadata"]["name"], certificate["spec"]
        names = ",".join(f"DNS:{host}" for host in specification["dnsNames"])
        usages = ",".join(
            {"server auth": "serverAuth", "client auth": "clientAuth"}[one]
            for one in specification["usages"]
            if one.endswith("auth")
        )
        directory = self.place / name
        directory.mkdir()
        extensions = [
            "-addext",
            f"subjectAltName={names}",
            "-addext",
            f"extendedKeyUsage={usages}",
            "-addext",
            "basicConstraints=CA:FALSE",
        ]
        self.openssl(
            "req",
            "-x509",
            "-days",
            "1",
            "-subj",
            f"/CN={name}",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca-key.pem",
            *extensions,
            *KEY,
            "-keyout",
            directory / "key.pem",
            "-out",
            directory / "tls.pem",
        )
        directory.joinpath("ca.pem").write_bytes(self.place.joinpath("ca.pem").read_bytes())
        return generated(directory)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.place, check=True, capture_output=True, timeout=30)


KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


@contextlib.contextmanager
def redis(place):
    """Runs a Redis, and yields its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = str(free.getsockname()[1])
    command = ["redis-server", "--port", number, "--bind", "127.0.0.1", "--save", "", "--dir", place]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = any("Ready to accept connections" in line for line in process.stdout)
            assert ready, "redis-server does not start"
            yield f"redis://127.0.0.1:{number}"
        finally:
            process.terminate()


def keygen():
    """Returns a master key file."""
    return subprocess.run([PROGRAM, "keygen"], check=True, capture_output=True, text=True, timeout=30).stdout


def get(url, context):
    """Returns the status of a response."""
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def port(started, listener):
    """Returns the port of a listener."""
    return started.addresses[listener].rpartition(":")[2]


if __name__ == "__main__":
    unittest.main()
