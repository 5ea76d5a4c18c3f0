#include "http/http2_head.h"

#include <errno.h>
#include <string.h>

/* What a field counts beside its bytes (RFC 9113, 10.5.1). */
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

static bool is_name(const char *name, size_t size, const char *text)
{
    return size == strlen(text) && memcmp(name, text, size) == 0;
}

static int add_pseudo(struct ml_http2_head *h, const char *name, size_t name_size,
                      const char *value, size_t size)
{
    static const char *const names[ML_HTTP2_PSEUDOS] = {":method", ":path", ":authority", ":status",
                                                        ":protocol"};
    for (int i = 0; i < ML_HTTP2_PSEUDOS; i++) {
        if (!is_name(name, name_size, names[i]))
            continue;
        h->has[i] = true;
        h->values[i] = (struct ml_http_slice){.at = (uint32_t)ml_buffer_size(&h->pseudo),
                                              .size = (uint32_t)size};
        return append(&h->pseudo, value, size);
    }
    return 0;
}

static int add_line(struct ml_buffer *b, const char *name, size_t name_size, const char *value,
                    size_t size)
{
    int error = ml_buffer_reserve(b, name_size + size + 4);
    if (error != 0)
        return error;
    append(b, name, name_size);
    append(b, ": ", 2);
    append(b, value, size);
    append(b, "\r\n", 2);
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
        return add_pseudo(h, name, name_size, value, value_size);
    if (is_name(name, name_size, "cookie"))
        return add_cookie(h, value, value_size);
    h->has_host = h->has_host || is_name(name, name_size, "host");
    return add_line(&h->lines, name, name_size, value, value_size);
}

static int append_pseudo(struct ml_buffer *text, const struct ml_http2_head *h,
                         enum ml_http2_pseudo which)
{
    struct ml_http_slice slice = h->values[which];
    return append(text, ml_buffer_data(&h->pseudo) + slice.at, slice.size);
}

/* The authority takes the place of Host; both together are judged as two Host fields are. */
static int append_host(struct ml_buffer *text, const struct ml_http2_head *h)
{
    if (!h->has[ML_HTTP2_AUTHORITY])
        return 0;
    int error = append(text, "host: ", 6);
    if (error == 0)
        error = append_pseudo(text, h, ML_HTTP2_AUTHORITY);
    return error == 0 ? append(text, "\r\n", 2) : error;
}

bool ml_http2_head_is_websocket(const struct ml_http2_head *h)
{
    struct ml_http_slice protocol = h->values[ML_HTTP2_PROTOCOL];
    return h->has[ML_HTTP2_PROTOCOL] &&
           is_name(ml_buffer_data(&h->pseudo) + protocol.at, protocol.size, "websocket");
}

static int append_method(struct ml_buffer *text, const struct ml_http2_head *h)
{
    return ml_http2_head_is_websocket(h) ? append(text, "GET", 3)
                                         : append_pseudo(text, h, ML_HTTP2_METHOD);
}

/* A CONNECT has an authority for its target; one for a protocol has a path beside it. */
static enum ml_http2_pseudo target_of(const struct ml_http2_head *h)
{
    bool is_connect = h->has[ML_HTTP2_PROTOCOL] && !ml_http2_head_is_websocket(h);
    return h->has[ML_HTTP2_PATH] && !is_connect ? ML_HTTP2_PATH : ML_HTTP2_AUTHORITY;
}

static int append_first_line(struct ml_buffer *text, const struct ml_http2_head *h)
{
    int error = append_method(text, h);
    if (error == 0)
        error = append(text, " ", 1);
    if (error == 0)
        error = append_pseudo(text, h, target_of(h));
    return error == 0 ? append(text, " HTTP/1.1\r\n", 11) : error;
}

static int append_upgrade(struct ml_buffer *text)
{
    static const char lines[] = "upgrade: websocket\r\nconnection: upgrade\r\n";
    return append(text, lines, sizeof lines - 1);
}

static int append_fields(struct ml_buffer *text, const struct ml_http2_head *h)
{
    int error = append(text, ml_buffer_data(&h->lines), ml_buffer_size(&h->lines));
    if (error == 0 && ml_http2_head_is_websocket(h))
        error = append_upgrade(text);
    if (error == 0 && ml_buffer_size(&h->cookie) > 0)
        error = add_line(text, "cookie", 6, ml_buffer_data(&h->cookie), ml_buffer_size(&h->cookie));
    return error == 0 ? append(text, "\r\n", 2) : error;
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

static int write_head(struct ml_buffer *text, const struct ml_http2_head *h)
{
    bool is_repeated = h->has_host && h->has[ML_HTTP2_AUTHORITY] && is_host_repeated(h);
    int error = append_first_line(text, h);
    if (error == 0 && !is_repeated)
        error = append_host(text, h);
    return error == 0 ? append_fields(text, h) : error;
}

static void judge(int length, const struct ml_http2_head *h, int *problem)
{
    *problem = length > 0 ? 0 : length == 0 ? ML_HTTP_BAD_END : length;
    if (h->is_too_long)
        *problem = ML_HTTP_HEAD_TOO_LONG;
}

typedef int parser(struct ml_http_head *head, const char *bytes, size_t size, size_t seen,
                   const struct ml_http_limits *limits);

/* The text is written: reads it. */
static int finish(struct ml_http2_head *h, int error, parser *parse, struct ml_buffer *text,
                  struct ml_http_head *head, const struct ml_http_limits *limits, int *problem)
{
    if (error != 0)
        return error;
    judge(parse(head, ml_buffer_data(text), ml_buffer_size(text), 0, limits), h, problem);
    ml_http2_head_release(h);
    return 0;
}

int ml_http2_head_finish(struct ml_http2_head *h, struct ml_buffer *text, struct ml_http_head *head,
                         const struct ml_http_limits *limits, int *problem)
{
    int error = h->is_too_long ? 0 : write_head(text, h);
    return finish(h, error, ml_http_parse_request, text, head, limits, problem);
}

static int write_response(struct ml_buffer *text, const struct ml_http2_head *h)
{
    int error = append(text, "HTTP/1.1 ", 9);
    if (error == 0)
        error = append_pseudo(text, h, ML_HTTP2_STATUS);
    if (error == 0)
        error = append(text, " \r\n", 3);
    return error == 0 ? append_fields(text, h) : error;
}

int ml_http2_response_finish(struct ml_http2_head *h, struct ml_buffer *text,
                             struct ml_http_head *head, const struct ml_http_limits *limits,
                             int *problem)
{
    int error = h->is_too_long ? 0 : write_response(text, h);
    return finish(h, error, ml_http_parse_response, text, head, limits, problem);
}

int ml_http2_trailers_finish(struct ml_http2_head *h, struct ml_buffer *text,
                             struct ml_http_head *head, const struct ml_http_limits *limits,
                             int *problem)
{
    int error = h->is_too_long ? 0 : append_fields(text, h);
    return finish(h, error, ml_http_parse_trailers, text, head, limits, problem);
}

void ml_http2_head_release(struct ml_http2_head *h)
{
    ml_buffer_release(&h->pseudo);
    ml_buffer_release(&h->lines);
    ml_buffer_release(&h->cookie);
    *h = (struct ml_http2_head){0};
}
