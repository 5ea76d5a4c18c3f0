#!/bin/sh
# run.sh COMPILER DIRECTORY: tests/cross/bare/*.c for a machine with pointers of 32 bits, without a C library. Programs
# are left in the directory. 77: the compiler, or this machine, has no such mode.
set -u
sources=$(dirname "$0")
flags="-m32 -std=gnu11 -O1 -Wall -Wextra -Werror -ffreestanding -fno-pie -no-pie -fno-stack-protector -nostdlib -static"
probe="$2/probe_32"
mkdir -p "$2"

printf 'void _start(void) { __asm__ volatile("int $0x80" : : "a"(1), "b"(0)); }\n' > "$probe.c"
# shellcheck disable=SC2086 # the flags are several
if ! "$1" $flags -o "$probe" "$probe.c" 2> "$probe.log" || ! "$probe"; then
  echo "pending: needs a compiler and a kernel for programs of 32 bits"
  exit 77
fi
for source in "$sources"/*.c; do
  name=$(basename "$source" .c)
  # shellcheck disable=SC2086
  "$1" $flags -I"$sources" -I"$sources/../../../runtime" -o "$2/$name" "$source" || exit 1
  "$2/$name" || { echo "$source:$?: failed"; exit 1; }
done
