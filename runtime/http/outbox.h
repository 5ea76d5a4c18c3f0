/*
 * The bytes that a connection of HTTP/1 is still to send: heads and small bodies are formatted into
 * one block, which leaves with one call, together with larger pieces that follow it. Holds a block
 * only while there is something to send. Knows nothing of what the bytes say.
 */
#ifndef ML_HTTP_OUTBOX_H
#define ML_HTTP_OUTBOX_H

#include "http/server.h"

struct ml_http_outbox {
    struct ml_http_server *server;
    struct ml_stream *stream;
    char *block;   /* NULL: nothing waits */
    uint32_t used; /* bytes of it */
};

/* Where to format at most `size` bytes, which ml_http_outbox_commit() takes in; sends what waits if
 * there is no room beside it. May wait. 0; -EMSGSIZE: no block is that large; or an error of
 * ml_stream_write(). */
int ml_http_outbox_reserve(struct ml_http_outbox *out, size_t size, char **room);

static inline void ml_http_outbox_commit(struct ml_http_outbox *out, const char *end)
{
    out->used = (uint32_t)(end - out->block);
}

/* Bytes that can be reserved without sending. */
static inline size_t ml_http_outbox_room(const struct ml_http_outbox *out)
{
    return ML_HTTP_BLOCK - out->used;
}

static inline bool ml_http_outbox_is_empty(const struct ml_http_outbox *out)
{
    return out->used == 0;
}

/* Sends what waits, and `count` pieces after it, contiguous; the array is used up. May wait. 0 or
 * an error of ml_stream_write(): then nothing waits any more. */
int ml_http_outbox_send(struct ml_http_outbox *out, struct iovec *pieces, int count);

static inline int ml_http_outbox_flush(struct ml_http_outbox *out)
{
    return ml_http_outbox_is_empty(out) ? 0 : ml_http_outbox_send(out, NULL, 0);
}

/* Nothing of what waits will be sent. */
void ml_http_outbox_drop(struct ml_http_outbox *out);

#endif
