/*
 * The reader of URLs (http/url.h). An input is a base and a reference, with a byte 0 between them:
 * what is taken is written as it was, resolving one gives a URL again, and encoding is undone by
 * decoding.
 */
#include "fuzz.h"

#include "base/check.h"
#include "base/error.h"
#include "http/percent.h"
#include "http/url.h"
#include "http/url_write.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static char *allocate(size_t size)
{
    char *block = malloc(size > 0 ? size : 1);
    ML_CHECK(block != NULL);
    return block;
}

static bool parse(const char *text, size_t size, struct ml_url *url)
{
    struct ml_url_error error = {.at = size + 1};
    int result = ml_url_parse(text, size, url, &error);
    ML_CHECK(result == 0 || (result == -ML_EURL && error.at <= size && error.reason != NULL));
    for (size_t i = 0; result == 0 && i < size; i++)
        ML_CHECK(text[i] > ' ' && text[i] < 0x7f);
    return result == 0;
}

/* All of the text is in the parts. */
static void check_written(const struct ml_url *url, const char *text, size_t size)
{
    char *out = allocate(size);
    ML_CHECK(ml_url_write(url, out) == size && strncasecmp(out, text, size) == 0);
    free(out);
}

/* The parts that the reference leaves out are the base's. */
static void check_target(const struct ml_url *url, const struct ml_url *base,
                         const struct ml_url *reference)
{
    struct ml_slice scheme = reference->scheme.data != NULL ? reference->scheme : base->scheme;
    ML_CHECK(url->scheme.size == scheme.size &&
             (url->scheme.data != NULL) == (scheme.data != NULL));
    bool has_host =
        reference->host.data != NULL || (reference->scheme.data == NULL && base->host.data != NULL);
    ML_CHECK((url->host.data != NULL) == has_host);
}

static void check_joined(const struct ml_url *base, const struct ml_url *reference)
{
    size_t room = ml_url_join_room(base, reference);
    char *out = allocate(room);
    size_t size = ml_url_join(base, reference, out);
    struct ml_url url;
    bool names_host =
        reference->host.size > 0 && memchr(reference->host.data, '%', reference->host.size) == NULL;
    bool may_fail = ml_url_is_http(base) && reference->scheme.data == NULL &&
                    reference->host.data != NULL && !names_host;
    bool is_one = parse(out, size, &url);
    ML_CHECK(size <= room && is_one != may_fail);
    if (is_one)
        check_target(&url, base, reference);
    free(out);
}

static void check_encoding(const char *text, size_t size)
{
    char *encoded = allocate(3 * size), *decoded = allocate(size);
    for (int is_form = 0; is_form < 2; is_form++) {
        size_t length = ml_percent_encode(text, size, is_form, encoded);
        ptrdiff_t again = ml_percent_decode(encoded, length, is_form, encoded);
        ML_CHECK(again == (ptrdiff_t)size && memcmp(encoded, text, size) == 0);
        ML_CHECK(ml_percent_decode(text, size, is_form, decoded) <= (ptrdiff_t)size);
    }
    free(encoded);
    free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t length = size > 0 ? strnlen(text, size) : 0;
    size_t rest = length < size ? size - length - 1 : 0;
    const char *other = length < size ? text + length + 1 : "";
    struct ml_url base, reference;
    if (size == 0)
        return 0;
    check_encoding(text, size);
    if (parse(text, length, &base)) {
        check_written(&base, text, length);
        if (parse(other, rest, &reference))
            check_joined(&base, &reference);
    }
    return 0;
}
