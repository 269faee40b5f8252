"""Validates resources of operators (cert-manager, Gateway API, …) against the schemas and types of @kubernetes-models.

The schemas know formats and ranges, but accept unknown fields. The compiler of TypeScript refuses these, because a
literal may only have the properties of its type.
"""

import json
import subprocess
import tempfile

from paths import PROJECT, TOOLS

PACKAGES = TOOLS / "npm"
MODELS = {
    "cert-manager.io": "cert-manager",
    "external-secrets.io": "external-secrets",
    "gateway.networking.k8s.io": "gateway-api",
    "monitoring.coreos.com": "prometheus-operator",
}


def is_of_operator(document):
    """Returns true if the document belongs to an operator that this module knows."""
    return document["apiVersion"].split("/")[0] in MODELS


def problems(documents):
    """Returns what is wrong with the documents."""
    return by_schema(documents) + by_type(documents)


def by_schema(documents):
    """Returns what the schemas refuse."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(documents, file)
        file.flush()
        command = ["node", PROJECT / "scripts/lib/charts/schemas.mjs", PACKAGES, file.name]
        return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)


def by_type(documents):
    """Returns what the types refuse."""
    with tempfile.NamedTemporaryFile("w", suffix=".ts", dir=PACKAGES) as file:
        file.write("\n".join(declaration(index, one) for index, one in enumerate(documents)))
        file.flush()
        options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--pretty", "false"]
        command = ["node", PACKAGES / "node_modules/typescript/bin/tsc", *options, file.name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.splitlines()


def declaration(index, document):
    """Returns the document as a constant of its type."""
    model, kind = MODELS[document["apiVersion"].split("/")[0]], document["kind"]
    module = f"@kubernetes-models/{model}/{document['apiVersion']}/{kind}"
    return f'const d{index}: import("{module}").I{kind} = {json.dumps(document)};'
