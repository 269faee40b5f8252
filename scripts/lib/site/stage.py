"""Prepares the source of the documentation's site: stage.py DIRECTORY PROGRAM.

Copies the pages that docs/SUMMARY.md lists and the files that they link to, in the layout of this
repository, so that links stay as they are. A link to a source of the reference becomes a link to the page that is made
of it. Fails with a list if a page is not in docs/SUMMARY.md, or a link leads nowhere.
"""

import html
import posixpath
import re
import shutil
import sys
from pathlib import Path

import reference

SUMMARY = "docs/SUMMARY.md"
# From a source to its page.
MADE = {
    "config.default.toml": "reference/settings.md",
    "src/cli/mod.rs": "reference/commands.md",
    "proto/countersign/v1/consumer.proto": "reference/grpc.md",
    "proto/countersign/v1": "reference/grpc.md",
    "docs/openapi.yaml": "reference/http.md",
    "deploy/envoy/envoy.yaml": "reference/envoy.md",
}
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]*)(#[^)\s]*)?(\))")
FENCE = re.compile(r"^\s*(```|~~~)")


def main(destination, program):
    staged, problems = stage(Path("."), destination)
    if not problems:
        reference.write(destination / "src", program)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


def stage(root, destination):
    """Copies pages and files below `root`. Returns the copied paths and the problems."""
    shutil.rmtree(destination, ignore_errors=True)
    destination.mkdir(parents=True)
    copy(Path(__file__).with_name("book.toml"), destination / "book.toml")
    source = destination / "src"
    pages = listed(root)
    site = Site(root, pages)
    summary = site.rewritten(SUMMARY, at="SUMMARY.md")
    write(source / "SUMMARY.md", summary)
    for page in pages:
        if page.endswith(".md"):
            write(source / staged_as(page), site.rewritten(page, at=page))
    for file in sorted(site.linked):
        copy(root / file, source / file)
    for directory, files in site.listed.items():
        write(source / directory / "index.html", listing(directory, files))
    site.problems += [f"{page} is not in {SUMMARY}" for page in unlisted(root, pages)]
    return [*pages, *site.linked], site.problems


def listed(root):
    """The paths that the summary links to."""
    targets = [match[2] for match in LINK.finditer((root / SUMMARY).read_text())]
    return [normal("docs", target) for target in targets]


def unlisted(root, pages):
    """The pages of docs/ that the summary does not link to."""
    every = (path.relative_to(root).as_posix() for path in (root / "docs").rglob("*.md"))
    return sorted(set(every) - set(pages) - {SUMMARY})


class Site:
    """The links of all pages: `linked` has the files that are not pages, `listed` the files of linked directories."""

    def __init__(self, root, pages):
        self.root, self.pages, self.linked, self.listed, self.problems = root, set(pages), set(), {}, []

    def rewritten(self, page, at):
        """The text of a page that is staged `at` a path, with links to the pages that are made."""
        text, prose, fenced = [], [], False
        for line in [*(self.root / page).read_text().splitlines(keepends=True), None]:
            fenced ^= bool(line and FENCE.match(line))
            is_code = line and (fenced or (line.startswith("    ") and page != SUMMARY))
            if line is None or is_code:
                # At once: the text of a link can go on in the next line.
                text.append(LINK.sub(lambda match: self._link(match, page, at), "".join(prose)))
                text.append(line or "")
                prose = []
            else:
                prose.append(line)
        return "".join(text)

    def _link(self, match, page, at):
        before, target, anchor, after = match[1], match[2], match[3] or "", match[4]
        if not target or ":" in target:
            return match[0]
        path = normal(posixpath.dirname(page), target)
        if path in MADE:
            path, anchor = MADE[path], ""
        elif (self.root / path).is_dir():
            path = self._directory(path)
        elif not (self.root / path).is_file():
            self.problems.append(f"{page} links to {target}, which does not exist")
        elif path.endswith(".md"):
            if path not in self.pages:
                self.problems.append(f"{page} links to {target}, which is not in {SUMMARY}")
        else:
            self.linked.add(path)
        return before + posixpath.relpath(staged_as(path), posixpath.dirname(at) or ".") + anchor + after

    def _directory(self, path):
        """The page of a directory: its README, or a list of its files."""
        readme = f"{path}/README.md"
        if readme in self.pages:
            return readme
        files = (file for file in (self.root / path).rglob("*") if file.is_file())
        self.listed[path] = sorted(file.relative_to(self.root).as_posix() for file in files)
        self.linked.update(self.listed[path])
        return f"{path}/index.html"


def listing(directory, files):
    """A page with links to the files of a directory."""
    names = (posixpath.relpath(file, directory) for file in files)
    rows = "".join(f'<li><a href="{name}">{name}</a></li>' for name in map(html.escape, names))
    return f"<!doctype html><meta charset=utf-8><title>{directory}</title><h1>{directory}</h1><ul>{rows}</ul>"


def staged_as(page):
    """The path of a page in the site. mdBook names the page of a README index.html, but not the links to it."""
    return re.sub(r"(^|/)README\.md$", r"\1index.md", page)


def normal(folder, target):
    return posixpath.normpath(posixpath.join(folder, target)).rstrip("/")


def copy(source, destination):
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, destination)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
