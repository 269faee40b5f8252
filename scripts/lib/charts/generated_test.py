"""The chart's values, schema, README and plain manifests agree, and a difference is noticed."""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import yaml

import generate
import manifests
import pod_security
import reference
from paths import CHART
from render import documents, pods


class GeneratedTest(unittest.TestCase):
    def test_the_schema_has_the_keys_of_the_values(self):
        values = yaml.safe_load(CHART.joinpath("values.yaml").read_text(encoding="utf-8"))
        schema = json.loads(CHART.joinpath("values.schema.json").read_text(encoding="utf-8"))
        self.assertEqual(missing(values, schema, ""), [])
        self.assertEqual(unknown(values, schema, ""), {"global", "startupProbe.initialDelaySeconds", *PROBES})

    def test_every_value_has_a_description(self):
        described = {value.path for value in reference.values()}
        values = yaml.safe_load(CHART.joinpath("values.yaml").read_text(encoding="utf-8"))
        schema = json.loads(CHART.joinpath("values.schema.json").read_text(encoding="utf-8"))
        self.assertEqual([path for path in paths(values, schema, "") if not covered(path, described)], [])

    def test_plain_manifests_need_no_helm(self):
        for path, text in manifests.texts().items():
            with self.subTest(path.name):
                self.assertNotIn("elm.sh", text)
                self.assertNotIn("{{", text)
                self.assertTrue(documents(text))
                self.assertEqual([one for _, pod in pods(documents(text)) for one in pod_security.violations(pod)], [])

    def test_a_difference_is_noticed_and_written(self):
        with tempfile.TemporaryDirectory() as directory, mock.patch.object(generate, "PROJECT", Path(directory)):
            path = Path(directory, "manifest.yaml")
            path.write_text("old\n", encoding="utf-8")
            with contextlib.redirect_stdout(io.StringIO()) as output:
                self.assertFalse(generate.is_current(path, "new\n", write=False))
                self.assertIn("-old\n+new\n", output.getvalue())
                self.assertTrue(generate.is_current(path, "new\n", write=True))
            self.assertEqual(path.read_text(encoding="utf-8"), "new\n")
            self.assertTrue(generate.is_current(path, "new\n", write=False))


class PodSecurityTest(unittest.TestCase):
    def test_each_violation_is_found(self):
        fine = {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        self.assertEqual(of_context(fine), [])
        for key in fine:
            self.assertEqual(len(of_context({name: value for name, value in fine.items() if name != key})), 1, key)
        self.assertEqual(of_context(fine | {"privileged": True}), ["c: may be privileged"])
        pod = {"hostNetwork": True, "containers": [], "volumes": [{"name": "x", "hostPath": {"path": "/"}}]}
        self.assertEqual(pod_security.violations(pod), ["hostNetwork is true", "volume of type hostPath"])


# Values of probes without a default in the chart.
PROBES = {
    "livenessProbe.initialDelaySeconds",
    "livenessProbe.terminationGracePeriodSeconds",
    "readinessProbe.initialDelaySeconds",
    "startupProbe.terminationGracePeriodSeconds",
}


def of_context(context):
    """Returns the violations of a pod with one container with that security context."""
    return pod_security.violations({"containers": [{"name": "c", "securityContext": context}]})


def missing(values, schema, path):
    """Returns the keys of the values that the schema lacks."""
    if not isinstance(values, dict) or "properties" not in schema:
        return []
    known = schema["properties"]
    lacking = [f"{path}{key}" for key in values if key not in known]
    return lacking + [one for key in values if key in known for one in missing(values[key], known[key], f"{path}{key}.")]


def unknown(values, schema, path):
    """Returns the keys of the schema that the values lack, except in parts of Kubernetes' own types."""
    if not isinstance(values, dict) or path in ("strategy.", "resources.", "autoscaling.behavior."):
        return set()
    known = schema.get("properties", {})
    lacking = {f"{path}{key}" for key in known if key not in values}
    return lacking.union(*(unknown(values[key], known[key], f"{path}{key}.") for key in values if key in known))


def paths(values, schema, path):
    """Returns the paths of all values without keys of their own in the schema."""
    if not isinstance(values, dict) or "properties" not in schema:
        return [path]
    return [one for key in values for one in paths(values[key], schema["properties"][key], f"{path}.{key}".lstrip("."))]


def covered(path, described):
    """Returns true if the value has a description, or is inside of a described one whose default is a block."""
    return path in described or any(path.startswith(f"{one}.") for one in described & BLOCKS)


BLOCKS = {"resources", "strategy", "autoscaling.behavior", "networkPolicy.dns.podLabels", "podSecurityContext", "securityContext"}


if __name__ == "__main__":
    unittest.main()
