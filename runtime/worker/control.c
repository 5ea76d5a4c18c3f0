#include "worker/control.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A message that waits in an outbox. */
struct letter {
    struct ml_link link;
    struct ml_control_head head;
    unsigned fd_count;
    int fds[ML_CONTROL_FDS]; /* the letter's own */
    size_t size;
    char payload[];
};

/* Room for the control message that carries the descriptors. */
union rights {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(ML_CONTROL_FDS * sizeof(int))];
};

const char *ml_control_type_name(unsigned type)
{
    static const char *const names[] = {
#define X(name) #name,
        ML_CONTROL_TYPES(X)
#undef X
    };
    return type < ML_CONTROL_TYPE_COUNT ? names[type] : "?";
}

/* ---- messages ---- */

int ml_control_take_fd(struct ml_control_message *message, unsigned index)
{
    if (index >= message->fd_count)
        return -1;
    int fd = message->fds[index];
    message->fds[index] = -1;
    return fd;
}

static void close_all(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

void ml_control_release(struct ml_control_message *message)
{
    close_all(message->fds, message->fd_count);
    message->fd_count = 0;
}

bool ml_control_read(const struct ml_control_message *message, void *into, size_t size)
{
    bool is_whole = message->size >= size;
    if (is_whole)
        memcpy(into, message->payload, size);
    return is_whole;
}

/* ---- the channel ---- */

int ml_control_pair(int fds[2])
{
    int type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;
    return socketpair(AF_UNIX, type, 0, fds) == 0 ? 0 : -errno;
}

void ml_control_open(struct ml_control *control, int fd)
{
    *control = (struct ml_control){.fd = fd};
    ml_list_init(&control->outbox);
}

static void free_letter(struct ml_control *control, struct letter *letter)
{
    ml_list_remove(&letter->link);
    control->waiting--;
    close_all(letter->fds, letter->fd_count);
    free(letter);
}

static struct letter *first_letter(struct ml_control *control)
{
    return ml_container_of(control->outbox.next, struct letter, link);
}

void ml_control_close(struct ml_control *control)
{
    if (control->fd < 0)
        return;
    while (!ml_list_is_empty(&control->outbox))
        free_letter(control, first_letter(control));
    close(control->fd);
    control->fd = -1;
}

/* ---- sending ---- */

static void put_rights(struct msghdr *message, union rights *rights, const int *fds, unsigned count)
{
    if (count == 0)
        return;
    memset(rights, 0, sizeof *rights);
    message->msg_control = rights;
    message->msg_controllen = CMSG_SPACE(count * sizeof(int));
    rights->header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                                      .cmsg_type = SCM_RIGHTS,
                                      .cmsg_len = CMSG_LEN(count * sizeof(int))};
    memcpy(CMSG_DATA(&rights->header), fds, count * sizeof(int));
}

/* 0, -EAGAIN: the socket is full, or an error. */
static int send_now(int fd, const struct ml_control_head *head, const void *payload, size_t size,
                    const int *fds, unsigned fd_count)
{
    union rights rights;
    struct iovec pieces[] = {{.iov_base = (void *)head, .iov_len = sizeof *head},
                             {.iov_base = (void *)payload, .iov_len = size}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = size > 0 ? 2 : 1};
    put_rights(&message, &rights, fds, fd_count);
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    int error = sent >= 0 ? 0 : -errno;
    /* ETOOMANYREFS, ENOBUFS: too many descriptors are under way. They arrive, then there is room.
     */
    return error == -ENOBUFS || error == -ETOOMANYREFS ? -EAGAIN : error;
}

static int copy_fds(struct letter *letter, const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        letter->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
        if (letter->fds[i] < 0)
            return -errno;
        letter->fd_count++;
    }
    return 0;
}

static int keep(struct ml_control *control, const struct ml_control_head *head, const void *payload,
                size_t size, const int *fds, unsigned fd_count)
{
    if (control->waiting >= ML_CONTROL_OUTBOX)
        return -ENOBUFS;
    struct letter *letter = malloc(sizeof *letter + size);
    if (letter == NULL)
        return -ENOMEM;
    *letter = (struct letter){.head = *head, .size = size};
    if (size > 0)
        memcpy(letter->payload, payload, size);
    ml_list_insert(&control->outbox, &letter->link);
    control->waiting++;
    int error = copy_fds(letter, fds, fd_count);
    if (error != 0)
        free_letter(control, letter);
    return error;
}

int ml_control_send(struct ml_control *control, const struct ml_control_head *head,
                    const void *payload, size_t size, const int *fds, unsigned fd_count)
{
    struct ml_control_head whole = *head;
    whole.version = ML_CONTROL_VERSION;
    if (control->fd < 0)
        return -EPIPE;
    if (size > ML_CONTROL_PAYLOAD || fd_count > ML_CONTROL_FDS)
        return -EMSGSIZE;
    int error = control->waiting > 0 ? -EAGAIN
                                     : send_now(control->fd, &whole, payload, size, fds, fd_count);
    return error == -EAGAIN ? keep(control, &whole, payload, size, fds, fd_count) : error;
}

int ml_control_flush(struct ml_control *control)
{
    int error = 0;
    while (error == 0 && control->waiting > 0) {
        struct letter *letter = first_letter(control);
        error = send_now(control->fd, &letter->head, letter->payload, letter->size, letter->fds,
                         letter->fd_count);
        if (error == 0)
            free_letter(control, letter);
    }
    return error == -EAGAIN ? 0 : error;
}

/* ---- receiving ---- */

static void take_rights(struct ml_control_message *message, struct msghdr *from)
{
    for (struct cmsghdr *head = CMSG_FIRSTHDR(from); head != NULL; head = CMSG_NXTHDR(from, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned count = (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(&message->fds[message->fd_count], CMSG_DATA(head), count * sizeof(int));
        message->fd_count += count;
    }
}

static int check_message(struct ml_control_message *message, size_t size, int flags)
{
    bool is_whole = size >= sizeof message->head && (flags & MSG_TRUNC) == 0;
    if (is_whole && message->head.version == ML_CONTROL_VERSION) {
        message->size = size - sizeof message->head;
        message->payload[message->size] = '\0';
        return 1;
    }
    ml_control_release(message);
    return -EPROTO;
}

/* A peer that ends before it has read all makes one call here fail; what it has sent comes next. */
static bool is_passing(int error)
{
    return error == EINTR || error == ECONNRESET;
}

int ml_control_receive(struct ml_control *control, struct ml_control_message *message)
{
    union rights rights;
    struct iovec pieces[] = {
        {.iov_base = &message->head, .iov_len = sizeof message->head},
        {.iov_base = message->payload, .iov_len = ML_CONTROL_PAYLOAD},
    };
    struct msghdr from = {.msg_iov = pieces,
                          .msg_iovlen = 2,
                          .msg_control = &rights,
                          .msg_controllen = sizeof rights};
    message->fd_count = 0;
    message->size = 0;
    ssize_t size;
    do
        size = recvmsg(control->fd, &from, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (size < 0 && is_passing(errno));
    if (size <= 0)
        return size == 0 ? 0 : -errno;
    take_rights(message, &from);
    return check_message(message, (size_t)size, from.msg_flags);
}
