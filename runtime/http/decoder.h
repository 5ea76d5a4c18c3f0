/*
 * Decoders of content codings, as streams: bytes go in as they come, and bytes come out into the
 * caller's memory, as many as fit there. Knows no Lua, no connection and no header fields.
 *
 * Memory of a decoder: 50 KB for gzip and deflate, whatever the input claims. brotli and zstd take
 * the window that the encoder chose, once that much has been decoded (at most 16 MiB, 8 for zstd).
 */
#ifndef ML_HTTP_DECODER_H
#define ML_HTTP_DECODER_H

#include "http/coding.h"

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

#endif
