/*
 * A file that appears under its name when it is whole: it is written under a name of its own in the
 * same directory, and takes its place by rename(). Blocks as files do. Knows no formats.
 *
 * A symbolic link at the end of the path stays: the file to which it leads is replaced, also if
 * that is not there yet.
 */
#ifndef ML_SYSTEM_FILE_NEW_FILE_H
#define ML_SYSTEM_FILE_NEW_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { ML_RANDOM_NAME = 17 };

/* A name for what is temporary: 16 hexadecimal digits of the kernel's random bytes, which repeat
 * in no other process. 0 or an error. */
int ml_random_name(char name[ML_RANDOM_NAME]);

struct ml_new_file {
    int number;         /* the descriptor; -1: it is closed */
    int directory;      /* where it is; -1: closed */
    char *name;         /* what it is to be called there */
    char temporary[32]; /* what it is called */
};

/*
 * A file that exists keeps its permissions, and its owner where this process may give files away;
 * others get `mode`, less the umask. 0 or an error: -EISDIR; -ML_ENOTFILE for what is neither file
 * nor directory; -ML_EDIRECTORY: the directory is not writable.
 */
int ml_new_file_open(struct ml_new_file *file, const char *path, mode_t mode);

/* Appends all bytes: 0 or an error. */
int ml_new_file_write(struct ml_new_file *file, const char *data, size_t size);

/*
 * Takes the place of what the name led to: 0; or an error, and the place is as it was, unless only
 * the directory could not be synced after that. Closes.
 * -ML_EMOUNTED: a file is mounted there.
 * is_synced: the bytes are on the disk before the name leads to them, so that a loss of power
 * leaves the old file or the new one; and the name is, once this has returned 0, so that it leaves
 * the new one.
 */
int ml_new_file_commit(struct ml_new_file *file, bool is_synced);

/* Nothing of it stays, unless it was committed. Idempotent. */
void ml_new_file_close(struct ml_new_file *file);

#endif
