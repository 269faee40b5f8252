"""Each rule finds the mistake that it is for."""

import copy
import unittest

import consistency
from render import configuration, named, of_kind, rendered, workload
from toml import toml


def rule(check):
    """Returns the rule as a function of the documents alone."""
    if check in (consistency.probe_schemes, consistency.listeners, consistency.files):
        return lambda found: check(found, toml(configuration(found)))
    if check is consistency.certificates:
        return lambda found: check(found, "countersign")
    if check is consistency.secrets:
        return lambda found: check(found, {"countersign": {"master-key", "admin-token", "store-url", "issuer-token"}})
    return check


def pod(found):
    """Returns the specification of the pods."""
    return workload(found)["spec"]["template"]["spec"]


def label(found):
    workload(found)["spec"]["template"]["metadata"]["labels"].pop("app.kubernetes.io/instance")


def test_labels(found):
    (test,) = of_kind(found, "Pod")
    test["metadata"]["labels"]["app.kubernetes.io/name"] = "countersign"


def target_port(found):
    named(found, "Service")["spec"]["ports"][0]["targetPort"] = "grcp"


def number(found):
    pod(found)["containers"][0]["ports"][0]["containerPort"] = 50050


def probe_port(found):
    pod(found)["containers"][0]["readinessProbe"]["httpGet"]["port"] = "grpc"


def probe_path(found):
    pod(found)["containers"][0]["livenessProbe"]["httpGet"]["path"] = "/readyz"


def scheme(found):
    pod(found)["containers"][0]["livenessProbe"]["httpGet"]["scheme"] = "HTTPS"


def listener(found):
    pod(found)["containers"][0]["ports"].pop()


def secret_key(found):
    pod(found)["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["key"] = "token"


def secret_item(found):
    (volume,) = [one for one in pod(found)["volumes"] if one["name"] == "secrets"]
    volume["secret"]["items"][0]["key"] = "masterkey"


def mount(found):
    pod(found)["containers"][0]["volumeMounts"].pop()


def mount_path(found):
    for one in pod(found)["containers"][0]["volumeMounts"]:
        one["mountPath"] += "/elsewhere"


def budget(found):
    found.remove(of_kind(found, "PodDisruptionBudget")[0])


def replicas(found):
    workload(found)["spec"]["replicas"] = 2


def scaled(found):
    (scaler,) = of_kind(found, "HorizontalPodAutoscaler")
    scaler["spec"]["scaleTargetRef"]["kind"] = "StatefulSet"


def unrequested(found):
    pod(found)["containers"][0]["resources"]["requests"].pop("cpu")


def open_policy(found):
    named(found, "NetworkPolicy")["spec"]["ingress"][0]["from"].append({})


def closed_policy(found):
    named(found, "NetworkPolicy")["spec"]["egress"].pop()


def host(found):
    named(found, "Certificate", "countersign-check")["spec"]["dnsNames"] = ["countersign"]


def path(found):
    named(found, "HTTPRoute", "countersign-issuing")["spec"]["rules"][0]["matches"].pop()


def backend(found):
    named(found, "HTTPRoute", "countersign-issuing")["spec"]["rules"][0]["backendRefs"][0]["port"] = 80


def monitor(found):
    named(found, "ServiceMonitor")["spec"]["selector"]["matchLabels"].pop("app.kubernetes.io/component")


# A rule, an example that it accepts, and a change that it refuses.
MISTAKES = [
    (consistency.selectors, "production", label),
    (consistency.selectors, "production", test_labels),
    (consistency.service_ports, "redis", target_port),
    (consistency.service_ports, "redis", number),
    (consistency.probes, "redis", probe_port),
    (consistency.probes, "redis", probe_path),
    (consistency.probe_schemes, "redis", scheme),
    (consistency.listeners, "redis", listener),
    (consistency.secrets, "redis", secret_key),
    (consistency.secrets, "redis", secret_item),
    (consistency.mounts, "redis", mount),
    (consistency.files, "redis", mount_path),
    (consistency.availability, "redis", budget),
    (consistency.availability, "embedded", replicas),
    (consistency.availability, "production", replicas),
    (consistency.availability, "production", scaled),
    (consistency.availability, "production", unrequested),
    (consistency.network, "production", open_policy),
    (consistency.network, "production", closed_policy),
    (consistency.certificates, "envoy-gateway", host),
    (consistency.routes, "gateway-api", path),
    (consistency.routes, "gateway-api", backend),
    (consistency.monitored, "production", monitor),
]


class ConsistencyTest(unittest.TestCase):
    def test_every_rule_finds_its_mistake(self):
        for check, example, break_ in MISTAKES:
            with self.subTest(check.__name__, change=break_.__name__):
                found = copy.deepcopy(rendered()[example])
                self.assertEqual(rule(check)(found), [])
                break_(found)
                self.assertNotEqual(rule(check)(found), [])


if __name__ == "__main__":
    unittest.main()
