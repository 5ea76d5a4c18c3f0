#!/bin/sh
# The proofs of moonlet.durable at full length: sh tests/soak_durable.sh PROGRAM. See docs/architecture-durable.md.
set -e
export MOONLET="$1" MOONLET_SOAK=1
for spec in crash disk postgres_faults machines kills; do
    MOONLET_TESTS="$(dirname "$MOONLET")/tests" "$MOONLET" --slow 0 tests/run_busted.lua "tests/spec/durable/${spec}_spec.lua"
done
