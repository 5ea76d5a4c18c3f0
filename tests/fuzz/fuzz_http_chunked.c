/*
 * The reader of chunked bodies (http/chunked.h): the same payload, end or error come out however
 * the bytes are cut.
 */
#include "fuzz.h"

#include "base/check.h"
#include "http/chunked.h"

#include <stdlib.h>
#include <string.h>

struct outcome {
    char *payload;
    size_t size, taken;
    int error;
    bool is_over;
};

/* `step` bytes at a time. */
static struct outcome read_all(const char *bytes, size_t size, size_t step)
{
    struct outcome out = {.payload = malloc(size + 1)};
    struct ml_http_chunked chunked;
    ml_http_chunked_begin(&chunked);
    ML_CHECK(out.payload != NULL);
    while (out.taken < size && out.error == 0 && !ml_http_chunked_is_over(&chunked)) {
        size_t there = size - out.taken < step ? size - out.taken : step;
        struct ml_http_text piece;
        const char *at = bytes + out.taken;
        ptrdiff_t taken = ml_http_chunked_feed(&chunked, at, there, &piece);
        out.error = taken < 0 ? (int)taken : 0;
        if (taken < 0)
            break;
        ML_CHECK(taken > 0 && (size_t)taken <= there && piece.size <= (size_t)taken);
        ML_CHECK(piece.at >= at && piece.at + piece.size <= at + taken);
        memcpy(out.payload + out.size, piece.at, piece.size);
        out.size += piece.size;
        out.taken += (size_t)taken;
    }
    out.is_over = ml_http_chunked_is_over(&chunked);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 2, 3, 7};
    struct outcome whole = read_all((const char *)data, size, size + 1);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct outcome cut = read_all((const char *)data, size, steps[i]);
        ML_CHECK(cut.error == whole.error && cut.is_over == whole.is_over);
        ML_CHECK(cut.error != 0 || (cut.taken == whole.taken && cut.size == whole.size));
        ML_CHECK(cut.size >= whole.size && memcmp(cut.payload, whole.payload, whole.size) == 0);
        free(cut.payload);
    }
    free(whole.payload);
    return 0;
}
