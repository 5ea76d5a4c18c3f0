/*
 * The message of a WebSocket as it grows: text is checked, compressed payloads are decompressed
 * into it up to its limit. Knows no frames and no stream.
 */
#ifndef ML_HTTP_WS_INFLATE_H
#define ML_HTTP_WS_INFLATE_H

#include "http/websocket.h"

/* Takes bytes into the message that were written at its end. 0; -EILSEQ: the peer was told. */
int ml_ws_commit(struct ml_websocket *ws, size_t size);

/*
 * Takes bytes of a compressed payload, which are unmasked where they lie: *taken of them; the
 * others are as they were. 0; -ENOMEM: try again; -EPROTO, -EILSEQ, -EMSGSIZE: the peer was told.
 */
int ml_ws_read_compressed(struct ml_websocket *ws, char *data, size_t size, size_t *taken);

/* All of a compressed message has come. As above. */
int ml_ws_end_compressed(struct ml_websocket *ws);

#endif
