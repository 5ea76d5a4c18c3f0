#include "http/message.h"

#include "http/syntax.h"

const struct ml_http_field *ml_http_find(const struct ml_http_head *head, enum ml_http_name name,
                                         const struct ml_http_field *after)
{
    const struct ml_http_field *end = head->fields + head->field_count;
    if (!ml_http_has(head, name))
        return NULL;
    for (const struct ml_http_field *field = after != NULL ? after + 1 : head->fields; field < end;
         field++)
        if (field->known == name)
            return field;
    return NULL;
}

static bool is_same_name(const char *a, const char *b, size_t size)
{
    size_t i = 0;
    while (i < size && (a[i] | 0x20) == (b[i] | 0x20))
        i++;
    return i == size || ml_http_is_same_word(a, size, b);
}

const struct ml_http_field *ml_http_find_name(const struct ml_http_head *head, const char *name,
                                              size_t size, const struct ml_http_field *after)
{
    enum ml_http_name known = ml_http_name_of(name, size);
    const struct ml_http_field *field = ml_http_find(head, known, after);
    if (known != ML_HTTP_OTHER)
        return field;
    while (field != NULL &&
           !(field->name.size == size && is_same_name(ml_http_at(head, field->name), name, size)))
        field = ml_http_find(head, ML_HTTP_OTHER, field);
    return field;
}

bool ml_http_token_is(const struct ml_http_head *head, enum ml_http_name name, const char *token)
{
    const struct ml_http_field *field = ml_http_find(head, name, NULL);
    while (field != NULL &&
           !ml_http_list_has(ml_http_at(head, field->value), field->value.size, token))
        field = ml_http_find(head, name, field);
    return field != NULL;
}
