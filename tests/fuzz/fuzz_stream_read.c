/*
 * The readers of streams (io/stream.h) over a bad network in memory, beside a model that sees all
 * of the input at once: where it is split must make no difference. The input of the fuzzer is a
 * header, see struct plan, the reads to be done in turn, and the bytes to be read.
 */
#include "base/check.h"
#include "base/error.h"
#include "base/pool.h"
#include "hub/loop/life.h"
#include "hub/loop/run.h"
#include "hub/loop/simulation.h"
#include "hub/switch/switch.h"
#include "io/life.h"
#include "io/memory.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum read { LINE, UNTIL, EXACTLY, UP_TO, PEEK, SOME, TWO_LINES, READS };

struct plan {
    uint8_t chunk, capacity; /* of the network; 0: as good as can be */
    uint8_t latency;         /* milliseconds */
    uint8_t size;            /* bytes of a read, or the most of them, less one */
    uint8_t delimiter_length;
    uint8_t read_count;
    const uint8_t *delimiter, *reads;
    const char *content;
    size_t content_size;
};

/* Everything that a run touches; the hub serves all of them. */
static struct {
    struct ml_pool pool;
    struct ml_hub hub;
    struct ml_io io;
    struct ml_stream writer, reader;
    struct ml_task tasks[2];
    struct ml_strand bodies[2];
    struct plan plan;
    size_t at; /* what the model has read */
    bool is_open;
} run;

/* ---- the model ---- */

static const char *rest(void)
{
    return run.plan.content + run.at;
}

static size_t rest_size(void)
{
    return run.plan.content_size - run.at;
}

/* What reading up to a delimiter has to return; *found: bytes. */
static int expect_until(const void *delimiter, size_t length, size_t max, bool partial,
                        size_t *found)
{
    const char *place = rest_size() > 0 ? memmem(rest(), rest_size(), delimiter, length) : NULL;
    *found = place != NULL ? (size_t)(place - rest()) + length : rest_size();
    if (place != NULL)
        return *found > max ? -EMSGSIZE : 0;
    if (rest_size() >= max)
        return -EMSGSIZE;
    return rest_size() == 0 ? 1 : partial ? 0 : -ML_EEOF;
}

static int expect_exactly(size_t size, bool partial, size_t *found)
{
    *found = size < rest_size() ? size : rest_size();
    if (rest_size() >= size)
        return 0;
    return rest_size() == 0 ? 1 : partial ? 0 : -ML_EEOF;
}

static void check_piece(const struct ml_piece_of_input *piece, size_t size)
{
    ML_CHECK(piece->size == size && piece->taken == size);
    ML_CHECK(memcmp(piece->data, rest(), size) == 0);
}

/* ---- the reader ---- */

static void consume(size_t size)
{
    ml_stream_consume(&run.reader, size);
    run.at += size;
}

static int read_until(const void *delimiter, size_t length, bool partial,
                      struct ml_piece_of_input *piece)
{
    size_t found, max = (size_t)run.plan.size + 1;
    int expected = expect_until(delimiter, length, max, partial, &found);
    int result = ml_stream_read_until(&run.reader, delimiter, length, max, partial, piece);
    ML_CHECK(result == expected);
    if (result == 0)
        check_piece(piece, found);
    return result;
}

static int read_exactly(bool partial, bool peeks)
{
    struct ml_piece_of_input piece;
    size_t found, size = (size_t)run.plan.size + 1;
    int expected = expect_exactly(size, partial, &found);
    int result = ml_stream_read_exactly(&run.reader, size, partial, &piece);
    ML_CHECK(result == expected);
    if (result == 0) {
        check_piece(&piece, found);
        consume(peeks ? 0 : found);
    }
    return result == 0 && peeks ? -EAGAIN : result;
}

static int read_some(void)
{
    struct ml_piece_of_input piece;
    int result = ml_stream_read_some(&run.reader, (size_t)run.plan.size + 1, &piece);
    ML_CHECK(result == (rest_size() == 0));
    if (result == 0) {
        ML_CHECK(piece.size > 0 && piece.size <= (size_t)run.plan.size + 1 &&
                 piece.size <= rest_size());
        check_piece(&piece, piece.size);
        consume(piece.size);
    }
    return result;
}

static int read_line(void)
{
    struct ml_piece_of_input piece;
    int result = read_until("\n", 1, true, &piece);
    if (result == 0)
        consume(piece.taken);
    return result;
}

/* Two lines as one read: if the second fails, the first stays, too. */
static int read_two_lines(void)
{
    struct ml_piece_of_input first, second;
    int result = read_until("\n", 1, true, &first);
    if (result != 0)
        return result;
    size_t size = first.taken;
    ml_stream_hold(&run.reader, size);
    run.at += size;
    result = read_until("\n", 1, true, &second);
    if (result == 0) {
        ml_stream_consume(&run.reader, second.taken);
        run.at += second.taken;
    } else {
        ml_stream_unhold(&run.reader);
        run.at -= size;
    }
    return result == 1 ? -EAGAIN : result;
}

static int perform(enum read read)
{
    struct ml_piece_of_input piece;
    int result = 0;
    switch (read) {
    case LINE:
        return read_line();
    case UNTIL:
        result = read_until(run.plan.delimiter, run.plan.delimiter_length, false, &piece);
        if (result == 0)
            consume(piece.taken);
        return result;
    case EXACTLY:
        return read_exactly(false, false);
    case UP_TO:
        return read_exactly(true, false);
    case PEEK:
        return read_exactly(true, true);
    case SOME:
        return read_some();
    case TWO_LINES:
        return read_two_lines();
    case READS:
        break;
    }
    return result;
}

/* After a read that took nothing: one byte, so that there is an end. */
static void skip_byte(void)
{
    struct ml_piece_of_input piece;
    ML_CHECK(ml_stream_read_exactly(&run.reader, 1, false, &piece) == 0);
    check_piece(&piece, 1);
    consume(1);
}

static void read_all(void)
{
    int result = 0;
    for (size_t i = 0; result != 1; i++) {
        uint8_t read = run.plan.read_count > 0 ? run.plan.reads[i % run.plan.read_count] : LINE;
        result = perform(read % READS);
        if (result < 0)
            skip_byte();
        ML_CHECK(run.reader.held == 0 && !run.reader.is_reading);
    }
    ML_CHECK(rest_size() == 0 && run.reader.in.memory == NULL);
    ml_stream_close(&run.reader);
}

/* ---- the writer, and the run ---- */

static void write_all(void)
{
    size_t sent;
    struct iovec piece = {.iov_base = (void *)run.plan.content, .iov_len = run.plan.content_size};
    ML_CHECK(ml_stream_write(&run.writer, &piece, 1, &sent) == 0 && sent == run.plan.content_size);
    ml_stream_close(&run.writer);
}

static void run_task(struct ml_task *task)
{
    if (task == &run.tasks[0])
        write_all();
    else
        read_all();
}

static uint8_t next_byte(const uint8_t **data, size_t *size)
{
    if (*size == 0)
        return 0;
    --*size;
    return *(*data)++;
}

/* At most `length` bytes. */
static const uint8_t *next_bytes(const uint8_t **data, size_t *size, uint8_t *length)
{
    const uint8_t *bytes = *data;
    if (*length > *size)
        *length = (uint8_t)*size;
    *data += *length;
    *size -= *length;
    return bytes;
}

static void read_plan(const uint8_t *data, size_t size)
{
    static const uint8_t default_delimiter[] = "\r\n";
    struct plan *plan = &run.plan;
    plan->chunk = next_byte(&data, &size);
    plan->capacity = next_byte(&data, &size);
    plan->latency = next_byte(&data, &size) % 4;
    plan->size = next_byte(&data, &size);
    plan->delimiter_length = next_byte(&data, &size) % 5;
    plan->read_count = next_byte(&data, &size) % 16;
    plan->delimiter = next_bytes(&data, &size, &plan->delimiter_length);
    if (plan->delimiter_length == 0) {
        plan->delimiter = default_delimiter;
        plan->delimiter_length = 2;
    }
    plan->reads = next_bytes(&data, &size, &plan->read_count);
    plan->content = (const char *)data;
    plan->content_size = size;
    run.at = 0;
}

static void open_run(void)
{
    ml_pool_init(&run.pool);
    ML_CHECK(ml_hub_init(&run.hub, &run.pool, 2, 256 * 1024) == 0);
    run.hub.hooks.body = run_task;
    ml_io_init(&run.io, &run.hub);
    ml_simulation_set_clock(&run.hub, true);
    run.is_open = true;
}

static void open_streams(void)
{
    struct ml_memory_options way = ML_MEMORY_DEFAULTS;
    if (run.plan.chunk > 0)
        way.chunk = run.plan.chunk;
    if (run.plan.capacity > 0)
        way.capacity = run.plan.capacity;
    way.latency = run.plan.latency * ML_MILLISECOND;
    ml_stream_init(&run.writer, &run.io);
    ml_stream_init(&run.reader, &run.io);
    ML_CHECK(ml_memory_pair_open(&run.writer, &run.reader, &way, &way) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!run.is_open)
        open_run();
    read_plan(data, size);
    open_streams();
    for (int i = 0; i < 2; i++) {
        memset(&run.tasks[i], 0, sizeof run.tasks[i]);
        memset(&run.bodies[i], 0, sizeof run.bodies[i]);
        ML_CHECK(ml_task_spawn(&run.hub, &run.tasks[i], &run.bodies[i],
                               (struct ml_spawn_options){0}) == 0);
    }
    ML_CHECK(ml_hub_run(&run.hub, ML_UNTIL_ALL_ENDED, ML_FOREVER) == 0);
    return 0;
}
