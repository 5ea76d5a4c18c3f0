/*
 * The reader of heads (http/head.h), of requests, responses and trailers. Cut in two at any place
 * the same comes out, and all slices lie in the head.
 */
#include "fuzz.h"

#include "base/check.h"
#include "http/framing.h"
#include "http/head.h"

#include <stdlib.h>
#include <string.h>

enum { FIELDS = 20, CUTS = 256 };

static const struct ml_http_limits limits = {2048, 512, FIELDS};

typedef int parse(struct ml_http_head *head, const char *bytes, size_t size, size_t seen,
                  const struct ml_http_limits *limits);

/* The bytes from memory that ends where they do. */
static int parse_part(parse *parser, struct ml_http_head *head, const char *bytes, size_t size,
                      size_t seen)
{
    char *copy = malloc(size + (size == 0));
    ML_CHECK(copy != NULL);
    memcpy(copy, bytes, size);
    int result = parser(head, copy, size, seen, &limits);
    free(copy);
    head->bytes = bytes;
    return result;
}

static void check_slice(struct ml_http_slice slice, int size)
{
    ML_CHECK(slice.at <= (uint32_t)size && slice.size <= (uint32_t)size - slice.at);
}

static void check_field(const struct ml_http_head *head, const struct ml_http_field *field,
                        int size)
{
    check_slice(field->name, size);
    check_slice(field->value, size);
    ML_CHECK(field->name.size > 0 && field->known < ML_HTTP_NAME_COUNT);
    for (uint32_t i = 0; i < field->name.size; i++)
        ML_CHECK(strchr(" \t\r\n:", ml_http_at(head, field->name)[i]) == NULL);
    for (uint32_t i = 0; i < field->value.size; i++)
        ML_CHECK(memchr("\r\n\0\x7f", ml_http_at(head, field->value)[i], 4) == NULL);
}

static void check_head(const struct ml_http_head *head, const char *bytes, int size)
{
    const struct ml_http_slice slices[] = {head->method,    head->target, head->scheme,
                                           head->authority, head->path,   head->query,
                                           head->reason};
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++)
        check_slice(slices[i], size);
    for (int i = 0; i < head->field_count; i++)
        check_field(head, &head->fields[i], size);
    ML_CHECK(size >= 2 && memcmp(bytes + size - 2, "\r\n", 2) == 0);
    ML_CHECK(!head->is_chunked || head->content_length < 0);
}

static void check_cut(parse *parser, const char *bytes, size_t size, size_t cut, int whole)
{
    struct ml_http_field fields[FIELDS];
    struct ml_http_head head;
    ml_http_head_init(&head, fields, FIELDS);
    int result = parse_part(parser, &head, bytes, cut, 0);
    if (result == 0 && cut < size)
        result = parse_part(parser, &head, bytes, size, cut);
    ML_CHECK(result == whole);
}

static void check(parse *parser, const char *bytes, size_t size)
{
    struct ml_http_field fields[FIELDS];
    struct ml_http_head head;
    ml_http_head_init(&head, fields, FIELDS);
    int whole = parse_part(parser, &head, bytes, size, 0);
    ML_CHECK(whole <= (int)size);
    if (whole > 0)
        check_head(&head, bytes, whole);
    if (whole > 0 && parser == ml_http_parse_response)
        for (int method = 0; method <= ML_HTTP_TRACE; method++)
            (void)ml_http_response_framing(&head, method);
    for (size_t cut = 1; cut < size && cut <= CUTS; cut++)
        check_cut(parser, bytes, size, cut, whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    check(ml_http_parse_request, (const char *)data, size);
    check(ml_http_parse_response, (const char *)data, size);
    check(ml_http_parse_trailers, (const char *)data, size);
    return 0;
}
