"""Writes the licenses of the crates that are compiled into the program, which most of them demand: notices.py FILE.

Each text appears once, below the crates that have it. The last part names the crates that carry no text.
"""

import re
import sys
from pathlib import Path

import sbom

NAME = re.compile(r"^(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)", re.I)
# Code, and texts about data that tests use.
OTHER = re.compile(r"\.(rs|py|toml|json|html|tmpl|spdx)$", re.I)
LINE = "~" * 80
HEAD = """\
Countersign contains the following software of others, each under the license below its name.
"""


def main():
    Path(sys.argv[1]).write_text(document(compiled_in()))


def compiled_in():
    """From each crate to its package in cargo's metadata."""
    packages = sbom.packages()
    _, *crates = sbom.tree("normal,no-proc-macro")
    return {crate: packages[crate] for crate in sorted(crates)}


def document(packages):
    crates_of, without = {}, []
    for crate, package in packages.items():
        found = texts(Path(package["manifest_path"]).parent)
        for text in found:
            crates_of.setdefault(text, []).append(crate)
        if not found:
            without.append(f"{' '.join(crate)}: {package['license']}, {package.get('repository') or 'no repository'}")
    parts = [f"{names(crates)}\n\n{text}" for text, crates in crates_of.items()]
    if without:
        parts.append("Crates that carry no text of their license:\n\n" + "\n".join(without))
    return f"\n{LINE}\n".join([HEAD, *parts]) + "\n"


def texts(directory):
    """The distinct texts of licenses in a crate's directory and below."""
    files = (path for path in sorted(directory.rglob("*")) if NAME.match(path.name) and path.is_file() and not OTHER.search(path.name))
    return list(dict.fromkeys(path.read_text(errors="replace").strip() for path in files))


def names(crates):
    return ", ".join(" ".join(crate) for crate in crates)


if __name__ == "__main__":
    main()
