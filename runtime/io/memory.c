#include "io/memory.h"

#include "base/check.h"
#include "base/error.h"
#include "hub/state/waiters.h"

#include <stdlib.h>
#include <string.h>

static const struct ml_wait_kind input = {.text = "input from the other end, in memory"};
static const struct ml_wait_kind room = {.text = "room at the other end, in memory"};

/* Some of the bytes under way, and when they arrive. */
struct mark {
    size_t size;
    ml_time due;
};

/* One direction. */
struct pipe {
    struct ml_memory_options options;
    struct ml_buffer bytes; /* under way */
    struct ml_buffer marks; /* of struct mark, in order; none without latency */
    struct ml_link readers; /* the task that waits for input, if any */
    struct ml_link writers; /* the one that waits for room */
    uint64_t taken;         /* bytes since the beginning */
    ml_time ended_at;       /* the time when the end arrives */
    enum { GOES_ON, ENDED, RESET } end;
    bool is_refused; /* its reader has closed */
};

struct end;

struct pair {
    struct pipe pipes[2];
    struct end {
        struct ml_stream *stream; /* NULL: closed */
        struct pair *pair;
        struct pipe *in, *out;
    } ends[2];
    int open;      /* ends */
    bool is_reset; /* a direction has reached its reset_after */
};

static struct end *end_of(const struct ml_stream *s)
{
    return s->layer;
}

static uint64_t smallest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool is_stalled(const struct pipe *pipe)
{
    return pipe->taken >= pipe->options.stall_after;
}

static struct mark *first_mark(const struct pipe *pipe)
{
    return ml_buffer_size(&pipe->marks) > 0 ? (struct mark *)(void *)ml_buffer_data(&pipe->marks)
                                            : NULL;
}

/* ---- receiving ---- */

/* How many of the bytes under way, at most `most`, have arrived. */
static size_t arrived(struct pipe *pipe, size_t most, ml_time now)
{
    struct mark *marks = first_mark(pipe);
    size_t count = ml_buffer_size(&pipe->marks) / sizeof *marks;
    size_t size = pipe->options.latency > 0 ? 0 : ml_buffer_size(&pipe->bytes);
    for (size_t i = 0; i < count && size < most && marks[i].due <= now; i++)
        size += marks[i].size;
    return smallest(size, most);
}

static void consume_marks(struct pipe *pipe, size_t size)
{
    struct mark *first;
    while (size > 0 && (first = first_mark(pipe)) != NULL) {
        size_t part = smallest(size, first->size);
        first->size -= part;
        size -= part;
        if (first->size == 0)
            ml_buffer_consume(&pipe->marks, sizeof *first);
    }
}

static bool has_ended(const struct pipe *pipe, ml_time now)
{
    return pipe->end != GOES_ON && !is_stalled(pipe) && pipe->ended_at <= now;
}

static ssize_t memory_receive(struct ml_stream *s, char *memory, size_t size)
{
    struct end *end = end_of(s);
    struct pipe *in = end->in;
    ml_time now = ml_hub_now(s->io->hub);
    size = arrived(in, smallest(size, in->options.chunk), now);
    if (size > 0) {
        memcpy(memory, ml_buffer_data(&in->bytes), size);
        ml_buffer_consume(&in->bytes, size);
        consume_marks(in, size);
        ml_wake_all(s->io->hub, &in->writers);
        return (ssize_t)size;
    }
    if (ml_buffer_size(&in->bytes) > 0)
        return -EAGAIN;
    if (end->pair->is_reset || (in->end == RESET && has_ended(in, now)))
        return s->lost = -ECONNRESET;
    return has_ended(in, now) ? 0 : -EAGAIN;
}

/* ---- transmitting ---- */

/* The reason why nothing more can be sent, or 0. An action of the other end counts when the news of
 * it has arrived. */
static int refusal(const struct end *end, ml_time now)
{
    if (end->pair->is_reset)
        return -ECONNRESET;
    if (end->out->is_refused && has_ended(end->in, now))
        return end->in->end == RESET ? -ECONNRESET : -EPIPE;
    return end->out->end != GOES_ON ? -EPIPE : 0;
}

/* Bytes that a transmit may take. */
static size_t room_of(const struct pipe *pipe)
{
    const struct ml_memory_options *options = &pipe->options;
    size_t used = ml_buffer_size(&pipe->bytes);
    uint64_t size = used < options->capacity ? options->capacity - used : 0;
    uint64_t end = smallest(options->reset_after, options->stall_after);
    return smallest(smallest(size, options->chunk), end - pipe->taken);
}

static size_t size_of(const struct iovec *pieces, int count, size_t most)
{
    size_t size = 0;
    for (int i = 0; i < count && size < most; i++)
        size += smallest(most - size, pieces[i].iov_len);
    return size;
}

static int add_mark(struct pipe *pipe, size_t size, ml_time now)
{
    struct mark mark = {.size = size, .due = ml_time_after(now, pipe->options.latency)};
    if (pipe->options.latency == 0)
        return 0;
    if (ml_buffer_reserve(&pipe->marks, sizeof mark) != 0)
        return -ENOMEM;
    memcpy(ml_buffer_end(&pipe->marks), &mark, sizeof mark);
    ml_buffer_commit(&pipe->marks, sizeof mark);
    return 0;
}

static void add_bytes(struct pipe *pipe, const struct iovec *pieces, size_t size)
{
    pipe->taken += size;
    for (; size > 0; pieces++) {
        size_t part = smallest(size, pieces->iov_len);
        if (part > 0)
            memcpy(ml_buffer_end(&pipe->bytes), pieces->iov_base, part);
        ml_buffer_commit(&pipe->bytes, part);
        size -= part;
    }
}

static void wake_everybody(struct ml_hub *hub, struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        ml_wake_all(hub, &pair->pipes[i].readers);
        ml_wake_all(hub, &pair->pipes[i].writers);
    }
}

static ssize_t memory_transmit(struct ml_stream *s, const struct iovec *pieces, int count)
{
    struct end *end = end_of(s);
    struct pipe *out = end->out;
    ml_time now = ml_hub_now(s->io->hub);
    int error = refusal(end, now);
    if (error == -ECONNRESET)
        s->lost = error;
    if (error != 0)
        return error;
    size_t size = size_of(pieces, count, room_of(out));
    if (size == 0)
        return -EAGAIN;
    if (ml_buffer_reserve(&out->bytes, size) != 0 || add_mark(out, size, now) != 0)
        return -ENOMEM;
    add_bytes(out, pieces, size);
    end->pair->is_reset |= out->taken >= out->options.reset_after;
    if (end->pair->is_reset)
        wake_everybody(s->io->hub, end->pair);
    else
        ml_wake_all(s->io->hub, &out->readers);
    return (ssize_t)size;
}

/* ---- waiting, ending ---- */

static ml_time end_arrival(const struct pipe *pipe)
{
    return pipe->end != GOES_ON && !is_stalled(pipe) ? pipe->ended_at : ML_FOREVER;
}

/* The time when bytes under way arrive; ML_FOREVER: there are none. */
static ml_time next_arrival(const struct end *end, bool reads)
{
    const struct mark *first = first_mark(end->in);
    if (reads)
        return first != NULL ? first->due : end_arrival(end->in);
    return end->out->is_refused ? end_arrival(end->in) : ML_FOREVER;
}

/* The pair may be gone after the wait: the stream's owner checks whether it was closed. */
static int memory_wait(struct ml_stream *s, enum ml_fd_event event, const struct ml_wait_kind *kind,
                       ml_time deadline)
{
    struct end *end = end_of(s);
    bool reads = event == ML_FD_READ;
    ml_time arrival = next_arrival(end, reads);
    bool is_early = arrival < deadline;
    kind = reads ? &input : &room;
    int error = ml_wait(s->io->hub, kind, 0, reads ? &end->in->readers : &end->out->writers,
                        is_early ? arrival : deadline);
    return is_early && error == -ETIMEDOUT ? 0 : error;
}

static int memory_watch(struct ml_stream *s, enum ml_fd_event event, struct ml_waiter *waiter,
                        ml_time *again)
{
    struct end *end = end_of(s);
    bool reads = event == ML_FD_READ;
    *again = ml_time_earlier(*again, next_arrival(end, reads));
    ml_list_insert(reads ? &end->in->readers : &end->out->writers, &waiter->link);
    return 0;
}

static void tell_of_departure(const struct end *end)
{
    struct ml_departure *departure = end->stream != NULL ? end->stream->departure : NULL;
    if (departure != NULL)
        departure->left(departure);
}

static struct end *reader_of(const struct end *end)
{
    return &end->pair->ends[end == &end->pair->ends[0]];
}

static void end_pipe(struct ml_hub *hub, struct pipe *pipe, bool by_reset)
{
    if (pipe->end == GOES_ON)
        pipe->ended_at = ml_time_after(ml_hub_now(hub), pipe->options.latency);
    if (pipe->end == GOES_ON || by_reset)
        pipe->end = by_reset ? RESET : ENDED;
    ml_wake_all(hub, &pipe->readers);
}

static int memory_shutdown(struct ml_stream *s, ml_time deadline)
{
    (void)deadline;
    struct end *end = end_of(s);
    bool was_reset = end->in->end == RESET && has_ended(end->in, ml_hub_now(s->io->hub));
    if (end->pair->is_reset || was_reset)
        return -ECONNRESET;
    end_pipe(s->io->hub, end->out, false);
    tell_of_departure(reader_of(end));
    return 0;
}

static void free_pair(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        ml_buffer_release(&pair->pipes[i].bytes);
        ml_buffer_release(&pair->pipes[i].marks);
    }
    free(pair);
}

static void memory_close(struct ml_stream *s)
{
    struct end *end = end_of(s);
    struct pair *pair = end->pair;
    end->stream = NULL;
    end->in->is_refused = true;
    end_pipe(s->io->hub, end->out, ml_buffer_size(&end->in->bytes) > 0);
    wake_everybody(s->io->hub, pair);
    tell_of_departure(reader_of(end));
    if (--pair->open == 0)
        free_pair(pair);
}

const struct ml_transport ml_memory_transport = {
    .receive = memory_receive,
    .transmit = memory_transmit,
    .wait = memory_wait,
    .watch = memory_watch,
    .shutdown = memory_shutdown,
    .close = memory_close,
};

static void init_pipe(struct pipe *pipe, const struct ml_memory_options *options)
{
    ML_CHECK(options->capacity > 0 && options->chunk > 0);
    pipe->options = *options;
    ml_list_init(&pipe->readers);
    ml_list_init(&pipe->writers);
}

static void open_end(struct ml_stream *s, struct pair *pair, int number)
{
    struct end *end = &pair->ends[number];
    *end = (struct end){
        .stream = s, .pair = pair, .in = &pair->pipes[1 - number], .out = &pair->pipes[number]};
    s->layer = end;
    ml_stream_open(s, &ml_memory_transport);
}

int ml_memory_pair_open(struct ml_stream *a, struct ml_stream *b,
                        const struct ml_memory_options *a_to_b,
                        const struct ml_memory_options *b_to_a)
{
    struct pair *pair = calloc(1, sizeof *pair);
    if (pair == NULL)
        return -ENOMEM;
    init_pipe(&pair->pipes[0], a_to_b);
    init_pipe(&pair->pipes[1], b_to_a);
    pair->is_reset = a_to_b->reset_after == 0 || b_to_a->reset_after == 0;
    pair->open = 2;
    open_end(a, pair, 0);
    open_end(b, pair, 1);
    return 0;
}
