"""Mistakes that the checks of the manifests must find."""

import contextlib
import copy
import io
import unittest
from dataclasses import dataclass

import consistency
import manifests
import table
from examples import GATEWAYS

EXAMPLES = {example.name: example for example in GATEWAYS}


@dataclass(frozen=True)
class Changed:
    """An example in which one key has another name, or another value."""

    example: object
    key: str
    renamed: str = None
    value: object = None
    in_envoy: bool = False

    def __getattr__(self, name):
        return getattr(self.example, name)

    def documents(self):
        documents = copy.deepcopy(self.example.documents())
        return documents if self.in_envoy else self._changed(documents)

    def envoy(self):
        configuration = copy.deepcopy(self.example.envoy())
        return self._changed(configuration) if self.in_envoy else configuration

    def _changed(self, source):
        holder = consistency.first(source, self.key)
        if self.renamed:
            holder[self.renamed] = holder.pop(self.key)
        else:
            holder[self.key] = self.value
        return source


def found(name, key, value, in_envoy=False):
    """Returns the problems of an example with a change, without the published schemas."""
    example = Changed(EXAMPLES[name], key, value=value, in_envoy=in_envoy)
    return manifests.unknown_in([example]) + consistency.problems([example])


class Mistakes(unittest.TestCase):
    def assert_found(self, text, *change, **options):
        problems = found(*change, **options)
        self.assertTrue(any(text in problem for problem in problems), problems)

    def test_unchanged_examples_have_none(self):
        self.assertEqual(manifests.problems(GATEWAYS) + consistency.problems(GATEWAYS), [])

    def test_misspelt_fields(self):
        for name, key, wrong in (
            ("envoy-gateway", "failOpen", "failopen"),
            ("envoy-gateway", "escapedSlashesAction", "escapedSlashAction"),
            ("contour", "responseTimeout", "timeout"),
            ("contour", "authPolicy", "authpolicy"),
            ("kgateway", "requestTimeout", "timeout"),
            ("kgateway", "disable", "disabled"),
            ("istio-sidecar", "selector", "workloadSelector"),
            ("istio-waypoint", "targetRefs", "targetRef"),
        ):
            with self.subTest(key):
                problems = manifests.unknown_in([Changed(EXAMPLES[name], key, wrong)])
                self.assertTrue(any(f".{wrong} is unknown" in one for one in problems), problems)

    def test_wrong_values(self):
        self.assert_found("is not boolean", "envoy-gateway", "failOpen", value="false")
        self.assert_found("is not ALLOW | CUSTOM", "istio-sidecar", "action", value="CUSTOMER")

    def test_values_that_the_published_schemas_refuse(self):
        problems = manifests.invalid([Changed(EXAMPLES["kgateway"], "hostnames", value=["api_example"])])
        self.assertTrue(any("hostnames" in one for one in problems), problems)

    def test_open_failures(self):
        for name in ("envoy-gateway", "contour", "kgateway", "istio-gateway"):
            with self.subTest(name):
                self.assert_found("failOpen is True", name, "failOpen", value=True)
        self.assert_found("failure_mode_allow is True", "contour", "failure_mode_allow", value=True, in_envoy=True)

    def test_services_that_do_not_exist(self):
        backend = {"name": "countersign", "namespace": "countersign", "port": 50052}
        self.assert_found("50052 is no port", "kgateway", "backendRef", value=backend)
        service = "countersign-check.countersign.svc.cluster.local"
        self.assert_found("countersign-check is no Service", "istio-gateway", "service", value=service)

    def test_limits(self):
        self.assert_found("does not fit check.timeout", "contour", "timeout", value="0.18s", in_envoy=True)
        self.assert_found("max_request_bytes is not", "kgateway", "max_request_bytes", value=8192, in_envoy=True)
        self.assert_found("partial bodies", "contour", "allow_partial_message", value=True, in_envoy=True)

    def test_unchecked_routes(self):
        for name, key in (("envoy-gateway", "backendRefs"), ("kgateway", "backendRefs"), ("contour", "services")):
            with self.subTest(name):
                example = Changed(EXAMPLES[name], key)
                documents = EXAMPLES[name].documents()
                for _, _, holder in consistency.walk(documents):
                    if isinstance(holder, dict) and holder.get(key, [{}])[0].get("name") == "countersign-issuing":
                        holder[key] = [{"name": "orders", "port": 8000}]
                object.__setattr__(example, "documents", lambda documents=documents: documents)
                self.assertIn("requests to orders are not checked", list(consistency.exemptions(example)))

    def test_deviations_of_the_tested_configuration(self):
        self.assert_found("timeout is 0.25", "envoy-gateway", "timeout", value="0.3s", in_envoy=True)
        self.assert_found("merge_slashes is False", "envoy-gateway", "merge_slashes", value=True, in_envoy=True)
        self.assert_found("context is", "kgateway", "context_extensions", value={}, in_envoy=True)

    def test_other_results_in_the_table(self):
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as ended:
            table.compare("| signed GET | 401 |\n", write=False)
        self.assertIn("| signed GET | 401 |", str(ended.exception))


if __name__ == "__main__":
    unittest.main()
