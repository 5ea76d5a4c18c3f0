#include "http/decoder.h"

#include "base/error.h"
#include "http/codecs.h"

#include <stdlib.h>

/* Windows of the format's largest size, and zlib's mark for what is around the data. */
enum { WINDOW_BITS = 15, GZIP = 16 };

/* The window that RFC 8878 asks every reader of zstd over HTTP to have. */
enum { ZSTD_WINDOW_LOG = 23 };

/* Results of a library's call: it goes on, and may want more input; or a member has ended. */
enum { GOES_ON, HAS_ENDED };

struct decoder_kind {
    int (*begin)(struct ml_io *io, struct ml_decoder *d);
    /* One call of the library. GOES_ON, HAS_ENDED, or an error. */
    int (*run)(struct ml_decoder *d, struct ml_coding_step *step);
    /* Prepares for another member. 0 or an error. NULL: no member may follow. */
    int (*restart)(struct ml_decoder *d);
    void (*end)(struct ml_decoder *d);
};

struct ml_decoder {
    const struct decoder_kind *kind;
    uint64_t left;     /* bytes of output that the limit still allows */
    bool is_in_member; /* a member has begun and has not ended */
    bool has_member;   /* at least one member was complete */
    bool is_begun;     /* the state below must be ended */
    const void *library;
    void *state; /* of brotli or zstd */
    z_stream zlib;
    bool knows_format;      /* deflate: the first two bytes have shown the format */
    unsigned char first[4]; /* deflate: the bytes kept until then; zstd: a frame's magic number */
    unsigned first_count;
};

static int begin_inflate(struct ml_io *io, struct ml_decoder *d, int window_bits)
{
    const struct ml_zlib *z = ml_codecs_zlib(io);
    if (z == NULL)
        return -EOPNOTSUPP;
    d->library = z;
    d->is_begun = ml_zlib_begin_inflate(z, &d->zlib, window_bits) == Z_OK;
    return d->is_begun ? 0 : -ENOMEM;
}

static void end_inflate(struct ml_decoder *d)
{
    ((const struct ml_zlib *)d->library)->inflateEnd(&d->zlib);
}

static int inflate_step(struct ml_decoder *d, struct ml_coding_step *step)
{
    const struct ml_zlib *z = d->library;
    uInt in_size = ml_zlib_size(step->in_size), out_size = ml_zlib_size(step->out_size);
    d->zlib.next_in = (Bytef *)step->in;
    d->zlib.avail_in = in_size;
    d->zlib.next_out = (Bytef *)step->out;
    d->zlib.avail_out = out_size;
    int result = z->inflate(&d->zlib, Z_NO_FLUSH);
    step->in += in_size - d->zlib.avail_in;
    step->in_size -= in_size - d->zlib.avail_in;
    step->out += out_size - d->zlib.avail_out;
    step->out_size -= out_size - d->zlib.avail_out;
    if (result == Z_STREAM_END)
        return HAS_ENDED;
    if (result == Z_OK || result == Z_BUF_ERROR)
        return GOES_ON;
    return result == Z_MEM_ERROR ? -ENOMEM : -EPROTO;
}

static int begin_gzip(struct ml_io *io, struct ml_decoder *d)
{
    return begin_inflate(io, d, WINDOW_BITS + GZIP);
}

static int restart_gzip(struct ml_decoder *d)
{
    const struct ml_zlib *z = d->library;
    return z->inflateReset(&d->zlib) == Z_OK ? 0 : -EPROTO;
}

/* "deflate" is zlib's format (RFC 1950), but some senders send the bare data (RFC 1951). The first
 * two bytes decide, so nothing begins before they have come. */
static int begin_deflate(struct ml_io *io, struct ml_decoder *d)
{
    const struct ml_zlib *z = ml_codecs_zlib(io);
    d->library = z;
    return z != NULL ? 0 : -EOPNOTSUPP;
}

static bool has_zlib_header(const unsigned char first[2])
{
    return (first[0] & 15) == Z_DEFLATED && (first[0] >> 4) <= WINDOW_BITS - 8 &&
           (first[0] << 8 | first[1]) % 31 == 0;
}

static int find_format(struct ml_decoder *d)
{
    int bits = has_zlib_header(d->first) ? WINDOW_BITS : -WINDOW_BITS;
    d->is_begun = ml_zlib_begin_inflate(d->library, &d->zlib, bits) == Z_OK;
    d->knows_format = d->is_begun;
    if (!d->is_begun)
        return -ENOMEM;
    char none;
    struct ml_coding_step step = {(const char *)d->first, 2, &none, 0};
    int result = inflate_step(d, &step);
    /* Raw data may end within these two bytes ("\3\0"). Bytes after that end are garbage. */
    return result >= 0 && step.in_size > 0 ? -EPROTO : result;
}

static int run_deflate(struct ml_decoder *d, struct ml_coding_step *step)
{
    while (d->first_count < 2 && step->in_size > 0) {
        d->first[d->first_count++] = (unsigned char)*step->in++;
        step->in_size--;
    }
    if (d->first_count < 2)
        return GOES_ON;
    if (!d->knows_format) {
        int result = find_format(d);
        if (result != GOES_ON)
            return result;
    }
    return inflate_step(d, step);
}

static int begin_br(struct ml_io *io, struct ml_decoder *d)
{
    const struct ml_brotli_decoder *b = ml_codecs_brotli_decoder(io);
    if (b == NULL)
        return -EOPNOTSUPP;
    d->library = b;
    d->state = b->create(NULL, NULL, NULL);
    d->is_begun = d->state != NULL;
    return d->is_begun ? 0 : -ENOMEM;
}

static int brotli_error(const struct ml_decoder *d)
{
    const struct ml_brotli_decoder *b = d->library;
    int error = b->error(d->state);
    bool lacks_memory =
        error >= ML_BROTLI_FIRST_ALLOCATION_ERROR && error <= ML_BROTLI_LAST_ALLOCATION_ERROR;
    return lacks_memory ? -ENOMEM : -EPROTO;
}

static int run_br(struct ml_decoder *d, struct ml_coding_step *step)
{
    const struct ml_brotli_decoder *b = d->library;
    int result = b->decompress(d->state, &step->in_size, (const uint8_t **)&step->in,
                               &step->out_size, (uint8_t **)&step->out, NULL);
    if (result == ML_BROTLI_ERROR)
        return brotli_error(d);
    return result == ML_BROTLI_SUCCESS ? HAS_ENDED : GOES_ON;
}

static void end_br(struct ml_decoder *d)
{
    ((const struct ml_brotli_decoder *)d->library)->destroy(d->state);
}

static int begin_zstd(struct ml_io *io, struct ml_decoder *d)
{
    const struct ml_zstd *z = ml_codecs_zstd(io);
    if (z == NULL)
        return -EOPNOTSUPP;
    d->library = z;
    d->state = z->create();
    d->is_begun = d->state != NULL;
    if (d->is_begun)
        z->set(d->state, ML_ZSTD_WINDOW_LOG_MAX, ZSTD_WINDOW_LOG);
    return d->is_begun ? 0 : -ENOMEM;
}

/* Whether the first bytes may begin a frame of RFC 8878: one of data, or one to skip. The
 * library would also accept the formats before version 0.8, whose output depends on how the
 * input is cut. */
static bool may_begin_zstd(const unsigned char *first, unsigned count)
{
    static const unsigned char data[4] = {0x28, 0xb5, 0x2f, 0xfd}, skip[4] = {0, 0x2a, 0x4d, 0x18};
    bool is_to_skip = (first[0] & 0xf0) == 0x50;
    bool begins = is_to_skip || first[0] == data[0];
    for (unsigned i = 1; i < count; i++)
        begins = begins && first[i] == (is_to_skip ? skip[i] : data[i]);
    return begins;
}

static int run_zstd(struct ml_decoder *d, struct ml_coding_step *step)
{
    for (size_t i = 0; i < step->in_size && d->first_count < 4; i++)
        d->first[d->first_count++] = (unsigned char)step->in[i];
    if (d->first_count > 0 && !may_begin_zstd(d->first, d->first_count))
        return -EPROTO;
    const struct ml_zstd *z = d->library;
    struct ml_zstd_in in = {step->in, step->in_size, 0};
    struct ml_zstd_out out = {step->out, step->out_size, 0};
    size_t result = z->decompress(d->state, &out, &in);
    if (z->is_error(result))
        return z->error(result) == ML_ZSTD_NO_MEMORY ? -ENOMEM : -EPROTO;
    step->in += in.at;
    step->in_size -= in.at;
    step->out += out.at;
    step->out_size -= out.at;
    return result == 0 ? HAS_ENDED : GOES_ON;
}

/* zstd begins the next frame without help. */
static int restart_zstd(struct ml_decoder *d)
{
    d->first_count = 0;
    return 0;
}

static void end_zstd(struct ml_decoder *d)
{
    ((const struct ml_zstd *)d->library)->destroy(d->state);
}

static const struct decoder_kind decoders[] = {
    [ML_CODING_GZIP] = {begin_gzip, inflate_step, restart_gzip, end_inflate},
    [ML_CODING_DEFLATE] = {begin_deflate, run_deflate, NULL, end_inflate},
    [ML_CODING_BR] = {begin_br, run_br, NULL, end_br},
    [ML_CODING_ZSTD] = {begin_zstd, run_zstd, restart_zstd, end_zstd},
};

int ml_decoder_new(struct ml_io *io, enum ml_coding coding, uint64_t limit,
                   struct ml_decoder **decoder)
{
    *decoder = NULL;
    if (coding == ML_CODING_IDENTITY || coding >= ML_CODING_UNKNOWN)
        return -EOPNOTSUPP;
    struct ml_decoder *d = calloc(1, sizeof *d);
    if (d == NULL)
        return -ENOMEM;
    d->kind = &decoders[coding];
    d->left = limit;
    int result = d->kind->begin(io, d);
    if (result == 0)
        *decoder = d;
    else
        ml_decoder_free(d);
    return result;
}

void ml_decoder_free(struct ml_decoder *d)
{
    if (d == NULL)
        return;
    if (d->is_begun)
        d->kind->end(d);
    free(d);
}

/* Lets the library write to part of the output. At the limit it gets one byte of our own instead:
 * if it fills that, there is more output than the limit allows. *moved: whether the call used input
 * or made output. */
static int run_within_limit(struct ml_decoder *d, struct ml_coding_step *step, bool *moved)
{
    char beyond;
    bool is_probe = d->left == 0;
    size_t room = step->out_size < d->left ? step->out_size : (size_t)d->left;
    struct ml_coding_step part = {step->in, step->in_size, step->out, room};
    if (is_probe) {
        part.out = &beyond;
        part.out_size = 1;
    }
    size_t size = part.out_size;
    int result = d->kind->run(d, &part);
    size_t made = size - part.out_size;
    *moved = made > 0 || part.in_size != step->in_size;
    step->in = part.in;
    step->in_size = part.in_size;
    if (is_probe)
        return made > 0 ? -EMSGSIZE : result;
    step->out += made;
    step->out_size -= made;
    d->left -= made;
    return result;
}

/* Called for input after the end of a member. */
static int begin_member(struct ml_decoder *d)
{
    int result = 0;
    if (d->has_member)
        result = d->kind->restart != NULL ? d->kind->restart(d) : -EPROTO;
    d->is_in_member = result == 0;
    return result;
}

int ml_decoder_feed(struct ml_decoder *d, struct ml_coding_step *step)
{
    int result = GOES_ON;
    bool moved = true;
    while (result >= 0 && moved && (d->is_in_member || step->in_size > 0)) {
        if (step->out_size == 0)
            return 1;
        if (!d->is_in_member)
            result = begin_member(d);
        if (result >= 0)
            result = run_within_limit(d, step, &moved);
        if (result == HAS_ENDED) {
            d->is_in_member = false;
            d->has_member = true;
        }
    }
    /* If the library takes none of the input now, another call will not help. */
    return result >= 0 && step->in_size > 0 ? -EPROTO : result < 0 ? result : 0;
}

int ml_decoder_finish(const struct ml_decoder *d)
{
    return d->has_member && !d->is_in_member ? 0 : -ML_EEOF;
}
