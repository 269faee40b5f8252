"""Checks the commands in the pages: commands.py PROGRAM.

Every command of Countersign in a code block of README.md, docs/ and deploy/ must exist with its options, and every
script that a block runs must exist. Every other program must be in KNOWN, with the test that runs its commands or the
reason why none can.
"""

import re
import shlex
import sys
from pathlib import Path

import reference

# Programs in code blocks, and what runs or checks their commands.
KNOWN = {
    "apt": "scripts/packages installs the same file with dpkg",
    "cargo": "scripts/test runs the tests; .ci/run builds",
    "curl": "scripts/first-steps and the tests of docs/ send such requests",
    "dnf": "no rpm-based distribution is among the registries",
    "docker": "scripts/lib/compose/check.sh checks the file; no engine is needed",
    "envoy": "scripts/first-steps",
    "helm": "scripts/charts renders every example of values",
    "istioctl": "no cluster in the tests",
    "kubectl": "scripts/charts validates what is applied; no cluster in the tests",
    "minisign": "scripts/lib/release tests a signature",
    "pip": "scripts/release installs the wheel",
    "promtool": "scripts/charts",
    "python3": "scripts/first-steps",
    "redis-cli": "tests/it/docs and tests/it/store",
    "redis-server": "tests/it/docs/deploy_redis.rs",
    "systemctl": "tests/it/service/service_manager.rs tests the program's side; a chroot has no systemd",
}
SHELL = {"base64", "cd", "cp", "cat", "cut", "date", "diff", "echo", "export", "git", "grep", "install", "jq", "kill", "less", "ls", "mkdir", "mv", "openssl", "printf", "rm", "sed", "sha256sum", "sh", "shred", "sort", "tail", "tar", "tee", "test", "umask", "unset", "wait", "watch", "xargs"}
BLOCK_LANGUAGES = {"", "sh", "bash", "shell", "console"}


def main(program):
    helps = {command: set(re.findall(r"(?<![\w-])-{1,2}[A-Za-z][\w-]*", text)) for command, text in reference.helps(program)}
    problems, count = [], 0
    for page in pages():
        text = page.read_text()
        functions = set(re.findall(r"(\w+)\(\) \{", text))
        for words in (words for line in commands(text) for words in parts(line)):
            count += 1
            problem = None if words[0] in functions else check(words, helps)
            if problem:
                problems.append(f"{page}: {problem}: {' '.join(words)}")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"{count} commands of the pages exist.")
    return 1 if problems or count < 100 else 0


def pages():
    return [Path("README.md"), *sorted(Path("docs").rglob("*.md")), *sorted(Path("deploy").rglob("*.md"))]


def commands(text):
    """The lines of code blocks that look like commands, with continued lines joined."""
    for block in blocks(text):
        joined = re.sub(r"\\\n\s*", " ", block)
        lines = [line.removeprefix("$ ") for line in joined.splitlines()]
        if "──" not in block and any(name(line) == "countersign" or name(line) in KNOWN for line in lines):
            yield from (line for line in lines if re.match(r"(sudo |\w+=\S* )*[a-z(./][\w./-]*( |$)", line))


def blocks(text):
    """The code blocks of a page: indented, or fenced as shell."""
    block, fence = [], None
    for line in [*text.splitlines(), ""]:
        opened = re.match(r"^\s*```(\w*)", line)
        if opened:
            fence = None if fence is not None else opened[1]
        if not opened and (fence in BLOCK_LANGUAGES if fence is not None else line.startswith("    ")):
            block.append(line.strip())
        elif line or fence is None:
            yield "\n".join(block)
            block = []


def name(line):
    """The name of the program that a line runs."""
    words = re.sub(r"^(\(|sudo |\w+=\S* )+", "", line).split(maxsplit=1)
    return words[0].rsplit("/", 1)[-1] if words else ""


def parts(line):
    """The commands of a line, each as words: without variables, sudo and redirections."""
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();|&<>")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return
    part = []
    for word in [*words, ";"]:
        if set(word) <= set("();|&"):
            part = cleaned(part)
            if part:
                yield part
            part = []
        else:
            part.append(word)


def cleaned(words):
    if "--" in words and is_own(words[min(words.index("--") + 1, len(words) - 1)]):
        words = words[words.index("--") + 1 :]
    while words and (words[0] in {"sudo", "exec", "env"} or re.match(r"^\w+=", words[0])):
        words = words[1:]
    ends = [at for at, word in enumerate(words) if set(word) <= set("<>") or word.startswith("#")]
    return words[: ends[0]] if ends else words


def is_own(word):
    return word.rsplit("/", 1)[-1] == "countersign" or word.startswith(("scripts/", "./scripts/"))


def check(words, helps):
    """Returns the problem of a command, if it has one."""
    if not is_own(words[0]):
        return None if words[0] in KNOWN or words[0] in SHELL else f"{words[0]} is not in KNOWN"
    if "scripts/" in words[0]:
        return None if Path(words[0]).exists() else "no such script"
    command = ()
    for word in words[1:]:
        if (*command, word) not in helps:
            break
        command = (*command, word)
    if not command and words[1:] and re.match(r"[a-z]", words[1]):
        return f"no command {words[1]}"
    options = {word.split("=", 1)[0] for word in words[1:] if re.match(r"--?[A-Za-z]", word)}
    unknown = options - helps[command] - {"--help", "--version"}
    return f"no option {', '.join(sorted(unknown))}" if unknown else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
