#include "io/pipe.h"

#include "base/no_sigpipe.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

static ssize_t read_some(int fd, char *memory, size_t room)
{
    ssize_t count;
    do
        count = read(fd, memory, room);
    while (count < 0 && errno == EINTR);
    return count >= 0 ? count : -errno;
}

/* What a pipe holds unless its user asks for more. */
enum { FULL = 64 * 1024 };

/* A read takes all that is there. After one that emptied a full pipe, its writer is given the time
 * to fill it again: read at once, it would be found with a few pages. measured: 100 children with
 * 8 MB each (bench/children.lua, two busy cores, minima of 12 runs in turn) take 0.65 to 0.67 s
 * instead of 0.72 to 0.74, at a tenth more processor time of all. */
static ssize_t pipe_receive(struct ml_stream *s, char *memory, size_t room)
{
    if (!ml_fd_is_open(&s->fd) || s->at_end)
        return 0;
    ssize_t count = read_some(s->fd.number, memory, room);
    s->is_drained = count > 0 && ((size_t)count < room || count >= FULL);
    if (count == 0)
        ml_fd_close(&s->fd);
    return count;
}

/* The input of a terminal comes line by line, whatever the room. */
static ssize_t terminal_receive(struct ml_stream *s, char *memory, size_t room)
{
    ssize_t count = read_some(s->fd.number, memory, room);
    return count == -EIO ? 0 : count;
}

static ssize_t pipe_transmit(struct ml_stream *s, const struct iovec *pieces, int count)
{
    if (!ml_fd_is_open(&s->fd))
        return -EPIPE;
    ssize_t sent;
    struct ml_quiet quiet = ml_quiet_begin();
    do
        sent = writev(s->fd.number, pieces, count < IOV_MAX ? count : IOV_MAX);
    while (sent < 0 && errno == EINTR);
    ml_quiet_end(quiet, sent < 0 && errno == EPIPE);
    return sent >= 0 ? sent : -errno;
}

/* Whether no process has the terminal open. */
static bool is_left(int fd)
{
    struct pollfd state = {.fd = fd, .events = POLLOUT};
    return poll(&state, 1, 0) == 1 && (state.revents & POLLHUP) != 0;
}

/* A terminal without processes takes no input any more. Some kernels say so by EIO; others fill the
 * buffer of the terminal, and then say EAGAIN for ever, while every wait ends at once. */
static ssize_t terminal_transmit(struct ml_stream *s, const struct iovec *pieces, int count)
{
    ssize_t sent = pipe_transmit(s, pieces, count);
    if (sent == -EAGAIN && is_left(s->fd.number))
        sent = -EPIPE;
    return sent == -EIO ? -EPIPE : sent;
}

static int pipe_wait(struct ml_stream *s, enum ml_fd_event event, const struct ml_wait_kind *kind,
                     ml_time deadline)
{
    int error = ml_fd_wait(&s->fd, event, kind, deadline);
    if (error == 0 && event == ML_FD_READ)
        s->is_drained = false;
    return error;
}

static int pipe_watch(struct ml_stream *s, enum ml_fd_event event, struct ml_waiter *waiter,
                      ml_time *again)
{
    (void)waiter;
    (void)again;
    s->is_drained = false;
    return ml_fd_watch(&s->fd, event);
}

/* The reader sees the end once the descriptor is closed. */
static int pipe_shutdown(struct ml_stream *s, ml_time deadline)
{
    (void)deadline;
    ml_fd_close(&s->fd);
    return 0;
}

/* The end of what is typed is a character, which only its user knows to be one. */
static int terminal_shutdown(struct ml_stream *s, ml_time deadline)
{
    (void)s;
    (void)deadline;
    return -EOPNOTSUPP;
}

static void pipe_close(struct ml_stream *s)
{
    ml_fd_close(&s->fd);
}

static const struct ml_transport pipe_transport = {
    .receive = pipe_receive,
    .transmit = pipe_transmit,
    .wait = pipe_wait,
    .watch = pipe_watch,
    .shutdown = pipe_shutdown,
    .close = pipe_close,
};

static const struct ml_transport terminal_transport = {
    .receive = terminal_receive,
    .transmit = terminal_transmit,
    .wait = pipe_wait,
    .watch = pipe_watch,
    .shutdown = terminal_shutdown,
    .close = pipe_close,
};

void ml_pipe_open(struct ml_stream *s, int fd, enum ml_pipe_end end)
{
    ml_fd_open(&s->fd, fd);
    ml_stream_open(s, &pipe_transport);
    s->has_ended = end == ML_PIPE_READS;
    s->at_end = end == ML_PIPE_WRITES;
}

void ml_pty_open(struct ml_stream *s, int fd)
{
    ml_fd_open(&s->fd, fd);
    ml_stream_open(s, &terminal_transport);
}

bool ml_stream_is_pipe(const struct ml_stream *s)
{
    return s->transport == &pipe_transport;
}

bool ml_stream_is_pty(const struct ml_stream *s)
{
    return s->transport == &terminal_transport;
}
