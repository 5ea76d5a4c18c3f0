# Helper of the tests in this directory: runs small shell programs that call `lua`, once with
# moonlet under that name and once with lua5.4, and compares what they print and their status.
# Without lua5.4 the outcome is compared with the one recorded in expected/.
#
#   same NAME SHELL-TEXT             moonlet does what lua5.4 does
#   own NAME STATUS WORDS SHELL-TEXT only moonlet: the status, and words that the output contains
#   finish                           last line of a test
#
# RECORD=1 writes expected/ anew from lua5.4.

: "${MOONLET:?the program to test}"
here=$(cd "$(dirname "$0")" && pwd)
recorded=$here/expected/$(basename "$0" .sh).txt
reference=$(command -v lua5.4)
failures=0
unset LUA_INIT LUA_INIT_5_4 LUA_PATH LUA_PATH_5_4 LUA_CPATH LUA_CPATH_5_4
LC_ALL=C
export LC_ALL

base=$(mktemp -d)
trap 'rm -rf "$base"' EXIT
mkdir "$base/moonlet" "$base/reference"
case $MOONLET in
/*) ln -s "$MOONLET" "$base/moonlet/lua" ;;
*) ln -s "$PWD/$MOONLET" "$base/moonlet/lua" ;;
esac
[ -z "$reference" ] || ln -s "$reference" "$base/reference/lua"
[ -z "$RECORD" ] || : >"$recorded"

# outcome WHO SHELL-TEXT: output, errors and status, addresses made equal.
outcome() {
    rm -rf "$base/work" && mkdir "$base/work"
    (
        cd "$base/work" || exit
        PATH=$base/$1:$PATH timeout 120 sh -c "$2" </dev/null >"$base/stdout" 2>"$base/stderr"
        echo $? >"$base/status"
    )
    {
        cat "$base/stdout"
        echo "--- errors"
        cat "$base/stderr"
        echo "--- status $(cat "$base/status")"
    } | sed 's/0x[0-9a-f][0-9a-f][0-9a-f][0-9a-f]*/0xADDRESS/g'
}

recall() {
    awk -v head="=== $1" '/^=== / { on = $0 == head; next } on' "$recorded"
}

fail() {
    failures=$((failures + 1))
    echo "$(basename "$0"): $1"
}

same() {
    if [ -n "$reference" ]; then
        outcome reference "$2" >"$base/expected"
        [ -z "$RECORD" ] || { echo "=== $1"; cat "$base/expected"; } >>"$recorded"
    else
        recall "$1" >"$base/expected"
    fi
    outcome moonlet "$2" >"$base/got"
    cmp -s "$base/expected" "$base/got" && return
    fail "$1"
    diff -U 2 "$base/expected" "$base/got" | sed '1,2d; s/^/    /'
}

own() {
    outcome moonlet "$4" >"$base/got"
    if ! grep -q -e "^--- status $2\$" "$base/got"; then
        fail "$1: status is not $2"
    elif ! grep -q -F -e "$3" "$base/got"; then
        fail "$1: no '$3'"
    else
        return
    fi
    sed 's/^/    /' "$base/got"
}

finish() {
    [ "$failures" -eq 0 ]
    exit
}
