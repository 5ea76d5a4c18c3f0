/*
 * The input of a WebSocket: turns frames into messages, answers pings, and sends them.
 */
#ifndef ML_HTTP_WS_RECEIVE_H
#define ML_HTTP_WS_RECEIVE_H

#include "http/websocket.h"

struct ml_websocket_message {
    const char *data; /* valid until ml_websocket_take() */
    size_t size;
    enum ml_ws_opcode kind;
};

/*
 * The next message; it stays until ml_websocket_take(). The caller's frame stays while it waits: so
 * the message is asked for afterwards.
 *
 * - 0: a message is there;
 * - 1: the peer has closed cleanly;
 * - -EBUSY: another task receives;
 * - -ML_ECLOSED: this end has closed;
 * - -EPROTO: the peer broke the rules (closed with 1002);
 * - -EILSEQ: text is not UTF-8 (closed with 1007);
 * - -EMSGSIZE: the message is too long (closed with 1009);
 * - -ML_EEOF: the stream ended without a Close;
 * - -ECONNABORTED: no sign of life after a ping;
 * - -ETIMEDOUT, -ECANCELED: the bytes that have come stay;
 * - -ENOMEM and errors of reads.
 */
int ml_websocket_receive(struct ml_websocket *ws, ml_time deadline);
struct ml_websocket_message ml_websocket_message(const struct ml_websocket *ws);
void ml_websocket_take(struct ml_websocket *ws);

/* For a task that waits for several things: whether ml_websocket_receive() would return at once. 0:
 * it would; -EAGAIN: it would wait. Never waits; after a watch it keeps the pings going. */
int ml_websocket_look(struct ml_websocket *ws);

/* Call it after -EAGAIN: as ml_stream_watch(). No other task receives until ml_websocket_unwatch(),
 * which must follow in any case. 0; -EBUSY: another task receives. */
int ml_websocket_watch(struct ml_websocket *ws, struct ml_waiter *waiter, ml_time *again);
void ml_websocket_unwatch(struct ml_websocket *ws);

/* Visits a connection: reads the input, answers pings, and sends them. If a task receives, does
 * nothing: that task does it. Returns the time of the next visit; ML_FOREVER: none, the connection
 * is closing. Never waits, and lets no other task run: none would find it receiving. */
ml_time ml_websocket_tend(struct ml_websocket *ws);

/* The time of the first visit. */
ml_time ml_ws_next_visit(const struct ml_websocket *ws);

/* Receives until a message is there; the caller has checked that no other task receives. 0; 1; or
 * an error. */
int ml_ws_receive(struct ml_websocket *ws, ml_time deadline);

#endif
