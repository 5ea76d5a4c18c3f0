/*
 * Content codings as streams: bytes go in as they come, and bytes come out into the caller's
 * memory, as many as fit there. Knows no Lua, no connection and no header fields.
 *
 * Memory of a decoder: 50 KB for gzip and deflate, whatever the input claims. brotli and zstd take
 * the window that the encoder chose, once that much has been decoded (at most 16 MiB, 8 for zstd).
 */
#ifndef ML_HTTP_CODING_H
#define ML_HTTP_CODING_H

#include "io/io.h"

enum ml_coding {
    ML_CODING_IDENTITY,
    ML_CODING_GZIP,
    ML_CODING_DEFLATE,
    ML_CODING_BR,
    ML_CODING_ZSTD,
    ML_CODING_UNKNOWN,
};

/* The coding of that name, in any case; "x-gzip" is gzip. */
enum ml_coding ml_coding_by_name(const char *name, size_t size);

/* The coding's name in header fields. Static. */
const char *ml_coding_name(enum ml_coding coding);

/* Whether an installed library can decode the coding; loads it. */
bool ml_coding_can_decode(struct ml_io *io, enum ml_coding coding);
bool ml_coding_can_encode(struct ml_io *io, enum ml_coding coding);

/* One step: the call moves both ends on by the bytes that it used. */
struct ml_coding_step {
    const char *in;
    size_t in_size;
    char *out;
    size_t out_size;
};

struct ml_decoder;

/* A decoder of gzip, deflate (with zlib's header or without), br or zstd, of at most `limit`
 * decoded bytes. 0; -EOPNOTSUPP: no library for it is installed; or -ENOMEM. */
int ml_decoder_new(struct ml_io *io, enum ml_coding coding, uint64_t limit,
                   struct ml_decoder **decoder);
void ml_decoder_free(struct ml_decoder *d);

/*
 * Decodes until the input is used up or the output is full. After an error the decoder can only be
 * freed.
 *
 * - 0: the input is used up;
 * - 1: the output is full; there may be more: call again, also without input;
 * - -EPROTO: the input is not of this coding, or goes on after its end;
 * - -EMSGSIZE: the output would exceed the limit;
 * - -ENOMEM.
 */
int ml_decoder_feed(struct ml_decoder *d, struct ml_coding_step *step);

/* Whether the content was complete; call it after the last feed, which returned 0. 0, or
 * -ML_EEOF. */
int ml_decoder_finish(const struct ml_decoder *d);

/* The goal of a call: none, the encoder may keep bytes back; the peer can decode all so far; the
 * end. */
enum ml_coding_mode { ML_CODING_MORE, ML_CODING_FLUSH, ML_CODING_END };

struct ml_encoder;

/* An encoder of gzip (260 KB of memory at level 6) or br. level: 0 to 9; -1: one that suits answers
 * compressed while they are sent. 0; -EOPNOTSUPP: no library for it is installed; or -ENOMEM. */
int ml_encoder_new(struct ml_io *io, enum ml_coding coding, int level, struct ml_encoder **encoder);
void ml_encoder_free(struct ml_encoder *e);

/*
 * Encodes until the input is used up and the goal `mode` is reached, or the output is full.
 *
 * - 0: the goal is reached;
 * - 1: the output is full: call again with the same mode and the rest of the input;
 * - -ENOMEM;
 * - -EPROTO: wrong use.
 */
int ml_encoder_feed(struct ml_encoder *e, struct ml_coding_step *step, enum ml_coding_mode mode);

#endif
