/*
 * The output of a WebSocket: messages and pings; the queue of bytes that the stream does not take
 * at once; the right to add to it. Knows no input.
 */
#ifndef ML_HTTP_WS_SEND_H
#define ML_HTTP_WS_SEND_H

#include "http/websocket.h"

/* Sends or queues a message. Waits only while max_queue bytes are queued, so that -ETIMEDOUT and
 * -ECANCELED mean that nothing of it was sent. 0; -ML_ECLOSED; -ENOMEM; or the error that broke the
 * connection. */
int ml_websocket_send(struct ml_websocket *ws, enum ml_ws_opcode kind, const char *data,
                      size_t size, ml_time deadline);

/* Sends a ping of at most ML_WS_CONTROL_MAX bytes. Never waits. Results as ml_websocket_send(). */
int ml_websocket_ping(struct ml_websocket *ws, const char *data, size_t size);

/* Whether senders need not wait. */
static inline bool ml_ws_has_room(const struct ml_websocket *ws)
{
    return ml_buffer_size(&ws->out) < ws->options.max_queue;
}

/* The reason why nothing can be sent: an error; 0: none. */
int ml_ws_why_not(const struct ml_websocket *ws);

/* Puts a whole frame at the end of the queue. 0; after an error nothing was added. */
int ml_ws_queue_frame(struct ml_websocket *ws, enum ml_ws_opcode opcode, const char *data,
                      size_t size);

/* Sends as much as the transport takes now. 0: all; -EAGAIN: the rest must wait; or an error. */
int ml_ws_push_out(struct ml_websocket *ws);

/* The same for a caller that does not wait: the worker sends the rest. */
int ml_ws_try_out(struct ml_websocket *ws);

/* The connection is broken: ends it with `error`. */
void ml_ws_break_off(struct ml_websocket *ws, int error);

#endif
