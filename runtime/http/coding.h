/* Content codings: their names, and which of them an installed library knows. */
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

#endif
