/*
 * A file that appears under its name when it is whole: it is written under a name of its own in the
 * same directory, and takes its place by rename(). Blocks as files do. Knows no formats.
 */
#ifndef ML_IO_NEW_FILE_H
#define ML_IO_NEW_FILE_H

#include <stddef.h>

struct ml_new_file {
    int number;      /* the descriptor; -1: it is closed */
    char *path;      /* where it is to be */
    char *temporary; /* where it is */
};

/* A file that exists keeps its permissions; others get those that open() gives. 0 or an error. */
int ml_new_file_open(struct ml_new_file *file, const char *path);

/* Appends all bytes: 0 or an error. */
int ml_new_file_write(struct ml_new_file *file, const char *data, size_t size);

/* Takes the place of what the name led to: 0; or an error, and the place is as it was. Closes. */
int ml_new_file_commit(struct ml_new_file *file);

/* Nothing of it stays, unless it was committed. Idempotent. */
void ml_new_file_close(struct ml_new_file *file);

#endif
