/*
 * Content codings as streams: bytes go in as they come, bytes come out into the caller's memory, as
 * many as that has room for. Knows no Lua, no connection and no header fields.
 *
 * Memory of a decoder: 50 KB for gzip and deflate whatever the input claims; brotli and zstd take
 * the window that the encoder chose, once so much has been decoded (16 MiB at most, 8 for zstd).
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

/* By its name in any case, "x-gzip" included. */
enum ml_coding ml_coding_by_name(const char *name, size_t size);

/* Its name as header fields have it. Static. */
const char *ml_coding_name(enum ml_coding coding);

/* Whether the libraries that are installed can do it; loads them. */
bool ml_coding_can_decode(struct ml_io *io, enum ml_coding coding);
bool ml_coding_can_encode(struct ml_io *io, enum ml_coding coding);

/* One step: both ends move on by what was used. */
struct ml_coding_step {
    const char *in;
    size_t in_size;
    char *out;
    size_t out_size;
};

struct ml_decoder;

/* A decoder of gzip, deflate (with zlib's header or without), br or zstd, of at most `limit`
 * decoded bytes. 0; -EOPNOTSUPP: no library for it here; or -ENOMEM. */
int ml_decoder_new(struct ml_io *io, enum ml_coding coding, uint64_t limit,
                   struct ml_decoder **decoder);
void ml_decoder_free(struct ml_decoder *d);

/* Decodes until the input is used up (0) or the output is full (1: there may be more, call again
 * also without input). -EPROTO: not of this coding, or bytes after its end; -EMSGSIZE: beyond the
 * limit; -ENOMEM. After an error the decoder can only be freed. */
int ml_decoder_feed(struct ml_decoder *d, struct ml_coding_step *step);

/* After the last feed, which returned 0: whether the content was whole. 0, or -ML_EEOF. */
int ml_decoder_finish(const struct ml_decoder *d);

/* How far an encoder goes: as it likes; so that the peer can decode all so far; to the end. */
enum ml_coding_mode { ML_CODING_MORE, ML_CODING_FLUSH, ML_CODING_END };

struct ml_encoder;

/* An encoder of gzip (260 KB of memory at level 6) or br. `level`: 0 to 9, or -1 for what suits
 * answers made on the fly. 0; -EOPNOTSUPP: no library for it here; or -ENOMEM. */
int ml_encoder_new(struct ml_io *io, enum ml_coding coding, int level, struct ml_encoder **encoder);
void ml_encoder_free(struct ml_encoder *e);

/* Encodes until the input is used up and `mode` is reached (0) or the output is full (1: call again
 * with the same mode and what is left). -ENOMEM, or -EPROTO for wrong use. */
int ml_encoder_feed(struct ml_encoder *e, struct ml_coding_step *step, enum ml_coding_mode mode);

#endif
