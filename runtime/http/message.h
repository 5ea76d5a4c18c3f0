/*
 * The head of an HTTP/1.x message as its reader (http/head.h) fills it in: places in bytes of
 * another owner, what they mean, and lookups among the fields. Knows nothing of lines; allocates
 * nothing.
 */
#ifndef ML_HTTP_MESSAGE_H
#define ML_HTTP_MESSAGE_H

#include "http/error.h"
#include "http/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of the head's bytes. */
struct ml_http_slice {
    uint32_t at, size;
};

struct ml_http_field {
    struct ml_http_slice name, value; /* the value is trimmed */
    uint8_t known;                    /* enum ml_http_name */
};

enum ml_http_method {
    ML_HTTP_METHOD_OTHER,
    ML_HTTP_GET,
    ML_HTTP_HEAD,
    ML_HTTP_POST,
    ML_HTTP_PUT,
    ML_HTTP_DELETE,
    ML_HTTP_PATCH,
    ML_HTTP_OPTIONS,
    ML_HTTP_CONNECT,
    ML_HTTP_TRACE
};

enum ml_http_target {
    ML_HTTP_TARGET_ORIGIN,    /* /path?query */
    ML_HTTP_TARGET_ABSOLUTE,  /* http://host/path?query */
    ML_HTTP_TARGET_AUTHORITY, /* host:port, of CONNECT */
    ML_HTTP_TARGET_ASTERISK   /* *, of OPTIONS */
};

enum ml_http_body {
    ML_HTTP_NO_BODY,
    ML_HTTP_SIZED,       /* content_length bytes, which may be 0 */
    ML_HTTP_CHUNKED,     /* http/chunked.h */
    ML_HTTP_UNTIL_CLOSE, /* of responses only */
    ML_HTTP_TUNNEL       /* after a CONNECT: no HTTP any more */
};

struct ml_http_head {
    /* The caller's, valid as long as his bytes are. */
    const char *bytes;
    struct ml_http_field *fields;
    uint16_t field_room;

    uint16_t field_count;
    uint8_t version; /* 10 or 11 */
    uint64_t known;  /* bit n: the field of enum ml_http_name n is there */

    /* Of requests. `path` is empty where the target has none, `query` is without its '?'.
     * `authority` is the target's, else the Host field's value, without userinfo. */
    struct ml_http_slice method, target, scheme, authority, path, query;
    uint8_t method_id;   /* enum ml_http_method */
    uint8_t target_form; /* enum ml_http_target */
    bool has_query;      /* a '?' is there */

    /* Of responses. */
    int status; /* 100 to 999 */
    struct ml_http_slice reason;

    /* Framing: of requests once the head is complete, of responses after
     * ml_http_response_framing(). */
    uint8_t body;           /* enum ml_http_body */
    int64_t content_length; /* the field's value, -1: there is none */
    bool is_chunked;        /* body is ML_HTTP_CHUNKED */
    bool keep_alive;        /* the connection may serve another message after this one */
    bool expects_continue;  /* Expect: 100-continue, in HTTP/1.1 */
    bool expects_other;     /* Expect holds something else: 417 */
    bool upgrades;          /* Upgrade is there and named by Connection, in HTTP/1.1 */

    /* Where the next call goes on. */
    uint32_t at;         /* start of the line that is not complete yet */
    uint8_t empty_lines; /* before the request line */
    bool has_line;       /* the first line is complete */
};

/* Before the first use; `fields` must outlive the head. */
static inline void ml_http_head_init(struct ml_http_head *head, struct ml_http_field *fields,
                                     uint16_t room)
{
    *head = (struct ml_http_head){.fields = fields, .field_room = room, .content_length = -1};
}

static inline const char *ml_http_at(const struct ml_http_head *head, struct ml_http_slice slice)
{
    return head->bytes + slice.at;
}

static inline bool ml_http_has(const struct ml_http_head *head, enum ml_http_name name)
{
    return (head->known >> name & 1) != 0;
}

/* The first field of that name behind `after`, or from the start if that is NULL; NULL: none. */
const struct ml_http_field *ml_http_find(const struct ml_http_head *head, enum ml_http_name name,
                                         const struct ml_http_field *after);

/* The same for any name, in any case. */
const struct ml_http_field *ml_http_find_name(const struct ml_http_head *head, const char *name,
                                              size_t size, const struct ml_http_field *after);

/* True if a list, such as Connection's, holds the token in any of the field's lines, in any
 * case. */
bool ml_http_token_is(const struct ml_http_head *head, enum ml_http_name name, const char *token);

#endif
