#include "system/file/file.h"

#include "io/stream.h"
#include "system/file/file_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void ml_file_init(struct ml_file *file, struct ml_io *io)
{
    *file = (struct ml_file){0};
    ml_stream_init(&file->stream, io);
}

void ml_file_close(struct ml_file *file)
{
    ml_stream_close(&file->stream);
}

/* ---- places ---- */

off_t ml_file_position(const struct ml_file *file)
{
    if (!file->is_disk)
        return -ESPIPE;
    return file->at - (off_t)ml_buffer_size(&file->stream.in);
}

int ml_file_settle(struct ml_file *file)
{
    struct ml_stream *s = &file->stream;
    if (!ml_stream_is_open(s))
        return -ML_ECLOSED;
    if (s->is_reading)
        return -EBUSY;
    s->at_end = false;
    if (!file->is_disk)
        return 0;
    file->at = ml_file_position(file);
    s->held = 0;
    ml_stream_consume(s, ml_buffer_size(&s->in));
    ml_file_call_free(file->input);
    file->input = NULL;
    return 0;
}

int ml_file_go_to(struct ml_file *file, off_t at)
{
    int error = ml_file_settle(file);
    if (error == 0 && !file->is_disk)
        error = -ESPIPE;
    if (error != 0)
        return error;
    file->at = at;
    file->ahead = ML_FILE_LEAST_AHEAD;
    return 0;
}

/* ---- what belongs to it ---- */

/* Makes a call, which is freed; *result: what to look at before, may be NULL. */
static int run(struct ml_file *file, struct ml_file_call *call, struct statx *status)
{
    int result = call != NULL ? ml_file_call_run(file->stream.io->hub, &call) : -ENOMEM;
    if (call != NULL && status != NULL)
        *status = call->status;
    ml_file_call_free(call);
    return result;
}

static int make_status(struct ml_file_call *call)
{
    int fd = ml_file_number(call);
    int error = statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &call->status);
    return error == 0 ? 0 : -errno;
}

int ml_file_size(struct ml_file *file, off_t *size)
{
    struct statx status;
    if (!ml_stream_is_open(&file->stream))
        return -ML_ECLOSED;
    int error = 0;
    if (!file->is_local)
        error = run(file, ml_file_new_call(file, make_status, false, 0), &status);
    else if (statx(file->descriptor->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS,
                   &status) != 0)
        error = -errno;
    *size = error == 0 ? (off_t)status.stx_size : 0;
    return error;
}

static int make_truncate(struct ml_file_call *call)
{
    return ftruncate(ml_file_number(call), call->numbers[0]) == 0 ? 0 : -errno;
}

int ml_file_truncate(struct ml_file *file, off_t size)
{
    int error = ml_file_settle(file);
    if (error != 0)
        return error;
    struct ml_file_call *call = ml_file_new_call(file, make_truncate, true, 0);
    if (call != NULL)
        call->numbers[0] = size;
    return run(file, call, NULL);
}

static int make_sync(struct ml_file_call *call)
{
    int fd = ml_file_number(call);
    return (call->flags != 0 ? fdatasync(fd) : fsync(fd)) == 0 ? 0 : -errno;
}

int ml_file_sync(struct ml_file *file, bool data_only)
{
    if (!ml_stream_is_open(&file->stream))
        return -ML_ECLOSED;
    struct ml_file_call *call = ml_file_new_call(file, make_sync, false, 0);
    if (call != NULL)
        call->flags = data_only;
    return run(file, call, NULL);
}
