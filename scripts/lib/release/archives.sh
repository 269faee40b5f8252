# shellcheck shell=bash
# Functions that make archives. Scripts source this file after build.sh.
#
#   program_archive PROGRAM FILE    the program with its manual pages, completions, configuration, examples and licenses
#   source_archive FILE             the source as `git archive` gives it, with the name of the commit
#   chart_archive FILE              the Helm chart, as `helm package` would
#
# The same input and SOURCE_DATE_EPOCH give the same archive, byte for byte.

program_archive() {
    local program=$1 file=$2 name work
    name=$(basename "$file" .tar.gz)
    work=$(mktemp -d target/archive.XXXXXX)
    install -D --mode=755 "$program" "$work/$name/countersign"
    cp LICENSE target/NOTICES README.md CHANGELOG.md SECURITY.md config.default.toml "$work/$name/"
    copy_tracked deploy "$work/$name"
    shell_files "$work/$name/countersign" "$work/$name"
    pack "$work" "$name" "$file"
    rm -rf "$work"
}

# copy_tracked SOURCE DESTINATION: copies only files that are committed, and not an editor's copies or local secrets.
copy_tracked() {
    if [[ -e .git ]]; then git ls-files -z "$1"; else find "$1" -type f -print0; fi |
        tar --create --null --files-from=- | tar --extract --directory "$2"
}

# shell_files PROGRAM DIRECTORY: writes the manual pages and the completions.
shell_files() {
    mkdir -p "$2/man/man1" "$2/completions"
    "$1" man "$2/man/man1" >/dev/null
    "$1" completion bash >"$2/completions/countersign.bash"
    "$1" completion zsh >"$2/completions/_countersign"
    "$1" completion fish >"$2/completions/countersign.fish"
}

source_archive() {
    [[ -e .git ]] || return 0
    local file=$1 name
    name=$(basename "$file" .tar.gz)
    git archive --format=tar --prefix="$name/" HEAD | gzip --no-name >"$file"
}

chart_archive() {
    local work
    work=$(mktemp -d target/archive.XXXXXX)
    copy_tracked deploy/helm/countersign "$work"
    pack "$work/deploy/helm" countersign "$1"
    rm -rf "$work"
}

# pack DIRECTORY NAME FILE
pack() {
    tar --create --directory "$1" --sort=name "--mtime=@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --mode=a+rX,u+w,go-w --format=gnu "$2" | gzip --no-name >"$3"
}
