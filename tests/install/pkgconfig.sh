# Hosts compiled by $1 with what pkg-config says: linked with the shared library and with the archive, with and
# without the names of libc.
. "$(dirname "$0")/support/checks.sh"

cc=$1
needs pkg-config "$cc"
case $cc in
gcc) cxx=g++ ;;
*) cxx=$cc++ ;;
esac
libdir=$(dirname "$(find "$prefix" -name libmoonlet.a)")
PKG_CONFIG_PATH=$libdir/pkgconfig
LD_LIBRARY_PATH=$libdir
export PKG_CONFIG_PATH LD_LIBRARY_PATH
smoke=$source/tests/install/support/smoke.lua

# compile NAME PACKAGE [OPTIONS]: $work/NAME
compile() {
    name=$1
    package=$2
    shift 2
    # shellcheck disable=SC2046  # words
    check "$name: compiles" "$cc" -O2 -Wall -Werror "$@" -o "$work/$name" "$source/tests/hosts/host.c" \
        $(pkg-config --cflags --libs "$package")
}

# runs NAME EXPECTED [ASSIGNMENT]
runs() {
    check "$1 ${3:-}" equal "$2" "$(env ${3:+"$3"} "$work/$1" "$smoke" 2>&1)"
}

needed() { readelf -d "$work/$1" | sed -n 's/.*NEEDED.*\[\(libmoonlet[a-z_]*\).*/\1/p' | tr '\n' ' '; }

compile shared moonlet
runs shared 'all waited'
runs shared 'others ran' "LD_PRELOAD=$libdir/libmoonlet_interpose.so"
check 'the shared library is used' equal 'libmoonlet ' "$(needed shared)"

compile shared_interposing moonlet-interpose
runs shared_interposing 'others ran'
compile shared_as_needed moonlet-interpose -Wl,--as-needed
runs shared_as_needed 'others ran'

compile static moonlet-static
runs static 'all waited'
runs static 'others ran' "LD_PRELOAD=$libdir/libmoonlet_interpose.so"
check 'the archive is used' equal '' "$(needed static)"

compile static_interposing moonlet-interpose-static
runs static_interposing 'others ran'
check 'the archives are used' equal '' "$(needed static_interposing)"

# The installed examples, as docs/guide-embedding.md says. Those that need more than Lua are built with the library.
for name in hello game tcp_server; do
    # shellcheck disable=SC2046
    check "example $name" "$cc" -Wall -Werror -o "$work/$name" "$prefix/share/doc/moonlet/examples/$name.c" \
        $(pkg-config --cflags --libs moonlet lua5.4)
done
check 'hello runs' equal 'status 0' "$("$work/hello" 2>&1 | tail -n 1)"

# A host with link-time optimisation of its own, and one without position-independent code.
compile static_lto moonlet-interpose-static -flto
runs static_lto 'others ran'
compile static_fixed moonlet-interpose-static -no-pie
runs static_fixed 'others ran'
if command -v ld.lld >/dev/null && [ "$cc" = clang ]; then
    compile static_lld moonlet-interpose-static -fuse-ld=lld
    runs static_lld 'others ran'
fi

if command -v "$cxx" >/dev/null; then
    # shellcheck disable=SC2046
    check 'C++' "$cxx" -Wall -Wextra -Werror -pedantic -o "$work/header" \
        "$source/tests/install/support/header.cc" $(pkg-config --cflags --libs moonlet)
    check 'C++ runs' equal 'Lua 5.4' "$("$work/header" 2>&1)"
else
    echo "pending: there is no $cxx here"
fi
finish
