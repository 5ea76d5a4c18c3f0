/* Encoders of content codings, as streams like decoders (http/decoder.h). */
#ifndef ML_HTTP_ENCODER_H
#define ML_HTTP_ENCODER_H

#include "http/coding.h"

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
