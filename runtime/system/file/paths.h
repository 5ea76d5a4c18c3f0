/*
 * Calls that make, change, and remove names, and read directories and links: functions for
 * ml_file_call_new(), each the system call of its name unless said otherwise. They block, and run
 * on a worker.
 */
#ifndef ML_SYSTEM_FILE_PATHS_H
#define ML_SYSTEM_FILE_PATHS_H

#include "system/file/call.h"

/* call->flags of ml_file_make_directory(): the directories above are made, too, and one that is
 * there already is no error. */
enum { ML_FILE_PARENTS = 1 };

/* call->flags: those of fstatat(). */
int ml_file_stat(struct ml_file_call *call);

/* call->mode, less the umask. */
int ml_file_make_directory(struct ml_file_call *call);

/* A file, a link, or an empty directory. */
int ml_file_remove(struct ml_file_call *call);

/* From call->path to call->other. */
int ml_file_rename(struct ml_file_call *call);
int ml_file_link(struct ml_file_call *call);

/* A link at call->other that leads to call->path. */
int ml_file_symlink(struct ml_file_call *call);

/* The text is put into call->data, of call->size bytes. */
int ml_file_read_link(struct ml_file_call *call);
int ml_file_real_path(struct ml_file_call *call);

/* To call->mode. */
int ml_file_chmod(struct ml_file_call *call);

/* To the user and the group in call->numbers, -1: as it is; call->flags: those of fchownat(). */
int ml_file_chown(struct ml_file_call *call);

/* To call->times; call->flags: those of utimensat(). */
int ml_file_set_times(struct ml_file_call *call);

/* The names in a directory but "." and "..", in the order of their bytes, each with a zero at its
 * end, are put into call->data. Returns how many. */
int ml_file_list(struct ml_file_call *call);

#endif
