"""The Secret that the chart generates in a cluster works, and stays the same in upgrades."""

import base64
import subprocess
import tempfile
import unittest
from pathlib import Path

from fake_cluster import cluster
from paths import CHART, PROGRAM
from render import documents, helm, named

PATH = "/api/v1/namespaces/countersign/secrets/countersign"


class InstallTest(unittest.TestCase):
    def test_the_first_install_generates_a_secret_that_countersign_accepts(self):
        secret = self.secret({})
        self.assertRegex(secret["admin-token"], r"\A[A-Za-z0-9]{43}\Z")
        with tempfile.TemporaryDirectory() as directory:
            key = Path(directory, "master-key")
            key.touch(mode=0o600)
            key.write_text(secret["master-key"], encoding="utf-8")
            command = [PROGRAM, "config", "check", "--store", "redis://127.0.0.1:1", "--master-key-file", key]
            variables = {"COUNTERSIGN_ADMIN_TOKEN": secret["admin-token"]}
            checked = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(checked.returncode, 0, checked.stderr)

    def test_two_installs_have_different_secrets(self):
        first, second = self.secret({}), self.secret({})
        for key in first:
            self.assertNotEqual(first[key], second[key])

    def test_an_upgrade_keeps_the_secret(self):
        first = self.secret({})
        self.assertEqual(self.secret(stored(first)), first)

    def test_an_upgrade_adds_a_key_that_is_missing(self):
        first = self.secret({})
        again = self.secret(stored({"master-key": first["master-key"]}))
        self.assertEqual(again["master-key"], first["master-key"])
        self.assertEqual(len(again["admin-token"]), 43)

    def test_an_existing_secret_is_not_rendered(self):
        found = self.render({}, "--set", "secrets.existingSecret=mine")
        self.assertEqual([one for one in found if one["kind"] == "Secret"], [])

    def test_the_secret_outlives_the_release(self):
        secret = named(self.render({}), "Secret")
        self.assertEqual(secret["metadata"]["annotations"], {"helm.sh/resource-policy": "keep"})

    def test_values_replace_generated_secrets(self):
        key = subprocess.run([PROGRAM, "keygen"], capture_output=True, text=True, check=True, timeout=30).stdout
        given = ["--set-string", f"secrets.masterKey={key}", "--set-string", "secrets.adminToken=0123456789abcdef"]
        done = helm("template", "countersign", CHART, *given)
        self.assertEqual(done.returncode, 0, done.stderr)
        secret = named(documents(done.stdout), "Secret")["stringData"]
        self.assertEqual(secret, {"master-key": key, "admin-token": "0123456789abcdef"})

    def secret(self, objects):
        return named(self.render(objects), "Secret")["stringData"]

    def render(self, objects, *arguments):
        with cluster(objects) as configuration:
            done = helm("template", "countersign", CHART, "--dry-run=server", "--disable-openapi-validation", "--kubeconfig", configuration, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return documents(done.stdout)


def stored(secret):
    """Returns the Secret as a cluster stores it."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in secret.items()}
    metadata = {
        "name": "countersign",
        "namespace": "countersign",
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": "countersign", "meta.helm.sh/release-namespace": "countersign"},
    }
    return {PATH: {"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "data": data}}


if __name__ == "__main__":
    unittest.main()
