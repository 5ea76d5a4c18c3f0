#include "io/stream.h"

#include "base/error.h"
#include "hub/state/waiters.h"
#include "hub/wait/slice.h"
#include "io/balance.h"
#include "io/input.h"

#include <stddef.h>
#include <string.h>

static const struct ml_wait_kind writable = {
    .text = "room to write on descriptor", .target = ML_TARGET_DESCRIPTOR, .external = true};
static const struct ml_wait_kind turn = {.text = "its turn to write on descriptor",
                                         .target = ML_TARGET_DESCRIPTOR};
static const struct ml_wait_kind turn_without = {.text = "its turn to write"};

void ml_stream_init(struct ml_stream *s, struct ml_io *io)
{
    *s = (struct ml_stream){.io = io, .read_timeout = ML_FOREVER, .write_timeout = ML_FOREVER};
    ml_fd_init(&s->fd, io->hub);
    ml_list_init(&s->writers);
}

void ml_stream_open(struct ml_stream *s, const struct ml_transport *transport)
{
    s->transport = transport;
    s->is_drained = s->at_end = s->has_ended = s->is_torn = s->write_broken = false;
    s->lost = 0;
    s->found_error = 0;
}

static ml_time deadline_of(const struct ml_hub *hub, ml_time timeout)
{
    bool is_span = timeout != ML_FOREVER && timeout != ML_NEVER_WAIT;
    return is_span ? ml_time_after(ml_hub_now(hub), timeout) : timeout;
}

ml_time ml_stream_read_deadline(const struct ml_stream *s)
{
    return deadline_of(s->io->hub, s->read_timeout);
}

ml_time ml_stream_write_deadline(const struct ml_stream *s)
{
    return deadline_of(s->io->hub, s->write_timeout);
}

/* ---- reading ---- */

static void take(struct ml_stream *s, size_t size, struct ml_piece_of_input *piece)
{
    *piece = (struct ml_piece_of_input){.data = ml_input_data(s), .size = size, .taken = size};
}

/* The end came before all bytes that the read wants. */
static int end_of_stream(struct ml_stream *s, bool partial, struct ml_piece_of_input *piece)
{
    size_t size = ml_input_size(s);
    if (size == 0)
        return 1;
    if (!partial)
        return -ML_EEOF;
    take(s, size, piece);
    return 0;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

int ml_stream_read_some(struct ml_stream *s, size_t max, struct ml_piece_of_input *piece)
{
    int result = ml_input_begin(s);
    if (result != 0)
        return result;
    ml_time deadline = deadline_of(s->io->hub, s->read_timeout);
    while (result == 0 && ml_input_size(s) == 0)
        result = ml_input_fill(s, 1, deadline);
    if (result == 0)
        take(s, smaller(max, ml_input_size(s)), piece);
    return ml_input_end(s, result);
}

int ml_stream_read_exactly(struct ml_stream *s, size_t size, bool partial,
                           struct ml_piece_of_input *piece)
{
    /* Memory for the whole size is taken only when some of it has come: the size may come from the
     * peer. */
    enum { AHEAD = 1024 * 1024 };
    int result = ml_input_begin(s);
    if (result != 0)
        return result;
    ml_time deadline = deadline_of(s->io->hub, s->read_timeout);
    while (result == 0 && ml_input_size(s) < size)
        result = ml_input_fill(s, smaller(size - ml_input_size(s), AHEAD), deadline);
    if (result == 0)
        take(s, size, piece);
    else if (result == 1)
        result = end_of_stream(s, partial, piece);
    return ml_input_end(s, result);
}

/* Looks for the delimiter from *searched on; *searched moves to where the next search begins. */
static bool find(struct ml_stream *s, const char *delimiter, size_t length, size_t *searched,
                 size_t *found)
{
    size_t size = ml_input_size(s);
    const char *data = ml_input_data(s);
    const char *place = memmem(data + *searched, size - *searched, delimiter, length);
    if (place != NULL)
        *found = (size_t)(place - data) + length;
    else if (size >= length)
        *searched = size - length + 1;
    return place != NULL;
}

int ml_stream_read_until(struct ml_stream *s, const char *delimiter, size_t length, size_t max,
                         bool partial, struct ml_piece_of_input *piece)
{
    size_t searched = 0;
    size_t found = 0;
    int result = ml_input_begin(s);
    if (result != 0)
        return result;
    ml_time deadline = deadline_of(s->io->hub, s->read_timeout);
    while (result == 0 && !find(s, delimiter, length, &searched, &found))
        result = ml_input_size(s) >= max ? -EMSGSIZE : ml_input_fill(s, 1, deadline);
    if (result == 0 && found > max)
        result = -EMSGSIZE;
    if (result == 0)
        take(s, found, piece);
    else if (result == 1)
        result = end_of_stream(s, partial, piece);
    return ml_input_end(s, result);
}

int ml_stream_read_all(struct ml_stream *s, size_t max, struct ml_piece_of_input *piece)
{
    int result = ml_input_begin(s);
    if (result != 0)
        return result;
    ml_time deadline = deadline_of(s->io->hub, s->read_timeout);
    while (result == 0)
        result = ml_input_size(s) > max ? -EMSGSIZE : ml_input_fill(s, 1, deadline);
    if (result == 1) {
        result = 0;
        take(s, ml_input_size(s), piece);
    }
    return ml_input_end(s, result);
}

int ml_stream_receive_more(struct ml_stream *s, ml_time deadline)
{
    int result = ml_input_begin(s);
    return result == 0 ? ml_input_end(s, ml_input_fill(s, 1, deadline)) : result;
}

int ml_stream_look(struct ml_stream *s)
{
    if (!ml_stream_is_open(s) || ml_input_size(s) > 0)
        return 0;
    if (s->is_reading)
        return -EBUSY;
    s->is_reading = true;
    int result = ml_input_fill(s, 1, ML_NEVER_WAIT);
    s->is_reading = false;
    if (ml_stream_is_open(s))
        ml_input_settle(s);
    if (result == -ETIMEDOUT || result == -EBUSY)
        return result == -EBUSY ? result : -EAGAIN;
    s->found_error = result < 0 ? result : 0;
    return 0;
}

int ml_stream_watch(struct ml_stream *s, struct ml_waiter *waiter, ml_time *again)
{
    return s->transport->watch(s, ML_FD_READ, waiter, again);
}

void ml_stream_unwatch(struct ml_stream *s)
{
    ml_fd_unwatch(&s->fd);
}

void ml_stream_hold(struct ml_stream *s, size_t size)
{
    s->held += size;
}

void ml_stream_unhold(struct ml_stream *s)
{
    s->held = 0;
}

/* A finalizer may have closed the stream since the bytes were found. */
void ml_stream_consume(struct ml_stream *s, size_t size)
{
    if (!ml_stream_is_open(s))
        return;
    ml_buffer_consume(&s->in, s->held + size);
    s->held = 0;
    ml_input_settle(s);
}

/* ---- writing ---- */

static int wait_for_turn(struct ml_stream *s, ml_time deadline)
{
    bool is_socket = ml_fd_is_open(&s->fd);
    return ml_wait_granted(s->io->hub, is_socket ? &turn : &turn_without,
                           is_socket ? (uint32_t)s->fd.number : 0, &s->writers, 0, deadline);
}

int ml_stream_take_turn(struct ml_stream *s, ml_time deadline)
{
    int error = ml_stream_enter(s, deadline);
    if (error == 0 && ml_stream_is_open(s)) {
        if (s->writer == NULL)
            s->writer = s->io->hub->current;
        else
            error = wait_for_turn(s, deadline);
    }
    return ml_stream_after_wait(s, error);
}

/* Grants the turn to the first in the queue, before that one runs: no task overtakes. */
void ml_stream_pass_turn(struct ml_stream *s)
{
    struct ml_waiter *first = ml_first_waiter(s->io->hub, &s->writers);
    s->writer = first != NULL ? ml_waiter_task(s->io->hub, first) : NULL;
    if (first != NULL)
        ml_waiter_grant(s->io->hub, first);
}

int ml_stream_may_write(const struct ml_stream *s)
{
    if (s->lost != 0)
        return s->lost;
    return s->write_broken || s->has_ended ? -EPIPE : 0;
}

int ml_stream_share_write(struct ml_stream *s, ml_time deadline)
{
    s->write_broken = true;
    int error = ml_stream_share(s, deadline);
    if (error == 0)
        s->write_broken = false;
    return error;
}

int ml_stream_await_room(struct ml_stream *s, int error, ml_time deadline)
{
    if (error != -EAGAIN)
        return error;
    if (s->is_patient)
        deadline = ml_stream_write_deadline(s);
    error = s->transport->wait(s, ML_FD_WRITE, &writable, deadline);
    return ml_stream_after_wait(s, error);
}

/* Moves the array past the bytes that were sent. */
static void advance(struct iovec **pieces, int *count, size_t sent)
{
    while (*count > 0 && sent >= (*pieces)->iov_len) {
        sent -= (*pieces)->iov_len;
        ++*pieces;
        --*count;
    }
    if (*count > 0) {
        (*pieces)->iov_base = (char *)(*pieces)->iov_base + sent;
        (*pieces)->iov_len -= sent;
    }
}

static int write_all(struct ml_stream *s, struct iovec *pieces, int count, size_t *sent,
                     ml_time deadline)
{
    int error = ml_stream_may_write(s);
    advance(&pieces, &count, 0);
    while (error == 0 && count > 0) {
        ssize_t now = s->transport->transmit(s, pieces, count);
        ml_slice_spend_call(s->io->hub, now);
        if (now >= 0) {
            *sent += (size_t)now;
            advance(&pieces, &count, (size_t)now);
            error = count > 0 ? ml_stream_share_write(s, deadline) : 0;
        } else {
            error = ml_stream_await_room(s, (int)now, deadline);
        }
    }
    if (error != 0 && (*sent > 0 || s->is_torn))
        s->write_broken = true;
    return error;
}

int ml_stream_write(struct ml_stream *s, struct iovec *pieces, int count, size_t *sent)
{
    *sent = 0;
    ml_time deadline = ml_stream_write_deadline(s);
    int error = ml_stream_take_turn(s, deadline);
    if (error != 0)
        return error;
    error = write_all(s, pieces, count, sent, deadline);
    ml_stream_pass_turn(s);
    return error;
}

static int end_output(struct ml_stream *s, ml_time deadline)
{
    int error = ml_stream_take_turn(s, deadline);
    if (error != 0)
        return error;
    if (!s->has_ended)
        error = s->lost != 0 ? s->lost : s->transport->shutdown(s, deadline);
    else if (!s->at_end)
        error = s->lost;
    if (error == 0)
        s->has_ended = true;
    ml_stream_pass_turn(s);
    return error;
}

int ml_stream_shutdown_write(struct ml_stream *s)
{
    return end_output(s, ml_stream_write_deadline(s));
}

/* Drops input up to the end of the stream. The deadline also ends the input of a peer that never
 * stops. */
static int drain(struct ml_stream *s, size_t max, ml_time deadline)
{
    size_t dropped = 0;
    int result = ml_input_begin(s);
    if (result != 0)
        return result;
    while (result == 0) {
        dropped += ml_buffer_size(&s->in);
        ml_buffer_consume(&s->in, ml_buffer_size(&s->in));
        result = dropped > max ? -EMSGSIZE : ml_input_fill(s, 1, deadline);
        if (result == 0 && deadline != ML_NEVER_WAIT && ml_hub_now(s->io->hub) >= deadline)
            result = -ETIMEDOUT;
    }
    return ml_input_end(s, result == 1 ? 0 : result);
}

int ml_stream_finish(struct ml_stream *s, size_t max, ml_time deadline)
{
    if (s->is_reading)
        return -EBUSY;
    int error = ml_cancel_point(s->io->hub);
    if (error != 0)
        return error;
    error = end_output(s, deadline);
    s->held = 0;
    if (error == 0)
        error = drain(s, max, deadline);
    if (error != -ML_ETLS)
        ml_stream_close(s);
    return error;
}

void ml_stream_close(struct ml_stream *s)
{
    if (!ml_stream_is_open(s))
        return;
    if (s->departure != NULL)
        s->departure->stop(s->departure);
    ml_input_release(s);
    if (s->is_counted && s->io->balance != NULL)
        ml_balance_closed(s->io->balance);
    s->is_counted = false;
    const struct ml_transport *transport = s->transport;
    s->transport = NULL;
    transport->close(s);
    ml_wake_all(s->io->hub, &s->writers);
}
