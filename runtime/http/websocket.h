/*
 * One end of a WebSocket (RFC 6455) over a stream whose handshake is done: messages in and out,
 * pings, limits, the closing handshake. Knows no Lua and no HTTP.
 *
 * One task receives; it also answers pings and sends the connection's own. While no task receives,
 * ml_websocket_tend() does that from time to time: http/ws_pings.h says when. Bytes that cannot be
 * sent at once are queued. For the queue, and for the end of a closing handshake, `wants_worker`
 * asks the owner for a task that runs ml_websocket_work(). An idle connection holds this struct and
 * the stream's, no buffer and no task.
 *
 * This file has the state, and opens and releases it; http/ws_send.h, ws_receive.h, ws_close.h and
 * ws_worker.h do the rest.
 */
#ifndef ML_HTTP_WEBSOCKET_H
#define ML_HTTP_WEBSOCKET_H

#include "base/utf8.h"
#include "http/ws_extension.h"
#include "http/ws_frame.h"
#include "io/stream.h"

struct ml_ws_deflate;
struct ml_ws_pings;

struct ml_websocket_options {
    size_t max_message;    /* bytes of an assembled message */
    size_t max_queue;      /* bytes that may be queued before senders wait */
    ml_time ping_interval; /* a span; ML_FOREVER: no pings */
    bool is_client;
};

#define ML_WEBSOCKET_DEFAULTS                                                                      \
    ((struct ml_websocket_options){(size_t)1 << 20, (size_t)1 << 20, 30 * ML_SECOND, false})

/* Masking keys that are fetched from the kernel at a time. */
enum { ML_WS_KEYS = 16 };

struct ml_websocket {
    struct ml_stream *stream;
    struct ml_websocket_options options;
    struct ml_link senders;        /* tasks that wait for room in the queue */
    struct ml_link enders;         /* tasks that wait for the end */
    struct ml_buffer out;          /* frames that are not sent yet */
    struct ml_buffer message;      /* the message that is being assembled */
    struct ml_ws_pings *pings;     /* those of its runtime; NULL: it has ended, or has no pings */
    struct ml_ws_deflate *deflate; /* NULL: messages are not compressed */
    struct ml_ws_head head;        /* of the frame that is being read */
    uint64_t frame_read;           /* bytes of its payload so far */
    struct ml_utf8 utf8;           /* of the text so far */
    ml_time ping_at;               /* when to ping, or to give up */
    ml_time close_by;              /* end of the closing handshake */
    int error;                     /* the failure; 0: none */
    const char *why;               /* the same in words; NULL: the words of the error */
    uint16_t code;                 /* of the first Close; 0: open */
    uint8_t reason_size;
    uint8_t head_size;          /* bytes in `first`, or 0 */
    uint8_t control_size;       /* bytes in `control` */
    uint8_t kind;               /* ML_WS_TEXT or ML_WS_BINARY, of the message */
    char first[ML_WS_HEAD_MAX]; /* an incomplete head */
    char *reason;               /* of the first Close, malloc'd; NULL: none */
    char *control;              /* payload of the control frame that is being read, malloc'd for
                                   ML_WS_CONTROL_MAX; NULL: no byte of it is there */
    unsigned char *keys;        /* ML_WS_KEYS for masking, of clients, malloc'd; NULL: none yet */
    uint8_t key_count;          /* keys that are left */
    bool is_receiving;
    bool is_watched; /* by a task that waits for several things; is_receiving is set, too */
    bool was_watched;
    bool is_in_frame;
    bool is_in_message;
    bool is_compressed; /* of the message that is being assembled */
    bool has_message;   /* a whole message is in `message`, until it is taken */
    bool has_pinged;    /* a ping was sent, and no byte has come since */
    bool close_sent, close_received;
    bool is_closed_here; /* ml_websocket_close() came before the peer's Close */
    bool wants_worker;
    bool has_worker;
};

static inline struct ml_hub *ml_ws_hub(const struct ml_websocket *ws)
{
    return ws->stream->io->hub;
}

/* Whether no Close was sent or received, and nothing has failed. */
static inline bool ml_ws_is_open(const struct ml_websocket *ws)
{
    return ws->code == 0;
}

/* Opens it on an open stream, which must outlive it and must have no other user. */
void ml_websocket_open(struct ml_websocket *ws, struct ml_stream *stream,
                       const struct ml_websocket_options *options);

/* Enables compression with the terms of the handshake's answer; call it before the first message.
 * 0; -EOPNOTSUPP: zlib is not installed; -ENOMEM. */
int ml_websocket_compress(struct ml_websocket *ws, const struct ml_ws_compression *ours,
                          const struct ml_ws_terms *terms);

/* Closes the stream: the last step of a connection. Idempotent; never waits. */
void ml_ws_shut(struct ml_websocket *ws);

/* Closes the stream at once and frees the buffers; how it was closed can still be asked.
 * Idempotent; never waits. */
void ml_websocket_release(struct ml_websocket *ws);

/* The same, and frees the rest. */
void ml_websocket_destroy(struct ml_websocket *ws);

#endif
