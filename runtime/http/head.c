#include "http/head.h"

#include "base/check.h"
#include "http/framing.h"
#include "http/scan.h"
#include "http/syntax.h"
#include "http/target.h"

#include <string.h>

enum { EMPTY_LINES = 4, METHOD_SIZE = 32 };

/* A step's result: an error, or one of these. */
enum { MORE = 0, DONE = 1 };

/* What is read: `at` goes on, `end` is where the bytes or the limit end. */
struct reader {
    struct ml_http_head *head;
    const char *start, *at, *end;
    const struct ml_http_limits *limits;
};

static struct ml_http_slice slice_of(const struct reader *r, const char *from, const char *to)
{
    return (struct ml_http_slice){(uint32_t)(from - r->start), (uint32_t)(to - from)};
}

static const char *skip(const char *at, const char *end, unsigned classes)
{
    while (at < end && ml_http_is(*at, classes))
        at++;
    return at;
}

/* ---- ends of lines ---- */

/* CR LF at `at`, which is the first byte that does not belong to the line. */
static int read_end(struct reader *r, int otherwise)
{
    if (r->at == r->end)
        return MORE;
    if (*r->at != '\r')
        return *r->at == '\n' ? ML_HTTP_BAD_END : otherwise;
    if (r->end - r->at == 1)
        return MORE;
    if (r->at[1] != '\n')
        return ML_HTTP_BAD_END;
    r->at += 2;
    return DONE;
}

/* ---- the request line ---- */

/* The same, a byte at a time: it may be cut, or wrong. There is no version behind 1.1, and others
 * refuse one. */
static int read_odd_version(struct reader *r)
{
    static const char name[] = "HTTP/";
    const char *at = r->at;
    size_t size = (size_t)(r->end - at), same = 0;
    while (same < 5 && same < size && at[same] == name[same])
        same++;
    if (same < 5)
        return same == size ? MORE : ML_HTTP_BAD_LINE;
    for (size_t i = 5; i < 8; i++) {
        if (i == size)
            return MORE;
        if (i == 6 ? at[i] != '.' : !ml_http_is(at[i], ML_HTTP_DIGIT))
            return ML_HTTP_BAD_LINE;
    }
    r->at += 8;
    r->head->version = at[7] == '0' ? 10 : 11;
    return at[5] == '1' && at[7] <= '1' ? DONE : ML_HTTP_BAD_VERSION;
}

/* `HTTP/1.x` at `at`. */
static int read_version(struct reader *r)
{
    if (r->end - r->at < 8 || memcmp(r->at, "HTTP/1.1", 8) != 0)
        return read_odd_version(r);
    r->at += 8;
    r->head->version = 11;
    return DONE;
}

static bool is_method(const char *text, size_t size, const char *name, size_t name_size)
{
    size_t same = 0;
    while (size == name_size && same < size && text[same] == name[same])
        same++;
    return same == name_size;
}

static enum ml_http_method method_of(const char *text, size_t size)
{
    static const struct {
        const char *name;
        uint8_t size, id;
    } methods[] = {{"GET", 3, ML_HTTP_GET},         {"POST", 4, ML_HTTP_POST},
                   {"HEAD", 4, ML_HTTP_HEAD},       {"PUT", 3, ML_HTTP_PUT},
                   {"DELETE", 6, ML_HTTP_DELETE},   {"PATCH", 5, ML_HTTP_PATCH},
                   {"OPTIONS", 7, ML_HTTP_OPTIONS}, {"CONNECT", 7, ML_HTTP_CONNECT},
                   {"TRACE", 5, ML_HTTP_TRACE}};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (is_method(text, size, methods[i].name, methods[i].size))
            return methods[i].id;
    return ML_HTTP_METHOD_OTHER;
}

static int read_method(struct reader *r)
{
    const char *start = r->at;
    r->at = skip(start, r->end, ML_HTTP_TOKEN);
    if (r->at - start > METHOD_SIZE)
        return ML_HTTP_METHOD_TOO_LONG;
    if (r->at == r->end)
        return MORE;
    if (*r->at != ' ' || r->at == start)
        return r->at == start || ml_http_is(*r->at, ML_HTTP_TEXT) ? ML_HTTP_BAD_METHOD
                                                                  : ML_HTTP_BAD_LINE;
    r->head->method = slice_of(r, start, r->at);
    r->head->method_id = method_of(start, (size_t)(r->at - start));
    r->at++;
    return DONE;
}

static int read_target(struct reader *r)
{
    const char *start = r->at;
    r->at = skip(start, r->end, ML_HTTP_QUERY);
    if (r->at - start > (ptrdiff_t)r->limits->target_size)
        return ML_HTTP_TARGET_TOO_LONG;
    if (r->at == r->end)
        return MORE;
    if (*r->at != ' ')
        return *r->at == '\r' || *r->at == '\n' ? ML_HTTP_BAD_LINE : ML_HTTP_BAD_TARGET;
    r->head->target = slice_of(r, start, r->at);
    r->at++;
    return DONE;
}

static int read_request_line(struct reader *r)
{
    int result = read_method(r);
    if (result > 0)
        result = read_target(r);
    if (result > 0)
        result = read_version(r);
    if (result > 0)
        result = read_end(r, ML_HTTP_BAD_LINE);
    if (result > 0 && ml_http_read_target(r->head) < 0)
        result = ML_HTTP_BAD_TARGET;
    return result;
}

/* Empty lines before the request line; DONE where that begins. */
static int read_empty_lines(struct reader *r)
{
    int result = DONE;
    while (result > 0 && r->at < r->end && (*r->at == '\r' || *r->at == '\n')) {
        result =
            r->head->empty_lines < EMPTY_LINES ? read_end(r, ML_HTTP_BAD_LINE) : ML_HTTP_BAD_LINE;
        if (result > 0) {
            r->head->empty_lines++;
            r->head->at = (uint32_t)(r->at - r->start);
        }
    }
    return result;
}

static int read_first_of_request(struct reader *r)
{
    int result = read_empty_lines(r);
    return result > 0 ? read_request_line(r) : result;
}

/* ---- the status line ---- */

static int read_status(struct reader *r)
{
    int status = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        if (r->at == r->end)
            return MORE;
        if (i == 0 ? *r->at != ' ' : !ml_http_is(*r->at, ML_HTTP_DIGIT))
            return ML_HTTP_BAD_LINE;
        status = i == 0 ? 0 : status * 10 + (*r->at - '0');
    }
    r->head->status = status;
    return status >= 100 ? DONE : ML_HTTP_BAD_LINE;
}

static int read_reason(struct reader *r)
{
    if (r->at == r->end)
        return MORE;
    if (*r->at != ' ' && *r->at != '\r' && *r->at != '\n')
        return ML_HTTP_BAD_LINE;
    const char *start = *r->at == ' ' ? r->at + 1 : r->at;
    r->at = ml_http_scan_text(start, r->end);
    r->head->reason = slice_of(r, start, r->at);
    return read_end(r, ML_HTTP_BAD_LINE);
}

static int read_first_of_response(struct reader *r)
{
    int result = read_version(r);
    if (result > 0)
        result = read_status(r);
    return result > 0 ? read_reason(r) : result;
}

/* ---- field lines ---- */

/* The name and its colon. */
static int read_name(struct reader *r, struct ml_http_slice *name)
{
    const char *start = r->at;
    r->at = skip(start, r->end, ML_HTTP_TOKEN);
    if (r->at == r->end)
        return MORE;
    if (*r->at == ':' && r->at > start) {
        *name = slice_of(r, start, r->at);
        r->at++;
        return DONE;
    }
    if (r->at == start && (*start == ' ' || *start == '\t'))
        return ML_HTTP_BAD_FOLD;
    return ML_HTTP_BAD_NAME;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The value and the line's end. */
static int read_value(struct reader *r, struct ml_http_slice *value)
{
    while (r->at < r->end && is_blank(*r->at))
        r->at++;
    const char *start = r->at;
    r->at = ml_http_scan_text(start, r->end);
    const char *stop = r->at;
    while (stop > start && is_blank(stop[-1]))
        stop--;
    *value = slice_of(r, start, stop);
    return read_end(r, ML_HTTP_BAD_VALUE);
}

static int read_field(struct reader *r)
{
    struct ml_http_head *head = r->head;
    struct ml_http_field field;
    if (head->field_count >= head->field_room || head->field_count >= r->limits->field_count)
        return ML_HTTP_TOO_MANY_FIELDS;
    int result = read_name(r, &field.name);
    if (result > 0)
        result = read_value(r, &field.value);
    if (result > 0) {
        field.known = ml_http_name_of(r->start + field.name.at, field.name.size);
        head->known |= (uint64_t)1 << field.known;
        head->fields[head->field_count++] = field;
    }
    return result;
}

/* Field lines through the empty line, each of them counted as read once it is complete. */
static int read_fields(struct reader *r)
{
    int result = DONE;
    while (result > 0) {
        r->head->at = (uint32_t)(r->at - r->start);
        if (r->at < r->end && *r->at == '\r')
            return read_end(r, ML_HTTP_BAD_END);
        result = r->at == r->end ? MORE : *r->at == '\n' ? ML_HTTP_BAD_END : read_field(r);
    }
    return result;
}

/* ---- the whole ---- */

typedef int read_first(struct reader *r);

static int read_head(struct reader *r, read_first *first)
{
    int result = DONE;
    if (!r->head->has_line)
        result = first(r);
    if (result <= 0)
        return result;
    r->head->has_line = true;
    return read_fields(r);
}

/* True if the line that is not complete can be judged: it holds a control character, be it its
 * end. */
static bool has_event(const struct reader *r, size_t from)
{
    return ml_http_scan_text(r->start + from, r->end) < r->end;
}

static void begin(struct ml_http_head *head, bool has_line)
{
    struct ml_http_field *fields = head->fields;
    uint16_t room = head->field_room;
    memset(head, 0, sizeof *head);
    head->fields = fields;
    head->field_room = room;
    head->content_length = -1;
    head->has_line = has_line;
}

static int result_of(const struct reader *r, int result, size_t size, read_first *first)
{
    bool is_full = size > (size_t)(r->end - r->start);
    bool has_target = first == read_first_of_request && !r->head->has_line;
    if (result > 0)
        return (int)(r->at - r->start);
    if (result == MORE && is_full)
        return has_target ? ML_HTTP_TARGET_TOO_LONG : ML_HTTP_HEAD_TOO_LONG;
    return is_full || has_event(r, r->head->at) ? result : MORE;
}

/* From the first line that is not complete. If only its end was missing, only what is new is looked
 * at before that has come; a CR that came last is looked at again. */
static int parse(struct ml_http_head *head, const char *bytes, size_t size, size_t seen,
                 const struct ml_http_limits *limits, read_first *first)
{
    size_t end = size < limits->head_size ? size : limits->head_size;
    struct reader r = {head, bytes, bytes + head->at, bytes + end, limits};
    head->bytes = bytes;
    size_t new_from = seen > 0 ? seen - 1 : 0;
    if (new_from < head->at)
        new_from = head->at;
    if (seen > 0 && size == end && !has_event(&r, new_from))
        return MORE;
    return result_of(&r, read_head(&r, first), size, first);
}

int ml_http_parse_request(struct ml_http_head *head, const char *bytes, size_t size, size_t seen,
                          const struct ml_http_limits *limits)
{
    if (seen == 0)
        begin(head, false);
    int result = parse(head, bytes, size, seen, limits, read_first_of_request);
    if (result <= 0)
        return result;
    int error = ml_http_request_framing(head);
    return error < 0 ? error : result;
}

int ml_http_parse_response(struct ml_http_head *head, const char *bytes, size_t size, size_t seen,
                           const struct ml_http_limits *limits)
{
    if (seen == 0)
        begin(head, false);
    return parse(head, bytes, size, seen, limits, read_first_of_response);
}

int ml_http_parse_fields(struct ml_http_head *head, const char *bytes, size_t size, size_t seen,
                         const struct ml_http_limits *limits)
{
    if (seen == 0)
        begin(head, true);
    return parse(head, bytes, size, seen, limits, NULL);
}

int ml_http_parse_trailers(struct ml_http_head *head, const char *bytes, size_t size, size_t seen,
                           const struct ml_http_limits *limits)
{
    static const uint64_t refused = (uint64_t)1 << ML_HTTP_HOST |
                                    (uint64_t)1 << ML_HTTP_CONTENT_LENGTH |
                                    (uint64_t)1 << ML_HTTP_TRANSFER_ENCODING;
    int result = ml_http_parse_fields(head, bytes, size, seen, limits);
    return result > 0 && (head->known & refused) != 0 ? ML_HTTP_BAD_TRAILER : result;
}
