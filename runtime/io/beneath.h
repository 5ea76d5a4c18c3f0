/*
 * Opens what lies below a directory, and nothing else, whatever the path says and whoever changes
 * the tree meanwhile: the kernel resolves it (openat2(), Linux 5.6). Blocks as files do.
 */
#ifndef ML_IO_BENEATH_H
#define ML_IO_BENEATH_H

#include <stdbool.h>

/* The directory: a descriptor, or an error. */
int ml_beneath_root(const char *path);

/*
 * Opens for reading, never waiting for a FIFO's writer: a descriptor, or an error. -EXDEV: the path
 * leads out of the root, by ".." or by a symbolic link; an absolute link counts as one, too.
 * `is_plain`: as where the kernel has no openat2(): segment by segment, and every symbolic link is
 * -ELOOP. "" or "." is the root itself.
 */
int ml_beneath_open(int root, const char *path, bool is_plain);

#endif
