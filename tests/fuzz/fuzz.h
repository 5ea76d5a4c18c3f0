/* What libFuzzer, or replay.c in its place, calls with one input after the other. */
#ifndef ML_TESTS_FUZZ_H
#define ML_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Always 0. What must not be ends the process: a sanitizer's report or a failed ML_CHECK(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
