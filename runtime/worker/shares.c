#include "worker/shares.h"

#include "base/check.h"
#include "io/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- sockets ---- */

static int type_of(const struct ml_control_listen *asked)
{
    return asked->kind == ML_SHARE_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM;
}

static void set_up(int fd, const struct ml_control_listen *asked)
{
    bool is_stream = asked->kind == ML_SHARE_STREAM;
    if (is_stream || (asked->flags & ML_SHARE_REUSE) != 0)
        ml_socket_set_flag(fd, SOL_SOCKET, SO_REUSEADDR, true);
    if (is_stream && asked->address.any.sa_family == AF_INET6)
        ml_socket_set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, true);
    if ((asked->flags & ML_SHARE_BROADCAST) != 0)
        ml_socket_set_flag(fd, SOL_SOCKET, SO_BROADCAST, true);
}

/*
 * The first socket of an address is bound alone, so that an address that another program has is in
 * use, also if that one shares it with SO_REUSEPORT. Only then may others join: those that this
 * master binds to it.
 */
static int bind_socket(struct ml_share *share, int fd)
{
    bool is_per_slot = share->asked.is_per_slot != 0;
    bool is_first = share->bound.size == 0;
    struct ml_address *address = is_first ? &share->asked.address : &share->bound;
    struct ml_local_path path = {0};
    if (!is_first && is_per_slot)
        ml_socket_set_flag(fd, SOL_SOCKET, SO_REUSEPORT, true);
    int error = ml_local_bind(fd, address, &path);
    if (error != 0)
        return error;
    if (is_first && is_per_slot)
        ml_socket_set_flag(fd, SOL_SOCKET, SO_REUSEPORT, true);
    if (is_first)
        share->path = path;
    return 0;
}

static int start_socket(struct ml_share *share, int fd)
{
    int backlog = share->asked.backlog;
    int error = bind_socket(share, fd);
    if (error != 0)
        return error;
    if (share->asked.kind == ML_SHARE_STREAM && listen(fd, backlog > 0 ? backlog : SOMAXCONN) != 0)
        return -errno;
    return share->bound.size == 0 ? ml_address_of_socket(&share->bound, fd) : 0;
}

/* The descriptor, or a negated errno. */
static int open_socket(struct ml_share *share)
{
    int fd = ml_socket_new(share->asked.address.any.sa_family, type_of(&share->asked));
    if (fd < 0)
        return fd;
    set_up(fd, &share->asked);
    int error = start_socket(share, fd);
    if (error == 0)
        return fd;
    ml_local_remove(fd, &share->path);
    close(fd);
    return error;
}

static int make_room(struct ml_share *share, uint32_t count)
{
    if (count <= share->fd_count)
        return 0;
    int *fds = realloc(share->fds, count * sizeof *fds);
    if (fds == NULL)
        return -ENOMEM;
    share->fds = fds;
    while (share->fd_count < count)
        share->fds[share->fd_count++] = -1;
    return 0;
}

/* The socket for a place: the descriptor or a negated errno. */
static int socket_for(struct ml_share *share, uint32_t slot)
{
    uint32_t index = share->asked.is_per_slot ? slot - 1 : 0;
    int error = make_room(share, index + 1);
    if (error != 0)
        return error;
    if (share->fds[index] < 0)
        share->fds[index] = open_socket(share);
    int fd = share->fds[index];
    if (fd < 0)
        share->fds[index] = -1;
    return fd;
}

/* ---- shares ---- */

static struct ml_share *share_at(struct ml_link *link)
{
    return ml_container_of(link, struct ml_share, link);
}

static struct ml_share_user *user_at(struct ml_link *link)
{
    return ml_container_of(link, struct ml_share_user, link);
}

static void free_user(struct ml_share_user *user)
{
    ml_list_remove(&user->link);
    free(user);
}

static void free_share(struct ml_share *share)
{
    while (!ml_list_is_empty(&share->users))
        free_user(user_at(share->users.next));
    for (uint32_t i = 0; i < share->fd_count; i++) {
        if (share->fds[i] < 0)
            continue;
        if (!share->is_inherited)
            ml_local_remove(share->fds[i], &share->path);
        close(share->fds[i]);
    }
    ml_list_remove(&share->link);
    free(share->fds);
    free(share);
}

static bool is_same_address(const struct ml_address *a, const struct ml_address *b)
{
    return a->size == b->size && memcmp(&a->any, &b->any, a->size) == 0;
}

static bool is_asked_for(const struct ml_share *share, const struct ml_control_listen *asked)
{
    if (share->asked.kind != asked->kind || share->asked.ordinal != asked->ordinal)
        return false;
    return is_same_address(&share->asked.address, &asked->address) ||
           (share->is_inherited && is_same_address(&share->bound, &asked->address));
}

/* The n-th listener of the service manager's. */
static struct ml_share *find_inherited(struct ml_master *master, uint32_t ordinal)
{
    for (struct ml_link *link = master->shares.next; link != &master->shares; link = link->next) {
        const struct ml_share *share = share_at(link);
        bool is_one = share->is_inherited && share->asked.kind == ML_SHARE_STREAM;
        if (is_one && --ordinal == 0)
            return share_at(link);
    }
    return NULL;
}

static struct ml_share *find_share(struct ml_master *master, const struct ml_control_listen *asked)
{
    if (asked->kind == ML_SHARE_INHERITED)
        return find_inherited(master, asked->ordinal);
    for (struct ml_link *link = master->shares.next; link != &master->shares; link = link->next)
        if (is_asked_for(share_at(link), asked))
            return share_at(link);
    return NULL;
}

static struct ml_share *new_share(struct ml_master *master, const struct ml_control_listen *asked)
{
    struct ml_share *share = calloc(1, sizeof *share);
    if (share == NULL)
        return NULL;
    share->number = ++master->last_share;
    share->asked = *asked;
    ml_list_init(&share->users);
    ml_list_insert(&master->shares, &share->link);
    return share;
}

/* A later generation may change the backlog of a socket that listens. */
static int agree(struct ml_share *share, const struct ml_control_listen *asked, uint32_t generation)
{
    bool is_changed = share->asked.backlog != asked->backlog;
    if (share->is_inherited)
        return 0;
    if (share->asked.is_per_slot != asked->is_per_slot || share->asked.flags != asked->flags ||
        (is_changed && generation <= share->generation))
        return -EINVAL;
    for (uint32_t i = 0; i < share->fd_count && is_changed; i++)
        if (share->fds[i] >= 0)
            listen(share->fds[i], asked->backlog > 0 ? asked->backlog : SOMAXCONN);
    share->asked.backlog = asked->backlog;
    return 0;
}

static int add_user(struct ml_share *share, const struct ml_worker_process *process)
{
    struct ml_share_user *user = calloc(1, sizeof *user);
    if (user == NULL)
        return -ENOMEM;
    *user = (struct ml_share_user){
        .serial = process->serial, .slot = process->slot_id, .generation = process->generation};
    ml_list_insert(&share->users, &user->link);
    return 0;
}

static bool is_used(const struct ml_share *share)
{
    return share->is_inherited || !ml_list_is_empty(&share->users);
}

int ml_shares_listen(struct ml_master *master, const struct ml_worker_process *process,
                     const struct ml_control_listen *asked, uint64_t *number)
{
    struct ml_share *share = find_share(master, asked);
    int error = 0;
    if (share != NULL)
        error = agree(share, asked, process->generation);
    else if (asked->kind == ML_SHARE_INHERITED)
        error = -ENOENT;
    else if ((share = new_share(master, asked)) == NULL)
        error = -ENOMEM;
    if (error != 0)
        return error;
    int fd = socket_for(share, process->slot_id);
    error = fd >= 0 ? add_user(share, process) : fd;
    if (error != 0 && !is_used(share))
        free_share(share);
    if (error != 0)
        return error;
    if (process->generation > share->generation)
        share->generation = process->generation;
    *number = share->number;
    return fd;
}

const char *ml_shares_name(const struct ml_master *master, uint64_t number)
{
    for (struct ml_link *link = master->shares.next; link != &master->shares; link = link->next)
        if (share_at(link)->number == number)
            return share_at(link)->name;
    return "";
}

/* ---- users that leave ---- */

/* The test of remove_users(). */
typedef bool is_leaving(const struct ml_share_user *user, const void *data);

static void remove_users(struct ml_share *share, is_leaving *leaves, const void *data)
{
    struct ml_link *next;
    for (struct ml_link *link = share->users.next; link != &share->users; link = next) {
        next = link->next;
        if (leaves(user_at(link), data))
            free_user(user_at(link));
    }
}

/* Closes shares that had users and have none any more. */
static void remove_everywhere(struct ml_master *master, is_leaving *leaves, const void *data)
{
    struct ml_link *next;
    for (struct ml_link *link = master->shares.next; link != &master->shares; link = next) {
        next = link->next;
        remove_users(share_at(link), leaves, data);
        if (!is_used(share_at(link)))
            free_share(share_at(link));
    }
}

static bool is_of_serial(const struct ml_share_user *user, const void *data)
{
    return user->serial == *(const uint32_t *)data;
}

/* Of several uses of one socket by one worker the first ends. */
void ml_shares_unlisten(struct ml_master *master, const struct ml_worker_process *process,
                        uint64_t number)
{
    for (struct ml_link *link = master->shares.next; link != &master->shares; link = link->next) {
        struct ml_share *share = share_at(link);
        if (share->number != number)
            continue;
        for (struct ml_link *user = share->users.next; user != &share->users; user = user->next) {
            if (!is_of_serial(user_at(user), &process->serial))
                continue;
            free_user(user_at(user));
            break;
        }
        if (!is_used(share))
            free_share(share);
        return;
    }
}

/* If another process follows, the sockets wait for it. */
void ml_shares_process_ended(struct ml_master *master, uint32_t serial, bool is_final)
{
    if (is_final)
        remove_everywhere(master, is_of_serial, &serial);
}

static bool is_before(const struct ml_share_user *user, const void *data)
{
    const struct ml_worker_process *process = data;
    return user->slot == process->slot_id && user->serial < process->serial &&
           user->generation <= process->generation;
}

void ml_shares_slot_ready(struct ml_master *master, const struct ml_worker_process *process)
{
    remove_everywhere(master, is_before, process);
}

static bool is_of_slot(const struct ml_share_user *user, const void *data)
{
    return user->slot == *(const uint32_t *)data;
}

void ml_shares_forget_slot(struct ml_master *master, uint32_t slot)
{
    remove_everywhere(master, is_of_slot, &slot);
    for (struct ml_link *link = master->shares.next; link != &master->shares; link = link->next) {
        struct ml_share *share = share_at(link);
        if (!share->asked.is_per_slot || slot > share->fd_count || share->fds[slot - 1] < 0)
            continue;
        close(share->fds[slot - 1]);
        share->fds[slot - 1] = -1;
    }
}

static bool is_older(const struct ml_share_user *user, const void *data)
{
    return user->generation < *(const uint32_t *)data;
}

void ml_shares_generation(struct ml_master *master, uint32_t generation)
{
    remove_everywhere(master, is_older, &generation);
}

static bool is_of_generation(const struct ml_share_user *user, const void *data)
{
    return user->generation == *(const uint32_t *)data;
}

void ml_shares_roll_back(struct ml_master *master, uint32_t generation)
{
    remove_everywhere(master, is_of_generation, &generation);
}

void ml_shares_release(struct ml_master *master)
{
    while (!ml_list_is_empty(&master->shares))
        free_share(share_at(master->shares.next));
}

/* ---- sockets of a service manager ---- */

/* The name number `index`, from 0 on, of a list such as "http:admin". */
static void copy_name(char into[ML_SHARE_NAME], const char *names, int index)
{
    while (names != NULL && index-- > 0) {
        names = strchr(names, ':');
        names = names != NULL ? names + 1 : NULL;
    }
    size_t length = names != NULL ? strcspn(names, ":") : 0;
    if (length > 0 && length < ML_SHARE_NAME)
        memcpy(into, names, length);
}

static int adopt(struct ml_master *master, int fd, const char *names, int index)
{
    struct ml_control_listen asked = {0};
    int error = ml_address_of_socket(&asked.address, fd);
    if (error != 0)
        return error;
    asked.kind =
        ml_socket_option(fd, SO_TYPE, -1) == SOCK_DGRAM ? ML_SHARE_DATAGRAM : ML_SHARE_STREAM;
    struct ml_share *share = new_share(master, &asked);
    if (share == NULL || make_room(share, 1) != 0)
        return -ENOMEM;
    share->is_inherited = true;
    share->bound = asked.address;
    share->fds[0] = fd;
    copy_name(share->name, names, index);
    return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0 ? 0 : -errno;
}

void ml_shares_take_inherited(struct ml_master *master)
{
    enum { FIRST = 3, MOST = 1024 };
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != (long)getpid())
        return;
    long most = strtol(count, NULL, 10);
    for (int fd = FIRST; fd < FIRST + (most < MOST ? most : MOST); fd++) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
            break;
        if (adopt(master, fd, getenv("LISTEN_FDNAMES"), fd - FIRST) != 0)
            ml_master_log(master, "descriptor %d of the service manager is no socket", fd);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}
