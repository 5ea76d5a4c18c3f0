#include "system/file/whole.h"

#include "system/file/new_file.h"
#include "system/file/quick.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes per system call, between which a task that has given up is noticed. */
enum { PIECE = 1024 * 1024, FIRST = 64 * 1024 };

static int get_status(int fd, struct statx *status)
{
    return statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, status) == 0 ? 0 : -errno;
}

/* Room for one byte more than the file says that it has: files of /proc say 0. */
static size_t first_room(const struct ml_file_call *call)
{
    uint64_t room = call->status.stx_size < FIRST ? FIRST : call->status.stx_size + 1;
    return room <= call->max ? (size_t)room : call->max + 1;
}

/* More room. `max` is below SIZE_MAX. */
static int make_room(struct ml_file_call *call, size_t *room)
{
    size_t more = *room == 0               ? first_room(call)
                  : *room <= call->max / 2 ? *room * 2
                                           : call->max + 1;
    char *data = realloc(call->data, more);
    if (data == NULL)
        return -ENOMEM;
    call->data = data;
    *room = more;
    return 0;
}

static ssize_t read_piece(struct ml_file_call *call, size_t room)
{
    size_t left = room - call->size;
    ssize_t count;
    do
        count = read(call->fd, call->data + call->size, left < PIECE ? left : PIECE);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

static int read_file(struct ml_file_call *call)
{
    size_t room = 0;
    ssize_t count = 1;
    while (count > 0) {
        int error = call->size == room ? make_room(call, &room) : 0;
        if (error == 0 && ml_file_call_is_given_up(call))
            error = -ECANCELED;
        count = error != 0 ? error : read_piece(call, room);
        call->size += count > 0 ? (size_t)count : 0;
        if (call->size > call->max)
            count = -EMSGSIZE;
    }
    return (int)count;
}

/* A special file is not even opened: a FIFO's other end would take it for its partner. */
static bool is_special(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode) &&
           !S_ISDIR(status.st_mode);
}

static int open_and_read(struct ml_file_call *call)
{
    if (is_special(call->path))
        return ML_FILE_IS_SPECIAL;
    call->fd = open(call->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (call->fd < 0)
        return -errno;
    int error = get_status(call->fd, &call->status);
    if (error != 0)
        return error;
    mode_t mode = call->status.stx_mode;
    if (S_ISDIR(mode))
        return -EISDIR;
    if (!S_ISREG(mode) && !S_ISBLK(mode))
        return ML_FILE_IS_SPECIAL;
    call->flags = ml_disk_is_local(call->fd) ? ML_FILE_IS_LOCAL : 0;
    return read_file(call);
}

int ml_file_read_whole(struct ml_file_call *call)
{
    int result = open_and_read(call);
    if (call->fd >= 0)
        close(call->fd);
    call->fd = -1;
    return result;
}

static int write_input(struct ml_file_call *call)
{
    size_t done = 0;
    while (done < call->input_size) {
        size_t left = call->input_size - done;
        ssize_t count = write(call->fd, call->input + done, left < PIECE ? left : PIECE);
        if (count < 0 && errno != EINTR)
            return -errno;
        done += count > 0 ? (size_t)count : 0;
    }
    return 0;
}

static int finish(struct ml_file_call *call)
{
    int error = call->is_synced && fsync(call->fd) != 0 ? -errno : 0;
    if (close(call->fd) != 0 && errno != EINTR && error == 0)
        error = -errno;
    call->fd = -1;
    return error;
}

int ml_file_write_whole(struct ml_file_call *call)
{
    int flags = O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | (int)call->flags;
    if (is_special(call->path))
        return ML_FILE_IS_SPECIAL;
    call->fd = open(call->path, flags, call->mode);
    if (call->fd < 0)
        return errno == ENXIO ? ML_FILE_IS_SPECIAL : -errno;
    int error = get_status(call->fd, &call->status);
    if (error != 0)
        return error;
    if (!S_ISREG(call->status.stx_mode) && !S_ISBLK(call->status.stx_mode))
        return ML_FILE_IS_SPECIAL;
    error = write_input(call);
    return error == 0 ? finish(call) : error;
}

static int write_new_file(struct ml_file_call *call, struct ml_new_file *file)
{
    int error = 0;
    for (size_t done = 0; error == 0 && done < call->input_size; done += PIECE) {
        size_t left = call->input_size - done;
        error = ml_file_call_is_given_up(call)
                    ? -ECANCELED
                    : ml_new_file_write(file, call->input + done, left < PIECE ? left : PIECE);
    }
    return error;
}

int ml_file_replace(struct ml_file_call *call)
{
    struct ml_new_file file;
    int error = ml_new_file_open(&file, call->path, call->mode);
    if (error != 0)
        return error;
    error = write_new_file(call, &file);
    if (error == 0 && ml_file_call_is_given_up(call))
        error = -ECANCELED;
    if (error == 0)
        error = ml_new_file_commit(&file, call->is_synced);
    ml_new_file_close(&file);
    return error;
}
