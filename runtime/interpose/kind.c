#include "interpose/kind.h"

#include <errno.h>
#include <sys/stat.h>

enum ml_kind ml_kind_find(struct ml_foreign *f, int fd)
{
    struct stat status;
    int saved = errno;
    enum ml_kind kind = ML_KIND_STREAM;
    if (fstat(fd, &status) != 0) {
        errno = saved;
        return ML_KIND_STREAM;
    }
    if (S_ISSOCK(status.st_mode))
        kind = ML_KIND_SOCKET;
    else if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode))
        kind = ML_KIND_DISK;
    if ((unsigned)fd < ML_KINDS)
        f->kinds[fd] = (uint8_t)((f->kinds[fd] & ML_KIND_NONBLOCK) | kind);
    return kind;
}
