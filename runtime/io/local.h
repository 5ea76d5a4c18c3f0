/*
 * Names in the Unix domain: binds to a path that a dead process has left behind, and removes a path
 * when its socket is closed. Knows neither streams nor datagrams.
 */
#ifndef ML_IO_LOCAL_H
#define ML_IO_LOCAL_H

#include "io/address.h"

#include <sys/stat.h>

/* A path that is ours to remove, identified by its file: another file of that name is not touched.
 */
struct ml_local_path {
    dev_t device;
    ino_t inode;   /* 0: none */
    pid_t process; /* the process that bound it: a fork of it removes nothing */
};

/*
 * bind() for any family. A Unix-domain socket at the path is replaced if no process has it open any
 * more; one in use, and any other kind of file, stays: -EADDRINUSE. 0, with *path noted, or a
 * negated errno. Never waits.
 */
int ml_local_bind(int fd, const struct ml_address *address, struct ml_local_path *path);

/* Removes the path to which `fd`, still open, was bound by this process. */
void ml_local_remove(int fd, struct ml_local_path *path);

/* Keeps the path, which has another owner now. */
static inline void ml_local_keep(struct ml_local_path *path)
{
    path->inode = 0;
}

#endif
