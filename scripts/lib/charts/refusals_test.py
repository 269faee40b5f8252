"""Wrong values are refused, each with its name."""

import json
import unittest

from paths import CHART
from render import helm

# What the schema refuses: one value with --set-json, and the text that names it.
SCHEMA = [
    ('image.tga="1"', "'tga' not allowed"),
    ('replicaCount="two"', "'/replicaCount'"),
    ("replicaCount=-1", "'/replicaCount'"),
    ('image.digest="sha256:1"', "'/image/digest'"),
    ('image.pullPolicy="Sometimes"', "'/image/pullPolicy'"),
    ('networkPolicy.gateways=[{"namespce":"x"}]', "'namespce' not allowed"),
    ('networkPolicy.redis.cidrs=["10.0.0.0"]', "'/networkPolicy/redis/cidrs/0'"),
    ("networkPolicy.redis.ports=[70000]", "'/networkPolicy/redis/ports/0'"),
    ('redis.url="http://redis"', "'/redis/url'"),
    ('persistence.size="big"', "'/persistence/size'"),
    ('persistence.accessModes=["ReadOnlyMany"]', "'/persistence/accessModes/0'"),
    ("check.tls.enabled=1", "'/check/tls/enabled'"),
    ("ops.tls.clientAuth=true", "'clientAuth' not allowed"),
    ('certManager.duration="90 days"', "'/certManager/duration'"),
    ('certManager.privateKey.algorithm="DSA"', "'/certManager/privateKey/algorithm'"),
    ('service.type="ExternalName"', "'/service/type'"),
    ('autoscaling.targetCPUUtilizationPercentage="70%"', "'/autoscaling/targetCPUUtilizationPercentage'"),
    ('podDisruptionBudget.maxUnavailable="half"', "'/podDisruptionBudget/maxUnavailable'"),
    ('spread.zones="always"', "'/spread/zones'"),
    ('prometheusRule.disabled=["CountersignUp"]', "'/prometheusRule/disabled/0'"),
    ('issuing.httpRoute.parentRefs=[{"namespace":"x"}]', "'/issuing/httpRoute/parentRefs/0'"),
    ('extraEnv=[{"value":"x"}]', "'/extraEnv/0'"),
    ("podLabels.version=1", "'/podLabels/version'"),
    ("readinessProbe.periodSeconds=0", "'/readinessProbe/periodSeconds'"),
    ('readinessProbe.httpGet={"path":"/"}', "'httpGet' not allowed"),
    ("config=5", "'/config'"),
    ("terminationGracePeriodSeconds=0", "'/terminationGracePeriodSeconds'"),
    ('secrets.key="x"', "'key' not allowed"),
]

# Values that contradict each other, and the beginning of the message.
CONTRADICTIONS = [
    (["replicaCount=2"], "replicaCount: is 2"),
    (["autoscaling.enabled=true"], "autoscaling.enabled:"),
    (["redis.url=redis://user:word@redis"], "redis.url: has credentials"),
    (["redis.url=redis://redis", "redis.urlSecret.name=x"], "redis.url: redis.urlSecret.name"),
    (["redis.tls.caSecretName=x"], "redis.tls.caSecretName: needs"),
    (["redis.url=redis://r", "autoscaling.enabled=true", "autoscaling.minReplicas=20"], "autoscaling.minReplicas: is greater"),
    (["check.tls.enabled=true"], "check.tls.secretName: is empty"),
    (["check.tls.enabled=true", "check.tls.secretName=x", "check.plaintext=true"], "check.plaintext: check.tls.enabled"),
    (["api.expose=true"], "api.tls.enabled: the listener is open"),
    (["api.tls.enabled=true", "api.tls.secretName=x"], "api.tls.enabled: the listener is closed"),
    (["issuing.enabled=true"], "issuing.tls.enabled: the listener is open"),
    (["certManager.enabled=true"], "certManager.issuerRef.name: is empty"),
    (["issuing.httpRoute.enabled=true"], "issuing.httpRoute.enabled: needs issuing.enabled"),
    (["issuing.httpRoute.enabled=true"], "issuing.httpRoute.parentRefs: is empty"),
    (["issuing.httpRoute.enabled=true"], "config.http.public_url: is empty"),
    (["networkPolicy.enabled=true"], "networkPolicy.gateways: is empty"),
    (["networkPolicy.enabled=true", "redis.url=redis://r"], "networkPolicy.redis: is empty"),
    (["redis.url=redis://r", "replicaCount=2", "podDisruptionBudget.minAvailable=2", "podDisruptionBudget.maxUnavailable="], "podDisruptionBudget.minAvailable: must be less"),
    (["podDisruptionBudget.minAvailable=1"], "podDisruptionBudget.minAvailable: podDisruptionBudget.maxUnavailable"),
    (["podDisruptionBudget.maxUnavailable=0"], "podDisruptionBudget.maxUnavailable: is 0"),
    (["config.check.listen=1"], "config.check.listen: the chart sets this key; remove it"),
    (["config.api.tls.key_file=x"], "config.api.tls: the chart sets this key; set the value api.tls"),
    (["config=[check"], "config: the text is not TOML"),
    (["secrets.adminToken=0123456789abcdef"], "secrets.existingSecret: secrets.masterKey or secrets.adminToken"),
    (["secrets.adminToken=short"], "secrets.adminToken: must have"),
    (["secrets.masterKey=x"], "secrets.masterKey: must be"),
]


class RefusalsTest(unittest.TestCase):
    def test_the_schema_names_each_wrong_value(self):
        for value, name in SCHEMA:
            with self.subTest(value):
                self.refused(["--set-json", value], "values don't meet the specifications of the schema", name)

    def test_contradictions_are_named(self):
        for values, message in CONTRADICTIONS:
            with self.subTest(values):
                self.refused([part for value in values for part in ("--set", value)], message)

    def test_a_gateway_without_selectors_is_named(self):
        values = ["--set-json", 'networkPolicy={"enabled":true,"gateways":[{"namespace":"a"},{}]}']
        self.refused(values, "networkPolicy.gateways[1]: would permit every pod")

    def test_every_contradiction_is_reported_at_once(self):
        self.refused(["--set", "replicaCount=2,check.tls.enabled=true"], "- replicaCount:", "- check.tls.secretName:")

    def test_no_message_repeats_a_secret(self):
        for value in ("secrets.adminToken=hidden", "secrets.masterKey=hidden", "redis.url=redis://:hidden@redis"):
            self.assertNotIn("hidden", render(["--set", value]).stderr)

    def test_without_a_cluster_the_secret_must_exist(self):
        done = helm("template", "countersign", CHART)
        self.assertEqual(done.returncode, 1)
        self.assertIn("secrets.existingSecret: is empty", done.stderr)
        self.assertIn("kubectl --namespace countersign create secret generic countersign", done.stderr)

    def test_every_object_of_the_schema_is_closed(self):
        schema = json.loads(CHART.joinpath("values.schema.json").read_text(encoding="utf-8"))
        self.assertEqual(open_objects(schema, ""), {*KUBERNETES, "config", "global"})

    def refused(self, arguments, *messages):
        done = render(arguments)
        self.assertEqual(done.returncode, 1, done.stdout)
        for message in messages:
            self.assertIn(message, done.stderr)


# Parts of a pod or an operator's resource, which Kubernetes validates itself.
KUBERNETES = {
    "affinity",
    "autoscaling.behavior.scaleDown",
    "autoscaling.behavior.scaleUp",
    "dnsConfig",
    "extraContainers[]",
    "extraEnv[].valueFrom",
    "extraEnvFrom[]",
    "extraObjects[]",
    "extraVolumeMounts[]",
    "extraVolumes[]",
    "initContainers[]",
    "networkPolicy.extraEgress[]",
    "networkPolicy.extraIngress[]",
    "podSecurityContext",
    "prometheusRule.extraRules[]",
    "resources.claims[]",
    "securityContext",
    "serviceMonitor.metricRelabelings[]",
    "serviceMonitor.relabelings[]",
    "tolerations[]",
    "topologySpreadConstraints[]",
}


def open_objects(schema, path):
    """Returns the paths of objects that accept every key."""
    found = set()
    if "object" in schema.get("type", ()) and "additionalProperties" not in schema:
        found.add(path)
    for key, below in schema.get("properties", {}).items():
        found |= open_objects(below, f"{path}.{key}".lstrip("."))
    if "items" in schema:
        found |= open_objects(schema["items"], f"{path}[]")
    return found


def render(arguments):
    """Runs helm template with a Secret that exists."""
    return helm("template", "countersign", CHART, "--set", "secrets.existingSecret=x", *arguments)


if __name__ == "__main__":
    unittest.main()
