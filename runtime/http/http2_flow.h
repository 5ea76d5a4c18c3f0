/*
 * The two bodies of an HTTP/2 stream, of either side: buffers between the task that reads and
 * writes them and nghttp2, within the stream's windows. Knows neither requests nor answers.
 *
 * A body's bytes are copied into the buffer, into nghttp2's frame and into the bytes for the
 * socket. Input is bounded by the window that the peer was given, output by ML_HTTP2_OUT_MAX.
 */
#ifndef ML_HTTP_HTTP2_FLOW_H
#define ML_HTTP_HTTP2_FLOW_H

#include "http/http2_session.h"

/* Bytes that wait for nghttp2 at most, beyond which the writer waits; and those that may be left
 * when it goes its way. */
enum { ML_HTTP2_OUT_MAX = 64 * 1024, ML_HTTP2_OUT_LEFT = 16 * 1024 };

struct ml_http2_flow {
    struct ml_http2_session *session;
    struct ml_link waiters; /* its task: for input, for room, for the peer to leave */
    struct ml_buffer in;    /* received, not yet read */
    struct ml_buffer out;   /* not yet nghttp2's */
    nghttp2_nv *end_fields; /* malloc'd: trailers that follow the output; NULL: none */
    size_t end_field_count;
    struct ml_stream *tunnel; /* what reads and writes it as bytes (http2_tunnel.h); NULL: none */
    int32_t id;               /* of the stream; 0: it has none yet */
    bool is_closed;           /* nghttp2 has forgotten it */
    bool is_abandoned;        /* its handler has ended: calls of other tasks end, too */
    bool input_ended;         /* the peer has sent all */
    bool is_torn;             /* input was lost for want of memory: none behind it is taken */
    bool input_dropped;       /* input that still comes is not read */
    uint64_t dropped;         /* bytes of that */
    bool output_ended;        /* nothing follows what is in `out` */
    bool is_deferred;         /* nghttp2 waits to be told that there is more */
    bool is_draining;         /* counted in session->draining */
};

/* How long a writer waits: `span` without any progress, and until `deadline` in all. */
struct ml_http2_patience {
    ml_time span, deadline;
};

void ml_http2_flow_init(struct ml_http2_flow *f, struct ml_http2_session *session);
void ml_http2_flow_release(struct ml_http2_flow *f);

/* Whether nghttp2 still takes something for the stream: 0 or -EPIPE. */
int ml_http2_flow_check(const struct ml_http2_flow *f);

/* nghttp2 has forgotten the stream. Wakes its task. */
void ml_http2_flow_close(struct ml_http2_flow *f);

/* Ends the stream at both sides, with one of nghttp2's error codes. Never waits. */
void ml_http2_flow_reset(struct ml_http2_flow *f, uint32_t code);

/* ---- input ---- */

/* Bytes came, which stay the caller's. Without memory for them the stream is reset, and its reader
 * gets -ENOMEM behind what came before. Never waits. */
void ml_http2_flow_take(struct ml_http2_flow *f, const uint8_t *bytes, size_t size);

/* The same for bytes that no task will read. Never waits. */
void ml_http2_flow_drop(struct ml_http2_flow *f, size_t size);

/* Nothing more comes. */
void ml_http2_flow_end_input(struct ml_http2_flow *f);

/* Input that has come and still comes is of no use. */
void ml_http2_flow_drop_input(struct ml_http2_flow *f);

/* Waits until all input that is dropped has come, more than `most` bytes of it have, or the stream
 * is closed. 0, or an error of ml_wait(). */
int ml_http2_flow_await_dropped(struct ml_http2_flow *f, uint64_t most, ml_time deadline);

/* Waits for input. 0; 1: its end; -ML_EEOF: the stream was closed before; -ENOMEM: some of it was
 * lost; or an error of ml_wait(). */
int ml_http2_flow_await_input(struct ml_http2_flow *f, ml_time deadline);

/* The task is done with `size` bytes: the peer may send as many. */
void ml_http2_flow_consume(struct ml_http2_flow *f, size_t size);

/* ---- output ---- */

/* Where nghttp2 gets the output from: for its submit functions. */
nghttp2_data_provider ml_http2_flow_provider(struct ml_http2_flow *f);

/* Copies bytes; waits while there is no room. 0; -EPIPE; or an error of ml_wait(). */
int ml_http2_flow_put(struct ml_http2_flow *f, const char *bytes, size_t size,
                      struct ml_http2_patience patience);

/* Copies all of them, however many. 0; -EPIPE; -ENOMEM. Never waits. */
int ml_http2_flow_put_whole(struct ml_http2_flow *f, const char *bytes, size_t size);

/* The same as put() from a file, at most `count` bytes: how many, 0 at its end; or an error.
 * What is not in memory is read by a worker. */
ssize_t ml_http2_flow_put_file(struct ml_http2_flow *f, int file, off_t offset, uint64_t count,
                               struct ml_http2_patience patience);

/* Nothing follows; waits until only a few bytes are left. Errors as put(). */
int ml_http2_flow_end_output(struct ml_http2_flow *f, struct ml_http2_patience patience);

#endif
