#include "system/file/file_transport.h"

#include "base/hostile.h"
#include "base/no_sigpipe.h"
#include "io/file_block.h"
#include "system/file/file_state.h"
#include "system/file/quick.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The most that one call of a worker writes: it is copied first. */
enum { MOST_OUTPUT = 8 * 1024 * 1024 };

static struct ml_file *file_of(struct ml_stream *s)
{
    return ml_container_of(s, struct ml_file, stream);
}

/* ---- input ---- */

static int make_read(struct ml_file_call *call)
{
    ssize_t count;
    call->data = malloc(call->max);
    if (call->data == NULL)
        return -ENOMEM;
    do
        count = pread(ml_file_number(call), call->data, call->max, call->numbers[0]);
    while (count < 0 && errno == EINTR);
    call->size = count > 0 ? (size_t)count : 0;
    return count < 0 ? -errno : 0;
}

/* Hands on what a worker has read, or its error. */
static ssize_t take_input(struct ml_file *file, char *memory, size_t room)
{
    struct ml_file_call *call = file->input;
    size_t left = call->size - file->given, size = left < room ? left : room;
    ssize_t result = call->result < 0 ? call->result : (ssize_t)size;
    if (size > 0)
        memcpy(memory, call->data + file->given, size);
    file->given += size;
    file->at += (off_t)size;
    if (file->given == call->size) {
        ml_file_call_free(call);
        file->input = NULL;
    }
    return result;
}

static ssize_t receive_from_disk(struct ml_file *file, char *memory, size_t room)
{
    if (file->input != NULL)
        return take_input(file, memory, room);
    size_t size = room < file->ahead ? room : file->ahead;
    ssize_t count = ml_file_peek(file->descriptor->fd, memory, size, file->at);
    if (count > 0) {
        file->at += count;
        file->ahead = file->ahead < ML_FILE_MOST_AHEAD ? 2 * file->ahead : file->ahead;
    }
    return count;
}

static ssize_t file_receive(struct ml_stream *s, char *memory, size_t room)
{
    struct ml_file *file = file_of(s);
    if (file->is_disk)
        return receive_from_disk(file, memory, room);
    ssize_t count;
    do
        count = read(file->descriptor->fd, memory, room);
    while (count < 0 && errno == EINTR);
    /* A terminal that was hung up, and the master of one whose other side is closed. */
    return count >= 0 ? count : errno == EIO ? 0 : -errno;
}

/* Has a worker make the call, which goes on in *call; NULL: it does not, and the result says why.
 */
static int make_on_worker(struct ml_file *file, struct ml_file_call **call)
{
    int result = ml_file_call_run(file->stream.io->hub, call);
    if (*call == NULL || ml_stream_is_open(&file->stream))
        return result;
    ml_file_call_free(*call);
    *call = NULL;
    return -ML_ECLOSED;
}

static int read_on_worker(struct ml_file *file)
{
    struct ml_file_call *call = ml_file_new_call(file, make_read, false, 0);
    if (call == NULL)
        return -ENOMEM;
    call->max = ML_IS_HOSTILE ? 16 : ML_FILE_MOST_AHEAD;
    call->numbers[0] = file->at;
    int result = make_on_worker(file, &call);
    if (call == NULL)
        return result;
    file->input = call;
    file->given = 0;
    return 0;
}

/* ---- output ---- */

static ssize_t write_piece(const struct ml_file_call *call, size_t done)
{
    const char *data = call->input + done;
    size_t left = call->input_size - done;
    int fd = ml_file_number(call);
    return call->flags != 0 ? write(fd, data, left)
                            : pwrite(fd, data, left, call->numbers[0] + (off_t)done);
}

/* As much as can be written. An error comes again for the rest, and is told then. */
static int make_write(struct ml_file_call *call)
{
    int error = 0;
    while (error == 0 && call->size < call->input_size) {
        ssize_t count = write_piece(call, call->size);
        call->size += count > 0 ? (size_t)count : 0;
        error = count < 0 && errno != EINTR ? -errno : 0;
    }
    call->numbers[0] += (int64_t)call->size;
    if (call->flags != 0)
        call->numbers[0] = lseek(ml_file_number(call), 0, SEEK_CUR);
    return call->size > 0 ? 0 : error;
}

static size_t size_of(const struct iovec *pieces, int count)
{
    size_t size = 0;
    for (int i = 0; i < count && size < MOST_OUTPUT; i++)
        size += pieces[i].iov_len < MOST_OUTPUT ? pieces[i].iov_len : MOST_OUTPUT;
    return size < MOST_OUTPUT ? size : MOST_OUTPUT;
}

/* Copies the pieces into a call for a worker. */
static int prepare_output(struct ml_file *file, const struct iovec *pieces)
{
    struct ml_file_call *call = file->output;
    char *end = (char *)call->input;
    for (size_t left = call->input_size; left > 0; pieces++) {
        size_t size = pieces->iov_len < left ? pieces->iov_len : left;
        memcpy(end, pieces->iov_base, size);
        end += size;
        left -= size;
    }
    call->numbers[0] = file->at;
    call->flags = file->appends;
    file->has_written = false;
    return -EAGAIN;
}

/* What a worker has written. */
static ssize_t take_output(struct ml_file *file)
{
    struct ml_file_call *call = file->output;
    ssize_t result = call->result < 0 ? call->result : (ssize_t)call->size;
    if (result >= 0)
        file->at = call->numbers[0];
    ml_file_call_free(call);
    file->output = NULL;
    return result;
}

static ssize_t transmit_quietly(const struct ml_file *file, const struct iovec *pieces, int count)
{
    ssize_t sent;
    struct ml_quiet quiet = ml_quiet_begin();
    do
        sent = writev(file->descriptor->fd, pieces, count < IOV_MAX ? count : IOV_MAX);
    while (sent < 0 && errno == EINTR);
    int error = errno;
    ml_quiet_end(quiet, sent < 0 && error == EPIPE);
    return sent < 0 ? -error : sent;
}

/* A write to a disk is made by wait(), in between. */
static ssize_t file_transmit(struct ml_stream *s, const struct iovec *pieces, int count)
{
    struct ml_file *file = file_of(s);
    if (!file->is_disk)
        return transmit_quietly(file, pieces, count);
    if (file->output != NULL && file->has_written)
        return take_output(file);
    ml_file_call_free(file->output);
    file->output = ml_file_new_call(file, make_write, true, size_of(pieces, count));
    return file->output != NULL ? prepare_output(file, pieces) : -ENOMEM;
}

static int write_on_worker(struct ml_file *file)
{
    struct ml_file_call *call = file->output;
    file->output = NULL;
    int result = make_on_worker(file, &call);
    if (call == NULL)
        return result;
    file->output = call;
    file->has_written = true;
    return 0;
}

/* ---- the rest ---- */

static int file_wait(struct ml_stream *s, enum ml_fd_event event, const struct ml_wait_kind *kind,
                     ml_time deadline)
{
    struct ml_file *file = file_of(s);
    if (!file->is_disk)
        return ml_fd_wait(&s->fd, event, kind, deadline);
    if (deadline == ML_NEVER_WAIT)
        return -ETIMEDOUT;
    return event == ML_FD_READ ? read_on_worker(file) : write_on_worker(file);
}

static int file_watch(struct ml_stream *s, enum ml_fd_event event, struct ml_waiter *waiter,
                      ml_time *again)
{
    (void)s, (void)event, (void)waiter, (void)again;
    return -EOPNOTSUPP;
}

static int file_shutdown(struct ml_stream *s, ml_time deadline)
{
    (void)s, (void)deadline;
    return -EOPNOTSUPP;
}

static void file_close(struct ml_stream *s)
{
    ml_file_release(file_of(s));
}

const struct ml_transport ml_file_transport = {
    .receive = file_receive,
    .transmit = file_transmit,
    .wait = file_wait,
    .watch = file_watch,
    .shutdown = file_shutdown,
    .close = file_close,
};
