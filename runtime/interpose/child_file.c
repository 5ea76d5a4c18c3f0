#include "interpose/child_file.h"

#include "base/no_sigpipe.h"
#include "interpose/libc.h"
#include "interpose/result.h"
#include "interpose/stdio_buffer.h"
#include "system/process/orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct child_file {
    struct child_file *next;
    FILE *file;
    pid_t pid;
    pid_t process; /* whose child it is */
};

/* Files belong to the process: another thread may close one, also after the last runtime is
 * gone. */
static struct {
    pthread_mutex_t lock;
    struct child_file *files;
} children = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct child_file **place_of(const FILE *file)
{
    struct child_file **place = &children.files;
    while (*place != NULL && (*place)->file != file)
        place = &(*place)->next;
    return place;
}

/* Drops bytes that the command did not take, so that libc does not write them again. */
static void flush_at_exit(void)
{
    for (struct child_file *child = children.files; child != NULL; child = child->next)
        if (child->process == getpid())
            ml_child_file_flush(child->file);
}

/* After a fork the child has the list for itself, whatever another thread was doing with it. */
static void lock_children(void)
{
    ml_libc.pthread_mutex_lock(&children.lock);
}

static void unlock_children(void)
{
    ml_libc.pthread_mutex_unlock(&children.lock);
}

static void begin(void)
{
    atexit(flush_at_exit);
    pthread_atfork(lock_children, unlock_children, unlock_children);
}

int ml_child_file_add(FILE *file, pid_t pid)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    ml_libc.pthread_once(&once, begin);
    struct child_file *child = malloc(sizeof *child);
    if (child == NULL)
        return -ENOMEM;
    lock_children();
    *child = (struct child_file){children.files, file, pid, getpid()};
    __atomic_store_n(&children.files, child, __ATOMIC_RELAXED);
    unlock_children();
    return 0;
}

/* Whether a look is worth it. The answer is exact for files of this thread, whatever other threads
 * do. */
static bool has_files(void)
{
    return ml_unlikely(__atomic_load_n(&children.files, __ATOMIC_RELAXED) != NULL);
}

pid_t ml_child_file_pid(FILE *file, bool *is_ours)
{
    if (!has_files())
        return 0;
    lock_children();
    const struct child_file *child = *place_of(file);
    pid_t pid = child != NULL ? child->pid : 0;
    *is_ours = child != NULL && child->process == getpid();
    unlock_children();
    return pid;
}

void ml_child_file_strike(FILE *file)
{
    if (!has_files())
        return;
    lock_children();
    struct child_file **place = place_of(file), *child = *place;
    if (child != NULL)
        *place = child->next;
    unlock_children();
    free(child);
}

/* Makes a full pipe larger, as far as the system allows. False: that is not possible. */
static bool make_room(int fd)
{
    int size = fcntl(fd, F_GETPIPE_SZ);
    return size > 0 && fcntl(fd, F_SETPIPE_SZ, 2 * size) > size;
}

/* Writes without waiting. Returns how many bytes have gone. */
static size_t give(int fd, const char *data, size_t size)
{
    struct ml_quiet quiet = ml_quiet_begin();
    int flags = fcntl(fd, F_GETFL);
    size_t done = 0;
    ssize_t sent = 0;
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    while (done < size && sent >= 0) {
        sent = ml_libc.write(fd, data + done, size - done);
        if (sent > 0)
            done += (size_t)sent;
        else if (sent < 0 && (errno == EINTR || (errno == EAGAIN && make_room(fd))))
            sent = 0;
    }
    fcntl(fd, F_SETFL, flags);
    ml_quiet_end(quiet, sent < 0 && errno == EPIPE);
    return done;
}

void ml_child_file_flush(FILE *file)
{
    size_t pending = ml_stdio_pending(file);
    int fd = fileno_unlocked(file);
    if (pending > 0 && fd >= 0)
        give(fd, file->_IO_write_base, pending);
    file->_IO_write_ptr = file->_IO_write_base;
}

void ml_child_file_drop(FILE *file)
{
    ml_child_file_strike(file);
    ml_child_file_flush(file);
    ml_libc.plain_fclose(file);
}

/* The common part of the two functions below, for a file of a command. A forked process closes only
 * its own copy. */
static int drop(FILE *file, pid_t pid, bool is_ours)
{
    if (!is_ours) {
        ml_child_file_strike(file);
        ml_libc.plain_fclose(file);
        return ml_fail(-ECHILD);
    }
    ml_child_file_drop(file);
    ml_orphan_leave(NULL, pid);
    return 0;
}

int ml_child_file_close(FILE *file)
{
    bool is_ours = false;
    pid_t pid = ml_child_file_pid(file, &is_ours);
    return pid != 0 ? drop(file, pid, is_ours) : ml_libc.plain_pclose(file);
}

int ml_child_file_close_any(FILE *file)
{
    bool is_ours = false;
    pid_t pid = ml_child_file_pid(file, &is_ours);
    return pid != 0 ? drop(file, pid, is_ours) : ml_libc.plain_fclose(file);
}
