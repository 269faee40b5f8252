"""The gateways, and the files of each."""

from dataclasses import dataclass
from pathlib import Path

import yaml

HOST = "api.example.com"
# The names of Countersign's Services, by the clusters of Envoy.
SERVICE_HOSTS = {
    "countersign": "countersign.countersign.svc.cluster.local",
    "issuing": "countersign-issuing.countersign.svc.cluster.local",
}
TESTS = Path("tests/gateways")


@dataclass(frozen=True)
class Example:
    """The example of one gateway."""

    name: str
    title: str
    # A file with the configuration of Countersign, or a manifest with it in a ConfigMap.
    configuration: str
    manifests: tuple = ()
    scheme: str = "https"
    # The realm in the settings of the route.
    realm: str = "orders"
    # Whether /oauth/ is reached through the gateway.
    has_issuing: bool = True
    # Whether the gateway presents a client certificate to Countersign, with its tls.yaml.
    has_client_certificate: bool = False

    def documents(self):
        """Returns the resources of the example, with Helm values as documents without a kind."""
        return [document for file in self.manifests for document in read_all(file)]

    def envoy(self):
        """Returns the Envoy configuration that the gateway makes of the example."""
        if self.name == "envoy":
            return read_all("deploy/envoy/envoy.yaml")[0]
        configuration = read_all(TESTS / f"{self.name}.yaml")[0]
        common = read_all(TESTS / "common.yaml")[0]
        configuration["static_resources"]["clusters"] += common["static_resources"]["clusters"]
        return {**common, **configuration}

    def envoy_with_tls(self):
        """Returns that configuration with TLS to Countersign, or None if the example has none."""
        if not any(file.endswith("/tls.yaml") for file in self.manifests):
            return None
        configuration = self.envoy()
        for cluster in configuration["static_resources"]["clusters"]:
            if cluster["name"] in ("countersign", "issuing"):
                cluster["transport_socket"] = self._transport_socket(SERVICE_HOSTS[cluster["name"]])
        return configuration

    def _transport_socket(self, host):
        text = (TESTS / "tls.yaml").read_text().replace("SERVICE", host)
        socket = yaml.safe_load(text)
        if self.has_client_certificate:
            pair = {"certificate_chain": {"filename": "CERTIFICATE"}, "private_key": {"filename": "KEY"}}
            socket["typed_config"]["common_tls_context"]["tls_certificates"] = [pair]
        return socket

    def toml(self):
        """Returns the text of the configuration of Countersign."""
        if self.configuration.endswith(".toml"):
            return Path(self.configuration).read_text()
        maps = (document for document in read_all(self.configuration) if document["kind"] == "ConfigMap")
        return next(text for one in maps for name, text in one["data"].items() if name == "countersign.toml")


def read_all(file):
    # The loader in C, where PyYAML has it, takes a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [document for document in yaml.load_all(Path(file).read_text(), loader) if document]


def in_directory(name, *files):
    return tuple(f"deploy/gateways/{name}/{file}" for file in files)


ISTIO = tuple(f"deploy/istio/{file}" for file in ("mesh-config.yaml", "destination-rule.yaml"))
GATEWAYS = (
    Example("envoy", "Envoy", "deploy/envoy/countersign.toml", scheme="http", realm="api"),
    Example(
        "istio-gateway",
        "Istio gateway",
        "deploy/istio/countersign.yaml",
        (*ISTIO, "deploy/istio/policy.yaml", "deploy/istio/issuing.yaml"),
        realm="api",
    ),
    Example(
        "istio-sidecar",
        "Istio sidecar",
        *in_directory("istio-sidecar", "countersign.toml"),
        (*ISTIO, *in_directory("istio-sidecar", "policy.yaml")),
        has_issuing=False,
    ),
    Example(
        "istio-waypoint",
        "Istio waypoint",
        *in_directory("istio-waypoint", "countersign.toml"),
        (*ISTIO, *in_directory("istio-waypoint", "waypoint.yaml")),
        has_issuing=False,
    ),
    Example(
        "envoy-gateway",
        "Envoy Gateway",
        *in_directory("envoy-gateway", "countersign.toml"),
        in_directory("envoy-gateway", "gateway.yaml", "tls.yaml"),
        has_client_certificate=True,
    ),
    Example(
        "contour",
        "Contour",
        *in_directory("contour", "countersign.toml"),
        in_directory("contour", "contour.yaml", "tls.yaml"),
    ),
    Example(
        "kgateway",
        "kgateway",
        *in_directory("kgateway", "countersign.toml"),
        in_directory("kgateway", "gateway.yaml", "tls.yaml"),
    ),
)
