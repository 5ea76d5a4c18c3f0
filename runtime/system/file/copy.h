/* Copies files and trees of directories: functions for ml_file_call_new(). They block, and run on a
 * worker. */
#ifndef ML_SYSTEM_FILE_COPY_H
#define ML_SYSTEM_FILE_COPY_H

#include "system/file/call.h"

enum {
    ML_COPY_TREE = 1, /* a directory is copied with what is in it */
    ML_COPY_KEEP =
        2 /* also times, and owners where that is allowed; permissions without the umask */
};

/*
 * Copies call->path to call->other; call->flags as above. The path is followed if it is a link,
 * links in a tree are copied as such.
 *
 * - A file replaces a file, when it is whole. Holes stay holes; blocks are shared where the disk
 * can.
 * - A directory must not be there yet. What is neither file nor directory is made anew as what it
 * is.
 *
 * With an error nothing of the copy is left, and call->data is the path that it is about, if it is
 * in a tree. -EISDIR: a directory, without ML_COPY_TREE; -EINVAL: a directory into itself, a file
 * onto itself; -EEXIST; -ECANCELED: given up.
 */
int ml_file_copy(struct ml_file_call *call);

#endif
