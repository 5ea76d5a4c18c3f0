#include "http/ws_deflate.h"

#include "http/codecs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The end of an empty block, which fills the output up to a whole byte (RFC 7692, 7.2). */
static const char tail[] = {0, 0, (char)0xFF, (char)0xFF};

/* A bit of zlib's data_type after inflate(): its place is between two blocks. */
enum { BETWEEN_BLOCKS = 128 };

static uint8_t bits_or_all(uint8_t bits)
{
    return bits != 0 ? bits : ML_WS_WINDOW_MAX;
}

static uint8_t least(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

int ml_ws_deflate_new(struct ml_io *io, const struct ml_ws_compression *ours,
                      const struct ml_ws_terms *terms, bool is_client,
                      struct ml_ws_deflate **deflate)
{
    const struct ml_zlib *zlib = ml_codecs_zlib(io);
    struct ml_ws_deflate *d = zlib != NULL ? calloc(1, sizeof *d) : NULL;
    *deflate = d;
    if (d == NULL)
        return zlib != NULL ? -ENOMEM : -EOPNOTSUPP;
    uint8_t client_bits = bits_or_all(terms->client_bits);
    uint8_t server_bits = bits_or_all(terms->server_bits);
    d->zlib = zlib;
    d->level = ours->level;
    d->min_size = ours->min_size;
    d->pack_bits = least(is_client ? client_bits : server_bits, ours->window_bits);
    d->unpack_bits = is_client ? server_bits : client_bits;
    d->packer_rests = is_client ? terms->client_no_takeover : terms->server_no_takeover;
    d->unpacker_rests = is_client ? terms->server_no_takeover : terms->client_no_takeover;
    return 0;
}

void ml_ws_deflate_free(struct ml_ws_deflate *d)
{
    if (d == NULL)
        return;
    ml_ws_deflate_stop(d);
    free(d);
}

/* ---- compressing ---- */

static void end_packer(struct ml_ws_deflate *d)
{
    if (d->has_packer)
        d->zlib->deflateEnd(&d->packer);
    d->has_packer = d->was_used = false;
}

/* Takes memory in proportion to the window: twice its size for the hash, and as much for output. */
static bool begin_packer(struct ml_ws_deflate *d)
{
    int memory_level = d->pack_bits - 7;
    if (!d->has_packer)
        d->has_packer = ml_zlib_begin_deflate(d->zlib, &d->packer, d->level, -d->pack_bits,
                                              memory_level) == Z_OK;
    return d->has_packer;
}

/* Compresses a message. Returns the size without the tail; 0: the message did not become
 * smaller. */
static size_t run_packer(struct ml_ws_deflate *d, const char *data, size_t size, char *out)
{
    z_stream *z = &d->packer;
    z->next_in = (Bytef *)data;
    z->avail_in = (uInt)size;
    z->next_out = (Bytef *)out;
    z->avail_out = (uInt)(size + ML_WS_PACK_ROOM);
    int result = d->zlib->deflate(z, Z_SYNC_FLUSH);
    size_t packed = size + ML_WS_PACK_ROOM - z->avail_out;
    bool is_whole = result == Z_OK && z->avail_in == 0 && z->avail_out > 0;
    bool has_tail = is_whole && packed > sizeof tail &&
                    memcmp(out + packed - sizeof tail, tail, sizeof tail) == 0;
    return has_tail ? packed - sizeof tail : 0;
}

size_t ml_ws_deflate_pack(struct ml_ws_deflate *d, const char *data, size_t size, char *out)
{
    bool is_worth_it = size > 0 && size >= d->min_size && size < INT32_MAX;
    if (!is_worth_it || d->pack_bits == ML_WS_WINDOW_MIN || !begin_packer(d))
        return 0;
    size_t packed = run_packer(d, data, size, out);
    d->was_used = true;
    /* A message sent uncompressed does not enter the peer's window: so this window starts anew. */
    if (packed == 0 || d->packer_rests)
        end_packer(d);
    return packed;
}

/* ---- decompressing ---- */

static void end_unpacker(struct ml_ws_deflate *d)
{
    if (d->has_unpacker)
        d->zlib->inflateEnd(&d->unpacker);
    d->has_unpacker = false;
}

int ml_ws_deflate_begin(struct ml_ws_deflate *d)
{
    if (!d->has_unpacker) {
        memset(&d->unpacker, 0, sizeof d->unpacker);
        d->has_unpacker =
            ml_zlib_begin_inflate(d->zlib, &d->unpacker, -(int)d->unpack_bits) == Z_OK;
    }
    return d->has_unpacker ? 0 : -ENOMEM;
}

/* A block that is marked as the last one may be followed by others (RFC 7692, 7.2.3.4). */
static int result_of(struct ml_ws_deflate *d, int result)
{
    if (result == Z_STREAM_END)
        result = d->zlib->inflateReset(&d->unpacker);
    if (result == Z_OK || result == Z_BUF_ERROR)
        return 0;
    return result == Z_MEM_ERROR ? -ENOMEM : -EPROTO;
}

static uInt counted(size_t size)
{
    return size < INT32_MAX ? (uInt)size : INT32_MAX;
}

int ml_ws_deflate_feed(struct ml_ws_deflate *d, struct ml_ws_deflate_step *step)
{
    z_stream *z = &d->unpacker;
    uInt in_size = counted(step->in_size), out_size = counted(step->out_size);
    z->next_in = (Bytef *)step->in;
    z->avail_in = in_size;
    z->next_out = (Bytef *)step->out;
    z->avail_out = out_size;
    int result = result_of(d, d->zlib->inflate(z, Z_SYNC_FLUSH));
    step->in += in_size - z->avail_in;
    step->in_size -= in_size - z->avail_in;
    step->out += out_size - z->avail_out;
    step->out_size -= out_size - z->avail_out;
    return result;
}

int ml_ws_deflate_feed_tail(struct ml_ws_deflate *d, struct ml_ws_deflate_step *step)
{
    step->in = tail + d->tail_taken;
    step->in_size = sizeof tail - d->tail_taken;
    int result = ml_ws_deflate_feed(d, step);
    d->tail_taken = (uint8_t)(sizeof tail - step->in_size);
    return result;
}

int ml_ws_deflate_end(struct ml_ws_deflate *d)
{
    bool is_whole = (d->unpacker.data_type & BETWEEN_BLOCKS) != 0;
    d->tail_taken = 0;
    d->received = 0;
    if (d->unpacker_rests)
        end_unpacker(d);
    return is_whole ? 0 : -EPROTO;
}

void ml_ws_deflate_rest(struct ml_ws_deflate *d)
{
    if (!d->was_used)
        end_packer(d);
    d->was_used = false;
}

void ml_ws_deflate_stop(struct ml_ws_deflate *d)
{
    end_packer(d);
    end_unpacker(d);
}
