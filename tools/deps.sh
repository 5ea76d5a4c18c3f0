#!/bin/sh
# Installs what is needed for: build, test, lint, docs, peers (default: build test).
# Says one line, or nothing, when all of it is there.
set -eu

build='gcc libc6-dev make cmake ninja-build pkg-config liblua5.4-dev libev-dev libc-ares-dev libssl-dev'
# Libraries that HTTP loads at first use: their headers.
build="$build zlib1g-dev libnghttp2-dev"
# Databases that are loaded at first use: likewise.
build="$build libsqlite3-dev libpq-dev"
# lua5.4 comes with lua-busted, whose dependency would otherwise be met by Lua 5.2. The C modules
# busted needs (lua-filesystem, lua-system, lua-term) are its own dependencies and have 5.4 builds.
# LPeg and expat are C libraries that call back into Lua; the other lua-* are those of docs/c-libraries.md; nginx,
# curl, nc, dig, redis-server, PostgreSQL's server and aiosmtpd are real peers.
test='libcmocka-dev libedit2 openssl lua5.4 lua-busted lua-lpeg lua-expat netcat-openbsd curl nginx-light bind9-dnsutils redis-server'
test="$test python3-aiosmtpd lua-socket lua-sec lua-copas lua-cqueues lua-redis lua-luv lua-event"
test="$test lua-sql-postgres lua-sql-sqlite3 lua-cjson lua-yaml postgresql"
# Peers of HTTP and WebSocket.
test="$test nghttp2-client nghttp2-server python3-websockets python3-h2 nodejs node-ws"
# For the switch of another machine.
[ "$(uname -m)" != x86_64 ] || test="$test gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
# What examples/ are built with.
test="$test g++ libexpat1-dev libglib2.0-dev"
lint='clang-format clang-tidy lua-check'
# LDoc takes Lua 5.1 or 5.2, though its package is content with 5.4.
docs='lua-ldoc lua5.1 cmark-gfm'
test="$test $docs"
# What `make bench` compares moonlet with, as far as it is installed; strace counts system calls.
peers='golang-go erlang-base nodejs lua-cqueues lua-luv luajit python3-gevent tarantool lua5.4 lua-socket strace wrk nginx-light'

say() { printf '%s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }

wanted=
[ $# -gt 0 ] || set -- build test
for purpose; do
    case $purpose in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test" ;;
    lint) wanted="$wanted $lint" ;;
    docs) wanted="$wanted $docs" ;;
    peers) wanted="$wanted $peers" ;;
    *) fail "usage: tools/deps.sh [build] [test] [lint] [docs] [peers]" ;;
    esac
done

# Elsewhere than on Debian we can look, but do not know the package names.
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    absent=
    for program in cc cmake ninja pkg-config; do
        command -v "$program" >/dev/null || absent="$absent $program"
    done
    for module in lua5.4 libcares; do
        pkg-config --exists "$module" 2>/dev/null || absent="$absent $module"
    done
    echo '#include <ev.h>' | cc -E - >/dev/null 2>&1 || absent="$absent libev"
    [ -z "$absent" ] && exit 0
    fail "Not found:$absent
This is not a Debian system, so please install these yourself (the names are Debian's):
 $wanted"
fi

missing=
for package in $wanted; do
    # shellcheck disable=SC2016  # the format is dpkg's, not the shell's
    status=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null || true)
    case $status in
    *not-installed* | *config-files* | '') missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

say "moonlet needs these Debian packages ($*), installing:$missing"
if [ "$(id -u)" -eq 0 ]; then
    as_root() { env DEBIAN_FRONTEND=noninteractive "$@"; }
elif command -v sudo >/dev/null; then
    as_root() { sudo env DEBIAN_FRONTEND=noninteractive "$@"; }
else
    fail "This needs root or sudo, and there is neither. As root, run:
  apt-get install --no-install-recommends$missing"
fi

as_root apt-get update -qq
# shellcheck disable=SC2086  # a list of words
as_root apt-get install -qq -y --no-install-recommends $missing >/dev/null

# The packages start servers; the tests start their own, on their own ports.
for package in $missing; do
    case $package in
    nginx-light) service=nginx ;;
    redis-server) service=redis-server ;;
    postgresql) service=postgresql ;;
    tarantool) service=tarantool ;;
    *) continue ;;
    esac
    if [ -d /run/systemd/system ]; then as_root systemctl disable -q --now $service || true; fi
done
