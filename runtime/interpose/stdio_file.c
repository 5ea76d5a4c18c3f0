#include "interpose/stdio_file.h"

#include "interpose/kind.h"
#include "interpose/locks.h"

#include <errno.h>

int ml_stdio_slow_fd(struct ml_foreign *f, FILE *file, bool may_call)
{
    int saved = errno;
    int fd = fileno_unlocked(file);
    errno = saved;
    if (fd < 0)
        return -1;
    bool is_disk = may_call ? ml_kind_is_disk(f, fd) : ml_kind_of(f, fd) == ML_KIND_DISK;
    return is_disk ? -1 : fd;
}

void ml_stdio_enter(struct ml_foreign *f, FILE *file)
{
    struct ml_entry entry = f->entry;
    ml_co_flockfile(f, file);
    f->entry = entry;
}

void ml_stdio_leave(struct ml_foreign *f, FILE *file)
{
    ml_co_funlockfile(f, file);
}

void ml_stdio_turn_away(struct ml_foreign *f, FILE *file)
{
    int fd = fileno_unlocked(file);
    if (fd >= 0)
        ml_foreign_closes(f, fd);
    ml_lock_await(f, file, ML_LOCK_WHOLE, ML_FOREVER);
    if (fd >= 0)
        ml_foreign_closes(f, fd);
}

/* libc closes it unseen. What could not be written is lost: libc is not to try again, and wait. */
int ml_co_fclose(struct ml_foreign *f, FILE *file)
{
    int fd = ml_stdio_slow_fd(f, file, true);
    int error = 0;
    if (fd >= 0 && ml_co_fflush(f, file) != 0)
        error = errno;
    ml_stdio_turn_away(f, file);
    if (error != 0)
        file->_IO_write_ptr = file->_IO_write_base;
    int result = ml_libc.fclose(file);
    return error == 0 ? result : ml_fail(-error);
}
