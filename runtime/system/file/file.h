/*
 * An open file, as a stream (io/stream.h): reads and writes are those of streams, from a place in
 * the file. What the kernel has in memory is read at once; everything else of a disk is a worker's
 * call. FIFOs, terminals and other devices that can be waited for are read and written like
 * sockets. Knows no Lua.
 */
#ifndef ML_SYSTEM_FILE_FILE_H
#define ML_SYSTEM_FILE_FILE_H

#include "system/file/file_state.h"

/* A closed one. */
void ml_file_init(struct ml_file *file, struct ml_io *io);

/* Closes. Calls of workers are finished; tasks that wait get -ML_ECLOSED. Idempotent; never waits.
 */
void ml_file_close(struct ml_file *file);

/* Where the next read or write is. -ESPIPE: a FIFO has no places. */
off_t ml_file_position(const struct ml_file *file);

/* Drops what was read ahead, so that a write or the like is where the reader is. 0, or -EBUSY: a
 * task is reading. */
int ml_file_settle(struct ml_file *file);

/* Goes there. 0, or errors as above. */
int ml_file_go_to(struct ml_file *file, off_t at);

/* Its size. May wait. */
int ml_file_size(struct ml_file *file, off_t *size);

/* Cuts or extends it. May wait. */
int ml_file_truncate(struct ml_file *file, off_t size);

/* Its bytes, and, unless `data_only`, all that belongs to it, are on the disk. May wait. */
int ml_file_sync(struct ml_file *file, bool data_only);

#endif
