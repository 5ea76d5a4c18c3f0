/*
 * Opens files below a directory, and none outside of it, whatever the path says and even if the
 * tree changes meanwhile: the kernel resolves the path (openat2(), Linux 5.6). Blocks as files do.
 */
#ifndef ML_IO_BENEATH_H
#define ML_IO_BENEATH_H

#include <stdbool.h>

/* Opens the directory: a descriptor, or an error. */
int ml_beneath_root(const char *path);

/*
 * Opens a file for reading, never waiting for a FIFO's writer: a descriptor, or an error. "" or "."
 * is the root itself. -EXDEV: the path leads out of the root, by ".." or by a symbolic link; an
 * absolute link counts as one, too. `is_plain`: does as if the kernel had no openat2(): segment by
 * segment, and every symbolic link is -ELOOP.
 */
int ml_beneath_open(int root, const char *path, bool is_plain);

#endif
