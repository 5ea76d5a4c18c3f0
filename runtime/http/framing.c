#include "http/framing.h"

#include "http/syntax.h"
#include "http/target.h"

/* ---- single fields ---- */

static bool is_repeated(const struct ml_http_head *head, enum ml_http_name name)
{
    const struct ml_http_field *field = ml_http_find(head, name, NULL);
    return field != NULL && ml_http_find(head, name, field) != NULL;
}

/* 1*DIGIT, at most INT64_MAX; -1 if it is not. */
static int64_t number_of(const char *text, size_t size)
{
    int64_t number = size > 0 ? 0 : -1;
    for (size_t i = 0; i < size && number >= 0; i++) {
        bool is_digit = ml_http_is(text[i], ML_HTTP_DIGIT);
        if (!is_digit || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, text[i] - '0', &number))
            number = -1;
    }
    return number;
}

static int read_length(struct ml_http_head *head)
{
    const struct ml_http_field *field = ml_http_find(head, ML_HTTP_CONTENT_LENGTH, NULL);
    if (field == NULL)
        return 0;
    if (is_repeated(head, ML_HTTP_CONTENT_LENGTH))
        return ML_HTTP_TWO_LENGTHS;
    head->content_length = number_of(ml_http_at(head, field->value), field->value.size);
    return head->content_length < 0 ? ML_HTTP_BAD_LENGTH : 0;
}

/* Codings of one line. `chunked` once and at the very end; an empty element is refused, for others
 * may see the end of the list in it. */
static int read_codings(const char *text, size_t size, bool *is_chunked, bool *has_other)
{
    size_t start = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && text[i] != ',')
            continue;
        struct ml_http_text coding = ml_http_trim(text + start, i - start);
        bool is_last = ml_http_is_same_word(coding.at, coding.size, "chunked");
        if (coding.size == 0 || *is_chunked)
            return ML_HTTP_BAD_CODING;
        *is_chunked = is_last;
        *has_other = *has_other || !is_last;
        start = i + 1;
    }
    return 0;
}

static int read_coding_lines(struct ml_http_head *head)
{
    const struct ml_http_field *field = NULL;
    bool has_other = false;
    while ((field = ml_http_find(head, ML_HTTP_TRANSFER_ENCODING, field)) != NULL) {
        int error = read_codings(ml_http_at(head, field->value), field->value.size,
                                 &head->is_chunked, &has_other);
        if (error < 0)
            return error;
    }
    if (!head->is_chunked)
        return ML_HTTP_BAD_CODING;
    return has_other ? ML_HTTP_UNKNOWN_CODING : 0;
}

static int read_coding(struct ml_http_head *head)
{
    if (!ml_http_has(head, ML_HTTP_TRANSFER_ENCODING))
        return 0;
    if (head->version < 11)
        return ML_HTTP_OLD_CODING;
    if (ml_http_has(head, ML_HTTP_CONTENT_LENGTH))
        return ML_HTTP_LENGTH_AND_CODING;
    return read_coding_lines(head);
}

/* Both lengths and codings, of any message. */
static int read_body(struct ml_http_head *head, enum ml_http_body otherwise)
{
    int error = read_length(head);
    if (error == 0)
        error = read_coding(head);
    if (error == 0)
        head->body = head->is_chunked            ? ML_HTTP_CHUNKED
                     : head->content_length >= 0 ? ML_HTTP_SIZED
                                                 : otherwise;
    return error;
}

static void read_connection(struct ml_http_head *head)
{
    head->keep_alive = head->version >= 11;
    if (!ml_http_has(head, ML_HTTP_CONNECTION))
        return;
    if (head->version < 11)
        head->keep_alive = ml_http_token_is(head, ML_HTTP_CONNECTION, "keep-alive");
    if (ml_http_token_is(head, ML_HTTP_CONNECTION, "close"))
        head->keep_alive = false;
    head->upgrades = head->version >= 11 && ml_http_has(head, ML_HTTP_UPGRADE) &&
                     ml_http_token_is(head, ML_HTTP_CONNECTION, "upgrade");
}

/* ---- requests ---- */

static int read_host(struct ml_http_head *head)
{
    const struct ml_http_field *field = ml_http_find(head, ML_HTTP_HOST, NULL);
    if (field == NULL)
        return head->version >= 11 ? ML_HTTP_NO_HOST : 0;
    if (is_repeated(head, ML_HTTP_HOST))
        return ML_HTTP_TWO_HOSTS;
    if (head->authority.size == 0)
        head->authority = field->value;
    return ml_http_is_host(ml_http_at(head, field->value), field->value.size) ? 0
                                                                              : ML_HTTP_BAD_HOST;
}

static void read_expectation(struct ml_http_head *head)
{
    const struct ml_http_field *field = NULL;
    if (head->version < 11 || !ml_http_has(head, ML_HTTP_EXPECT))
        return;
    while ((field = ml_http_find(head, ML_HTTP_EXPECT, field)) != NULL) {
        struct ml_http_text rest = {ml_http_at(head, field->value), field->value.size}, element;
        while (ml_http_list_next(&rest, &element)) {
            bool is_continue = ml_http_is_same_word(element.at, element.size, "100-continue");
            head->expects_continue = head->expects_continue || is_continue;
            head->expects_other = head->expects_other || !is_continue;
        }
    }
}

int ml_http_request_framing(struct ml_http_head *head)
{
    int error = read_host(head);
    if (error == 0)
        error = read_body(head, ML_HTTP_NO_BODY);
    if (error < 0)
        return error;
    read_connection(head);
    read_expectation(head);
    return 0;
}

/* ---- responses ---- */

static bool has_no_body(int status, enum ml_http_method method)
{
    return method == ML_HTTP_HEAD || status < 200 || status == 204 || status == 304;
}

int ml_http_response_framing(struct ml_http_head *head, enum ml_http_method method)
{
    bool is_tunnel = method == ML_HTTP_CONNECT && head->status / 100 == 2;
    int error = is_tunnel ? 0 : read_body(head, ML_HTTP_UNTIL_CLOSE);
    if (error < 0)
        return error;
    read_connection(head);
    if (is_tunnel)
        head->body = ML_HTTP_TUNNEL;
    else if (has_no_body(head->status, method)) {
        head->body = ML_HTTP_NO_BODY;
        head->is_chunked = false;
    }
    if (head->body == ML_HTTP_UNTIL_CLOSE || head->body == ML_HTTP_TUNNEL)
        head->keep_alive = false;
    return 0;
}
