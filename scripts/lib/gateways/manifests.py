"""Checks each field of the manifests, and validates those resources whose schemas are published as a package."""

import json
import re
import subprocess

from examples import TESTS, read_all

TYPES = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "duration": lambda value: isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?(ms|s|m|h)", value),
}
METADATA = {"name": "string", "namespace": "string", "labels": {"*": "string"}}
PUBLISHED = ("gateway.networking.k8s.io", "networking.istio.io", "security.istio.io")
PACKAGES = "target/gateways/npm"


def problems(examples):
    """Returns the mistakes in the manifests of all examples."""
    return unknown_in(examples) + invalid(examples)


def unknown_in(examples):
    fields = read_all(TESTS / "fields.yaml")[0]
    return [
        f"{example.name}: {one}"
        for example in examples
        for document in example.documents()
        for one in unknown(document, fields)
    ]


def unknown(document, fields):
    """Returns the fields of a resource that are unknown or of another type."""
    if "kind" not in document:
        return differences(document, fields["values"], "values")
    kind = f"{document['apiVersion']} {document['kind']}"
    if kind not in fields:
        return [f"{kind} is unknown"]
    expected = {"apiVersion": "string", "kind": "string", "metadata": METADATA, **fields[kind]}
    return differences(document, expected, f"{document['kind']} {document['metadata']['name']}")


def differences(value, expected, where):
    if isinstance(expected, list):
        if not isinstance(value, list):
            return [f"{where} is not a list"]
        return [one for at, item in enumerate(value) for one in differences(item, expected[0], f"{where}[{at}]")]
    if not isinstance(expected, dict):
        return [] if is_permitted(value, expected) else [f"{where}: {value!r} is not {expected}"]
    if not isinstance(value, dict):
        return [f"{where} is not an object"]
    found = []
    for name, item in value.items():
        if name in expected or "*" in expected:
            found += differences(item, expected.get(name, expected.get("*")), f"{where}.{name}")
        else:
            found.append(f"{where}.{name} is unknown")
    return found


def is_permitted(value, expected):
    check = TYPES.get(expected)
    return bool(check(value)) if check else value in expected.split(" | ")


def invalid(examples):
    """Returns the mistakes that the published schemas find."""
    documents = [(example.name, document) for example in examples for document in example.documents()]
    checked = [(name, one) for name, one in documents if str(one.get("apiVersion")).split("/")[0] in PUBLISHED]
    command = ["node", "scripts/lib/gateways/schemas.mjs", PACKAGES]
    text = json.dumps([document for _, document in checked])
    answers = json.loads(subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout)
    return [
        f"{name}: {document['kind']} {document['metadata']['name']}: {answer}"
        for (name, document), answer in zip(checked, answers, strict=True)
        if answer
    ]
