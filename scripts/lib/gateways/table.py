"""The table of results in docs/gateways/README.md."""

import sys
from pathlib import Path

PAGE = Path("docs/gateways/README.md")
BEGIN = "<!-- The next lines are written by scripts/gateways --write. -->\n"
END = "<!-- End of the written lines. -->\n"


def rendered(names, columns):
    """Returns the table in Markdown, with a column of results for each title."""
    lines = [["request", *columns], ["---"] * (len(columns) + 1)]
    lines += [[name, *(column[at] for column in columns.values())] for at, name in enumerate(names)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def compare(text, write):
    """Compares the table with the page, or writes it to the page."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    documented, _, after = rest.partition(END)
    if write:
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
    elif documented.strip() != text.strip():
        differing = [line for line in text.splitlines() if line not in documented.splitlines()]
        sys.exit("\n".join([f"error: {PAGE} has other results; run scripts/gateways --write. Now:", *differing]))
