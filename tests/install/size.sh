# What the library adds to a host, beyond Lua, libev and c-ares: at most 2.1 MB.
. "$(dirname "$0")/support/checks.sh"

needs pkg-config "${CC:-gcc}" strip
cc=${CC:-gcc}
libdir=$(dirname "$(find "$prefix" -name libmoonlet.a)")
PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH
limit=2100000

bytes() { stat -Lc %s "$1"; }
small() { [ "$1" -le "$limit" ] || { echo "$1 bytes, the limit is $limit" && false; }; }

printf 'int main(void) { return 0; }\n' >"$work/nothing.c"
check 'a host without' "$cc" -O2 -o "$work/without" "$work/nothing.c"
# shellcheck disable=SC2046  # words
check 'a host with' "$cc" -O2 -o "$work/with" "$source/tests/hosts/host.c" \
    $(pkg-config --cflags --libs moonlet-interpose-static)
check 'stripped' strip "$work/with" "$work/without"
archive=$(($(bytes "$work/with") - $(bytes "$work/without")))
shared=$(($(bytes "$libdir/libmoonlet.so") + $(bytes "$libdir/libmoonlet_interpose.so")))
check 'the archives' small "$archive"
check 'the shared libraries' small "$shared"
echo "the archives add $archive bytes, the shared libraries $shared"
finish
