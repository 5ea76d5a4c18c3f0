/*
 * The libraries for content codings that a runtime has loaded: zlib (http/zlib.h), and brotli and
 * zstd where they are installed. Those two are used without their headers: the few functions needed
 * are declared here. Knows nothing of streams or HTTP.
 */
#ifndef ML_HTTP_CODECS_H
#define ML_HTTP_CODECS_H

#include "http/zlib.h"

#include <stddef.h>
#include <stdint.h>

/* Results of BrotliDecoderDecompressStream(). */
enum ml_brotli_result {
    ML_BROTLI_ERROR,
    ML_BROTLI_SUCCESS,
    ML_BROTLI_NEEDS_INPUT,
    ML_BROTLI_NEEDS_OUTPUT,
};

/* Errors of BrotliDecoderGetErrorCode() that mean lack of memory: the first and the last of their
 * range. */
enum { ML_BROTLI_FIRST_ALLOCATION_ERROR = -30, ML_BROTLI_LAST_ALLOCATION_ERROR = -21 };

struct ml_brotli_decoder {
    void *library;
    void *(*create)(void *allocate, void *release, void *opaque);
    int (*decompress)(void *state, size_t *in_size, const uint8_t **in, size_t *out_size,
                      uint8_t **out, size_t *total);
    int (*error)(const void *state);
    void (*destroy)(void *state);
};

/* Operations of BrotliEncoderCompressStream(), and parameters of BrotliEncoderSetParameter(). */
enum { ML_BROTLI_PROCESS, ML_BROTLI_FLUSH, ML_BROTLI_FINISH };
enum { ML_BROTLI_QUALITY = 1, ML_BROTLI_WINDOW = 2 };

struct ml_brotli_encoder {
    void *library;
    void *(*create)(void *allocate, void *release, void *opaque);
    int (*set)(void *state, int parameter, uint32_t value);
    int (*compress)(void *state, int operation, size_t *in_size, const uint8_t **in,
                    size_t *out_size, uint8_t **out, size_t *total);
    int (*has_more)(void *state);
    int (*is_finished)(void *state);
    void (*destroy)(void *state);
};

/* ZSTD_inBuffer and ZSTD_outBuffer. */
struct ml_zstd_in {
    const void *data;
    size_t size, at;
};
struct ml_zstd_out {
    void *data;
    size_t size, at;
};

enum { ML_ZSTD_WINDOW_LOG_MAX = 100, ML_ZSTD_NO_MEMORY = 64 };

struct ml_zstd {
    void *library;
    void *(*create)(void);
    size_t (*set)(void *state, int parameter, int value);
    size_t (*decompress)(void *state, struct ml_zstd_out *out, struct ml_zstd_in *in);
    unsigned (*is_error)(size_t result);
    int (*error)(size_t result);
    size_t (*destroy)(void *state);
};

struct ml_io;

struct ml_codecs {
    struct ml_zlib zlib;
    struct ml_brotli_decoder brotli_decoder;
    struct ml_brotli_encoder brotli_encoder;
    struct ml_zstd zstd;
};

/* The tables of a runtime, at first all unloaded. The end of the runtime frees them; the libraries
 * stay in the process. NULL: no memory. */
struct ml_codecs *ml_codecs_get(struct ml_io *io);

/* The table of each library, loaded at the first call. NULL: the library is not installed, or there
 * is no memory. */
const struct ml_zlib *ml_codecs_zlib(struct ml_io *io);
const struct ml_brotli_decoder *ml_codecs_brotli_decoder(struct ml_io *io);
const struct ml_brotli_encoder *ml_codecs_brotli_encoder(struct ml_io *io);
const struct ml_zstd *ml_codecs_zstd(struct ml_io *io);

#endif
