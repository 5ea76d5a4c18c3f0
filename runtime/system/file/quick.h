/*
 * Calls that never wait for a disk: they are answered from what the kernel has in memory, on the
 * task's own thread, or refused with -EAGAIN, and then a worker makes them. Measured: a worker
 * costs 5 us and more, these below one. Knows no tasks.
 *
 * The kernel is asked to give no answer for which it would have to wait: openat2(RESOLVE_CACHED)
 * finds names, preadv2(RWF_NOWAIT) reads. Opening a file is another matter: for FUSE and NFS it is
 * a question to a server. So files are opened here only on disks that are known to have no server.
 */
#ifndef ML_SYSTEM_FILE_QUICK_H
#define ML_SYSTEM_FILE_QUICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* File systems that have been asked for their kind. A zeroed struct knows none. */
struct ml_disks {
    struct ml_disk {
        uint32_t major, minor;
        bool is_known;
        bool is_local; /* opening a file there asks no server */
        bool is_blind; /* its files know no RWF_NOWAIT: they are in memory (tmpfs, /proc) */
    } known[8];
    unsigned next; /* the one that is forgotten first */
};

/* Asks the file system of an open file for its kind: may wait. For ml_disks_learn(). */
bool ml_disk_is_local(int fd);

void ml_disks_learn(struct ml_disks *disks, const struct statx *status, bool is_local);

/* Notes that a file there knows no RWF_NOWAIT, if the disk is known. Not of a disk with a device of
 * its own: there it is the one file. */
void ml_disks_learn_blind(struct ml_disks *disks, const struct statx *status);

bool ml_disks_is_blind(const struct ml_disks *disks, const struct statx *status);

/* Whether the disk was asked. */
bool ml_disks_know(const struct ml_disks *disks, const struct statx *status);

/* Whether it is known that opening a file on this disk asks no server. */
bool ml_disks_is_local(const struct ml_disks *disks, const struct statx *status);

/* Whether it is a path of files that the kernel makes up, in memory. Some are the thread's own
 * (/proc/thread-self): a worker would open its own. */
bool ml_path_is_kernels(const char *path);

/* The same; a disk with a device of its own, which is asked over no wire, is asked for its kind if
 * it is not known. `status` is that of the path. */
bool ml_disks_ask(struct ml_disks *disks, const char *path, const struct statx *status);

/* The status of the file that the path leads to, or of the link at its end if it may not be
 * followed. 0; -EAGAIN: only a worker can tell; or an error, which is the answer. */
int ml_quick_stat(const char *path, bool follows, struct statx *status);

/* Opens a regular file for reading: a descriptor, with its status; -EAGAIN; or an error. */
int ml_quick_open(const struct ml_disks *disks, const char *path, struct statx *status);

/* Opens a directory, for opening files in it: a descriptor; -EAGAIN; or an error. */
int ml_quick_open_directory(const char *path);

/* Opens what is in a directory of a disk that asks no server, as ml_beneath_open() does, for
 * reading: a descriptor; -EAGAIN, also if the path leads out of the directory, or to another disk;
 * or an error. */
int ml_quick_open_beneath(int root, const char *path);

/* Reads all of an open file into a buffer, if there is room for one byte more than it has. Bytes;
 * -EAGAIN; or an error. */
ssize_t ml_quick_read_all(int fd, const struct statx *status, char *buffer, size_t room);

#endif
