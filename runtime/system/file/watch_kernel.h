/* The inotify descriptor, which jobs on workers use, too: the last of its users closes it. */
#ifndef ML_SYSTEM_FILE_WATCH_KERNEL_H
#define ML_SYSTEM_FILE_WATCH_KERNEL_H

#include <stdatomic.h>

struct ml_watch_kernel {
    atomic_int users;
    int fd;
};

/*
 * Opens it for one user.
 *
 * - 0;
 * - -EMFILE, -ENFILE: the process has no descriptor left;
 * - -EUSERS: the user has too many inotify descriptors;
 * - -ENOMEM, -ENOSYS.
 */
int ml_watch_kernel_open(struct ml_watch_kernel **kernel);

/* One more user, from the thread of a user; and one less, from any thread. */
void ml_watch_kernel_keep(struct ml_watch_kernel *kernel);
void ml_watch_kernel_drop(struct ml_watch_kernel *kernel);

#endif
