/*
 * The readers of base64 and of hexadecimal digits (base/base64.h): what they take is written as the
 * same text, and every block of bytes comes back.
 */
#include "fuzz.h"

#include "base/base64.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

static char *allocate(size_t size)
{
    char *block = malloc(size);
    ML_CHECK(block != NULL);
    return block;
}

static void check_form(const char *data, size_t size, enum ml_base64 form)
{
    size_t bad = size + 1;
    char *text = allocate(ML_BASE64_SIZE(size)), *bytes = allocate(ML_BASE64_DECODED_SIZE(size));
    ptrdiff_t count = ml_base64_decode(data, size, form, bytes, &bad);
    ML_CHECK(count >= 0 || bad <= size);
    if (count >= 0) {
        char *again = allocate(ML_BASE64_SIZE((size_t)count));
        size_t length = ml_base64_encode(bytes, (size_t)count, form, again);
        ML_CHECK(length <= size && memcmp(again, data, length) == 0);
        ML_CHECK(length == size || form == ML_BASE64_URL);
        free(again);
    }
    size_t length = ml_base64_encode(data, size, form, text);
    ML_CHECK(length <= ML_BASE64_SIZE(size));
    char *back = allocate(ML_BASE64_DECODED_SIZE(length));
    ML_CHECK(ml_base64_decode(text, length, form, back, &bad) == (ptrdiff_t)size);
    ML_CHECK(memcmp(back, data, size) == 0);
    free(back);
    free(bytes);
    free(text);
}

static void check_hex(const char *data, size_t size)
{
    size_t bad = size + 1;
    char *text = allocate(2 * size + 1), *bytes = allocate(size + 1);
    ML_CHECK(ml_hex_decode(data, size, bytes, &bad) >= 0 || bad <= size);
    ml_hex_encode(data, size, text);
    ML_CHECK(ml_hex_decode(text, 2 * size, bytes, &bad) == (ptrdiff_t)size);
    ML_CHECK(memcmp(bytes, data, size) == 0);
    free(bytes);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    for (enum ml_base64 form = ML_BASE64; form <= ML_BASE64_URL; form++)
        check_form((const char *)data, size, form);
    check_hex((const char *)data, size);
    return 0;
}
