/*
 * A disk that answers when it is told to: a FUSE file system over the files of a directory.
 *
 *     slow_disk FILES PLACE COMMAND [ARG]...
 *
 * Mounts it at the directory PLACE, in a user and mount namespace of its own, and runs COMMAND.
 * Every request reaches the server, as the kernel may remember neither names nor attributes. While
 * there is a file FILES.hold, the server keeps the requests that are named in it (as LOOKUP, READ,
 * or ALL), and writes their names to FILES.held. If that takes more than PATIENCE seconds, it
 * writes "gave up" there and answers: the test whose only thread waits would never end else. While
 * there is a file FILES.seen, the names of all requests are appended to it.
 *
 * Exit status: COMMAND's; 77 where such a disk cannot be mounted.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SKIPPED = 77,
    PATIENCE = 8,
    NODES = 1000,
    MOST = 128 * 1024,
    ROOM = MOST + 4096,
    KEPT = 100
};

/* What the kernel knows of: a number of FUSE's for each file, with a descriptor (O_PATH). */
struct node {
    dev_t device;
    ino_t inode;
    int fd;
};

struct kept {
    char *request;
    time_t since;
};

struct disk {
    int fuse;
    struct node nodes[NODES];
    uint64_t count;
    struct kept kept[KEPT];
    int kept_count;
    char hold_path[PATH_MAX], held_path[PATH_MAX], seen_path[PATH_MAX];
};

static char answer_buffer[ROOM];

static const char *name_of(uint32_t opcode)
{
    switch (opcode) {
    case FUSE_LOOKUP:
        return "LOOKUP";
    case FUSE_GETATTR:
        return "GETATTR";
    case FUSE_SETATTR:
        return "SETATTR";
    case FUSE_READLINK:
        return "READLINK";
    case FUSE_SYMLINK:
        return "SYMLINK";
    case FUSE_MKDIR:
        return "MKDIR";
    case FUSE_UNLINK:
        return "UNLINK";
    case FUSE_RMDIR:
        return "RMDIR";
    case FUSE_RENAME:
    case FUSE_RENAME2:
        return "RENAME";
    case FUSE_LINK:
        return "LINK";
    case FUSE_OPEN:
        return "OPEN";
    case FUSE_READ:
        return "READ";
    case FUSE_WRITE:
        return "WRITE";
    case FUSE_STATFS:
        return "STATFS";
    case FUSE_FSYNC:
        return "FSYNC";
    case FUSE_FLUSH:
        return "FLUSH";
    case FUSE_OPENDIR:
        return "OPENDIR";
    case FUSE_READDIR:
        return "READDIR";
    case FUSE_FSYNCDIR:
        return "FSYNCDIR";
    case FUSE_CREATE:
        return "CREATE";
    default:
        return "OTHER";
    }
}

static void write_file(const char *path, int flags, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0666);
    if (fd < 0)
        return;
    if (write(fd, text, strlen(text)) < 0)
        perror(path);
    close(fd);
}

static void append_line(const char *path, int flags, const char *text)
{
    char line[32];
    snprintf(line, sizeof line, "%s\n", text);
    write_file(path, O_APPEND | flags, line);
}

/* ---- answers ---- */

static void answer(struct disk *disk, const struct fuse_in_header *in, int error, const void *data,
                   size_t size)
{
    struct fuse_out_header out = {(uint32_t)(sizeof out + (error == 0 ? size : 0)), error,
                                  in->unique};
    memcpy(answer_buffer, &out, sizeof out);
    if (error == 0 && size > 0 && data != answer_buffer + sizeof out)
        memcpy(answer_buffer + sizeof out, data, size);
    /* ENOENT: the caller was killed meanwhile. */
    if (write(disk->fuse, answer_buffer, out.len) < 0 && errno != ENOENT)
        perror("slow_disk: answer");
}

static void answer_result(struct disk *disk, const struct fuse_in_header *in, long result)
{
    answer(disk, in, result < 0 ? -errno : 0, NULL, 0);
}

/* The path of /proc that leads to a node, in a buffer that the next call but three uses again. */
static const char *path_of(const struct disk *disk, uint64_t number)
{
    static char paths[4][64];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "/proc/self/fd/%d", disk->nodes[number].fd);
    return path;
}

static int fd_of(const struct disk *disk, const struct fuse_in_header *in)
{
    return disk->nodes[in->nodeid].fd;
}

static struct fuse_attr attributes_of(const struct disk *disk, uint64_t number)
{
    struct stat s = {0};
    fstatat(disk->nodes[number].fd, "", &s, AT_EMPTY_PATH);
    return (struct fuse_attr){.ino = number,
                              .size = (uint64_t)s.st_size,
                              .blocks = (uint64_t)s.st_blocks,
                              .atime = (uint64_t)s.st_atime,
                              .mtime = (uint64_t)s.st_mtime,
                              .ctime = (uint64_t)s.st_ctime,
                              .mtimensec = (uint32_t)s.st_mtim.tv_nsec,
                              .ctimensec = (uint32_t)s.st_ctim.tv_nsec,
                              .mode = s.st_mode,
                              .nlink = (uint32_t)s.st_nlink,
                              .uid = s.st_uid,
                              .gid = s.st_gid,
                              .blksize = 4096};
}

/* The number of the node with this descriptor, which is closed if the file is known. 0: there are
 * too many. */
static uint64_t number_of(struct disk *disk, int fd)
{
    struct stat s;
    fstatat(fd, "", &s, AT_EMPTY_PATH);
    for (uint64_t i = FUSE_ROOT_ID; i < disk->count; i++) {
        if (disk->nodes[i].device == s.st_dev && disk->nodes[i].inode == s.st_ino) {
            close(fd);
            return i;
        }
    }
    if (disk->count == NODES)
        return 0;
    disk->nodes[disk->count] = (struct node){s.st_dev, s.st_ino, fd};
    return disk->count++;
}

static bool find_entry(struct disk *disk, uint64_t parent, const char *name,
                       struct fuse_entry_out *entry)
{
    int fd = openat(disk->nodes[parent].fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    uint64_t number = fd >= 0 ? number_of(disk, fd) : 0;
    if (number == 0)
        return false;
    *entry = (struct fuse_entry_out){.nodeid = number, .attr = attributes_of(disk, number)};
    return true;
}

static void answer_entry(struct disk *disk, const struct fuse_in_header *in, long result,
                         const char *name)
{
    struct fuse_entry_out entry;
    bool is_there = result >= 0 && find_entry(disk, in->nodeid, name, &entry);
    answer(disk, in, is_there ? 0 : -errno, &entry, sizeof entry);
}

static void answer_attributes(struct disk *disk, const struct fuse_in_header *in)
{
    struct fuse_attr_out out = {.attr = attributes_of(disk, in->nodeid)};
    answer(disk, in, 0, &out, sizeof out);
}

static void set_attributes(struct disk *disk, const struct fuse_in_header *in,
                           const struct fuse_setattr_in *set)
{
    const char *path = path_of(disk, in->nodeid);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
    int result = 0;
    if ((set->valid & FATTR_MODE) != 0)
        result = chmod(path, set->mode);
    if (result == 0 && (set->valid & FATTR_SIZE) != 0)
        result = truncate(path, (off_t)set->size);
    if ((set->valid & FATTR_MTIME) != 0)
        times[1] = (struct timespec){(time_t)set->mtime, set->mtimensec};
    if (result == 0)
        result = utimensat(AT_FDCWD, path, times, 0);
    if (result == 0)
        answer_attributes(disk, in);
    else
        answer_result(disk, in, result);
}

static void open_file(struct disk *disk, const struct fuse_in_header *in,
                      const struct fuse_open_in *open_in)
{
    int flags = (int)open_in->flags & (O_ACCMODE | O_TRUNC | O_APPEND);
    int fd = open(path_of(disk, in->nodeid), (flags & ~O_APPEND) | O_CLOEXEC);
    struct fuse_open_out out = {.fh = (uint64_t)fd};
    answer(disk, in, fd < 0 ? -errno : 0, &out, sizeof out);
}

static void create_file(struct disk *disk, const struct fuse_in_header *in,
                        const struct fuse_create_in *create)
{
    const char *name = (const char *)(create + 1);
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out = {0};
    int flags = (int)create->flags & (O_ACCMODE | O_EXCL | O_TRUNC);
    int fd = openat(fd_of(disk, in), name, flags | O_CREAT | O_CLOEXEC, create->mode & 0777);
    out.open.fh = (uint64_t)fd;
    bool is_made = fd >= 0 && find_entry(disk, in->nodeid, name, &out.entry);
    answer(disk, in, is_made ? 0 : -errno, &out, sizeof out);
}

static void read_file(struct disk *disk, const struct fuse_in_header *in,
                      const struct fuse_read_in *read_in)
{
    char *data = answer_buffer + sizeof(struct fuse_out_header);
    ssize_t count = pread((int)read_in->fh, data, read_in->size, (off_t)read_in->offset);
    answer(disk, in, count < 0 ? -errno : 0, data, count > 0 ? (size_t)count : 0);
}

static void write_data(struct disk *disk, const struct fuse_in_header *in,
                       const struct fuse_write_in *write_in)
{
    ssize_t count =
        pwrite((int)write_in->fh, write_in + 1, write_in->size, (off_t)write_in->offset);
    struct fuse_write_out out = {.size = (uint32_t)(count > 0 ? count : 0)};
    answer(disk, in, count < 0 ? -errno : 0, &out, sizeof out);
}

/* The offset is the number of entries that were told already. */
static void read_directory(struct disk *disk, const struct fuse_in_header *in,
                           const struct fuse_read_in *read_in)
{
    char *data = answer_buffer + sizeof(struct fuse_out_header);
    DIR *directory = opendir(path_of(disk, in->nodeid));
    size_t size = 0;
    struct dirent *row = NULL;
    for (uint64_t i = 0; directory != NULL && (row = readdir(directory)) != NULL; i++) {
        size_t length = strlen(row->d_name), whole = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + length);
        struct fuse_dirent head = {row->d_ino, i + 1, (uint32_t)length, row->d_type};
        if (i < read_in->offset)
            continue;
        if (size + whole > read_in->size)
            break;
        memset(data + size, 0, whole);
        memcpy(data + size, &head, FUSE_NAME_OFFSET);
        memcpy(data + size + FUSE_NAME_OFFSET, row->d_name, length);
        size += whole;
    }
    if (directory != NULL)
        closedir(directory);
    answer(disk, in, directory == NULL ? -errno : 0, data, size);
}

static void read_link(struct disk *disk, const struct fuse_in_header *in)
{
    char text[PATH_MAX];
    ssize_t size = readlinkat(fd_of(disk, in), "", text, sizeof text);
    answer(disk, in, size < 0 ? -errno : 0, text, size > 0 ? (size_t)size : 0);
}

static void rename_file(struct disk *disk, const struct fuse_in_header *in, uint64_t directory,
                        unsigned flags, const char *from)
{
    const char *to = from + strlen(from) + 1;
    answer_result(disk, in, renameat2(fd_of(disk, in), from, disk->nodes[directory].fd, to, flags));
}

static void make_link(struct disk *disk, const struct fuse_in_header *in,
                      const struct fuse_link_in *link_in)
{
    const char *name = (const char *)(link_in + 1);
    int result = linkat(AT_FDCWD, path_of(disk, link_in->oldnodeid), fd_of(disk, in), name,
                        AT_SYMLINK_FOLLOW);
    answer_entry(disk, in, result, name);
}

static void answer_start(struct disk *disk, const struct fuse_in_header *in,
                         const struct fuse_init_in *init)
{
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                .minor = FUSE_KERNEL_MINOR_VERSION,
                                .max_readahead = init->max_readahead,
                                .max_write = MOST,
                                .flags = init->flags & (FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC),
                                .max_background = 64,
                                .congestion_threshold = 48};
    answer(disk, in, 0, &out, sizeof out);
}

static void answer_room(struct disk *disk, const struct fuse_in_header *in)
{
    struct fuse_statfs_out out = {.st = {.blocks = 1000,
                                         .bfree = 500,
                                         .bavail = 500,
                                         .bsize = 4096,
                                         .namelen = NAME_MAX,
                                         .frsize = 4096}};
    answer(disk, in, 0, &out, sizeof out);
}

static void serve(struct disk *disk, const char *request)
{
    const struct fuse_in_header *in = (const struct fuse_in_header *)request;
    const void *body = in + 1;
    const char *text = body;
    switch (in->opcode) {
    case FUSE_INIT:
        answer_start(disk, in, body);
        break;
    case FUSE_LOOKUP:
        answer_entry(disk, in, 0, text);
        break;
    case FUSE_GETATTR:
        answer_attributes(disk, in);
        break;
    case FUSE_SETATTR:
        set_attributes(disk, in, body);
        break;
    case FUSE_READLINK:
        read_link(disk, in);
        break;
    case FUSE_SYMLINK:
        answer_entry(disk, in, symlinkat(text + strlen(text) + 1, fd_of(disk, in), text), text);
        break;
    case FUSE_MKDIR:
        text += sizeof(struct fuse_mkdir_in);
        answer_entry(disk, in, mkdirat(fd_of(disk, in), text, 0777), text);
        break;
    case FUSE_UNLINK:
        answer_result(disk, in, unlinkat(fd_of(disk, in), text, 0));
        break;
    case FUSE_RMDIR:
        answer_result(disk, in, unlinkat(fd_of(disk, in), text, AT_REMOVEDIR));
        break;
    case FUSE_RENAME:
        rename_file(disk, in, ((const struct fuse_rename_in *)body)->newdir, 0,
                    text + sizeof(struct fuse_rename_in));
        break;
    case FUSE_RENAME2:
        rename_file(disk, in, ((const struct fuse_rename2_in *)body)->newdir,
                    ((const struct fuse_rename2_in *)body)->flags,
                    text + sizeof(struct fuse_rename2_in));
        break;
    case FUSE_LINK:
        make_link(disk, in, body);
        break;
    case FUSE_OPEN:
        open_file(disk, in, body);
        break;
    case FUSE_CREATE:
        create_file(disk, in, body);
        break;
    case FUSE_READ:
        read_file(disk, in, body);
        break;
    case FUSE_WRITE:
        write_data(disk, in, body);
        break;
    case FUSE_OPENDIR:
        answer(disk, in, 0, &(struct fuse_open_out){0}, sizeof(struct fuse_open_out));
        break;
    case FUSE_READDIR:
        read_directory(disk, in, body);
        break;
    case FUSE_STATFS:
        answer_room(disk, in);
        break;
    case FUSE_RELEASE:
        close((int)((const struct fuse_release_in *)body)->fh);
        answer(disk, in, 0, NULL, 0);
        break;
    case FUSE_FLUSH:
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR:
    case FUSE_RELEASEDIR:
        answer(disk, in, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        answer(disk, in, -ENOSYS, NULL, 0);
    }
}

/* ---- what is held ---- */

static bool is_to_hold(const struct disk *disk, const char *name)
{
    char text[256] = " ";
    int fd = open(disk->hold_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text + 1, sizeof text - 2);
    close(fd);
    return size > 0 && (strstr(text, name) != NULL || strstr(text, "ALL") != NULL);
}

static void serve_or_keep(struct disk *disk, const char *request, size_t size)
{
    const char *name = name_of(((const struct fuse_in_header *)request)->opcode);
    append_line(disk->seen_path, 0, name);
    if (strcmp(name, "OTHER") == 0 || disk->kept_count == KEPT || !is_to_hold(disk, name)) {
        serve(disk, request);
        return;
    }
    char *copy = malloc(size);
    memcpy(copy, request, size);
    disk->kept[disk->kept_count++] = (struct kept){copy, time(NULL)};
    append_line(disk->held_path, O_CREAT, name);
}

static void let_go(struct disk *disk)
{
    bool is_over = access(disk->hold_path, F_OK) != 0;
    bool is_late = disk->kept_count > 0 && time(NULL) - disk->kept[0].since > PATIENCE;
    if (is_late) {
        unlink(disk->hold_path);
        append_line(disk->held_path, O_CREAT, "gave up");
    }
    for (int i = 0; (is_over || is_late) && i < disk->kept_count; i++) {
        serve(disk, disk->kept[i].request);
        free(disk->kept[i].request);
    }
    if (is_over || is_late)
        disk->kept_count = 0;
}

/* Until the disk is unmounted, or the command has ended. */
static void run_server(struct disk *disk, pid_t command)
{
    static char request[ROOM];
    struct pollfd ready = {.fd = disk->fuse, .events = POLLIN};
    int status = 0;
    while (waitpid(command, &status, WNOHANG) == 0) {
        poll(&ready, 1, 5);
        ssize_t size = read(disk->fuse, request, sizeof request);
        if (size > 0)
            serve_or_keep(disk, request, (size_t)size);
        let_go(disk);
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* ---- mounting ---- */

static void map_user(const char *path, unsigned id)
{
    char text[32];
    snprintf(text, sizeof text, "0 %u 1", id);
    write_file(path, 0, text);
}

static bool mount_disk(struct disk *disk, const char *files, const char *place)
{
    char options[100];
    unsigned user = getuid(), group = getgid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    write_file("/proc/self/setgroups", 0, "deny");
    map_user("/proc/self/uid_map", user);
    map_user("/proc/self/gid_map", group);
    disk->fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    disk->nodes[FUSE_ROOT_ID].fd = open(files, O_PATH | O_CLOEXEC);
    struct stat s;
    fstat(disk->nodes[FUSE_ROOT_ID].fd, &s);
    disk->nodes[FUSE_ROOT_ID].device = s.st_dev;
    disk->nodes[FUSE_ROOT_ID].inode = s.st_ino;
    disk->count = FUSE_ROOT_ID + 1;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", disk->fuse);
    return disk->fuse >= 0 && mount("slow", place, "fuse", MS_NODEV, options) == 0;
}

int main(int count, char **arguments)
{
    static struct disk disk;
    if (count < 4)
        return 2;
    snprintf(disk.hold_path, sizeof disk.hold_path, "%s.hold", arguments[1]);
    snprintf(disk.held_path, sizeof disk.held_path, "%s.held", arguments[1]);
    snprintf(disk.seen_path, sizeof disk.seen_path, "%s.seen", arguments[1]);
    umask(0);
    if (!mount_disk(&disk, arguments[1], arguments[2]))
        return SKIPPED;
    pid_t command = fork();
    if (command == 0) {
        umask(022);
        execvp(arguments[3], arguments + 3);
        _exit(127);
    }
    run_server(&disk, command);
}
