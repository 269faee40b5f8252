"""Makes the tables and the plot of docs/performance.md from the figures of the measurements.

    performance.py DIRECTORY            print the tables of the figures in the directory
    performance.py DIRECTORY --write    also write them into docs/performance.md

A figure is the median over the turns; a ratio is the median of the ratios within a turn. A table is between
`<!-- figures: NAME -->` and `<!-- /figures -->`; it stays unchanged if the directory does not have its measurement.
"""

import json
import platform
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

FIGURES = Path(sys.argv[1])
DOCUMENT = Path("docs/performance.md")
PLOT = Path("docs/performance/latency.svg")

NAMES = {
    "none": "no check",
    "floor": "empty server",
    "embedded": "Countersign, embedded store",
    "redis": "Countersign, Redis",
    "python": "Python",
}

# Seconds that a nonce is kept: the window after its timestamp, and a margin.
KEPT_FOR = 300 + 60


def main():
    text = DOCUMENT.read_text()
    for name, made in tables():
        print(f"\n{name}\n\n{made}")
        text = filled(text, name, made)
    if "--write" in sys.argv:
        DOCUMENT.write_text(text)
        if sweep := load("sweep"):
            plot(sweep)


def tables():
    """Yields the name and the text of each table whose figures exist."""
    sources = {
        "machine": (machine, ()),
        "compare": (compare, ("compare",)),
        "cores": (cores, ("cores",)),
        "plot": (picture, ("sweep",)),
        "hop": (hop, ("hop",)),
        "added": (added, ("hop",)),
        "direct": (direct, ("hop",)),
        "deny": (deny, ("deny",)),
        "explain": (explain, ("explain",)),
        "nonces": (nonces, ("nonces",)),
        "records": (records, ("scale",)),
        "working-sets": (working_sets, ("scale",)),
        "lists": (lists, ("scale",)),
        "commands": (commands, ("scale",)),
        "sizing": (sizing, ("compare", "nonces")),
    }
    for name, (make, needed) in sources.items():
        figures = [load(one) for one in needed]
        if all(figures):
            yield name, make(*figures)


def filled(text, name, table):
    pattern = re.compile(rf"(<!-- figures: {name} -->\n).*?(<!-- /figures -->)", re.DOTALL)
    text, found = pattern.subn(lambda match: f"{match[1]}{table}\n{match[2]}", text)
    if found != 1:
        sys.exit(f"error: {DOCUMENT} has no <!-- figures: {name} -->")
    return text


# === The tables ===


def machine():
    cpus = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    redis, rustc = output("redis-server", "--version"), output("rustc", "--version")
    rows = [
        ("processor", f"{len(cpus)} × {cpus[0] if cpus else platform.machine()}"),
        ("system", f"{platform.system()} {platform.release().partition('-')[0]}"),
        ("Redis", re.search(r"v=(\S+)", redis)[1]),
        ("Rust", rustc.split()[1]),
    ]
    if figures := load("hop"):
        rows += [("Envoy", figures["envoy"].split("/")[-4]), ("peer", figures["peer"])]
    return table(["", "measured on"], rows)


def compare(figures):
    rows = []
    for server in ("floor", "redis", "embedded"):
        closed, opened = series(figures["closed"], server=server), series(figures["open"], server=server)
        ratio = figures["ratios"].get(server, defaultdict(lambda: 1))
        rows.append(
            [NAMES[server], *(f"{closed(name):.1f}" for name in ("cpu_us", "redis_cpu_us")), f"{ratio['cpu']:.2f}"]
            + [f"{closed('rate'):,.0f}", f"{ratio['throughput']:.2f}"]
            + [f"{opened('p50_us'):,.0f}", f"{opened('p99_us'):,.0f}", f"{ratio['open_p99']:.2f}"]
        )
    heads = ["", "CPU µs", "Redis CPU µs", "CPU ratio", "checks/s", "ratio", "p50 µs", "p99 µs", "p99 ratio"]
    return table(heads, rows)


def cores(figures):
    names = {
        "floor-shared": "empty server, shared",
        "floor-reuseport": "empty server, reuseport",
        "floor-spread": "empty server, spread",
    }
    rows = []
    for server in ("floor-shared", "floor-reuseport", "floor-spread", "redis", "embedded"):
        for workers in (1, 2):
            of = series(figures, server=server, workers=workers)
            slowest = min(run["rate"] for run in figures if (run["server"], run["workers"]) == (server, workers))
            rate, cpu, p99 = of("rate"), of("cpu_us"), of("p99_us")
            cells = [str(workers), f"{cpu:.1f}", f"{rate:,.0f}", f"{slowest:,.0f}", f"{p99:,.0f}"]
            rows.append([names.get(server) or NAMES[server], *cells])
    return table(["", "threads", "CPU µs", "checks/s", "slowest turn", "p99 µs"], rows)


def picture(_figures):
    return f"![p50, p99 and p99.9 against the offered rate]({PLOT.relative_to(DOCUMENT.parent)})"


def hop(figures):
    """Returns p50 and p99 of each server at each rate."""

    def cell(offered, server):
        runs = [run for run in figures["runs"] if run["offered"] == offered and run["server"] == server]
        if len(runs) < figures["turns"]:
            return "falls behind"
        return " / ".join(milliseconds(median(run[name] for run in runs)) for name in ("p50_us", "p99_us"))

    rates = sorted({run["offered"] for run in figures["runs"]})
    rows = [[f"{rate:,.0f}", *(cell(rate, server) for server in NAMES)] for rate in rates]
    return table(["requests/s", *NAMES.values()], rows)


def added(figures):
    """Returns the increase of p50 and p99 by a check, compared with no check in the same turn."""
    by_turn = {(run["offered"], run["server"], run["turn"]): run for run in figures["runs"]}

    def cell(offered, server, name):
        pairs = [(by_turn.get((offered, who, turn)) for who in (server, "none")) for turn in range(figures["turns"])]
        differences = [ours[name] - none[name] for ours, none in pairs if ours and none]
        return milliseconds(median(differences)) if len(differences) == figures["turns"] else "falls behind"

    rates = sorted({run["offered"] for run in figures["runs"]})
    servers = [server for server in NAMES if server != "none"]
    cells = lambda rate, server: " / ".join(dict.fromkeys(cell(rate, server, name) for name in ("p50_us", "p99_us")))
    rows = [[f"{rate:,.0f}", *(cells(rate, server) for server in servers)] for rate in rates]
    return table(["requests/s", *(NAMES[server] for server in servers)], rows)


def direct(figures):
    floor = {run["turn"]: run["cpu_us"] for run in figures["direct"] if run["server"] == "floor"}
    rows = []
    for server in ("floor", "redis", "python"):
        runs = [run for run in figures["direct"] if run["server"] == server]
        ratio = median(run["cpu_us"] / floor[run["turn"]] for run in runs)
        of = series(figures["direct"], server=server)
        rows.append([NAMES[server], f"{of('cpu_us'):.1f}", f"{ratio:.2f}", f"{of('rate'):,.0f}"])
    return table(["without Envoy", "CPU µs per check", "ratio", "checks/s"], rows)


def deny(figures):
    runs = {(run["kind"], run["log"], run["turn"]): run for run in figures["runs"]}
    turns = range(figures["turns"])

    def ratio(kind, like, log):
        return median(runs[kind, log, turn]["cpu_us"] / runs[like, "null", turn]["cpu_us"] for turn in turns)

    rows, allowances = [], []
    for kind, like in dict.fromkeys((run["kind"], run["like"]) for run in figures["runs"]):
        of = series(figures["runs"], kind=kind, log="null")
        cells = [f"{of('cpu_us'):,.1f}", f"{of('redis_cpu_us'):,.1f}"]
        if kind == like:
            allowances.append([kind, *cells, "1", f"{ratio(kind, like, 'file'):.2f}"])
        else:
            rows.append((like, [kind, *cells, f"{ratio(kind, like, 'null'):.2f}", f"{ratio(kind, like, 'file'):.2f}"]))
    ordered = [line for own in allowances for line in [own] + [row for like, row in rows if like == own[0]]]
    return table(["", "CPU µs", "Redis CPU µs", "ratio", "ratio with a log file"], ordered)


def explain(figures):
    runs = figures["runs"]
    search = {"off": "off", "on": "default", "each": "for each denial"}
    rows = []
    for kind, flood, server in dict.fromkeys((run["kind"], run["flood"], run["server"]) for run in runs):
        pace = "flood" if flood else f"{figures['pace']:,.0f} per second"
        of = series(runs, kind=kind, flood=flood, server=server)
        chosen = [run for run in runs if (run["kind"], run["flood"], run["server"]) == (kind, flood, server)]
        waits = (median(run["latency"][name] for run in chosen) for name in ("p50_us", "p99_us"))
        cells = [f"{of('cpu_us'):,.1f}", *(f"{wait:,.0f}" for wait in waits), f"{of('memory') / 2**20:,.0f}"]
        rows.append([kind, pace, search[server], *cells])
    return table(["denied for", "pace", "search", "CPU µs", "p50 µs", "p99 µs", "resident MiB"], rows)


def nonces(printed):
    """Returns the table of two rounds: each nonce is claimed, then claimed again by another check."""
    count = int(re.search(r"(\d+) nonces", printed)[1])
    wrong = [int(number) for number in re.findall(r"(\d+) claims were not", printed)]
    own = re.search(r"load generator included: ([\d.]+) µs", printed)[1]
    of_redis = re.search(r"Redis: ([\d.]+) µs", printed)[1]
    rows = [
        ("nonces, each claimed once and once more by another check", f"{count:,}"),
        ("fresh nonces refused, replays accepted", f"{wrong[0]:,}, {wrong[1]:,}"),
        ("bytes of Redis per nonce", f"{bytes_per_nonce(printed):.1f}"),
        ("CPU of a claim, load generator included", f"{own} µs, Redis {of_redis} µs"),
        ("claims per script", re.search(r"([\d.]+) claims per script", printed)[1]),
    ]
    return table(["", "measured"], rows)


def bytes_per_nonce(printed):
    return float(re.search(r"Redis: .* µs of CPU and ([\d.]+) B per claim", printed)[1])


def records(figures):
    seeded, memory = figures["seeded"], figures["memory"]
    mib = lambda size: f"{size / 2**20:,.0f} MiB"
    rows = [
        ("consumers, tokens in Redis", f"{seeded['consumers']:,}, {seeded['tokens']:,}"),
        ("bytes of Redis per consumer, per token", f"{seeded['bytes_per_consumer']:,.0f}, {seeded['bytes_per_token']:,.0f}"),
        ("time from the start of the process to the first allowed check", f"{figures['start_ms']:,.0f} ms"),
        ("resident memory at start", mib(memory["at_start"])),
        ("resident memory after checks with a tenth, half, all of the tokens", ", ".join(mib(memory["tenths"][n]) for n in (0, 4, 9))),
        ("cached records and their size, as the cache counts them", f"{memory['cache_entries']:,}, {mib(memory['cache_bytes'])}"),
        ("CPU of a check without cached records", f"{memory['cold_cpu_us']:.1f} µs, Redis {memory['cold_redis_cpu_us']:.1f} µs"),
        (f"deletion of a consumer with {figures['deletion']['tokens']:,} tokens", f"{figures['deletion']['took_ms']:,.0f} ms"),
        ("time until its tokens were deleted", f"{figures['deletion']['removed_in_s'] or float('inf'):,.1f} s"),
    ]
    return table(["", "measured"], rows)


def working_sets(figures):
    rows = [
        [f"{one['tokens']:,}", f"{one['hit_ratio']:.0%}", f"{one['cpu_us']:.1f}", f"{one['redis_cpu_us']:.1f}", f"{one['rate']:,.0f}"]
        for one in figures["working_sets"]
    ]
    return table(["tokens in use", "cache hits", "CPU µs", "Redis CPU µs", "checks/s"], rows)


def lists(figures):
    places = ("first_ms", "middle_ms", "last_ms", "slowest_ms")
    rows = [
        [one["name"], f"{one['entries']:,}", f"{one['pages']:,}", *(f"{one[place]:.1f}" for place in places)]
        for one in figures["lists"]
    ]
    return table(["list", "entries", "pages", "first ms", "middle ms", "last ms", "slowest ms"], rows)


def commands(figures):
    given = ", ".join(f"`{name}` {count:,}" for name, count in sorted(figures["commands"].items()))
    scans = ", ".join(figures["scans"]) or "none"
    return f"{given}.\n\nCommands that read the whole key space or a whole collection: {scans}."


def sizing(figures, printed):
    """Returns figures computed from the measurements; the page explains the computation."""
    of = series(figures["closed"], server="redis")
    rows = []
    for rate in (1_000, 10_000, 100_000, 1_000_000):
        cores, redis = rate * of("cpu_us") / 1e6, rate * of("redis_cpu_us") / 1e6
        memory = rate * KEPT_FOR * bytes_per_nonce(printed) / 2**30
        shards = max(1, -(-redis // 0.6))
        cells = [f"{cores:,.1f}", f"{cores / 0.6:,.1f}", f"{redis:,.2f}", f"{shards:,.0f}", f"{memory:,.2f}"]
        rows.append([f"{rate:,}", *cells])
    heads = ["requests/s", "cores, busy", "cores at 60 %", "Redis cores, busy", "primaries at 60 %", "GiB of nonces"]
    return table(heads, rows)


# === The plot ===


def plot(figures):
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    # Readable on white and on black. Text stays text, and the same figures produce the same file.
    grey = "#808080"
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "countersign", "font.size": 9})
    matplotlib.rcParams.update({f"{part}.color": grey for part in ("text", "xtick", "ytick", "grid")})
    matplotlib.rcParams.update({"axes.edgecolor": grey, "axes.labelcolor": grey, "axes.titlecolor": grey})
    colors = {"floor": grey, "embedded": "#2a9d5c", "redis": "#d9534f"}
    figure, axes = pyplot.subplots(1, 3, figsize=(10, 3.4), sharey=True, layout="constrained")
    for axis, (name, title) in zip(axes, {"p50_us": "p50", "p99_us": "p99", "p999_us": "p99.9"}.items()):
        for server, color in colors.items():
            points = defaultdict(list)
            for run in figures["runs"]:
                if run["server"] == server:
                    points[run["offered"]].append(run[name] / 1000)
            line = sorted((offered / 1000, median(values)) for offered, values in points.items())
            axis.plot(*zip(*line), color=color, marker=".", label=NAMES[server])
        axis.set(title=title, xlabel="thousand checks/s offered", yscale="log")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("ms")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False, labelcolor=grey)
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, transparent=True, metadata={"Date": None})


# === Helpers ===


def load(name):
    """Returns the figures of a measurement, as JSON or as it printed them, or None if it was not made."""
    path, printed = FIGURES / f"{name}.json", FIGURES / f"{name}.txt"
    if path.exists():
        return json.loads(path.read_text())
    return printed.read_text() if printed.exists() else None


def series(runs, **which):
    """Returns a function that gives the median of a figure over the runs with these properties."""
    chosen = [run for run in runs if all(run[name] == value for name, value in which.items())]
    return lambda name: median(run[name] for run in chosen) if chosen else float("nan")


def milliseconds(micros):
    return f"{micros / 1000:,.2f}"


def table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
