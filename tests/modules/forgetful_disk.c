/*
 * A disk that loses its power when the process ends, for LD_PRELOAD: what was written to files
 * whose names begin with $FORGETFUL and was not synced is undone then. With $FORGETFUL_SEED, a
 * random part of the writes has reached the disk all the same.
 *
 * Knows pwrite64 and ftruncate64, by which SQLite writes; not mappings, nor names of files.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

/* One write that is not synced: old and new bytes at a place, and the size before. */
struct change {
    struct change *next; /* the one before */
    dev_t device;
    ino_t inode;
    int fd; /* of the disk's own */
    off_t offset, old_size, new_size;
    size_t old_count, new_count;
    char *old_bytes, *new_bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct change *newest;

/* Descriptors of the disk's own for the files, never closed: that would drop the locks of the
 * process. */
static struct {
    dev_t device;
    ino_t inode;
    int fd;
} files[16];

#define REAL(type, name, parameters) type(*name) parameters = dlsym(RTLD_NEXT, #name)

static bool is_watched(int fd)
{
    const char *prefix = getenv("FORGETFUL");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = prefix ? readlink(link, path, sizeof path - 1) : -1;
    if (size < 0)
        return false;
    path[size] = 0;
    return strncmp(path, prefix, strlen(prefix)) == 0 && !strstr(path, "-shm");
}

static int own_fd(int fd, const struct stat *file)
{
    size_t i = 0;
    while (files[i].inode && (files[i].inode != file->st_ino || files[i].device != file->st_dev))
        if (++i == sizeof files / sizeof *files)
            abort();
    if (!files[i].inode) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        files[i].device = file->st_dev;
        files[i].inode = file->st_ino;
        files[i].fd = open(link, O_RDWR | O_CLOEXEC);
    }
    return files[i].fd;
}

/* Remembers what is at [offset, offset + count) before it changes. */
static struct change *remember(int fd, off_t offset, size_t count)
{
    struct stat file;
    struct change *change = calloc(1, sizeof *change);
    if (!change || fstat(fd, &file) != 0)
        abort();
    *change = (struct change){.next = newest,
                              .device = file.st_dev,
                              .inode = file.st_ino,
                              .fd = own_fd(fd, &file),
                              .offset = offset,
                              .old_size = file.st_size};
    change->old_bytes = malloc(count + 1);
    ssize_t was = change->old_bytes ? pread(change->fd, change->old_bytes, count, offset) : -1;
    change->old_count = was > 0 ? (size_t)was : 0;
    newest = change;
    return change;
}

EXPORTED ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
    REAL(ssize_t, pwrite64, (int, const void *, size_t, off64_t));
    if (!is_watched(fd))
        return pwrite64(fd, bytes, count, offset);
    pthread_mutex_lock(&lock);
    struct change *change = remember(fd, offset, count);
    ssize_t result = pwrite64(fd, bytes, count, offset);
    change->new_bytes = malloc(count + 1);
    if (result > 0 && change->new_bytes) {
        change->new_count = (size_t)result;
        memcpy(change->new_bytes, bytes, (size_t)result);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORTED int ftruncate64(int fd, off64_t size)
{
    REAL(int, ftruncate64, (int, off64_t));
    if (!is_watched(fd))
        return ftruncate64(fd, size);
    pthread_mutex_lock(&lock);
    struct stat file = {0};
    fstat(fd, &file);
    size_t lost = file.st_size > size ? (size_t)(file.st_size - size) : 0;
    remember(fd, size, lost);
    int result = ftruncate64(fd, size);
    pthread_mutex_unlock(&lock);
    return result;
}

static void discard(struct change *change)
{
    free(change->old_bytes);
    free(change->new_bytes);
    free(change);
}

/* What was written to a file is on the disk. */
static void forget(int fd)
{
    struct stat file;
    if (fstat(fd, &file) != 0)
        return;
    for (struct change **at = &newest; *at;) {
        struct change *change = *at;
        if (change->inode == file.st_ino && change->device == file.st_dev) {
            *at = change->next;
            discard(change);
        } else {
            at = &change->next;
        }
    }
}

static int synced(int (*sync)(int), int fd)
{
    pthread_mutex_lock(&lock);
    int result = sync(fd);
    if (result == 0)
        forget(fd);
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORTED int fsync(int fd)
{
    REAL(int, fsync, (int));
    return synced(fsync, fd);
}

EXPORTED int fdatasync(int fd)
{
    REAL(int, fdatasync, (int));
    return synced(fdatasync, fd);
}

/* Writes a part again, oldest first. */
static void apply(const struct change *change, unsigned *seed)
{
    if (!change)
        return;
    apply(change->next, seed);
    if (change->new_count > 0 && rand_r(seed) % 2)
        (void)!pwrite(change->fd, change->new_bytes, change->new_count, change->offset);
}

static void lose_power(void)
{
    REAL(ssize_t, pwrite64, (int, const void *, size_t, off64_t));
    REAL(int, ftruncate64, (int, off64_t));
    const char *text = getenv("FORGETFUL_SEED");
    pthread_mutex_lock(&lock); /* and nobody writes from now on */
    for (const struct change *change = newest; change; change = change->next) {
        (void)!pwrite64(change->fd, change->old_bytes, change->old_count, change->offset);
        (void)!ftruncate64(change->fd, change->old_size);
    }
    unsigned seed = text ? (unsigned)atoi(text) : 0;
    if (seed)
        apply(newest, &seed);
}

EXPORTED void _exit(int status)
{
    lose_power();
    void (*end)(int) __attribute__((noreturn)) = dlsym(RTLD_NEXT, "_exit");
    end(status);
}

__attribute__((destructor)) static void end(void)
{
    lose_power();
    pthread_mutex_unlock(&lock);
}
