/*
 * Files that a server reads: directories whose files are served, files in them, lists of names.
 * Each is opened at once if the kernel has all it needs in memory, else by a worker. Knows no HTTP.
 */
#ifndef ML_SYSTEM_FILE_SERVED_H
#define ML_SYSTEM_FILE_SERVED_H

#include "system/file/call.h"
#include "system/file/quick.h"

/* A directory whose files are served. */
struct ml_served_root {
    int fd;        /* -1: closed */
    bool is_local; /* opening a file on its disk asks no server */
    uint64_t inode;
    uint32_t major, minor; /* of its disk */
};

/* Opens the directory without waiting: 0; -EAGAIN: only a worker can; or an error. */
int ml_served_root_open(struct ml_served_root *root, const struct ml_disks *disks,
                        const char *path);

/* Notes what is known of a directory that was opened. */
void ml_served_root_describe(struct ml_served_root *root, const struct statx *status,
                             bool is_local);

/* Whether the path still leads to this directory. Only of one whose disk asks no server: false for
 * others, and if it is closed. */
bool ml_served_root_is_current(const struct ml_served_root *root, const char *path);

/*
 * Opens what is in the directory without waiting, if it is on the directory's own disk: a
 * descriptor, with its status; -EAGAIN; or an error. Links are followed, but not out of the
 * directory.
 */
int ml_served_open(const struct ml_served_root *root, const char *path, struct statx *status);

/* The same for workers, with the number of the directory in call->fd, which is closed; -1: any
 * file. */

/* Opens the directory call->path: call->fd and call->status. 1: its disk is local; 0; or an error.
 */
int ml_served_make_root(struct ml_file_call *call);

/* call->flags: as if the kernel had no openat2(), see ml_beneath_open(). As above. */
int ml_served_make_open(struct ml_file_call *call);

/*
 * Reads the names in the directory into call->data, each with a zero byte behind it, call->size
 * bytes: 0 or an error. Directories end with a slash. What is neither file nor directory nor link
 * is left out.
 */
int ml_served_make_list(struct ml_file_call *call);

#endif
