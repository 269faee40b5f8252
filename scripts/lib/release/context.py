"""Checks that .dockerignore lets everything into the build context that the build reads.

    context.py DEP_INFO    the file of cargo that lists what a program was built from
"""

import re
import sys
from pathlib import Path

# What cargo reads besides.
MANIFESTS = ("Cargo.lock", "Cargo.toml", "LICENSE", "scripts/lib/release/image_root")


def main():
    lines = Path(".dockerignore").read_text().splitlines()
    if "*" not in lines:
        sys.exit("error: .dockerignore has no line `*`, so everything is in the context")
    allowed = [Path(line[1:]) for line in lines if line.startswith("!")]
    missing = [str(path) for path in read_by_build() if not any(path.is_relative_to(one) for one in allowed)]
    if missing:
        sys.exit(f"error: the build reads what .dockerignore excludes: {', '.join(missing)}")


def read_by_build():
    _, _, names = Path(sys.argv[1]).read_text().splitlines()[0].partition(": ")
    files = [Path(name.replace("\\ ", " ")) for name in re.split(r"(?<!\\) ", names)]
    own = [file for file in files if file.is_relative_to(Path.cwd())]
    # The generated code is in target/.
    sources = [file.relative_to(Path.cwd()) for file in own if "target" not in file.relative_to(Path.cwd()).parts[:1]]
    return [*map(Path, MANIFESTS), *sources]


if __name__ == "__main__":
    main()
