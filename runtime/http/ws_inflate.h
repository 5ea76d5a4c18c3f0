/*
 * The message of a WebSocket while it grows: checks text, and decompresses payloads into it up to
 * its limit. Knows no frames and no stream.
 */
#ifndef ML_HTTP_WS_INFLATE_H
#define ML_HTTP_WS_INFLATE_H

#include "http/websocket.h"

/* Takes `size` bytes, written at the message's end, into the message. 0; -EILSEQ: not UTF-8, and
 * the peer was told. */
int ml_ws_commit(struct ml_websocket *ws, size_t size);

/*
 * Takes bytes of a compressed payload, and unmasks them in place. *taken: their number; the others
 * stay as they were.
 *
 * - 0;
 * - -ENOMEM: try again;
 * - -EPROTO, -EILSEQ, -EMSGSIZE: the peer was told.
 */
int ml_ws_read_compressed(struct ml_websocket *ws, char *data, size_t size, size_t *taken);

/* Call it when a compressed message is complete. Results as ml_ws_read_compressed(). */
int ml_ws_end_compressed(struct ml_websocket *ws);

#endif
