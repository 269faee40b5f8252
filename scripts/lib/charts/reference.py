"""The table of values in the chart's README, and the descriptions in its schema, both from the comments of values.yaml."""

import json
import re
from dataclasses import dataclass

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
            depth = len(match[1]) // 2
            parents = parents[:depth] + [match[2]]
            if comment:
                found.append(Value(".".join(parents), " ".join(comment), match[3] or block(lines, number, depth)))
            comment = []
        else:
            comment = []
    return found


def block(lines, number, depth):
    """Returns the default that the lines below a key state, or "" if each of them has its own row."""
    below = []
    for line in lines[number + 1 :]:
        if line and len(line) - len(line.lstrip()) <= depth * 2:
            break
        if line.lstrip().startswith("#"):
            return ""
        below.append(line.strip())
    return " ".join(below)


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
