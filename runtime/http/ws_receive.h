/*
 * The input of a WebSocket: frames become messages, pings are answered and sent.
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
 * The next message; it stays until ml_websocket_take(). 0; 1: the peer has closed cleanly; -EBUSY:
 * another task receives; -ML_ECLOSED: it was closed here; -EPROTO, -EILSEQ, -EMSGSIZE: the peer
 * broke the rules, text is not UTF-8, the message is too long (closed with 1002, 1007, 1009);
 * -ML_EEOF: the stream ended without a Close; -ECONNABORTED: no sign of life after a ping;
 * -ETIMEDOUT, -ECANCELED: what has come stays; -ENOMEM and errors of reads.
 */
int ml_websocket_receive(struct ml_websocket *ws, ml_time deadline,
                         struct ml_websocket_message *message);
void ml_websocket_take(struct ml_websocket *ws);

/* For a task that waits for several things. Whether ml_websocket_receive() would not wait: 0; or
 * -EAGAIN. Never waits; after a watch it keeps the pings going. */
int ml_websocket_look(struct ml_websocket *ws);

/* After that said -EAGAIN: as ml_stream_watch(); nobody else receives until ml_websocket_unwatch(),
 * which is always called. 0, or -EBUSY: another task receives. */
int ml_websocket_watch(struct ml_websocket *ws, struct ml_waiter *waiter, ml_time *again);
void ml_websocket_unwatch(struct ml_websocket *ws);

/* For a connection that is to be visited: reads and answers what has come and pings, unless a task
 * receives, which does so itself. When to come again; ML_FOREVER: never, it is closing. Never
 * waits, nor lets others run: none would find it receiving. */
ml_time ml_websocket_tend(struct ml_websocket *ws);

/* When to come first. */
ml_time ml_ws_next_visit(const struct ml_websocket *ws);

/* Receives until a message is there, without asking who else receives. 0; 1; or an error. */
int ml_ws_receive(struct ml_websocket *ws, ml_time deadline);

#endif
