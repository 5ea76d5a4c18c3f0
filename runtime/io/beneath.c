#include "io/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HOW = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, TRIES = 8 };

int ml_beneath_root(const char *path)
{
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root < 0 ? -errno : root;
}

/* -EAGAIN: a rename happened meanwhile, so the kernel cannot decide. */
static int open_in_kernel(int root, const char *path)
{
    struct open_how how = {.flags = HOW, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long number = -1;
    int tries = 0;
    do
        number = syscall(SYS_openat2, root, path, &how, sizeof how);
    while (number < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < TRIES)));
    return number < 0 ? -errno : (int)number;
}

/* Copies the next segment of the path: its length; 0: there is none any more; or an error. */
static int take_segment(const char **path, char name[NAME_MAX + 1])
{
    *path += strspn(*path, "/");
    size_t size = strcspn(*path, "/");
    if (size > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, *path, size);
    name[size] = '\0';
    *path += size;
    return strcmp(name, "..") == 0 ? -EXDEV : (int)size;
}

/* Goes from `at`, which is closed unless it is the root, to the file of that name in it. */
static int step(int root, int at, const char *name, bool is_last)
{
    int how = is_last ? HOW : O_PATH | O_DIRECTORY | O_CLOEXEC;
    int next = openat(at, name, how | O_NOFOLLOW);
    int error = errno;
    if (at != root)
        close(at);
    return next < 0 ? -error : next;
}

static int open_step_by_step(int root, const char *path)
{
    char name[NAME_MAX + 1];
    int at = root, size;
    if (*path == '/')
        return -EXDEV;
    while (at >= 0 && (size = take_segment(&path, name)) > 0)
        at = step(root, at, name, path[strspn(path, "/")] == '\0');
    if (at >= 0 && size < 0) {
        if (at != root)
            close(at);
        return size;
    }
    return at == root ? step(root, root, ".", true) : at;
}

int ml_beneath_open(int root, const char *path, bool is_plain)
{
    int number = is_plain ? -ENOSYS : open_in_kernel(root, *path != '\0' ? path : ".");
    /* Filters of system calls, as containers have, return EPERM for calls that they do not know. */
    if (number == -ENOSYS || number == -EPERM)
        number = open_step_by_step(root, path);
    return number;
}
