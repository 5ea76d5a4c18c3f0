/*
 * Names in the Unix domain: binding to a path that a process now gone has left behind, and removing
 * a path when its socket is closed. Knows neither streams nor datagrams.
 */
#ifndef ML_IO_LOCAL_H
#define ML_IO_LOCAL_H

#include "io/address.h"

#include <sys/stat.h>

/* A path that is ours to remove, by what stands there: another file under its name is left alone.
 */
struct ml_local_path {
    dev_t device;
    ino_t inode;   /* 0: none */
    pid_t process; /* that bound it: one that was forked from it removes nothing */
};

/*
 * bind() for any family. If a Unix-domain socket stands at the path, but nobody has it open any
 * more, it is replaced; one in use and any other kind of file stay: -EADDRINUSE. 0, with *path
 * noted, or a negated errno. Never waits.
 */
int ml_local_bind(int fd, const struct ml_address *address, struct ml_local_path *path);

/* Removes the path to which `fd`, still open, was bound by this process. */
void ml_local_remove(int fd, struct ml_local_path *path);

/* Lets the path stay: it belongs to somebody else now. */
static inline void ml_local_keep(struct ml_local_path *path)
{
    path->inode = 0;
}

#endif
