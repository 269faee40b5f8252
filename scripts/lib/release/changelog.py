"""Prints the section of a version in CHANGELOG.md, for the notes of its release.

    changelog.py VERSION               fails unless the section has a date and says something
    changelog.py --dry-run VERSION     takes the section "Unreleased" if the version has none
"""

import re
import sys
from datetime import date
from pathlib import Path

FILE = "CHANGELOG.md"
HEADING = re.compile(r"^## \[?([^\]\s]+)\]?(?: - (.*))?$", re.M)


def main():
    *options, version = sys.argv[1:]
    text = Path(FILE).read_text()
    try:
        print(notes(text, version, is_dry="--dry-run" in options))
    except ValueError as error:
        sys.exit(f"error: {error}")


def notes(text, version, is_dry=False):
    """Returns what the section of a version says."""
    found = sections(text)
    if is_dry and version not in found:
        version = "Unreleased"
    if version not in found:
        raise ValueError(f'{FILE} has no section for {version}; name the section "Unreleased" so: ## [{version}] - 2026-01-31')
    day, content = found[version]
    if not is_dry:
        check_day(version, day)
    if not re.search(r"^- ", content, re.M):
        raise ValueError(f"the section of {version} in {FILE} lists no change")
    return content


def sections(text):
    """From each version to the day of its section and the content."""
    # Before the first heading, then three parts for each.
    parts = HEADING.split(text)[1:]
    return {parts[at]: (parts[at + 1], parts[at + 2].strip()) for at in range(0, len(parts), 3)}


def check_day(version, day):
    try:
        date.fromisoformat(day or "")
    except ValueError:
        raise ValueError(f"the section of {version} in {FILE} has no date; write: ## [{version}] - 2026-01-31") from None


if __name__ == "__main__":
    main()
