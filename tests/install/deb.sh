# Debian packages: what is in them, and that each, with its dependencies alone, works on a root of its own.
. "$(dirname "$0")/support/checks.sh"

needs cpack dpkg dpkg-deb dpkg-query dpkg-shlibdeps
check 'packages are made' cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work"
version=$("$MOONLET" --version | sed -n 's/^moonlet \([0-9.]*\).*/\1/p')
library=libmoonlet${version%.*}
architecture=$(dpkg --print-architecture)
deb() { echo "$work/$1_${version}_$architecture.deb"; }
field() { dpkg-deb -f "$(deb "$1")" "$2"; }
names() { field "$1" Depends | sed 's/([^)]*)//g; s/ //g' | tr ',' '\n' | sort | tr '\n' ' '; }

for package in moonlet "$library" libmoonlet-dev; do
    check "$package" dpkg-deb -I "$(deb "$package")"
    check "$package: version" equal "$version" "$(field "$package" Version)"
    dpkg-deb -c "$(deb "$package")" >"$work/$package.contents"
    check "$package: changelog" grep -q "\./usr/share/doc/$package/changelog.gz$" "$work/$package.contents"
    check "$package: licence" grep -q "\./usr/share/doc/$package/copyright$" "$work/$package.contents"
    check "$package: owned by root" sh -c "! grep -v ' root/root ' '$work/$package.contents'"
done
check 'moonlet recommends libedit' sh -c "echo '$(field moonlet Recommends)' | grep -q libedit2"
check 'moonlet needs' equal 'libc-ares2|libcares2 libc6 libev4|libev4t64 libgcc-s1 ' "$(names moonlet)"
check "$library needs" equal 'libc-ares2|libcares2 libc6 libev4|libev4t64 libgcc-s1 liblua5.4-0 ' "$(names "$library")"
check 'libmoonlet-dev needs' equal "liblua5.4-dev $library " "$(names libmoonlet-dev)"
check 'the program' grep -q ' \./usr/bin/moonlet$' "$work/moonlet.contents"
check 'the manual page' grep -q ' \./usr/share/man/man1/moonlet.1.gz$' "$work/moonlet.contents"
check 'the manual page is there once' equal 1 "$(grep -c 'man1/moonlet\.1' "$work/moonlet.contents")"
check 'the libraries' grep -q " \./usr/lib/libmoonlet.so.$version\$" "$work/$library.contents"
check 'the header' grep -q ' \./usr/include/moonlet.h$' "$work/libmoonlet-dev.contents"

# The linker's cache: by the trigger, and by the package's own scripts.
check 'ldconfig' sh -c "dpkg-deb --ctrl-tarfile '$(deb "$library")' | tar -tf - | grep -qx './triggers'"

# Debian's own checks. The address of the maintainer is for who makes packages to be given to others.
if command -v lintian >/dev/null; then
    check 'lintian' lintian --no-cfg --allow-root --fail-on error \
        --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog "$work"/*.deb
fi

# ---- a root with the dependencies, as they are installed here, and nothing else ----

if [ "$(id -u)" -ne 0 ]; then
    if ! unshare -r true 2>/dev/null; then
        [ "$failures" -eq 0 ] || finish
        echo "pending: packages are installed by root, or where unshare -r works"
        exit 77
    fi
    as_root() { unshare -r "$@"; }
else
    as_root() { "$@"; }
fi

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | head -n 1)" = installed ]; }

# Of each dependency in the text the first alternative that is installed here.
chosen() {
    echo "$1" | sed 's/([^)]*)//g; s/:[a-z]*//g; s/ //g' | tr ',' '\n' | while read -r alternatives; do
        for package in $(echo "$alternatives" | tr '|' ' '); do
            is_installed "$package" && echo "$package" && break
        done
    done
}

# closure FIELDS: the packages that a package with these dependencies brings along, one a line.
closure() {
    known=' '
    todo=$(chosen "$1")
    while [ -n "$todo" ]; do
        more=
        for package in $todo; do
            case $known in *" $package "*) continue ;; esac
            known="$known$package "
            more="$more $(chosen "$(dpkg-query -W -f '${Pre-Depends},${Depends}\n' "$package" | head -n 1)")"
        done
        todo=$(echo "$more" | tr -s ' ')
        todo=${todo# }
    done
    echo "$known" | tr ' ' '\n' | grep .
}

# make_root ROOT FIELDS: files and records of those packages. A shell and ldconfig are on every Debian root.
make_root() {
    mkdir -p "$1/usr" "$1/tmp" "$1/var/lib/dpkg/info" "$1/var/lib/dpkg/updates" "$1/var/lib/dpkg/triggers"
    for link in bin sbin lib lib64; do
        [ -L "/$link" ] || continue
        mkdir -p "$1/usr/$link"
        ln -s "usr/$link" "$1/$link"
    done
    closure "$2, dash, libc-bin" | while read -r package; do
        dpkg-query -s "$package" && echo
        dpkg-query -L "$package" | grep -vE '^/usr/share/|^/\.$' | while read -r file; do
            { [ -d "$file" ] && [ ! -L "$file" ]; } || echo ".$file"
        done >"$1/tmp/files"
        tar -C / --ignore-failed-read -cf - -T "$1/tmp/files" 2>/dev/null |
            tar -C "$1" --no-same-owner --keep-directory-symlink -xf -
    done >"$1/var/lib/dpkg/status"
    [ -e "$1/bin/sh" ] || ln -s dash "$1/bin/sh"
    mkdir -p "$1/etc" && : >"$1/etc/ld.so.conf"
}

# install_on ROOT PACKAGE...: no dependency is forced
install_on() {
    root=$1
    shift
    for package; do
        as_root dpkg --root="$root" --log=/dev/null -i "$(deb "$package")" || return
    done
}

make_root "$work/program" "$(field moonlet Depends)"
cp "$source/tests/install/support/smoke.lua" "$work/program/tmp"
on_program() { as_root env -i PATH=/usr/bin:/bin /usr/sbin/chroot "$work/program" "$@" 2>&1; }
check 'moonlet is installed' install_on "$work/program" moonlet
check 'it runs there' equal well "$(on_program /usr/bin/moonlet /tmp/smoke.lua)"
check 'there is no liblua, and it is not missed' sh -c "! find '$work/program' -name 'liblua*' | grep ."
check 'it runs a program' equal 'it is 3' "$(on_program /usr/bin/moonlet -e 'print(io.popen("echo it is 3"):read "a")' | head -n 1)"
check 'without OpenSSL that is told' sh -c "echo '$(on_program /usr/bin/moonlet -e 'print(pcall(require "moonlet.net".tls))')' | grep -i ssl"
check 'it is removed again' as_root dpkg --root="$work/program" --log=/dev/null -r moonlet
check 'without a trace' test ! -e "$work/program/usr/bin/moonlet"

# The library: a host that was compiled against the development package.
make_root "$work/library" "$(field "$library" Depends)"
for package in $(closure "$(field libmoonlet-dev Depends)"); do
    grep -q "^Package: $package\$" "$work/library/var/lib/dpkg/status" ||
        { dpkg-query -s "$package" && echo; } >>"$work/library/var/lib/dpkg/status"
done
cp "$source/tests/install/support/smoke.lua" "$work/library/tmp"
check "$library and libmoonlet-dev are installed" install_on "$work/library" "$library" libmoonlet-dev
compile() {
    PKG_CONFIG_PATH=$work/library/usr/lib/pkgconfig
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2046  # words
    gcc -O2 -o "$work/library/usr/bin/host" "$source/tests/hosts/host.c" $(pkg-config --cflags --libs moonlet)
}
if command -v gcc >/dev/null && command -v pkg-config >/dev/null; then
    check 'a host is compiled' compile
    check 'it runs there' equal well \
        "$(as_root env -i /usr/sbin/chroot "$work/library" /usr/bin/host /tmp/smoke.lua 2>&1)"
else
    echo "pending: a host is not compiled, there is no gcc or no pkg-config here"
fi
rm -rf "$work/program" "$work/library"
finish
