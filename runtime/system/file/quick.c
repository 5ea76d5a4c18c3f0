#include "system/file/quick.h"

#include "io/file_block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Not in every linux/magic.h. */
enum { XFS_MAGIC = 0x58465342, ZFS_MAGIC = 0x2fc12fc1, BCACHEFS_MAGIC = 0xca451a4e };

enum { DISKS = sizeof((struct ml_disks *)0)->known / sizeof(struct ml_disk) };

/* The place in disks->known, or -1. */
static int place_of(const struct ml_disks *disks, const struct statx *status)
{
    for (int i = 0; i < DISKS; i++) {
        const struct ml_disk *disk = &disks->known[i];
        if (disk->is_known && disk->major == status->stx_dev_major &&
            disk->minor == status->stx_dev_minor)
            return i;
    }
    return -1;
}

static const struct ml_disk *find(const struct ml_disks *disks, const struct statx *status)
{
    int place = place_of(disks, status);
    return place >= 0 ? &disks->known[place] : NULL;
}

bool ml_disks_know(const struct ml_disks *disks, const struct statx *status)
{
    return find(disks, status) != NULL;
}

void ml_disks_learn(struct ml_disks *disks, const struct statx *status, bool is_local)
{
    if (find(disks, status) != NULL)
        return;
    disks->known[disks->next] = (struct ml_disk){status->stx_dev_major, status->stx_dev_minor,
                                                 .is_known = true, .is_local = is_local};
    disks->next = (disks->next + 1) % DISKS;
}

void ml_disks_learn_blind(struct ml_disks *disks, const struct statx *status)
{
    int place = status->stx_dev_major == 0 ? place_of(disks, status) : -1;
    if (place >= 0)
        disks->known[place].is_blind = true;
}

bool ml_disks_is_blind(const struct ml_disks *disks, const struct statx *status)
{
    const struct ml_disk *disk = find(disks, status);
    return disk != NULL && disk->is_blind;
}

static bool is_local(const struct statfs *info)
{
    static const unsigned local[] = {
        EXT4_SUPER_MAGIC, XFS_MAGIC,           BTRFS_SUPER_MAGIC,     F2FS_SUPER_MAGIC,
        TMPFS_MAGIC,      RAMFS_MAGIC,         OVERLAYFS_SUPER_MAGIC, ZFS_MAGIC,
        BCACHEFS_MAGIC,   SQUASHFS_MAGIC,      EROFS_SUPER_MAGIC_V1,  PROC_SUPER_MAGIC,
        SYSFS_MAGIC,      CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC};
    bool is = false;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        is |= (unsigned)info->f_type == local[i];
    return is;
}

bool ml_disk_is_local(int fd)
{
    struct statfs info;
    return fstatfs(fd, &info) == 0 && is_local(&info);
}

bool ml_path_is_kernels(const char *path)
{
    return strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/sys/", 5) == 0;
}

bool ml_disks_ask(struct ml_disks *disks, const char *path, const struct statx *status)
{
    struct statfs info;
    if ((status->stx_dev_major != 0 || ml_path_is_kernels(path)) && find(disks, status) == NULL)
        ml_disks_learn(disks, status, statfs(path, &info) == 0 && is_local(&info));
    return ml_disks_is_local(disks, status);
}

bool ml_disks_is_local(const struct ml_disks *disks, const struct statx *status)
{
    const struct ml_disk *disk = find(disks, status);
    return disk != NULL && disk->is_local;
}

/* -EAGAIN: a name is not in memory; also where the kernel does not know this (before 5.12), or may
 * not be asked. */
static int open_cached_at(int root, const char *path, int flags, unsigned resolve)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_CACHED | resolve};
    long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd >= 0)
        return (int)fd;
    bool is_answer = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
    return is_answer ? -errno : -EAGAIN;
}

static int open_cached(const char *path, int flags)
{
    return open_cached_at(AT_FDCWD, path, flags, 0);
}

int ml_quick_stat(const char *path, bool follows, struct statx *status)
{
    int fd = open_cached(path, O_PATH | (follows ? 0 : O_NOFOLLOW));
    if (fd < 0)
        return fd;
    int error = statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, status);
    close(fd);
    return error == 0 ? 0 : -EAGAIN;
}

int ml_quick_open(const struct ml_disks *disks, const char *path, struct statx *status)
{
    int error = ml_quick_stat(path, true, status);
    if (error != 0)
        return error;
    if (!S_ISREG(status->stx_mode) || !ml_disks_is_local(disks, status))
        return -EAGAIN;
    return open_cached(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

int ml_quick_open_directory(const char *path)
{
    return open_cached(path, O_PATH | O_DIRECTORY);
}

int ml_quick_open_beneath(int root, const char *path)
{
    unsigned how = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    return open_cached_at(root, *path != '\0' ? path : ".", O_RDONLY | O_NONBLOCK | O_NOCTTY, how);
}

ssize_t ml_quick_read_all(int fd, const struct statx *status, char *buffer, size_t room)
{
    size_t size = 0;
    ssize_t count = status->stx_size < room ? 1 : -EAGAIN;
    while (count > 0 && size < room) {
        bool is_whole = false;
        count = ml_file_peek(fd, buffer + size, room - size, (off_t)size);
        if (count > 0) {
            size += (size_t)count;
            is_whole = size == status->stx_size; /* and there was room for more */
        }
        if (is_whole)
            break;
    }
    if (size == room)
        return -EAGAIN;
    return count < 0 ? count : (ssize_t)size;
}
