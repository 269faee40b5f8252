"""Every example renders resources that Kubernetes and the operators accept, and that agree with each other."""

import functools
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import kubernetes_validate

import consistency
import operators
import pod_security
from paths import CHART, PROGRAM
from render import NAMESPACE, configuration, documents, examples, helm, of_kind, pods, rendered, template, workload
from toml import toml

# The Secrets that the comments of the examples and docs/kubernetes.md tell users to create.
SECRETS = {
    "countersign": {"master-key", "admin-token", "issuer-token", "store-url"},
    "countersign-redis": {"username", "password"},
    "redis-user": {"username", "password"},
    "redis-sentinel": {"password"},
    "redis-ca": {"ca.crt"},
    "redis-client": {"tls.crt", "tls.key"},
    "countersign-server": {"tls.crt", "tls.key"},
    "gateway-ca": {"ca.crt"},
    "countersign-test-client": {None},
}


class RenderedTest(unittest.TestCase):
    def each(self, check):
        """Applies a check, which returns what is wrong, to every example."""
        for name, found in rendered().items():
            with self.subTest(name):
                self.assertEqual(check(found), [])

    def test_there_are_examples_of_many_situations(self):
        self.assertGreaterEqual(len(examples()), 8)
        for example in examples():
            self.assertTrue(example.read_text(encoding="utf-8").startswith("# "), f"{example.name} says nothing")

    def test_helm_lint_accepts_every_example(self):
        for example in examples():
            with self.subTest(example.name):
                linted = helm("lint", "--strict", CHART, "--values", example)
                self.assertEqual(linted.returncode, 0, linted.stdout + linted.stderr)

    def test_selectors_match_the_pods(self):
        self.each(consistency.selectors)

    def test_services_lead_to_ports_of_the_container(self):
        self.each(consistency.service_ports)

    def test_probes_call_the_ops_listener(self):
        self.each(consistency.probes)
        self.each(lambda found: consistency.probe_schemes(found, toml(configuration(found))))

    def test_open_listeners_are_ports_and_others_are_not(self):
        self.each(lambda found: consistency.listeners(found, toml(configuration(found))))

    def test_referenced_secrets_and_keys_exist(self):
        self.each(lambda found: consistency.secrets(found, SECRETS))

    def test_volumes_are_mounted_and_have_the_configured_files(self):
        self.each(consistency.mounts)
        self.each(lambda found: consistency.files(found, toml(configuration(found))))

    def test_autoscaler_and_budget_agree_with_the_replicas(self):
        self.each(consistency.availability)

    def test_network_policies_permit_what_is_needed_and_no_more(self):
        self.each(consistency.network)

    def test_certificates_have_the_names_of_the_services(self):
        self.each(lambda found: consistency.certificates(found, NAMESPACE))

    def test_the_route_has_the_token_endpoints(self):
        self.each(consistency.routes)

    def test_the_monitor_selects_one_service(self):
        self.each(consistency.monitored)

    def test_every_pod_is_restricted(self):
        self.each(lambda found: [one for _, pod in pods(found) for one in pod_security.violations(pod)])

    def test_pods_end_after_countersign_has_drained(self):
        for found in rendered().values():
            self.assertGreater(workload(found)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], 5 + 20)

    def test_kubernetes_accepts_every_resource(self):
        for one in distinct(document for found in rendered().values() for document in found):
            if not operators.is_of_operator(one):
                for version in ("1.30", "1.37"):
                    with self.subTest(kind=one["kind"], version=version):
                        kubernetes_validate.validate(one, version, strict=True)

    def test_a_mistake_in_a_resource_of_kubernetes_is_found(self):
        (service, *_) = of_kind(rendered()["redis"], "Service")
        wrong = service | {"spec": service["spec"] | {"selectr": {}}}
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, "1.37", strict=True)

    def test_the_operators_accept_every_resource(self):
        found = [one for every in rendered().values() for one in every if operators.is_of_operator(one)]
        self.assertEqual(operators.problems(found), [])
        self.assertEqual(
            {one["kind"] for one in found},
            {"Certificate", "ExternalSecret", "HTTPRoute", "BackendTLSPolicy", "ServiceMonitor", "PrometheusRule"},
        )

    def test_mistakes_in_a_resource_of_an_operator_are_found(self):
        (certificate, *_) = of_kind(rendered()["envoy-gateway"], "Certificate")
        for wrong in ({"secretNam": "x"}, {"secretName": 5}, {"usages": ["servr auth"]}):
            changed = certificate | {"spec": certificate["spec"] | wrong}
            self.assertNotEqual(operators.problems([changed]), [], wrong)


class ProgramTest(unittest.TestCase):
    def test_countersign_accepts_every_configuration(self):
        for name, found in rendered().items():
            with self.subTest(name):
                checked = config_check(found)
                self.assertEqual(checked.returncode, 0, checked.stderr)

    def test_a_mistake_in_the_configuration_is_found(self):
        found = documents(template("--set", "secrets.existingSecret=x", "--set", "config.check.real=x"))
        checked = config_check(found)
        self.assertEqual(checked.returncode, 64)
        self.assertIn("real", checked.stderr)

    def test_text_and_structure_give_the_same_configuration(self):
        text = 'config: "[check]\\nrealm = \\"a\\\\n<b> ü\\"\\nmax_body_bytes = 5\\n[[route]]\\nmethods = [\\"GET\\"]\\n"'
        structure = 'config: { check: { realm: "a\\n<b> ü", max_body_bytes: 5 }, route: [{ methods: [GET] }] }'
        configurations = [toml(configuration(with_values(values))) for values in (text, structure)]
        self.assertEqual(*configurations)
        self.assertEqual(configurations[0]["check"]["realm"], "a\n<b> ü")

    def test_the_probe_of_helm_test_is_a_command_of_countersign(self):
        (test,) = of_kind(rendered()["envoy-gateway"], "Pod")
        arguments = test["spec"]["containers"][0]["args"]
        asked = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=30, check=False)
        # Wrong usage would be 64; here, no file of the pod exists.
        self.assertIn("/secrets/tls/client/", asked.stderr)

    def test_files_of_the_pod_are_those_that_countersign_reads(self):
        checked = config_check(rendered()["envoy-gateway"], files=True)
        for path in ("check/tls.crt", "api/tls.crt", "http/tls.crt", "ops/tls.crt"):
            self.assertIn(f"/secrets/tls/{path}", checked.stderr)


def distinct(documents_):
    """Returns each document once: many examples render the same Service."""
    return list({json.dumps(one, sort_keys=True): one for one in documents_}.values())


def with_values(text):
    """Returns the documents for the text of a values file."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "values.yaml")
        path.write_text(f"secrets: {{ existingSecret: x }}\n{text}\n", encoding="utf-8")
        return documents(template("--values", path))


@functools.cache
def base_environment():
    """Returns the variables without those of Countersign."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN")}


def config_check(found, files=False):
    """Runs `countersign config check` on the configuration and the variables of the container."""
    variables = base_environment() | {"COUNTERSIGN_ADMIN_TOKEN": "0123456789abcdef"}
    for variable in consistency.container(found)["env"]:
        if variable["name"] == "COUNTERSIGN_STORE__URL":
            variables["COUNTERSIGN_STORE__URL"] = "redis://redis:6379/0"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "countersign.toml")
        path.write_text(configuration(found), encoding="utf-8")
        options = [] if files else ["--no-files"]
        command = [PROGRAM, "config", "check", path, *options]
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=30, check=False)


if __name__ == "__main__":
    unittest.main()
