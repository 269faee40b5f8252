"""Runs helm, and reads what it renders."""

import functools
import subprocess
import tempfile
from pathlib import Path

import yaml

from paths import CHART, EXAMPLES, HELM

NAMESPACE = "countersign"


def helm(*arguments, environment=None):
    """Runs helm with an empty home, so that a user's plugins and repositories change nothing."""
    with tempfile.TemporaryDirectory() as home:
        variables = {"HOME": home, "HELM_NAMESPACE": NAMESPACE, **(environment or {})}
        return subprocess.run(
            [HELM, *arguments], env=variables, capture_output=True, text=True, timeout=60, check=False
        )


def template(*arguments):
    """Returns the text that the chart renders."""
    done = helm("template", "countersign", CHART, *arguments)
    if done.returncode:
        raise AssertionError(f"helm template {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def documents(text):
    """Returns the documents of a YAML text."""
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


def examples():
    """Returns the files with values of real situations."""
    return sorted(EXAMPLES.glob("*.yaml"))


@functools.cache
def rendered():
    """Returns the documents of each example, by its name."""
    return {example.stem: documents(template("--values", example)) for example in examples()}


def named(documents_, kind, name="countersign"):
    """Returns the only document with that kind and name."""
    (found,) = [one for one in documents_ if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def of_kind(documents_, *kinds):
    """Returns the documents with one of the kinds."""
    return [one for one in documents_ if one["kind"] in kinds]


def workload(documents_):
    """Returns the Deployment or StatefulSet."""
    (found,) = of_kind(documents_, "Deployment", "StatefulSet")
    return found


def pods(documents_):
    """Returns the metadata and specification of each pod."""
    bare = [(one["metadata"], one["spec"]) for one in of_kind(documents_, "Pod")]
    templates = [one["spec"]["template"] for one in of_kind(documents_, "Deployment", "StatefulSet")]
    return bare + [(one["metadata"], one["spec"]) for one in templates]


def configuration(documents_):
    """Returns the text of the configuration file."""
    return named(documents_, "ConfigMap")["data"]["countersign.toml"]


def write_documents(directory: Path, name, documents_):
    """Writes the documents to a file, for tools that read files."""
    path = directory / f"{name}.yaml"
    path.write_text(yaml.dump_all(documents_, Dumper=yaml.CSafeDumper), encoding="utf-8")
    return path
