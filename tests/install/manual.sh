# The manual page and the completion know the options that --help tells, and are in order.
. "$(dirname "$0")/support/checks.sh"

page=$prefix/share/man/man1/moonlet.1
completion=$prefix/share/bash-completion/completions/moonlet
"$prefix/bin/moonlet" --help | sed -n 's/^  \(-[^] ,[]*\)\(\[[^ ]*\)\{0,1\}\(, \(-[^ ]*\)\)\{0,1\} .*/\1 \4/p' | tr ' ' '\n' | grep . | sort -u >"$work/options"
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
check 'a script behind the file of a profile' equal 'scripts/demo.lua' "$(completes --profile out.svg scripts/dem)"
check 'any file for a profile' equal 'README.md' "$(completes --profile README.m)"
check 'the manual page tells what SIGQUIT does' grep -q SIGQUIT "$page"
check 'sizes' equal '64M' "$(completes --stack-size 6)"
check 'sizes behind a sign' equal '64M' "$(completes --stack-size = 6)"
check 'all of them, directly behind the sign' equal "$(completes --stack-size '')" "$(completes --stack-size =)"
check 'a script behind an option with a sign' equal 'scripts/demo.lua' "$(completes --stack-size = 1M scripts/dem)"

# On a stack that is offered a deep recursion is the script's error; 64K, the least, is for those who know.
deep='local function f() return (("x"):gsub("x", f)) end print(select(2, pcall(f)))'
for size in $(completes --stack-size ''); do
    check "a stack of $size" equal 'C stack overflow' "$("$prefix/bin/moonlet" --stack-size "$size" -e "$deep" 2>&1)"
done
for size in 64K 1024M; do
    check "$size is a limit that the page tells" grep -q "$size" "$page"
    check "$size is accepted" "$prefix/bin/moonlet" --stack-size "$size" -e ''
done
check '--help tells them' sh -c "'$prefix/bin/moonlet' --help | grep -q '64K to 1024M'"
for size in 63K 1025M; do
    check "$size is refused" sh -c "! '$prefix/bin/moonlet' --stack-size $size -e '' && '$prefix/bin/moonlet' --stack-size $size -e '' 2>&1 | grep -q '64K to 1024M'"
done
finish
