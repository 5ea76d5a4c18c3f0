#include "io/local.h"

#include "io/socket.h"

#include <errno.h>
#include <unistd.h>

static int bind_once(int fd, const struct ml_address *address)
{
    return bind(fd, &address->any, address->size) == 0 ? 0 : -errno;
}

static bool has_path(const struct ml_address *address)
{
    return ml_address_is_local(address) && address->size > sizeof(sa_family_t) &&
           address->local.sun_path[0] != '\0';
}

/* Whether a socket stands at the path itself: a symbolic link to one is configuration of the
 * user's. An address with a path of full length has no zero byte behind it. */
static bool find_socket(const struct ml_address *address, struct ml_local_path *found)
{
    struct stat status;
    char path[ML_PATH_SIZE];
    ml_address_path(address, path);
    if (lstat(path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return false;
    *found = (struct ml_local_path){
        .device = status.st_dev, .inode = status.st_ino, .process = getpid()};
    return true;
}

static bool is_still_there(const struct ml_address *address, const struct ml_local_path *path)
{
    struct ml_local_path now;
    return find_socket(address, &now) && now.device == path->device && now.inode == path->inode;
}

/* Whether no process has the socket at the path open. One of the other type, or one with a full
 * backlog, is open, too. */
static bool is_abandoned(const struct ml_address *address, int type)
{
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool is_refused = connect(fd, &address->any, address->size) != 0 && errno == ECONNREFUSED;
    close(fd);
    return is_refused;
}

static bool remove_path(const struct ml_address *address)
{
    char path[ML_PATH_SIZE];
    ml_address_path(address, path);
    return unlink(path) == 0;
}

/* Between the last check and unlink() another process may still take the path. Nothing in the file
 * system prevents that, but both would have to start within microseconds. */
static bool remove_abandoned(const struct ml_address *address, int type)
{
    struct ml_local_path path;
    return find_socket(address, &path) && is_abandoned(address, type) &&
           is_still_there(address, &path) && remove_path(address);
}

int ml_local_bind(int fd, const struct ml_address *address, struct ml_local_path *path)
{
    *path = (struct ml_local_path){0};
    int error = bind_once(fd, address);
    if (!has_path(address))
        return error;
    if (error == -EADDRINUSE &&
        remove_abandoned(address, ml_socket_option(fd, SO_TYPE, SOCK_STREAM)))
        error = bind_once(fd, address);
    if (error == 0)
        find_socket(address, path);
    return error;
}

void ml_local_remove(int fd, struct ml_local_path *path)
{
    struct ml_address address;
    if (path->inode == 0)
        return;
    bool is_ours = path->process == getpid();
    if (is_ours && ml_address_of_socket(&address, fd) == 0 && is_still_there(&address, path))
        remove_path(&address);
    path->inode = 0;
}
