# Installing, which the other tests build on: what is installed, that it can be moved, and DESTDIR.
. "$(dirname "$0")/support/checks.sh"

rm -rf "$prefix"
check 'installs' cmake --install "$build" --strip --prefix "$prefix"

version=$("$prefix/bin/moonlet" --version | sed -n 's/^moonlet \([0-9.]*\).*/\1/p')
so=${version%.*}
sort >"$work/expected" <<END
bin/moonlet
include/moonlet.h
lib/cmake/moonlet/moonletConfig.cmake
lib/cmake/moonlet/moonletConfigVersion.cmake
lib/libmoonlet.a
lib/libmoonlet.so
lib/libmoonlet.so.$so
lib/libmoonlet.so.$version
lib/libmoonlet_interpose.a
lib/libmoonlet_interpose.so
lib/libmoonlet_interpose.so.$so
lib/libmoonlet_interpose.so.$version
lib/pkgconfig/moonlet-interpose-static.pc
lib/pkgconfig/moonlet-interpose.pc
lib/pkgconfig/moonlet-static.pc
lib/pkgconfig/moonlet.pc
share/bash-completion/completions/moonlet
share/man/man1/moonlet.1
END
(cd "$prefix" && find . ! -type d ! -path './share/doc/*' ! -path './share/moonlet/stubs/*' | sed 's|^\./||' | sort) >"$work/found"
# Elsewhere than on Debian the directory may have another name.
libdir=$(sed -n 's/^CMAKE_INSTALL_LIBDIR:[A-Z]*=//p' "$build/CMakeCache.txt")
sed "s|^lib/|$libdir/|" "$work/expected" | sort >"$work/expected_here"
check 'all of it and nothing else' equal_files "$work/expected_here" "$work/found"
check 'stubs for editors' equal_files "$source/stubs/moonlet/net.lua" "$prefix/share/moonlet/stubs/moonlet/net.lua"

leaks() { ! grep -rl -e "$build" -e "$source" -e "$prefix" "$prefix"; }
check 'no file names the place where it was built or installed' leaks
for file in "$prefix/bin/moonlet" "$prefix/$libdir/libmoonlet.so" "$prefix/$libdir/libmoonlet_interpose.so"; do
    check "$file looks for no library in a place of its own" sh -c "! readelf -d '$file' | grep -E 'RPATH|RUNPATH'"
done

DESTDIR=$work/root
export DESTDIR
check 'installs into a tree' cmake --install "$build" --strip --prefix /opt/lua
check 'the prefix below DESTDIR' test -x "$DESTDIR/opt/lua/bin/moonlet"
unset DESTDIR
if command -v make >/dev/null; then
    command=$(make -n -C "$source" install PREFIX=/opt/lua DESTDIR=/tree | grep 'cmake --install')
    check 'make install does that' equal \
        'DESTDIR="/tree" cmake --install build/release --strip --prefix "/opt/lua" >/dev/null' "$command"
fi

check 'the program stands alone' equal well \
    "$(cd / && env -u MOONLET_TESTS "$prefix/bin/moonlet" "$source/tests/install/support/smoke.lua" 2>&1)"
finish
