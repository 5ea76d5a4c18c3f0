#include "http/http2_head.h"

#include <errno.h>
#include <string.h>

/* A field counts so much beside its bytes (RFC 9113, 10.5.1). */
enum { FIELD_OVERHEAD = 32 };

static int append(struct ml_buffer *b, const char *bytes, size_t size)
{
    int error = ml_buffer_reserve(b, size);
    if (error == 0 && size > 0) { /* an empty buffer may have no memory yet */
        memcpy(ml_buffer_end(b), bytes, size);
        ml_buffer_commit(b, size);
    }
    return error;
}

static bool is_name(const char *name, size_t size, const char *text, size_t text_size)
{
    return size == text_size && memcmp(name, text, size) == 0;
}

#define IS(name, size, literal) is_name(name, size, literal, sizeof(literal) - 1)

static enum ml_http2_pseudo pseudo_of(const char *name, size_t size)
{
    return IS(name, size, ":method")      ? ML_HTTP2_METHOD
           : IS(name, size, ":path")      ? ML_HTTP2_PATH
           : IS(name, size, ":authority") ? ML_HTTP2_AUTHORITY
           : IS(name, size, ":status")    ? ML_HTTP2_STATUS
           : IS(name, size, ":protocol")  ? ML_HTTP2_PROTOCOL
                                          : ML_HTTP2_PSEUDOS;
}

static int add_pseudo(struct ml_http2_head *h, enum ml_http2_pseudo which, const char *value,
                      size_t size)
{
    if (which == ML_HTTP2_PSEUDOS)
        return 0;
    h->has[which] = true;
    h->values[which] =
        (struct ml_http_slice){.at = (uint32_t)ml_buffer_size(&h->pseudo), .size = (uint32_t)size};
    return append(&h->pseudo, value, size);
}

static char *put(char *to, const char *bytes, size_t size)
{
    if (size > 0) /* an empty buffer may have no memory */
        memcpy(to, bytes, size);
    return to + size;
}

#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

/* The bytes of a line beside its name and value. */
enum { LINE_EXTRA = 4 };

static char *put_line(char *to, const char *name, size_t name_size, const char *value, size_t size)
{
    to = put(to, name, name_size);
    to = PUT(to, ": ");
    to = put(to, value, size);
    return PUT(to, "\r\n");
}

static int add_line(struct ml_buffer *b, const char *name, size_t name_size, const char *value,
                    size_t size)
{
    int error = ml_buffer_reserve(b, name_size + size + LINE_EXTRA);
    if (error != 0)
        return error;
    put_line(ml_buffer_end(b), name, name_size, value, size);
    ml_buffer_commit(b, name_size + size + LINE_EXTRA);
    return 0;
}

static int add_cookie(struct ml_http2_head *h, const char *value, size_t size)
{
    int error = ml_buffer_size(&h->cookie) > 0 ? append(&h->cookie, "; ", 2) : 0;
    return error == 0 ? append(&h->cookie, value, size) : error;
}

static size_t size_of(const struct ml_http2_head *h)
{
    return ml_buffer_size(&h->pseudo) + ml_buffer_size(&h->lines) + ml_buffer_size(&h->cookie);
}

int ml_http2_head_add(struct ml_http2_head *h, const char *name, size_t name_size,
                      const char *value, size_t value_size, size_t limit)
{
    if (size_of(h) + name_size + value_size + FIELD_OVERHEAD > limit)
        h->is_too_long = true;
    if (h->is_too_long)
        return 0;
    if (name_size > 0 && name[0] == ':')
        return add_pseudo(h, pseudo_of(name, name_size), value, value_size);
    if (IS(name, name_size, "cookie"))
        return add_cookie(h, value, value_size);
    h->has_host = h->has_host || IS(name, name_size, "host");
    return add_line(&h->lines, name, name_size, value, value_size);
}

static char *put_pseudo(char *to, const struct ml_http2_head *h, enum ml_http2_pseudo which)
{
    struct ml_http_slice slice = h->values[which];
    return put(to, ml_buffer_data(&h->pseudo) + slice.at, slice.size);
}

/* The authority takes the place of Host; both together are judged as two Host fields are. */
static char *put_host(char *to, const struct ml_http2_head *h)
{
    if (!h->has[ML_HTTP2_AUTHORITY])
        return to;
    to = PUT(to, "host: ");
    to = put_pseudo(to, h, ML_HTTP2_AUTHORITY);
    return PUT(to, "\r\n");
}

bool ml_http2_head_is_websocket(const struct ml_http2_head *h)
{
    struct ml_http_slice protocol = h->values[ML_HTTP2_PROTOCOL];
    return h->has[ML_HTTP2_PROTOCOL] &&
           IS(ml_buffer_data(&h->pseudo) + protocol.at, protocol.size, "websocket");
}

static char *put_method(char *to, const struct ml_http2_head *h)
{
    return ml_http2_head_is_websocket(h) ? PUT(to, "GET") : put_pseudo(to, h, ML_HTTP2_METHOD);
}

/* A CONNECT has an authority for its target; one for a protocol has a path beside it. */
static enum ml_http2_pseudo target_of(const struct ml_http2_head *h)
{
    bool is_connect = h->has[ML_HTTP2_PROTOCOL] && !ml_http2_head_is_websocket(h);
    return h->has[ML_HTTP2_PATH] && !is_connect ? ML_HTTP2_PATH : ML_HTTP2_AUTHORITY;
}

static char *put_first_line(char *to, const struct ml_http2_head *h)
{
    to = put_method(to, h);
    to = PUT(to, " ");
    to = put_pseudo(to, h, target_of(h));
    return PUT(to, " HTTP/1.1\r\n");
}

static char *put_fields(char *to, const struct ml_http2_head *h)
{
    to = put(to, ml_buffer_data(&h->lines), ml_buffer_size(&h->lines));
    if (ml_http2_head_is_websocket(h))
        to = PUT(to, "upgrade: websocket\r\nconnection: upgrade\r\n");
    if (ml_buffer_size(&h->cookie) > 0)
        to = put_line(to, "cookie", 6, ml_buffer_data(&h->cookie), ml_buffer_size(&h->cookie));
    return PUT(to, "\r\n");
}

/* The value of the Host line; empty: there is none. */
static struct ml_http_slice host_line(const struct ml_http2_head *h)
{
    const char *at = ml_buffer_data(&h->lines), *end = at + ml_buffer_size(&h->lines);
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end - at > 8 && memcmp(at, "host: ", 6) == 0)
            return (struct ml_http_slice){
                .at = (uint32_t)(at + 6 - ml_buffer_data(&h->lines)),
                .size = (uint32_t)(line_end - 1 - (at + 6)),
            };
        at = line_end + 1;
    }
    return (struct ml_http_slice){0, 0};
}

/* Clients that translate from HTTP/1.1 send both; then they are the same. */
static bool is_host_repeated(const struct ml_http2_head *h)
{
    struct ml_http_slice host = host_line(h), authority = h->values[ML_HTTP2_AUTHORITY];
    return host.size == authority.size &&
           memcmp(ml_buffer_data(&h->lines) + host.at, ml_buffer_data(&h->pseudo) + authority.at,
                  host.size) == 0;
}

static char *put_request(char *to, const struct ml_http2_head *h)
{
    bool is_repeated = h->has_host && h->has[ML_HTTP2_AUTHORITY] && is_host_repeated(h);
    to = put_first_line(to, h);
    if (!is_repeated)
        to = put_host(to, h);
    return put_fields(to, h);
}

static char *put_response(char *to, const struct ml_http2_head *h)
{
    to = PUT(to, "HTTP/1.1 ");
    to = put_pseudo(to, h, ML_HTTP2_STATUS);
    to = PUT(to, " \r\n");
    return put_fields(to, h);
}

static void judge(int length, const struct ml_http2_head *h, int *problem)
{
    *problem = length > 0 ? 0 : length == 0 ? ML_HTTP_BAD_END : length;
    if (h->is_too_long)
        *problem = ML_HTTP_HEAD_TOO_LONG;
}

typedef char *writer(char *to, const struct ml_http2_head *h);
typedef int parser(struct ml_http_head *head, const char *bytes, size_t size, size_t seen,
                   const struct ml_http_limits *limits);

/* The bytes of a first line, of a Host line, of those of an upgrade and of one for cookies, beside
 * what is in the fields; an authority may stand in two places. */
enum { EXTRA = 128 };

static int write(struct ml_http2_head *h, writer *write_to, struct ml_buffer *text)
{
    size_t bound = size_of(h) + ml_buffer_size(&h->pseudo) + EXTRA;
    int error = h->is_too_long ? 0 : ml_buffer_reserve(text, bound);
    if (error == 0 && !h->is_too_long) {
        char *start = ml_buffer_end(text);
        ml_buffer_commit(text, (size_t)(write_to(start, h) - start));
    }
    return error;
}

/* Writes the text and reads it. */
static int finish(struct ml_http2_head *h, writer *write_to, parser *parse, struct ml_buffer *text,
                  struct ml_http_head *head, const struct ml_http_limits *limits, int *problem)
{
    int error = write(h, write_to, text);
    if (error != 0)
        return error;
    judge(parse(head, ml_buffer_data(text), ml_buffer_size(text), 0, limits), h, problem);
    return 0;
}

int ml_http2_head_finish(struct ml_http2_head *h, struct ml_buffer *text, struct ml_http_head *head,
                         const struct ml_http_limits *limits, int *problem)
{
    return finish(h, put_request, ml_http_parse_request, text, head, limits, problem);
}

int ml_http2_response_finish(struct ml_http2_head *h, struct ml_buffer *text,
                             struct ml_http_head *head, const struct ml_http_limits *limits,
                             int *problem)
{
    return finish(h, put_response, ml_http_parse_response, text, head, limits, problem);
}

int ml_http2_trailers_finish(struct ml_http2_head *h, struct ml_buffer *text,
                             struct ml_http_head *head, const struct ml_http_limits *limits,
                             int *problem)
{
    return finish(h, put_fields, ml_http_parse_trailers, text, head, limits, problem);
}

static void clear(struct ml_buffer *b)
{
    b->start = b->end = 0;
}

void ml_http2_head_clear(struct ml_http2_head *h)
{
    clear(&h->pseudo);
    clear(&h->lines);
    clear(&h->cookie);
    memset(h->values, 0, sizeof h->values);
    memset(h->has, 0, sizeof h->has);
    h->has_host = h->is_too_long = false;
}

void ml_http2_head_release(struct ml_http2_head *h)
{
    ml_buffer_release(&h->pseudo);
    ml_buffer_release(&h->lines);
    ml_buffer_release(&h->cookie);
    *h = (struct ml_http2_head){0};
}
