"""The table of values in the chart's README, and the descriptions in its schema, both from the comments of values.yaml."""

import json
import re
from dataclasses import dataclass

import yaml

from paths import CHART

BEGIN = "<!-- The rest of this file is generated from values.yaml by scripts/charts --write. -->\n"


@dataclass
class Value:
    """A key of values.yaml with its comment, and the text of its default."""

    path: str
    comment: str
    default: str


def values():
    """Returns the documented values in the order of the file."""
    found, parents, comment = [], [], []
    lines = CHART.joinpath("values.yaml").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if match := re.fullmatch(r"( *)# (.*)", line):
            comment.append(match[2])
        elif match := re.fullmatch(r"( *)([\w.-]+):(?: (.*))?", line):
            parents = parents[: len(match[1]) // 2] + [match[2]]
            path = ".".join(parents)
            if comment:
                found.append(Value(path, " ".join(comment), match[3] or block(path, lines, number)))
            comment = []
        else:
            comment = []
    return found


def block(path, lines, number):
    """Returns the default of a key with keys below it, or "" if each of these has its own row."""
    depth = path.count(".") * 2
    for line in lines[number + 1 :]:
        if line and len(line) - len(line.lstrip()) <= depth:
            break
        if line.lstrip().startswith("#"):
            return ""
    default = yaml.safe_load("\n".join(lines))
    for key in path.split("."):
        default = default[key]
    return yaml.safe_dump(default, default_flow_style=True, sort_keys=False, width=1000).strip()


def table():
    """Returns the table of values."""
    rows = ["## Values\n", "| value | default | description |", "|---|---|---|"]
    for value in values():
        default = f"`{value.default}`" if value.default else ""
        rows.append(f"| `{value.path}` | {default} | {value.comment.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"


def readme():
    """Returns the chart's README with the current table."""
    text, _, _ = CHART.joinpath("README.md").read_text(encoding="utf-8").partition(BEGIN)
    return f"{text}{BEGIN}\n{table()}"


def schema():
    """Returns the schema with the current descriptions."""
    root = json.loads(CHART.joinpath("values.schema.json").read_text(encoding="utf-8"))
    for value in values():
        place = root
        for key in value.path.split("."):
            place = place["properties"][key]
        place["description"] = value.comment
    return json.dumps(root, indent=2, ensure_ascii=False) + "\n"


def texts():
    """Returns the text of each generated file, by its path."""
    return {CHART / "README.md": readme(), CHART / "values.schema.json": schema()}
