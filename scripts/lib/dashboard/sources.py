"""Reads the queries of the dashboard and the commands of the runbooks."""

import json
import re
from pathlib import Path

DASHBOARD = Path("deploy/grafana/countersign.json")
RULES = Path("deploy/prometheus/countersign.rules.yaml")
RUNBOOKS = Path("docs/runbooks.md")

# Values that Grafana fills in: the choice "All", and an interval of several scrapes.
VARIABLES = {"$namespace": ".*", "$job": ".*", "$instance": ".*", "$__rate_interval": "30s"}
# Labels of the scrape, and the buckets of a histogram.
EVERYWHERE = {"namespace", "job", "instance", "le"}


def dashboard():
    """Returns the dashboard."""
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def panel_queries(board):
    """Returns pairs of a panel's title and a query of it, with the variables filled in."""
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    return [(panel["title"], filled(target["expr"])) for panel in panels for target in panel["targets"]]


def variable_queries(board):
    """Returns for each variable with a query: its name, the series, and the label whose values it offers."""
    variables = [one for one in board["templating"]["list"] if one["type"] == "query"]
    found = [(one["name"], re.fullmatch(r"label_values\((.+), (\w+)\)", one["definition"])) for one in variables]
    return [(name, filled(match[1]), match[2]) for name, match in found]


def filled(query):
    """Returns a query with the values of variables, as Grafana sends it."""
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    return query


def structure_problems(board):
    """Returns what is wrong with the dashboard itself: it must work with every data source and Grafana."""
    panels = board["panels"]
    problems = []
    ids = [panel["id"] for panel in panels]
    if len(set(ids)) != len(ids):
        problems.append("two panels have the same id")
    if board.get("id") or board.get("uid"):
        problems.append("the dashboard has an id of one Grafana")
    for panel in panels:
        sources = [one["datasource"]["uid"] for one in [panel, *panel.get("targets", [])] if "datasource" in one]
        if panel["type"] != "row" and (not sources or set(sources) != {"${datasource}"}):
            problems.append(f"{panel['title']}: the data source is not the variable")
        if panel["type"] != "row" and not panel.get("description"):
            problems.append(f"{panel['title']}: no description")
    cells = [(panel["title"], cell) for panel in panels for cell in covered(panel["gridPos"])]
    if len({cell for _, cell in cells}) != len(cells):
        problems.append("panels overlap")
    return problems


def covered(position):
    """Returns the cells of the grid below a panel."""
    columns = range(position["x"], position["x"] + position["w"])
    return [(column, line) for column in columns for line in range(position["y"], position["y"] + position["h"])]


def names(query):
    """Returns the metrics of Countersign in a query."""
    return set(re.findall(r"\bcountersign_\w+", query))


def name_problems(query, labels, absent):
    """Returns the metrics and labels of a query that do not exist.

    `labels` has the labels of each existing metric; `absent` the names that need not exist.
    """
    unknown = sorted(names(query) - labels.keys() - absent)
    problems = [f"no metric {name}" for name in unknown]
    for name, matchers in re.findall(r"\b(countersign_\w+)\{([^}]*)\}", query):
        used = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', matchers))
        for label in sorted(used - labels.get(name, used) - EVERYWHERE):
            problems.append(f"{name} has no label {label}")
    return problems + grouping_problems(query, labels, absent)


def grouping_problems(query, labels, absent):
    """Returns the labels by which a query groups, and which none of its metrics has."""
    used = names(query)
    if not used or used & absent:
        return []
    known = EVERYWHERE.union(*(labels.get(name, set()) for name in used))
    grouped = {label for listed in re.findall(r"\bby \(([^)]*)\)", query) for label in re.findall(r"\w+", listed)}
    return [f"no metric has the label {label}" for label in sorted(grouped - known)]


def exposed(text):
    """Returns the labels of each metric in the answer of /metrics."""
    labels = {}
    for name, listed in re.findall(r"^(countersign_\w+)(?:\{(.*)\})? ", text, re.MULTILINE):
        labels.setdefault(name, set()).update(re.findall(r'(\w+)="', listed))
    return labels


def confirming_commands(text):
    """Returns pairs of an alert and a command under **Confirm** in its section."""
    _, *sections = re.split(r"^## (?=Countersign)", text, flags=re.MULTILINE)
    found = []
    for section in sections:
        confirm = section.partition("**Confirm.**")[2].partition("**Do.**")[0]
        block = re.search(r"```sh\n(.*?)```", confirm, re.DOTALL)
        commands = block[1].splitlines() if block else [""]
        found += [(section.partition("\n")[0], command) for command in commands]
    return found
