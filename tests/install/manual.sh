# The manual page and the completion know the options that --help tells, and are in order.
. "$(dirname "$0")/support/checks.sh"

page=$prefix/share/man/man1/moonlet.1
completion=$prefix/share/bash-completion/completions/moonlet
"$prefix/bin/moonlet" --help | sed -n 's/^  \(-[^ ,]*\)\(, \(-[^ ]*\)\)\{0,1\} .*/\1 \3/p' | tr ' ' '\n' | grep . | sort -u >"$work/options"
check '--help tells options' grep -qx -e '--stack-size' "$work/options"

# Without roff's backslashes; a line of the page that names options begins with a macro for bold.
sed -n 's/\\-/-/g; s/^\.B[IR]\{0,1\} \(-.*\)/\1/p' "$page" | grep -oE -e '--?[a-zA-Z-]*' | sort -u >"$work/in_page"
check 'the manual page has the options' equal_files "$work/options" "$work/in_page"

quiet() { "$@" >"$work/rendered" 2>"$work/warnings" && [ ! -s "$work/warnings" ] || { cat "$work/warnings" && false; }; }
if command -v groff >/dev/null; then
    check 'the page has no mistakes' quiet groff -man -Tascii -ww -P-c -P-b -P-u "$page"
    check 'the page is rendered' grep -q 'EXIT STATUS' "$work/rendered"
elif command -v man >/dev/null; then
    check 'the page has no mistakes' quiet man --warnings -l "$page"
else
    echo "pending: there is neither groff nor man here"
fi

needs bash
check 'bash reads the completion' bash -n "$completion"
# completes WORD...: what the last word can become
completes() {
    (cd "$source" && bash -c '. "$1"; shift; COMP_WORDS=(moonlet "$@"); COMP_CWORD=$#; _moonlet; printf "%s\n" "${COMPREPLY[@]}"' \
        bash "$completion" "$@" | sort)
}
completes - | sort -u >"$work/completed"
check 'the completion has the options' equal_files "$work/options" "$work/completed"
check 'a script' equal 'scripts/demo.lua' "$(completes -W scripts/dem)"
check 'only scripts' equal '' "$(completes README.m)"
check 'any file behind a script' equal 'README.md' "$(completes scripts/demo.lua README.m)"
check 'behind an option with a value' equal '' "$(completes -e '')"
check 'sizes' equal '64M' "$(completes --stack-size 6)"
finish
