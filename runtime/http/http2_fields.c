#include "http/http2_fields.h"

#include "http/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ml_http2_fields_init(struct ml_http2_fields *f, size_t count, size_t bytes)
{
    size_t table = count * sizeof *f->list;
    *f = (struct ml_http2_fields){.list = malloc(table + bytes)};
    if (f->list == NULL)
        return -ENOMEM;
    f->at = (char *)f->list + table;
    return 0;
}

static uint8_t *copy_lower(char *to, const char *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] | 32 : from[i]);
    return (uint8_t *)to;
}

void ml_http2_fields_add(struct ml_http2_fields *f, const char *name, size_t name_size,
                         const char *value, size_t value_size)
{
    nghttp2_nv *field = &f->list[f->count++];
    *field = (nghttp2_nv){.namelen = name_size, .valuelen = value_size};
    field->name = copy_lower(f->at, name, name_size);
    field->value = memcpy(f->at + name_size, value, value_size);
    f->at += name_size + value_size;
}

void ml_http2_fields_add_number(struct ml_http2_fields *f, const char *name, uint64_t number)
{
    char digits[20];
    char *end = ml_http_format_number(digits, number);
    ml_http2_fields_add(f, name, strlen(name), digits, (size_t)(end - digits));
}

void ml_http2_fields_release(struct ml_http2_fields *f)
{
    free(f->list);
    f->list = NULL;
}
