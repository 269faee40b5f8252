"""Checks the forms for issues and dependabot.yml with their JSON Schemas: schemas.py DIRECTORY.

Prints each mistake, and ends with 1 if there is one.
"""

import json
import sys
from importlib import resources
from pathlib import Path

import jsonschema
import ruamel.yaml

# From the schemas in the package check-jsonschema to files.
SCHEMAS = {
    "dependabot": "dependabot.yml",
    "github-issue-config": "ISSUE_TEMPLATE/config.yml",
    "github-issue-forms": "ISSUE_TEMPLATE/[!c]*.yml",
}


def main():
    found = [mistake for name, files in SCHEMAS.items() for mistake in mistakes(name, Path(sys.argv[1]), files)]
    for mistake in found:
        print(f"error: {mistake}", file=sys.stderr)
    sys.exit(1 if found else 0)


def mistakes(name, directory, pattern):
    schema = json.loads((resources.files("check_jsonschema.builtin_schemas.vendor") / f"{name}.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    files = sorted(directory.glob(pattern))
    if not files:
        yield f"{directory} has no {pattern}"
    for file in files:
        for error in validator.iter_errors(ruamel.yaml.YAML(typ="safe", pure=True).load(file)):
            yield f"{file}: {error.json_path}: {jsonschema.exceptions.best_match([error]).message}"


if __name__ == "__main__":
    main()
