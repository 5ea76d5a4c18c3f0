/*
 * Whole files, as one call each: read, written, written under another name first. Functions for
 * ml_file_call_new(): they block, and run on a worker.
 */
#ifndef ML_SYSTEM_FILE_WHOLE_H
#define ML_SYSTEM_FILE_WHOLE_H

#include "system/file/call.h"

/* What ml_file_read_whole() returns for what is no file of a disk: a FIFO, a terminal, another
 * device. call->fd is open, and does not block. */
enum { ML_FILE_IS_SPECIAL = 1 };

/* Where ml_file_read_whole() notes in call->flags that opening files there asks no server. */
enum { ML_FILE_IS_LOCAL = 1 };

/*
 * Reads call->path to its end, at most call->max bytes: into call->data and call->size, with
 * call->status. -EMSGSIZE: there are more.
 */
int ml_file_read_whole(struct ml_file_call *call);

/*
 * Writes call->input. call->flags: O_TRUNC, O_APPEND; a new file gets call->mode. is_synced: it is
 * on the disk at the end. ML_FILE_IS_SPECIAL: nothing was written.
 */
int ml_file_write_whole(struct ml_file_call *call);

/* The same by a new file (system/file/new_file.h). Given up before it was whole, it has done
 * nothing. */
int ml_file_replace(struct ml_file_call *call);

#endif
