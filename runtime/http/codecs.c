#include "http/codecs.h"

#include "io/io.h"

#include <dlfcn.h>
#include <stdlib.h>

struct ml_codecs *ml_codecs_get(struct ml_io *io)
{
    if (io->codecs == NULL)
        io->codecs = calloc(1, sizeof *io->codecs);
    return io->codecs;
}

/* Keeps the library if its functions were found, and closes it otherwise. */
static bool keep(void **library, bool has_all)
{
    if (!has_all) {
        dlclose(*library);
        *library = NULL;
    }
    return has_all;
}

static bool open_library(void **library, const char *name)
{
    *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    return *library != NULL;
}

#define FIND(table, member, name)                                                                  \
    (((table)->member = (__typeof__((table)->member))dlsym((table)->library, name)) != NULL)

static bool load_brotli_decoder(struct ml_brotli_decoder *b)
{
    return open_library(&b->library, "libbrotlidec.so.1") &&
           keep(&b->library, FIND(b, create, "BrotliDecoderCreateInstance") &&
                                 FIND(b, decompress, "BrotliDecoderDecompressStream") &&
                                 FIND(b, error, "BrotliDecoderGetErrorCode") &&
                                 FIND(b, destroy, "BrotliDecoderDestroyInstance"));
}

static bool load_brotli_encoder(struct ml_brotli_encoder *b)
{
    return open_library(&b->library, "libbrotlienc.so.1") &&
           keep(&b->library, FIND(b, create, "BrotliEncoderCreateInstance") &&
                                 FIND(b, set, "BrotliEncoderSetParameter") &&
                                 FIND(b, compress, "BrotliEncoderCompressStream") &&
                                 FIND(b, has_more, "BrotliEncoderHasMoreOutput") &&
                                 FIND(b, is_finished, "BrotliEncoderIsFinished") &&
                                 FIND(b, destroy, "BrotliEncoderDestroyInstance"));
}

static bool load_zstd(struct ml_zstd *z)
{
    return open_library(&z->library, "libzstd.so.1") &&
           keep(&z->library,
                FIND(z, create, "ZSTD_createDCtx") && FIND(z, set, "ZSTD_DCtx_setParameter") &&
                    FIND(z, decompress, "ZSTD_decompressStream") &&
                    FIND(z, is_error, "ZSTD_isError") && FIND(z, error, "ZSTD_getErrorCode") &&
                    FIND(z, destroy, "ZSTD_freeDCtx"));
}

const struct ml_zlib *ml_codecs_zlib(struct ml_io *io)
{
    struct ml_codecs *c = ml_codecs_get(io);
    bool is_there = c != NULL && (c->zlib.library != NULL || ml_zlib_load(&c->zlib));
    return is_there ? &c->zlib : NULL;
}

const struct ml_brotli_decoder *ml_codecs_brotli_decoder(struct ml_io *io)
{
    struct ml_codecs *c = ml_codecs_get(io);
    bool is_there =
        c != NULL && (c->brotli_decoder.library != NULL || load_brotli_decoder(&c->brotli_decoder));
    return is_there ? &c->brotli_decoder : NULL;
}

const struct ml_brotli_encoder *ml_codecs_brotli_encoder(struct ml_io *io)
{
    struct ml_codecs *c = ml_codecs_get(io);
    bool is_there =
        c != NULL && (c->brotli_encoder.library != NULL || load_brotli_encoder(&c->brotli_encoder));
    return is_there ? &c->brotli_encoder : NULL;
}

const struct ml_zstd *ml_codecs_zstd(struct ml_io *io)
{
    struct ml_codecs *c = ml_codecs_get(io);
    bool is_there = c != NULL && (c->zstd.library != NULL || load_zstd(&c->zstd));
    return is_there ? &c->zstd : NULL;
}
