# Helper of the tests in this directory, which look at what is installed.
#
#   check WHAT COMMAND...   says what is wrong when the command fails
#   needs PROGRAM...        ends the test as skipped when one of them is missing
#   finish                  last line of a test
#
# $build is the build directory, $prefix where the test install.prefix has installed to, $work the test's own
# directory, empty at first.

: "${MOONLET_BUILD:?the build directory}" "${MOONLET_TESTS:?where tests may write}"
build=$MOONLET_BUILD
prefix=$MOONLET_TESTS/prefix
work=$MOONLET_TESTS/installed.$(basename "$0" .sh)${1:+.$1}
source=$MOONLET_SOURCE
failures=0
unset LUA_INIT LUA_INIT_5_4 LUA_PATH LUA_PATH_5_4 LUA_CPATH LUA_CPATH_5_4 LD_LIBRARY_PATH LD_PRELOAD DESTDIR
LC_ALL=C
export LC_ALL
rm -rf "$work" && mkdir -p "$work"

check() {
    what=$1
    shift
    if ! "$@" >"$work/output" 2>&1; then
        failures=$((failures + 1))
        echo "not ok: $what"
        sed 's/^/    /' "$work/output"
    fi
}

# equal EXPECTED FOUND, as a command for check: files, or texts.
equal_files() { diff "$1" "$2"; }
equal() { [ "$1" = "$2" ] || { printf 'expected: %s\nfound:    %s\n' "$1" "$2" && false; }; }

needs() {
    for program; do
        command -v "$program" >/dev/null && continue
        echo "pending: there is no $program here"
        exit 77
    done
}

finish() {
    [ "$failures" -eq 0 ] && exit 0
    echo "$failures failed"
    exit 1
}
