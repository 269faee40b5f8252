"""Records which web frameworks read a form from a body, by its Content-Type, in
tests/vectors/form_parsers.json. `cargo test` holds Countersign to it.

    python3 record.py NODE_DIRECTORY

Each parser runs with the interpreter of its language: python3 with the packages of requirements.txt in
PYTHONPATH, node with those of package.json below NODE_DIRECTORY (`scripts/test` installs both, into
target/form_parsers), and perl, ruby, php and go from PATH with the packages that each file names. The
rows of a language that does not run here stay as they are.
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
VECTORS = HERE.parent.parent / "vectors" / "form_parsers.json"

COMMANDS = {
    "python": [sys.executable, "python.py"],
    "node": ["node", "node.mjs", *(str(Path(path).resolve()) for path in sys.argv[1:])],
    "perl": ["perl", "perl.pl"],
    "ruby": ["ruby", "ruby.rb"],
    "php": ["php", "php.php"],
    "go": ["go", "run", "go.go"],
}


def run(command, cases):
    """Returns what each framework of a language reads; None if the language does not run here."""
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    try:
        done = subprocess.run(command, cwd=HERE, input=lines, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{command[0]} is not recorded: {getattr(error, 'stderr', '') or error}", file=sys.stderr)
        return None
    return json.loads(done.stdout)


def main():
    recorded = json.loads(VECTORS.read_text())
    cases = [case["content_type"] for case in recorded["cases"]]
    for language, command in COMMANDS.items():
        frameworks = run(command, cases)
        if frameworks is None:
            continue
        replaced = [name for name, row in recorded["frameworks"].items() if row["language"] == language]
        for name in replaced:
            del recorded["frameworks"][name]
        for case in recorded["cases"]:
            case["read_by"] = [name for name in case["read_by"] if name not in replaced]
        for name, row in frameworks.items():
            recorded["frameworks"][name] = {"language": language, "version": row["version"]}
            for case, read in zip(recorded["cases"], row["reads"]):
                if read:
                    case["read_by"].append(name)
    for case in recorded["cases"]:
        case["read_by"].sort()
    recorded["frameworks"] = dict(sorted(recorded["frameworks"].items()))
    VECTORS.write_text(written(recorded))


def written(recorded):
    """Returns the vectors with one case a line, so that a difference is easy to read."""
    frameworks = ",\n".join(f"    {json.dumps(name)}: {json.dumps(row)}" for name, row in recorded["frameworks"].items())
    cases = ",\n".join(f"    {json.dumps(case)}" for case in recorded["cases"])
    about = json.dumps(recorded["about"])
    return f'{{\n  "about": {about},\n  "frameworks": {{\n{frameworks}\n  }},\n  "cases": [\n{cases}\n  ]\n}}\n'


if __name__ == "__main__":
    main()
