/*
 * Compression of WebSockets (http/ws_deflate.h, ws_extension.h). A message decompresses to the same
 * however it is cut and however little room there is; what is compressed comes back; an answer that
 * a server makes is one that a client reads. The first byte of the input says what is agreed on.
 */
#include "fuzz.h"

#include "base/check.h"
#include "http/ws_deflate.h"
#include "io/life.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 64 * 1024 };

static struct ml_io io;

struct outcome {
    char data[LIMIT];
    size_t size;
    int result;
};

static struct outcome whole, split;

static struct ml_ws_deflate *make(uint8_t choice, bool is_client)
{
    struct ml_ws_compression ours = {6, (uint8_t)(9 + choice % 7), (choice & 8) != 0, 0};
    uint8_t bits = (uint8_t)(8 + (choice >> 4) % 8);
    struct ml_ws_terms terms = {(choice & 8) != 0, (choice & 8) != 0, true, bits, bits};
    struct ml_ws_deflate *d;
    return ml_ws_deflate_new(&io, &ours, &terms, is_client, &d) == 0 ? d : NULL;
}

/* Feeds until the input is used up, `room` bytes of output at a time. */
static int drain(struct ml_ws_deflate *d, struct outcome *o, size_t room,
                 struct ml_ws_deflate_step *step, bool is_tail)
{
    char made[4096];
    int result = 0;
    do {
        step->out = made;
        step->out_size = room;
        result = is_tail ? ml_ws_deflate_feed_tail(d, step) : ml_ws_deflate_feed(d, step);
        size_t count = room - step->out_size;
        if (o->size + count > LIMIT)
            return -EMSGSIZE;
        memcpy(o->data + o->size, made, count);
        o->size += count;
    } while (result == 0 && (step->in_size > 0 || step->out_size == 0));
    return result;
}

static void inflate_message(struct ml_ws_deflate *d, struct outcome *o, const char *data,
                            size_t size, size_t piece, size_t room)
{
    o->size = 0;
    o->result = ml_ws_deflate_begin(d);
    for (size_t at = 0; at < size && o->result == 0; at += piece) {
        struct ml_ws_deflate_step step = {.in = data + at,
                                          .in_size = size - at < piece ? size - at : piece};
        o->result = drain(d, o, room, &step, false);
    }
    struct ml_ws_deflate_step step = {0};
    if (o->result == 0)
        o->result = drain(d, o, room, &step, true);
    if (o->result == 0)
        o->result = ml_ws_deflate_end(d);
}

/* zlib keeps a window only between two calls: within one it understands what reaches further back.
 */
static void check_cuts(uint8_t choice, const char *data, size_t size)
{
    for (size_t piece = 1; piece < 8; piece += 3) {
        struct ml_ws_deflate *a = make(choice, true), *b = make(choice, true);
        ML_CHECK(a != NULL && b != NULL);
        inflate_message(a, &whole, data, size, size + 1, 4096);
        inflate_message(b, &split, data, size, piece, piece * 5);
        ML_CHECK(whole.result == split.result || a->unpack_bits < ML_WS_WINDOW_MAX);
        if (whole.result == 0 && split.result == 0)
            ML_CHECK(whole.size == split.size && memcmp(whole.data, split.data, whole.size) == 0);
        ml_ws_deflate_free(a);
        ml_ws_deflate_free(b);
    }
}

/* Three messages, so that later ones refer to those before. */
static void check_round_trip(uint8_t choice, const char *data, size_t size)
{
    struct ml_ws_deflate *from = make(choice, false), *to = make(choice, true);
    char *packed = malloc(size + ML_WS_PACK_ROOM);
    ML_CHECK(from != NULL && to != NULL && packed != NULL);
    for (size_t i = 0; i < 3 && size > i; i++) {
        size_t count = ml_ws_deflate_pack(from, data, size - i, packed);
        ML_CHECK(count < size - i || count == 0);
        if (count == 0)
            continue;
        inflate_message(to, &whole, packed, count, 7, 4096);
        ML_CHECK(whole.result == 0 && whole.size == size - i);
        ML_CHECK(memcmp(whole.data, data, whole.size) == 0);
    }
    free(packed);
    ml_ws_deflate_free(from);
    ml_ws_deflate_free(to);
}

static void check_field(uint8_t choice, const char *data, size_t size)
{
    struct ml_ws_compression ours = {6, (uint8_t)(9 + choice % 7), (choice & 8) != 0, 0};
    struct ml_ws_terms terms, again;
    char text[ML_WS_TERMS_SIZE], twice[ML_WS_TERMS_SIZE];
    if (ml_ws_accept_offer(&ours, data, size, &terms) == 1) {
        size_t length = ml_ws_write_terms(text, &terms);
        ML_CHECK(length < sizeof text && ml_ws_read_terms(text, length, &again) == 0);
        ML_CHECK(ml_ws_write_terms(twice, &again) == length && memcmp(text, twice, length) == 0);
    }
    if (ml_ws_read_answer(&ours, data, size, &terms) == 0)
        ML_CHECK(terms.client_bits <= ours.window_bits || ours.window_bits == ML_WS_WINDOW_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2 || size > LIMIT)
        return 0;
    /* A copy of exactly that size: a byte too far is seen. */
    char *data = malloc(size - 1);
    ML_CHECK(data != NULL);
    memcpy(data, bytes + 1, size - 1);
    check_cuts(bytes[0], data, size - 1);
    check_round_trip(bytes[0], data, size - 1);
    check_field(bytes[0], data, size - 1);
    free(data);
    return 0;
}
