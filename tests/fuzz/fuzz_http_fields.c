/*
 * What stands in targets and fields (http/target.h, http/syntax.h, http/date.h, http/url.h): each
 * reader stays in its bytes, what it gives lies in them, and what it has read it reads again once
 * it was written anew.
 */
#include "fuzz.h"

#include "base/check.h"
#include "http/accept_encoding.h"
#include "http/date.h"
#include "http/names.h"
#include "http/syntax.h"
#include "http/target.h"

#include <stdlib.h>
#include <string.h>

static void check_slice(struct ml_http_slice slice, size_t size)
{
    ML_CHECK(slice.at <= size && slice.size <= size - slice.at);
}

/* The forms of targets, as the method says. */
static void read_target(const char *bytes, size_t size, enum ml_http_method method)
{
    struct ml_http_head head;
    ml_http_head_init(&head, NULL, 0);
    head.bytes = bytes;
    head.target.size = (uint32_t)size;
    head.method_id = method;
    if (ml_http_read_target(&head) != 0)
        return;
    check_slice(head.scheme, size);
    check_slice(head.authority, size);
    check_slice(head.path, size);
    check_slice(head.query, size);
    ML_CHECK(head.target_form != ML_HTTP_TARGET_ORIGIN || (head.path.at == 0 && size > 0));
    ML_CHECK(head.target_form != ML_HTTP_TARGET_ABSOLUTE || head.authority.size > 0);
    ML_CHECK(head.target_form != ML_HTTP_TARGET_ASTERISK || method == ML_HTTP_OPTIONS);
    ML_CHECK(head.authority.size == 0 ||
             ml_http_is_host(ml_http_at(&head, head.authority), head.authority.size));
    for (uint32_t i = 0; i < head.path.size; i++)
        ML_CHECK((unsigned char)ml_http_at(&head, head.path)[i] > ' ');
}

/* Elements come in their order, none of them empty, all in the text. */
static void read_list(const char *bytes, size_t size)
{
    struct ml_http_text rest = {bytes, size}, element;
    const char *before = bytes;
    while (ml_http_list_next(&rest, &element)) {
        ML_CHECK(element.at >= before && element.at + element.size <= bytes + size);
        ML_CHECK(element.size > 0 && rest.at + rest.size == bytes + size);
        before = element.at + element.size;
    }
}

static void read_parameters(const char *bytes, size_t size)
{
    struct ml_http_text rest = {bytes, size}, name, value;
    char *plain = malloc(size + 1);
    ML_CHECK(plain != NULL);
    while (ml_http_parameter_next(&rest, &name, &value) > 0) {
        ML_CHECK(ml_http_is_token(name.at, name.size));
        ML_CHECK(value.at >= bytes && value.at + value.size <= bytes + size && value.size > 0);
        ML_CHECK(ml_http_unquote(value, plain) <= value.size);
    }
    (void)ml_http_parameter(bytes, size, "q", &value);
    free(plain);
    size_t quoted = ml_http_quoted_size(bytes, size);
    ML_CHECK(quoted <= size && (quoted == 0 || bytes[quoted - 1] == '"'));
}

/* A date that was read is written so that it is read as the same. */
static void read_dates(const char *bytes, size_t size)
{
    int64_t seconds, again;
    char text[ML_HTTP_DATE_SIZE];
    if (ml_http_date_parse(bytes, size, 1700000000, &seconds)) {
        ml_http_date_write(text, seconds);
        ML_CHECK(ml_http_date_parse(text, sizeof text, 0, &again) && again == seconds);
    }
    if (ml_http_cookie_date_parse(bytes, size, &seconds)) {
        ml_http_date_write(text, seconds);
        ML_CHECK(ml_http_cookie_date_parse(text, sizeof text, &again) && again == seconds);
    }
}

static void read_small(const char *bytes, size_t size)
{
    int weight = ml_http_weight(bytes, size);
    ML_CHECK(weight >= -1 && weight <= 1000);
    enum ml_http_name name = ml_http_name_of(bytes, size);
    ML_CHECK(name < ML_HTTP_NAME_COUNT);
    if (name != ML_HTTP_OTHER && ml_http_is_token(bytes, size))
        ML_CHECK(ml_http_is_same_word(bytes, size, ml_http_known_names[name].text));
    struct ml_http_text trimmed = ml_http_trim(bytes, size);
    ML_CHECK(trimmed.at >= bytes && trimmed.at + trimmed.size <= bytes + size);
    ML_CHECK(!ml_http_is_field_value(bytes, size) || memchr(bytes, '\n', size) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    read_target(bytes, size, ML_HTTP_GET);
    read_target(bytes, size, ML_HTTP_OPTIONS);
    read_target(bytes, size, ML_HTTP_CONNECT);
    read_list(bytes, size);
    read_parameters(bytes, size);
    read_dates(bytes, size);
    read_small(bytes, size);
    return 0;
}
