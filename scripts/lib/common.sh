# shellcheck shell=bash
# Functions that the scripts share. The scripts source this file, which changes to the project's
# directory, and takes the option --no-install from the script's arguments.

set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=install.sh
source scripts/lib/install.sh

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

need_cargo() {
    hash cargo 2>/dev/null || fail "cargo is missing; install Rust from https://rustup.rs"
}

# Says how long the first build takes, before anything is downloaded.
announce_build() {
    [[ -x target/debug/countersign ]] ||
        say "The first build compiles about 300 crates, which takes three minutes on two idle cores. cargo downloads those that it does not have yet: at most 40 MB."
}

# Builds the program without optimization: that takes a third of the time, and the tests use it too. cargo
# shows its progress on a terminal.
build_countersign() {
    say "Building countersign."
    cargo build --locked --bin countersign --target-dir target
}

# With --no-install, a script lists what is missing and fails, and so do the scripts that it runs.
export NO_INSTALL=${NO_INSTALL:-}
for argument; do
    shift
    if [[ $argument == --no-install ]]; then NO_INSTALL=1; else set -- "$@" "$argument"; fi
done
