"""Compares what the manifests say about Countersign with its Services and settings, and with the Envoy configurations
that are tested in place of the gateways."""

import re
from pathlib import Path

from examples import read_all

SERVICES = "deploy/istio/countersign.yaml"
# Seconds: a longer check would hold the client, and a slot of Envoy, for nothing.
LONGEST_TIMEOUT = 1
OPENS = ("failOpen", "failure_mode_allow", "failureModeAllow")
DNS = re.compile(r"(countersign[a-z-]*)\.countersign\.svc\.cluster\.local")


def problems(examples):
    """Returns the contradictions of all examples."""
    services, defaults = ports_of_services(), check_section(Path("config.default.toml").read_text())
    return [
        f"{example.name}: {problem}"
        for example in examples
        for problem in (
            *opens(example),
            *references(example, services),
            *limits(example, defaults),
            *exemptions(example),
            *deviations(example),
        )
    ]


def ports_of_services():
    """Returns the ports of the Services of Countersign, by name."""
    found = (one for one in read_all(SERVICES) if one["kind"] == "Service")
    ours = (one for one in found if one["metadata"]["namespace"] == "countersign")
    return {one["metadata"]["name"]: {port["port"] for port in one["spec"]["ports"]} for one in ours}


def opens(example):
    """A gateway that lets requests pass without an answer is never an example."""
    for source in (*example.documents(), example.envoy()):
        for name, value, _ in walk(source):
            if name in OPENS and value is not False:
                yield f"{name} is {value}"


def references(example, services):
    """Each reference to a Service of Countersign names an existing port, in its namespace."""
    for document in example.documents():
        own = document.get("metadata", {}).get("namespace")
        for _, value, _ in walk(document):
            if isinstance(value, dict) and value.get("name") in services and "port" in value:
                namespace = value.get("namespace", own)
                if namespace != "countersign" or value["port"] not in services[value["name"]]:
                    yield f"{value['name']}.{namespace}:{value['port']} is no port of Countersign"
            if isinstance(value, str):
                unknown = set(DNS.findall(value)) - set(services)
                yield from (f"{name} is no Service of Countersign" for name in unknown)


def limits(example, defaults):
    """Countersign answers before the gateway gives up, and takes the bodies that the gateway sends."""
    check = {**defaults, **check_section(example.toml())}
    configured = settings_of_envoy(example.envoy())
    if not seconds(check["timeout"]) < configured["timeout"] <= LONGEST_TIMEOUT:
        yield f"a timeout of {configured['timeout']} s does not fit check.timeout = {check['timeout']}"
    if configured["max_request_bytes"] != check["max_body_bytes"]:
        yield f"max_request_bytes is not check.max_body_bytes = {check['max_body_bytes']}"
    if configured["allow_partial_message"] or not check["envoy_sends_whole_bodies"]:
        yield "partial bodies, or check.envoy_sends_whole_bodies is false"


def exemptions(example):
    """Routes without a check lead to Countersign only: an upstream would trust forged identity headers."""
    documents = example.documents()
    routes = {one["metadata"]["name"]: one for one in documents if one.get("kind") == "HTTPRoute"}
    exempt = [routes[ref["name"]] for one in documents if is_exemption(one) for ref in one["spec"]["targetRefs"]]
    exempt += [holder for _, value, holder in walk(documents) if value == {"disabled": True}]
    lists = (value for route in exempt for name, value, _ in walk(route) if name in ("backendRefs", "services"))
    others = (one["name"] for backends in lists for one in backends if one["name"] != "countersign-issuing")
    yield from (f"requests to {name} are not checked" for name in others)


def is_exemption(policy):
    spec = policy.get("spec", {})
    return "targetRefs" in spec and ("authorization" in spec or "disable" in spec.get("extAuth", {}))


def deviations(example):
    """The tested Envoy configuration has the settings of the manifests."""
    configured = settings_of_envoy(example.envoy())
    for name, value in settings_of_manifests(example).items():
        if configured[name] != value:
            yield f"{name} is {value} in the manifests, and {configured[name]} in the tested configuration of Envoy"


def settings_of_envoy(configuration):
    """Returns the settings of a check in Envoy's configuration."""
    manager = first(configuration, "use_remote_address")
    check = first(configuration, "grpc_service")
    body = check["with_request_body"]
    return {
        "timeout": seconds(check["grpc_service"]["timeout"]),
        "status": {"ServiceUnavailable": 503, "Forbidden": 403}[check["status_on_error"]["code"]],
        "max_request_bytes": body["max_request_bytes"],
        "allow_partial_message": body.get("allow_partial_message", False),
        "pack_as_bytes": body.get("pack_as_bytes", False),
        "merge_slashes": manager.get("merge_slashes", False),
        "escaped_slashes": manager.get("path_with_escaped_slashes_action", "KEEP_UNCHANGED"),
        "underscores": manager.get("common_http_protocol_options", {}).get("headers_with_underscores_action", "ALLOW"),
        "context": first(configuration, "context_extensions", {}).get("context_extensions", {}),
    }


def settings_of_manifests(example):
    """Returns the same settings, as far as the manifests have them."""
    documents = example.documents()
    by_gateway = {
        "istio-gateway": of_istio,
        "istio-sidecar": of_istio,
        "istio-waypoint": of_istio,
        "envoy-gateway": of_envoy_gateway,
        "contour": of_contour,
        "kgateway": of_kgateway,
    }
    return by_gateway[example.name](documents) if example.name in by_gateway else {}


def of_istio(documents):
    provider = first(documents, "envoyExtAuthzGrpc")["envoyExtAuthzGrpc"]
    return {
        **of_body(provider["includeRequestBodyInCheck"]),
        "timeout": seconds(provider["timeout"]),
        "status": int(provider["statusOnError"]),
        "context": {},
    }


def of_envoy_gateway(documents):
    check = first(documents, "extAuth")["extAuth"]
    client = first(documents, "disableMergeSlashes")
    headers = first(documents, "withUnderscoresAction")
    return {
        "timeout": seconds(check["timeout"]),
        "status": check["statusOnError"],
        "max_request_bytes": check["bodyToExtAuth"]["maxRequestBytes"],
        # Envoy Gateway has no setting for it.
        "pack_as_bytes": False,
        "context": {one["name"]: one["value"] for one in check["contextExtensions"]},
        "merge_slashes": not client["disableMergeSlashes"],
        "escaped_slashes": upper(client["escapedSlashesAction"]),
        "underscores": upper(headers["withUnderscoresAction"]),
    }


def of_contour(documents):
    check = first(documents, "authorization")["authorization"]
    return {
        **of_body(check["withRequestBody"]),
        "timeout": seconds(check["responseTimeout"]),
        "context": check["authPolicy"]["context"],
    }


def of_kgateway(documents):
    check = first(documents, "grpcService")
    return {
        **of_body(check["withRequestBody"]),
        "timeout": seconds(check["grpcService"]["requestTimeout"]),
        "status": check["statusOnError"],
        "context": first(documents, "contextExtensions")["contextExtensions"],
    }


def of_body(settings):
    names = {
        "max_request_bytes": "maxRequestBytes",
        "allow_partial_message": "allowPartialMessage",
        "pack_as_bytes": "packAsBytes",
    }
    return {ours: settings[theirs] for ours, theirs in names.items()}


def check_section(toml):
    """Returns the texts, numbers and booleans of [check]. Python 3.10 cannot read TOML."""
    section = re.search(r"(?ms)^\[check\]$(.*?)(^\[|\Z)", toml)
    found = re.findall(r'(?m)^(\w+) = (?:"(.*)"|(\d+)|(true|false))$', section[1] if section else "")
    return {name: text or (number and int(number)) or flag == "true" for name, text, number, flag in found}


def upper(name):
    """Returns the name of a value in Envoy: RejectRequest is REJECT_REQUEST."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def seconds(duration):
    number, unit = re.fullmatch(r"([\d.]+)(ms|s)", duration).groups()
    return float(number) / {"ms": 1000, "s": 1}[unit]


def first(source, key, default=None):
    """Returns the first object that has the key."""
    found = next((holder for name, _, holder in walk(source) if name == key), default)
    if found is None:
        raise KeyError(key)
    return found


def walk(source):
    """Yields each key or index below the source, with its value and its holder."""
    items = source.items() if isinstance(source, dict) else enumerate(source) if isinstance(source, list) else ()
    for name, value in items:
        yield name, value, source
        yield from walk(value)
