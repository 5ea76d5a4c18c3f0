/*
 * What the connections of a load send and want back: different from one connection, and one batch,
 * to the next. Knows nothing of sockets.
 */
#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>

struct traffic {
    size_t request_bytes, answer_bytes; /* of a batch */
    /* A batch begins at one of `shifts` places in the pattern, a unit apart: a byte, or a line. */
    size_t shifts, unit, answer_unit;
    char *requests, *answers;
};

/*
 * Messages of `size` bytes, `count` to a batch, that come back as they are; or, with `lines`, lines
 * of `size` bytes with their end that come back with a "+" before each.
 */
void traffic_init(struct traffic *traffic, size_t size, size_t count, bool lines);

/* The same messages as masked frames of a WebSocket's client, and those of its server. */
void traffic_init_frames(struct traffic *traffic, size_t size, size_t count);

/* What a connection sends in its batch, and what it wants back. */
const char *traffic_request(const struct traffic *traffic, size_t connection, size_t batch);
const char *traffic_answer(const struct traffic *traffic, size_t connection, size_t batch);

/* How much of the answer may be there once `sent` bytes of the request are out. */
size_t traffic_answerable(const struct traffic *traffic, size_t sent);

#endif
