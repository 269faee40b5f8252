"""The pages of the reference, from the sources that the program is built from and from its own --help."""

import re
import subprocess
from pathlib import Path

MESSAGES = Path("proto/countersign/v1")


def write(directory, program):
    """Writes every page of the reference below a directory."""
    for name, text in {
        "settings": settings(Path("config.default.toml").read_text()),
        "commands": commands(program),
        "grpc": messages(),
        "http": http(),
        "envoy": envoy(),
    }.items():
        page = directory / "reference" / f"{name}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)


def settings(text):
    """One heading and one block for each section of the default configuration."""
    head, *sections = re.split(r"(?m)^(?=\[)", text)
    page = ["# Every setting\n\n`countersign config default` prints this file.\n\n", block("toml", head)]
    for section in sections:
        name = section.split("\n", 1)[0].strip("[]")
        page.append(f"## {name}\n\n{block('toml', section)}")
    return "".join(page)


def commands(program):
    page = ["# Every command\n\n`countersign COMMAND --help` prints these texts.\n\n"]
    for command, text in helps(program):
        title = " ".join(("countersign", *command))
        page.append(f"## {title}\n\n{block('text', text)}")
    return "".join(page)


def helps(program):
    """The program and each of its commands, as a tuple of words, with its --help."""
    waiting = [()]
    while waiting:
        command = waiting.pop(0)
        text = subprocess.run([program, *command, "--help"], check=True, capture_output=True, text=True).stdout
        yield command, text
        waiting[:0] = [(*command, name) for name in subcommands(text)]


def subcommands(text):
    """The names below `Commands:` in a --help."""
    found = re.search(r"(?ms)^Commands:\n(.*?)(?:\n\n|\Z)", text)
    names = re.findall(r"(?m)^  (\S+)", found[1]) if found else []
    return [name for name in names if name != "help"]


def messages():
    """The definitions of the gRPC API, whose comments are its reference."""
    page = ["# gRPC API\n\nThe package `countersign.v1`, on the listener `api`. [Issuing](../docs/issuing.md) has examples.\n\n"]
    for file in sorted(MESSAGES.glob("*.proto")):
        page.append(f"## {file.name}\n\n{block('proto', file.read_text())}")
    return "".join(page)


def http():
    text = Path("docs/openapi.yaml").read_text()
    return f"# HTTP API\n\nThe listener `http`, in OpenAPI.\n\n{block('yaml', text)}"


def envoy():
    page = ["# Envoy\n\nA complete configuration of Envoy, and that of Countersign for it. The comments give the reasons.\n\n"]
    for name, language in ("envoy.yaml", "yaml"), ("countersign.toml", "toml"):
        page.append(f"## {name}\n\n{block(language, (Path('deploy/envoy') / name).read_text())}")
    return "".join(page)


def block(language, text):
    return f"```{language}\n{text.strip()}\n```\n\n"
