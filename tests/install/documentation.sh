# The installed documentation: what its pages link to and the files that they name are installed, too.
. "$(dirname "$0")/support/checks.sh"

docs=$prefix/share/doc/moonlet

# links PAGE: what it links to in this tree, a line each, without the places on a page.
links() { grep -oE '\]\([^)]+\)' "$1" | sed 's/^](//; s/)$//; s/#.*//' | grep -v '^https\{0,1\}:' | grep .; }

# named PAGE: the files and directories of those three that stand in it as code.
named() { grep -oE '`(docs|examples|scripts)/[A-Za-z0-9_./]*' "$1" | tr -d '`'; }

# dangling ROOT: of the pages below it, "PAGE: LINK" for each that leads to no file of the same tree.
dangling() {
    (cd "$1" && find . -name '*.md' | sed 's|^\./||' | sort | while read -r page; do
        for link in $(links "$page"); do
            path=$(realpath -m --relative-to . "$(dirname "$page")/$link")
            case $path in ../*) false ;; *) [ -e "$path" ] ;; esac || echo "$page: $link"
        done
        # CONTRIBUTING.md and the changelog are about the sources.
        case $page in C*) continue ;; esac
        for path in $(named "$page"); do [ -e "$path" ] || echo "$page: $path"; done
    done)
}

count=$(cd "$docs" && cat $(find . -name '*.md') >"$work/all.md" && links "$work/all.md" | wc -l)
check "links are found: $count" test "$count" -gt 30
check 'they lead to installed files' equal '' "$(dangling "$docs")"
for file in LICENSE README.md CHANGELOG.md docs/tutorial.md docs/comparison.svg scripts/demo.lua; do
    check "$file" equal_files "$source/$file" "$docs/$file"
done
for file in "$source"/examples/*.c "$source"/examples/*.cpp; do
    check "examples: $(basename "$file")" test -f "$docs/examples/$(basename "$file")"
done

# The same, of a tree that lacks something.
cp -r "$docs" "$work/incomplete"
rm -r "$work/incomplete/LICENSE" "$work/incomplete/docs/tutorial.md" "$work/incomplete/scripts/demo.lua"
check 'what is missing is told' equal 'README.md: LICENSE
README.md: docs/tutorial.md
docs/scripts.md: scripts/demo.lua' "$(dangling "$work/incomplete" | sort -u)"

check 'the manual page says where it is' grep -qx '\.IR share/doc/moonlet \.' "$prefix/share/man/man1/moonlet.1"
check 'an example script runs' equal '2 3 5 7 11' "$(cd / && "$prefix/bin/moonlet" "$docs/scripts/prime_sieve.lua" 5 2>/dev/null)"
finish
