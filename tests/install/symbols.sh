# The names that libraries and program export, and SONAMEs.
. "$(dirname "$0")/support/checks.sh"

needs nm readelf
libdir=$(dirname "$(find "$prefix" -name libmoonlet.a)")
version=$("$prefix/bin/moonlet" --version | sed -n 's/^moonlet \([0-9.]*\).*/\1/p')

soname() { readelf -d "$1" | sed -n 's/.*SONAME.*\[\(.*\)\].*/\1/p'; }
exported() { nm -D --defined-only "$1" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u; }

for name in libmoonlet libmoonlet_interpose; do
    check "SONAME of $name" equal "$name.so.${version%.*}" "$(soname "$libdir/$name.so")"
done

# libmoonlet.so: what moonlet.h declares and nothing else. Of Lua nothing: that is liblua5.4.so, which it needs.
sed -n 's/^MOONLET_API .*[ *]\(moonlet_[a-z_]*\)(.*/\1/p' "$prefix/include/moonlet.h" | sort >"$work/public"
exported "$libdir/libmoonlet.so" >"$work/library"
check 'libmoonlet.so exports the public names' equal_files "$work/public" "$work/library"
check 'libmoonlet.so brings Lua along' sh -c "readelf -d '$libdir/libmoonlet.so' | grep 'NEEDED.*liblua'"

# libmoonlet_interpose.so: the names of libc, and the one by which a runtime makes itself known.
(tr ';' '\n' <"$build/interpose_names.list" && echo moonlet_interpose_attach) | sort -u >"$work/interposed"
exported "$libdir/libmoonlet_interpose.so" >"$work/interpose"
check 'libmoonlet_interpose.so exports the names of libc' equal_files "$work/interposed" "$work/interpose"

# The program: the same, and, where Lua is linked into it, Lua's whole API, which C modules expect there. The rest
# comes with every program that exports anything.
exported "$prefix/bin/moonlet" | grep -vE '^(lua_|luaL_|luaopen_|moonlet_)' |
    grep -vE '^(_IO_stdin_used|__bss_start|_edata|_end|_start|__data_start|data_start|_init|_fini|main)$' |
    grep -vE '^(stdin|stdout|stderr|environ|__environ|_environ)$' >"$work/program"
grep -v '^moonlet_' "$work/interposed" >"$work/libc"
check 'the program exports those of libc' equal_files "$work/libc" "$work/program"
lua_is_shared() { readelf -d "$prefix/bin/moonlet" | grep -q 'NEEDED.*liblua'; }
if ! lua_is_shared; then
    check 'the program has all of Lua' sh -c "nm -D --defined-only '$prefix/bin/moonlet' | grep -q ' lua_gc$'"
fi

# Archives: machine code, without the form that only one version of one compiler reads.
for archive in libmoonlet libmoonlet_interpose; do
    check "$archive.a is for any linker" sh -c \
        "! readelf -SW '$libdir/$archive.a' 2>&1 | grep -E 'gnu.lto|debuglto|not an? ELF|LLVM'"
done
prefixed() { ! nm --defined-only --extern-only "$libdir/libmoonlet.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | grep -vE '^(ml_|moonlet_)'; }
check 'libmoonlet.a defines nobody else'"'"'s names' prefixed
finish
