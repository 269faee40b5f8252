"""Draws the output of scripts/demo, read from standard input, as an SVG picture.

    demo_picture.py FILE           writes the picture
    demo_picture.py --check FILE   fails if the picture differs from the output
"""

import re
import sys
from html import escape
from pathlib import Path

COLUMN, LINE, MARGIN = 7.8, 18, 16
BACKGROUND, TEXT = "#0d1117", "#c9d1d9"
COLORS = {"2": "#3fb950", "4": "#d29922"}
ROW = re.compile(r"^  .{34} (?:\d{3}|response) ")


def main(arguments):
    check = arguments[0] == "--check"
    path = Path(arguments[-1])
    drawn = picture(rows(sys.stdin.read()))
    if not check:
        path.write_text(drawn)
    elif path.read_text() != drawn:
        sys.exit(f"error: {path} differs from the output of scripts/demo; scripts/screenshots draws it again")


def rows(output):
    """The command and every line about a request; the other lines name files and differ from run to run."""
    found = [line for line in output.splitlines() if ROW.match(line)]
    if not found:
        sys.exit("error: the output of scripts/demo has no line about a request")
    return ["$ scripts/demo", *found]


def picture(lines):
    width = round(max(map(len, lines)) * COLUMN + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN
    texts = "\n".join(text(line, MARGIN + (at + 0.75) * LINE) for at, line in enumerate(lines))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
        f'<rect width="100%" height="100%" rx="6" fill="{BACKGROUND}"/>\n'
        f'<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13" fill="{TEXT}">\n'
        f"{texts}\n</g>\n</svg>\n"
    )


def text(line, y):
    """A line, each of its words at the column where the terminal shows it, since SVG collapses spaces."""
    spans = "".join(span(match) for match in re.finditer(r"\S+(?: \S+)*", line))
    return f'<text y="{y}">{spans}</text>'


def span(match):
    words = match.group()
    x = round(MARGIN + match.start() * COLUMN, 1)
    color = COLORS.get(words[0]) if re.match(r"\d{3}\b", words) else None
    fill = f' fill="{color}"' if color else ""
    return f'<tspan x="{x}"{fill}>{escape(words)}</tspan>'


if __name__ == "__main__":
    main(sys.argv[1:])
