/*
 * The bytes of an HTTP/2 connection, of either side: what has come goes to nghttp2, and a task of
 * its own sends what nghttp2 has to say. So a handler that is cancelled never leaves half a frame
 * behind, and the frames of all that became ready together leave with one call. Knows no streams
 * and no requests.
 */
#ifndef ML_HTTP_HTTP2_SESSION_H
#define ML_HTTP_HTTP2_SESSION_H

#include "base/buffer.h"
#include "http/nghttp2.h"
#include "io/stream.h"

struct ml_http2_session {
    const struct ml_nghttp2 *n;
    nghttp2_session *session; /* NULL: not opened, or closed */
    struct ml_stream *stream;
    struct ml_buffer out;  /* frames under way to the stream: the sender's alone */
    struct ml_link sender; /* the task that sends, while there is nothing to send */
    struct ml_link ends;   /* tasks that wait for its end */
    ml_time received_at;   /* when the input came that nghttp2 is given now */
    uint32_t draining;     /* streams whose last bytes are not nghttp2's yet */
    int error;             /* what broke the connection; 0: nothing */
    bool is_sending;       /* the task lives */
    bool has_output;       /* nghttp2 may have something to say */
    bool is_over;          /* the sender sends what there is, and ends */
    bool has_read_all;     /* no task receives any more */
    bool reads_on;         /* what came before the peer went is of use: clients */
    bool is_mute;          /* nothing can be sent any more */
};

/* Takes hold of a stream that is open. nghttp2's session is the caller's to make: `session`. */
void ml_http2_session_init(struct ml_http2_session *c, const struct ml_nghttp2 *n,
                           struct ml_stream *stream);

/* Frees nghttp2's session, at which its streams are told to be closed. */
void ml_http2_session_release(struct ml_http2_session *c);

/* The body of the task that sends, until ml_http2_session_finish() or an error. May wait. */
void ml_http2_session_send(struct ml_http2_session *c);

/* The same for a task that was cancelled before it began: the connection ends. Never waits. */
void ml_http2_session_forgo_send(struct ml_http2_session *c);

/* Something was submitted to nghttp2. Never waits. */
void ml_http2_session_kick(struct ml_http2_session *c);

/* Nothing more is submitted: the sender ends once all is sent. Never waits. */
void ml_http2_session_finish(struct ml_http2_session *c);

/* Waits for input and hands it to nghttp2, whose callbacks are called. 0; 1: the peer has ended;
 * -EPROTO: nghttp2 gives the connection up; -ENOMEM; or an error of reads. */
int ml_http2_session_receive(struct ml_http2_session *c, ml_time deadline);

#endif
