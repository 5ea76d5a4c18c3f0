#include "io/input.h"

#include "base/error.h"
#include "base/hostile.h"
#include "hub/wait/slice.h"

#include <errno.h>
#include <string.h>

static const struct ml_wait_kind readable = {
    .text = "input on descriptor", .target = ML_TARGET_DESCRIPTOR, .external = true};

static void give_spare_back(struct ml_stream *s)
{
    ml_io_give_back(s->io, s->in.memory);
    s->in = (struct ml_buffer){0};
    s->borrows = false;
}

/* An empty buffer borrows the shared block, or a new one of its size that may become the shared
 * one. */
static int borrow_spare(struct ml_stream *s)
{
    char *memory = ml_io_borrow(s->io);
    if (memory == NULL)
        return -ENOMEM;
    s->in = (struct ml_buffer){.memory = memory, .capacity = ML_IO_READ_SIZE};
    s->borrows = true;
    return 0;
}

int ml_input_settle(struct ml_stream *s)
{
    if (ml_buffer_size(&s->in) == 0) {
        if (s->borrows)
            give_spare_back(s);
        else
            ml_buffer_release(&s->in);
        return 0;
    }
    if (!s->borrows)
        return 0;
    struct ml_buffer own = {0};
    size_t size = ml_buffer_size(&s->in);
    if (ml_buffer_reserve(&own, size) != 0)
        return -ENOMEM;
    memcpy(ml_buffer_end(&own), ml_buffer_data(&s->in), size);
    ml_buffer_commit(&own, size);
    give_spare_back(s);
    s->in = own;
    return 0;
}

void ml_input_release(struct ml_stream *s)
{
    if (s->borrows)
        give_spare_back(s);
    else
        ml_buffer_release(&s->in);
    s->held = 0;
}

/* Makes room for `want` more bytes, at least a few KiB. */
static int make_room(struct ml_stream *s, size_t want)
{
    enum { LEAST = 4096 };
    if (s->in.memory == NULL && want <= ML_IO_READ_SIZE)
        return borrow_spare(s);
    if (s->borrows && ml_buffer_room(&s->in) == 0) {
        int error = ml_input_settle(s);
        if (error != 0)
            return error;
    }
    if (s->borrows)
        return 0;
    return ml_buffer_reserve(&s->in, want > LEAST ? want : LEAST);
}

/* ---- filled by one read at a time ---- */

static int may_read(const struct ml_stream *s)
{
    return !ml_stream_is_open(s) ? -ML_ECLOSED : s->is_reading ? -EBUSY : 0;
}

int ml_input_begin(struct ml_stream *s)
{
    int error = may_read(s);
    if (error == 0)
        error = ml_stream_enter(s, s->read_timeout);
    if (error == 0)
        error = may_read(s);
    if (error == 0)
        s->is_reading = true;
    return error;
}

int ml_input_end(struct ml_stream *s, int result)
{
    s->is_reading = false;
    if (result != 0 && ml_stream_is_open(s))
        ml_input_settle(s);
    return result;
}

/* Appends input from the transport: 0, 1 at the end of the stream, -EAGAIN or another error. */
static int receive(struct ml_stream *s, size_t want)
{
    int error = make_room(s, want);
    if (error != 0)
        return error;
    size_t room = ML_IS_HOSTILE ? 1 : ml_buffer_room(&s->in);
    ssize_t count = s->transport->receive(s, ml_buffer_end(&s->in), room);
    ml_slice_spend_call(s->io->hub, count);
    if (count > 0)
        ml_buffer_commit(&s->in, (size_t)count);
    s->at_end = count == 0;
    return count > 0 ? 0 : count == 0 ? 1 : (int)count;
}

static int share_read(struct ml_stream *s, ml_time deadline)
{
    int error = ml_slice_is_over(s->io->hub) ? ml_input_settle(s) : 0;
    return error == 0 ? ml_stream_share(s, deadline) : error;
}

int ml_input_fill(struct ml_stream *s, size_t want, ml_time deadline)
{
    int result = share_read(s, deadline);
    if (result == 0) {
        result = s->found_error;
        s->found_error = 0;
    }
    if (result != 0)
        return result;
    if (deadline == ML_NEVER_WAIT)
        s->is_drained = false;
    result = s->at_end ? 1 : s->is_drained ? -EAGAIN : receive(s, want);
    while (result == -EAGAIN) {
        result = ml_input_settle(s);
        if (result == 0)
            result = s->transport->wait(s, ML_FD_READ, &readable, deadline);
        if (result == 0)
            result = ml_stream_is_open(s) ? receive(s, want) : -ML_ECLOSED;
    }
    return result;
}
