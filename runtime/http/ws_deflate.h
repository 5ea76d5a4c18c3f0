/*
 * Compresses and decompresses messages of a WebSocket (RFC 7692). Knows no frames, no connection
 * and no field.
 *
 * Memory:
 *
 * - this struct of 256 bytes, as long as nothing was compressed;
 * - a compressor, from the first message that is sent until ml_ws_deflate_rest();
 * - a decompressor, from the first message that comes.
 *
 * If both ends have agreed on no takeover, each ends with its message.
 */
#ifndef ML_HTTP_WS_DEFLATE_H
#define ML_HTTP_WS_DEFLATE_H

#include "http/ws_extension.h"
#include "http/zlib.h"
#include "io/io.h"

struct ml_ws_deflate {
    const struct ml_zlib *zlib;
    z_stream packer, unpacker;
    uint64_t received; /* bytes of the compressed message so far */
    uint32_t min_size; /* smaller messages are sent uncompressed */
    uint8_t level;
    uint8_t pack_bits; /* window of sent messages; 8, which zlib lacks: nothing is compressed */
    uint8_t unpack_bits;
    uint8_t tail_taken; /* bytes of the tail that the decompressor has taken */
    bool packer_rests;  /* the compressor ends with the message */
    bool unpacker_rests;
    bool has_packer, has_unpacker;
    bool was_used; /* a message was compressed since ml_ws_deflate_rest() */
};

/* Opens it with the terms of the handshake. 0; -EOPNOTSUPP: zlib is not installed; -ENOMEM. */
int ml_ws_deflate_new(struct ml_io *io, const struct ml_ws_compression *ours,
                      const struct ml_ws_terms *terms, bool is_client,
                      struct ml_ws_deflate **deflate);
void ml_ws_deflate_free(struct ml_ws_deflate *d);

/*
 * Compresses a message into `out`, which needs ML_WS_PACK_ROOM bytes more room than the message
 * has. Returns the number of bytes, fewer than before; 0: send the message uncompressed.
 */
enum { ML_WS_PACK_ROOM = 4 };
size_t ml_ws_deflate_pack(struct ml_ws_deflate *d, const char *data, size_t size, char *out);

/* Call it before the bytes of a message are given to ml_ws_deflate_feed(). 0 or -ENOMEM. */
int ml_ws_deflate_begin(struct ml_ws_deflate *d);

/* Bytes in, bytes out: the call moves both ends on by the bytes that it used. */
struct ml_ws_deflate_step {
    const char *in;
    size_t in_size;
    char *out;
    size_t out_size;
};

/*
 * One step.
 *
 * - 0: if `out` has room left, the input gave all of its output;
 * - -EPROTO: the input is not compressed data;
 * - -ENOMEM: so little memory that the state is lost.
 */
int ml_ws_deflate_feed(struct ml_ws_deflate *d, struct ml_ws_deflate_step *step);

/* The same for the tail, which ends every message and is not sent; until all of it is taken. */
int ml_ws_deflate_feed_tail(struct ml_ws_deflate *d, struct ml_ws_deflate_step *step);

/* Call it after the tail: prepares for the next message. 0; -EPROTO: the message was cut. */
int ml_ws_deflate_end(struct ml_ws_deflate *d);

/* Frees the compressor, unless it was used since the last call. It begins anew when it is
 * needed. */
void ml_ws_deflate_rest(struct ml_ws_deflate *d);

/* Frees both: no message is sent or received any more. */
void ml_ws_deflate_stop(struct ml_ws_deflate *d);

#endif
