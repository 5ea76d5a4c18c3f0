#include "http/encoder.h"

#include "base/error.h"
#include "http/codecs.h"

#include <stdlib.h>

/* A window of the format's largest size, and zlib's mark for what is around the data. */
enum { WINDOW_BITS = 15, GZIP = 16 };

/* Compression fit for answers that are made on the fly. */
enum { GZIP_LEVEL = 6, BR_LEVEL = 4, BR_WINDOW_BITS = 18, DEFLATE_MEMORY_LEVEL = 8 };

struct ml_encoder {
    const struct ml_zlib *zlib; /* gzip; NULL: another coding */
    const struct ml_brotli_encoder *brotli;
    void *state; /* of brotli */
    z_stream stream;
};

static int begin_deflating(struct ml_io *io, struct ml_encoder *e, int level)
{
    const struct ml_zlib *z = ml_codecs_zlib(io);
    if (z == NULL)
        return -EOPNOTSUPP;
    int result = ml_zlib_begin_deflate(z, &e->stream, level < 0 ? GZIP_LEVEL : level,
                                       WINDOW_BITS + GZIP, DEFLATE_MEMORY_LEVEL);
    e->zlib = result == Z_OK ? z : NULL;
    return result == Z_OK ? 0 : -ENOMEM;
}

static int begin_brotli(struct ml_io *io, struct ml_encoder *e, int level)
{
    const struct ml_brotli_encoder *b = ml_codecs_brotli_encoder(io);
    if (b == NULL)
        return -EOPNOTSUPP;
    e->state = b->create(NULL, NULL, NULL);
    if (e->state == NULL)
        return -ENOMEM;
    e->brotli = b;
    b->set(e->state, ML_BROTLI_QUALITY, level < 0 ? BR_LEVEL : (uint32_t)level);
    b->set(e->state, ML_BROTLI_WINDOW, BR_WINDOW_BITS);
    return 0;
}

int ml_encoder_new(struct ml_io *io, enum ml_coding coding, int level, struct ml_encoder **encoder)
{
    int result = -EOPNOTSUPP;
    *encoder = NULL;
    struct ml_encoder *e = calloc(1, sizeof *e);
    if (e == NULL)
        return -ENOMEM;
    if (coding == ML_CODING_GZIP)
        result = begin_deflating(io, e, level);
    else if (coding == ML_CODING_BR)
        result = begin_brotli(io, e, level);
    if (result == 0)
        *encoder = e;
    else
        ml_encoder_free(e);
    return result;
}

void ml_encoder_free(struct ml_encoder *e)
{
    if (e == NULL)
        return;
    if (e->zlib != NULL)
        e->zlib->deflateEnd(&e->stream);
    if (e->brotli != NULL)
        e->brotli->destroy(e->state);
    free(e);
}

/* 0: done; 1: the output is full; or an error. */
static int deflate_step(struct ml_encoder *e, struct ml_coding_step *step, enum ml_coding_mode mode)
{
    static const int flushes[] = {
        [ML_CODING_MORE] = Z_NO_FLUSH,
        [ML_CODING_FLUSH] = Z_SYNC_FLUSH,
        [ML_CODING_END] = Z_FINISH,
    };
    uInt in_size = ml_zlib_size(step->in_size), out_size = ml_zlib_size(step->out_size);
    bool is_all = in_size == step->in_size;
    e->stream.next_in = (Bytef *)step->in;
    e->stream.avail_in = in_size;
    e->stream.next_out = (Bytef *)step->out;
    e->stream.avail_out = out_size;
    int result = e->zlib->deflate(&e->stream, is_all ? flushes[mode] : Z_NO_FLUSH);
    step->in += in_size - e->stream.avail_in;
    step->in_size -= in_size - e->stream.avail_in;
    step->out += out_size - e->stream.avail_out;
    step->out_size -= out_size - e->stream.avail_out;
    if (result == Z_STREAM_ERROR)
        return -EPROTO;
    if (step->out_size == 0)
        return result != Z_STREAM_END;
    return 0;
}

static int brotli_step(struct ml_encoder *e, struct ml_coding_step *step, enum ml_coding_mode mode)
{
    static const int operations[] = {
        [ML_CODING_MORE] = ML_BROTLI_PROCESS,
        [ML_CODING_FLUSH] = ML_BROTLI_FLUSH,
        [ML_CODING_END] = ML_BROTLI_FINISH,
    };
    const struct ml_brotli_encoder *b = e->brotli;
    bool is_over = mode == ML_CODING_END && b->is_finished(e->state);
    if (!is_over &&
        !b->compress(e->state, operations[mode], &step->in_size, (const uint8_t **)&step->in,
                     &step->out_size, (uint8_t **)&step->out, NULL))
        return -ENOMEM;
    return b->has_more(e->state);
}

int ml_encoder_feed(struct ml_encoder *e, struct ml_coding_step *step, enum ml_coding_mode mode)
{
    int result = 0;
    do {
        if (step->out_size == 0)
            return 1;
        result = e->zlib != NULL ? deflate_step(e, step, mode) : brotli_step(e, step, mode);
    } while (result == 0 && step->in_size > 0);
    return result;
}
