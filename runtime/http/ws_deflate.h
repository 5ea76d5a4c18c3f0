/*
 * Messages of a WebSocket compressed and decompressed (RFC 7692). Knows no frames, no connection
 * and no field.
 *
 * Memory: this struct of 256 bytes while nothing was compressed; a compressor from the first
 * message that is sent, until ml_ws_deflate_rest(); a decompressor from the first that comes. Each
 * ends with its message where both ends have agreed on no takeover.
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
    uint32_t min_size; /* messages of fewer bytes are sent as they are */
    uint8_t level;
    uint8_t pack_bits; /* window of what is sent; 8, which zlib has not: nothing is compressed */
    uint8_t unpack_bits;
    uint8_t tail_taken; /* bytes of what ends a message that the decompressor has */
    bool packer_rests;  /* it ends with the message */
    bool unpacker_rests;
    bool has_packer, has_unpacker;
    bool was_used; /* a message was compressed since ml_ws_deflate_rest() */
};

/* By the answer of the handshake. 0; -EOPNOTSUPP: zlib is not here; -ENOMEM. */
int ml_ws_deflate_new(struct ml_io *io, const struct ml_ws_compression *ours,
                      const struct ml_ws_terms *terms, bool is_client,
                      struct ml_ws_deflate **deflate);
void ml_ws_deflate_free(struct ml_ws_deflate *d);

/*
 * Compresses a message into `out`, which has room for ML_WS_PACK_ROOM bytes more than the message
 * has. The number of bytes, fewer than before; or 0: it is to be sent as it is.
 */
enum { ML_WS_PACK_ROOM = 4 };
size_t ml_ws_deflate_pack(struct ml_ws_deflate *d, const char *data, size_t size, char *out);

/* Before bytes of a message are given to ml_ws_deflate_feed(): 0, or -ENOMEM. */
int ml_ws_deflate_begin(struct ml_ws_deflate *d);

/* Bytes in, bytes out; both ends move on by what was used. */
struct ml_ws_deflate_step {
    const char *in;
    size_t in_size;
    char *out;
    size_t out_size;
};

/* One step. 0: with room left in `out` all that can come of the input has come; -EPROTO: this is
 * not compressed data; -ENOMEM: so little memory that the state is lost. */
int ml_ws_deflate_feed(struct ml_ws_deflate *d, struct ml_ws_deflate_step *step);

/* The same with the bytes that every message ends with and that are not sent, until all are taken.
 */
int ml_ws_deflate_feed_tail(struct ml_ws_deflate *d, struct ml_ws_deflate_step *step);

/* After the tail: the next message begins. 0, or -EPROTO: the message was cut. */
int ml_ws_deflate_end(struct ml_ws_deflate *d);

/* Frees the compressor, unless it was used since the last call: it begins anew when it is needed.
 */
void ml_ws_deflate_rest(struct ml_ws_deflate *d);

/* Frees both: nothing is sent or received any more. */
void ml_ws_deflate_stop(struct ml_ws_deflate *d);

#endif
