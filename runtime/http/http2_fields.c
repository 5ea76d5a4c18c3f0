#include "http/http2_fields.h"

#include "http/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ml_http2_fields_init(struct ml_http2_fields *f, size_t count)
{
    f->count = f->numbers = 0;
    f->list = count <= ML_HTTP2_FIELDS_OWN ? f->own : malloc(count * sizeof *f->list);
    return f->list != NULL ? 0 : -ENOMEM;
}

void ml_http2_fields_add(struct ml_http2_fields *f, const char *name, size_t name_size,
                         const char *value, size_t value_size)
{
    f->list[f->count++] = (nghttp2_nv){.name = (uint8_t *)name,
                                       .namelen = name_size,
                                       .value = (uint8_t *)value,
                                       .valuelen = value_size};
}

void ml_http2_fields_add_number(struct ml_http2_fields *f, const char *name, uint64_t number)
{
    char *digits = f->digits[f->numbers++];
    char *end = ml_http_format_number(digits, number);
    ml_http2_fields_add(f, name, strlen(name), digits, (size_t)(end - digits));
}

static size_t bytes_of(const struct ml_http2_fields *f)
{
    size_t size = 0;
    for (size_t i = 0; i < f->count; i++)
        size += f->list[i].namelen + f->list[i].valuelen;
    return size;
}

static uint8_t *put(uint8_t **to, const uint8_t *bytes, size_t size)
{
    uint8_t *copy = *to;
    if (size > 0)
        memcpy(copy, bytes, size);
    *to += size;
    return copy;
}

nghttp2_nv *ml_http2_fields_copy(const struct ml_http2_fields *f)
{
    nghttp2_nv *copy = malloc(f->count * sizeof *copy + bytes_of(f) + 1);
    uint8_t *to = copy != NULL ? (uint8_t *)(copy + f->count) : NULL;
    for (size_t i = 0; copy != NULL && i < f->count; i++) {
        copy[i] = f->list[i];
        copy[i].name = put(&to, f->list[i].name, f->list[i].namelen);
        copy[i].value = put(&to, f->list[i].value, f->list[i].valuelen);
    }
    return copy;
}

void ml_http2_fields_release(struct ml_http2_fields *f)
{
    if (f->list != f->own)
        free(f->list);
    f->list = NULL;
}
