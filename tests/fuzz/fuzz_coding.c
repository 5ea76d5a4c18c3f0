/*
 * The decoders of content codings: where the input is split, and how much room each call has, must
 * make no difference; nothing passes the limit. The first byte of the input says which coding, the
 * second how it is split.
 */
#include "fuzz.h"

#include "base/check.h"
#include "http/coding.h"
#include "http/decoder.h"
#include "io/life.h"

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

static void decode(struct outcome *o, enum ml_coding coding, const char *data, size_t size,
                   size_t in, size_t out)
{
    struct ml_decoder *d;
    o->size = 0;
    o->result = ml_decoder_new(&io, coding, LIMIT, &d);
    while (o->result >= 0 && size > 0) {
        struct ml_coding_step step = {data, size < in ? size : in, NULL, 0};
        do {
            char made[4096];
            step.out = made;
            step.out_size = out;
            o->result = ml_decoder_feed(d, &step);
            ML_CHECK(o->size + (out - step.out_size) <= LIMIT);
            memcpy(o->data + o->size, made, out - step.out_size);
            o->size += out - step.out_size;
        } while (o->result == 1);
        size -= (size_t)(step.in - data);
        data = step.in;
    }
    if (o->result >= 0)
        o->result = ml_decoder_finish(d);
    ml_decoder_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum ml_coding coding = (enum ml_coding)(ML_CODING_GZIP + data[0] % 4);
    const char *rest = (const char *)data + 2;
    if (!ml_coding_can_decode(&io, coding))
        return 0;
    decode(&whole, coding, rest, size - 2, size, 4096);
    decode(&split, coding, rest, size - 2, 1 + data[1] % 16, 1 + data[1] / 16);
    ML_CHECK(whole.result == split.result);
    ML_CHECK(whole.result < 0 || whole.size == split.size);
    size_t common = whole.size < split.size ? whole.size : split.size;
    ML_CHECK(memcmp(whole.data, split.data, common) == 0);
    return 0;
}
