# shellcheck shell=bash
# Functions that build the program that is shipped. Scripts source this file after common.sh.
#
#   need_release_tools    inside of a function for `provide`
#   build_release         makes target/dist/countersign, and countersign-static, which needs no libraries, for the
#                         image; each with its symbols in a file NAME.debug
#
# Two builds of one commit in the same directory with the same toolchain give the same bytes.
#
#   SOURCE_DATE_EPOCH     the date in `--version` (default: the time of the last commit)
#   COUNTERSIGN_COMMIT    the commit in `--version`, for a build from an archive without git

DIST=target/dist

need_release_tools() {
    need objcopy binutils
}

# Builds the program with the ordinary release profile, whose dependencies the benchmarks share, and
# moves its debug symbols into a file of their own, which debuggers find beside it.
build_release() {
    export_source_date
    say "Building the release; the first build takes several minutes."
    cargo rustc --locked --release --bin countersign --target-dir target -- -C "linker=$PWD/scripts/lib/release/link_twice"
    split_debug_symbols target/release/countersign "$DIST/countersign"
    split_debug_symbols "$(linked_statically)" "$DIST/countersign-static"
    "$DIST/countersign-static" --version >/dev/null
}

# The file that the linker wrote. cargo hard-links only the other one to target/release/.
linked_statically() {
    local one
    for one in target/release/deps/countersign-*.static; do
        [[ ! ${one%.static} -ef target/release/countersign ]] || printf '%s\n' "$one"
    done
}

# Exports SOURCE_DATE_EPOCH, unless it is set.
export_source_date() {
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(commit_time)}
    export SOURCE_DATE_EPOCH
}

# `git archive` gives each file the time of the commit.
commit_time() {
    if [[ -e .git ]]; then git log -1 --format=%ct; else stat --format=%Y Cargo.toml; fi
}

# split_debug_symbols PROGRAM RESULT
split_debug_symbols() {
    local name=${2##*/} new=$2.new
    rm -rf "$new"
    mkdir -p "$new"
    objcopy --only-keep-debug "$1" "$new/$name.debug"
    objcopy --strip-all --remove-section=.comment "--add-gnu-debuglink=$new/$name.debug" "$1" "$new/$name"
    # The last step, so that an interrupted build leaves no pair that does not match.
    mv "$new/$name.debug" "$new/$name" "${2%/*}/"
    rmdir "$new"
}
