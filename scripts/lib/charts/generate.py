#!/usr/bin/env python3
"""Compares the generated files with the chart, or writes them with --write."""

import argparse
import difflib
import sys

import manifests
import reference
from paths import CHART, PROJECT, RULES


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    stale = [
        path for path, text in (manifests.texts() | reference.texts() | rules()).items() if not is_current(path, text, write)
    ]
    if stale:
        sys.exit(f"error: {len(stale)} generated files differ from the chart; run scripts/charts --write")


def rules():
    """Returns the chart's copy of the rules: a chart contains only files below its directory."""
    return {CHART / "alerts.yaml": RULES.read_text(encoding="utf-8")}


def is_current(path, text, write):
    """Returns true if the file has that text; otherwise writes it, or prints the difference."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    if old == text:
        return True
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(PROJECT)}")
        return True
    names = (str(path.relative_to(PROJECT)), "as the chart renders it")
    sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), text.splitlines(True), *names))
    return False


if __name__ == "__main__":
    main()
