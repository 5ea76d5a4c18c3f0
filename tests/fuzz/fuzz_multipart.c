/*
 * The reader of multipart bodies (http/multipart.h): the same parts, data and end or error come out
 * wherever the bytes are cut, and all that it points at lies in them.
 */
#include "fuzz.h"

#include "base/check.h"
#include "http/multipart.h"

#include <stdlib.h>
#include <string.h>

enum { PARTS = 5, CUTS = 300 };

/* What came out: fields and data with marks between them. */
struct outcome {
    char *text;
    size_t size, room;
    int last; /* event or error */
};

static void note(struct outcome *out, const char *text, size_t size)
{
    ML_CHECK(out->room - out->size >= size);
    memcpy(out->text + out->size, text, size);
    out->size += size;
}

static void note_slice(struct outcome *out, const char *bytes, size_t there,
                       struct ml_http_slice slice)
{
    ML_CHECK(slice.at <= there && slice.size <= there - slice.at);
    note(out, bytes + slice.at, slice.size);
}

static void note_event(struct outcome *out, const struct ml_multipart *m, int event,
                       const char *bytes, size_t there)
{
    if (event == ML_MULTIPART_PART) {
        note(out, "[", 1);
        for (int i = 0; i < m->head.field_count; i++) {
            note_slice(out, m->head.bytes, there, m->fields[i].name);
            note_slice(out, m->head.bytes, there, m->fields[i].value);
        }
        note(out, "|", 1);
    } else if (event == ML_MULTIPART_DATA) {
        ML_CHECK(m->data.size > 0);
        note_slice(out, bytes, there, m->data);
    } else
        note(out, event == ML_MULTIPART_PART_END ? "]" : ".", 1);
}

/* One call with a copy of exactly the bytes that are there. */
static int step(struct outcome *out, struct ml_multipart *m, const char *bytes, size_t there,
                size_t *taken)
{
    char *copy = malloc(there + (there == 0));
    ML_CHECK(copy != NULL);
    memcpy(copy, bytes, there);
    int event = ml_multipart_next(m, copy, there, taken);
    ML_CHECK(event < 0 || *taken <= there);
    if (event > 0)
        note_event(out, m, event, copy, there);
    free(copy);
    return event;
}

/* First `first` bytes, then `more` more each time that more are asked for. */
static struct outcome read_all(const char *bytes, size_t size, size_t first, size_t more)
{
    struct outcome out = {.text = malloc(4 * size + 64), .room = 4 * size + 64};
    struct ml_multipart m;
    size_t from = 0, there = first < size ? first : size, taken;
    ML_CHECK(out.text != NULL && ml_multipart_begin(&m, "b", 1, PARTS));
    for (;;) {
        out.last = step(&out, &m, bytes + from, there - from, &taken);
        if (out.last < 0 || out.last == ML_MULTIPART_END)
            break;
        from += taken;
        if (out.last == ML_MULTIPART_MORE && there == size)
            break;
        if (out.last == ML_MULTIPART_MORE)
            there = size - there < more ? size : there + more;
    }
    return out;
}

static void check(const struct outcome *whole, const char *bytes, size_t size, size_t first,
                  size_t more)
{
    struct outcome cut = read_all(bytes, size, first, more);
    ML_CHECK(cut.last == whole->last && cut.size == whole->size);
    ML_CHECK(memcmp(cut.text, whole->text, whole->size) == 0);
    free(cut.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    struct outcome whole = read_all(bytes, size, size, 1);
    for (size_t more = 1; more <= 3; more++)
        check(&whole, bytes, size, more, more);
    for (size_t first = 1; first < size && first < CUTS; first++)
        check(&whole, bytes, size, first, size);
    free(whole.text);
    return 0;
}
