/*
 * Sockets in every state, asked for everything: require "odd_sockets" in libc_odd_spec.lua (see
 * scene.h).
 */
#define _GNU_SOURCE
#include "scene.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/uio.h>
#include <sys/un.h>

/* What a compiler is not to know, or it would warn. */
#ifdef __SANITIZE_ADDRESS__ /* it would take a size for a promise */
static volatile size_t huge = 4;
#else
static volatile size_t huge = SIZE_MAX;
#endif
static void *volatile nowhere_at_all;
static volatile int negative = -1;

static socklen_t loopback(struct sockaddr_in *address, int port)
{
    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                    .sin_port = htons((uint16_t)port)};
    return sizeof *address;
}

/* A listener, and where it is. */
static int listening(struct sockaddr_in *address)
{
    socklen_t length = loopback(address, 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)address, length) != 0 || listen(fd, 4) != 0)
        abort();
    getsockname(fd, (struct sockaddr *)address, &length);
    return fd;
}

/* Where nobody listens. */
static void nowhere(struct sockaddr_in *address)
{
    int fd = listening(address);
    close(fd);
}

static struct sockaddr *any(void *address)
{
    return (struct sockaddr *)address;
}

/* ---- connecting ---- */

static void connect_refused(void)
{
    struct sockaddr_in address;
    nowhere(&address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < 3; i++)
        SAW("connect", connect(fd, any(&address), sizeof address));
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    see("left=%d ", error);
    close(fd);
}

static void connect_twice(void)
{
    struct sockaddr_in address;
    int listener = listening(&address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < 3; i++)
        SAW("connect", connect(fd, any(&address), sizeof address));
    close(fd);
    close(listener);
}

static void connect_after_refusal(void)
{
    struct sockaddr_in bad, good;
    int listener = listening(&good);
    nowhere(&bad);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    SAW("refused", connect(fd, any(&bad), sizeof bad));
    SAW("taken", connect(fd, any(&good), sizeof good));
    SAW("send", send(fd, "x", 1, MSG_NOSIGNAL));
    close(fd);
    close(listener);
}

static void connect_nonblocking(void)
{
    struct sockaddr_in address;
    int listener = listening(&address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    SAW("connect", connect(fd, any(&address), sizeof address));
    struct pollfd writable = {fd, POLLOUT, 0};
    SAW("poll", poll(&writable, 1, 1000));
    SAW("connect", connect(fd, any(&address), sizeof address));
    SAW("connect", connect(fd, any(&address), sizeof address));
    close(fd);
    close(listener);
}

static void connect_wrongly(void)
{
    struct sockaddr_in address, none = {.sin_family = AF_UNSPEC};
    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "/nowhere/at/all"};
    int listener = listening(&address), fds[2];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    SAW("short", connect(fd, any(&address), 3));
    SAW("no address", connect(fd, nowhere_at_all, sizeof address));
    SAW("no length", connect(fd, any(&address), 0));
    SAW("family", connect(fd, any(&path), sizeof path));
    SAW("unspec", connect(fd, any(&none), sizeof none));
    SAW("listener", connect(listener, any(&address), sizeof address));
    SAW("bad", connect(-1, any(&address), sizeof address));
    SAW("closed", connect(987, any(&address), sizeof address));
    if (pipe(fds) != 0)
        abort();
    SAW("pipe", connect(fds[0], any(&address), sizeof address));
    close_both(fds);
    close(fd);
    close(listener);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    SAW("path", connect(fd, any(&path), sizeof path));
    close(fd);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    SAW("udp", connect(fd, any(&address), sizeof address));
    SAW("udp", connect(fd, any(&none), sizeof none));
    close(fd);
}

/* The first bytes go with the connect. */
static void fast_open(void)
{
    struct sockaddr_in address;
    char buffer[8] = "";
    int listener = listening(&address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    SAW("sendto", sendto(fd, "fast", 4, MSG_FASTOPEN, any(&address), sizeof address));
    int other = accept(listener, NULL, NULL);
    SAW("recv", recv(other, buffer, 4, 0));
    see("%s ", buffer);
    close(other);
    close(fd);
    nowhere(&address);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    SAW("refused",
        sendto(fd, "fast", 4, MSG_FASTOPEN | MSG_NOSIGNAL, any(&address), sizeof address));
    close(fd);
    struct iovec piece = {(char *)"fast", 4};
    struct msghdr message = {
        .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &piece, .msg_iovlen = 1};
    close(listener);
    listener = listening(&address);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    SAW("sendmsg", sendmsg(fd, &message, MSG_FASTOPEN));
    other = accept(listener, NULL, NULL);
    SAW("recv", recv(other, buffer, 4, 0));
    close(other);
    close(fd);
    close(listener);
}

/* ---- accepting ---- */

static void accept_wrongly(void)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int fds[2];
    int fd = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
    SAW("not listening", accept(fd, NULL, NULL));
    SAW("udp", accept(udp, NULL, NULL));
    SAW("bad", accept(-1, NULL, NULL));
    if (pipe(fds) != 0)
        abort();
    SAW("pipe", accept(fds[0], NULL, NULL));
    close_both(fds);
    int listener = listening(&address);
    SAW("flags", accept4(listener, NULL, NULL, 0x40000000));
    connect(fd, any(&address), sizeof address);
    SAW("no length", accept(listener, any(&address), NULL));
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    listener = (close(listener), listening(&address));
    connect(fd, any(&address), sizeof address);
    length = 4;
    int other = accept4(listener, any(&address), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    see("length=%u flags=%d,%d ", length, fcntl(other, F_GETFL), fcntl(other, F_GETFD));
    close(other);
    close(fd);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    SAW("empty", accept(listener, NULL, NULL));
    fcntl(listener, F_SETFL, 0);
    struct timeval soon = {0, 20000};
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    SAW("time", accept(listener, NULL, NULL));
    close(listener);
    close(udp);
}

static void *shut(void *argument)
{
    usleep(30000);
    shutdown((int)(intptr_t)argument, SHUT_RDWR);
    return NULL;
}

static void shutdown_meanwhile(void)
{
    struct sockaddr_in address;
    char byte;
    int fds[2], listener = listening(&address);
    pthread_t thread;
    pthread_create(&thread, NULL, shut, (void *)(intptr_t)listener);
    SAW("accept", accept(listener, NULL, NULL));
    pthread_join(thread, NULL);
    close(listener);
    stream_pair(fds);
    pthread_create(&thread, NULL, shut, (void *)(intptr_t)fds[0]);
    SAW("recv", recv(fds[0], &byte, 1, 0));
    pthread_join(thread, NULL);
    SAW("send", send(fds[0], "x", 1, MSG_NOSIGNAL));
    SAW("peer", recv(fds[1], &byte, 1, 0));
    close_both(fds);
    pair(SOCK_STREAM, fds);
    pthread_create(&thread, NULL, shut, (void *)(intptr_t)fds[1]);
    SAW("read", read(fds[0], &byte, 1));
    pthread_join(thread, NULL);
    close_both(fds);
}

/* ---- receiving ---- */

static void recv_in_every_state(void)
{
    struct sockaddr_in address;
    char buffer[16];
    int fds[2], listener = listening(&address);
    int fresh = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
    SAW("listener", recv(listener, buffer, 4, 0));
    SAW("listener read", read(listener, buffer, 4));
    SAW("fresh", recv(fresh, buffer, 4, 0));
    SAW("fresh read", read(fresh, buffer, 4));
    SAW("bad", recv(-1, buffer, 4, 0));
    SAW("bad read", read(-1, buffer, 4));
    SAW("udp", recv(udp, buffer, 4, MSG_DONTWAIT));
    /* Errors that the network has told: nobody waits for one. */
    SAW("errors", recv(udp, buffer, 4, MSG_ERRQUEUE));
    struct iovec piece = {buffer, 4};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    SAW("errors", recvmsg(udp, &message, MSG_ERRQUEUE));
    stream_pair(fds);
    SAW("urgent", recv(fds[0], buffer, 4, MSG_OOB));
    SAW("errors", recv(fds[0], buffer, 4, MSG_ERRQUEUE));
    send(fds[1], "abcdef", 6, 0);
    SAW("peek", recv(fds[0], buffer, 3, MSG_PEEK | MSG_DONTWAIT));
    SAW("peek all", recv(fds[0], buffer, 6, MSG_PEEK | MSG_WAITALL));
    SAW("all now", recv(fds[0], buffer, 12, MSG_WAITALL | MSG_DONTWAIT));
    send(fds[1], "abcdef", 6, 0);
    SAW("none", recv(fds[0], nowhere_at_all, 0, 0));
    SAW("no room", recv(fds[0], nowhere_at_all, 4, 0));
    SAW("no room read", read(fds[0], nowhere_at_all, 4));
    SAW("huge", recv(fds[0], buffer, huge, MSG_DONTWAIT));
    send(fds[1], "abcdef", 6, 0);
    SAW("huge", recv(fds[0], buffer, huge, 0));
    send(fds[1], "abcdef", 6, 0);
    SAW("huge read", read(fds[0], buffer, huge));
    SAW("huge readv", readv(fds[0], &(struct iovec){buffer, huge}, 1));
    send(fds[1], "abcdef", 6, 0);
    SAW("trunc", recv(fds[0], nowhere_at_all, 4, MSG_TRUNC));
    SAW("rest", recv(fds[0], buffer, 16, MSG_DONTWAIT));
    shutdown(fds[1], SHUT_WR);
    SAW("end", recv(fds[0], buffer, 4, 0));
    SAW("end all", recv(fds[0], buffer, 4, MSG_WAITALL));
    SAW("end read", read(fds[0], buffer, 4));
    shutdown(fds[0], SHUT_RD);
    SAW("shut", recv(fds[0], buffer, 4, 0));
    close_both(fds);
    close(listener);
    close(fresh);
    close(udp);
}

static void recv_reset(void)
{
    char byte;
    int fds[2];
    struct linger now = {1, 0};
    for (int i = 0; i < 2; i++) {
        stream_pair(fds);
        setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fds[1]);
        if (i == 0)
            SAW("recv", recv(fds[0], &byte, 1, 0));
        SAW("send", send(fds[0], "x", 1, MSG_NOSIGNAL));
        SAW("send", send(fds[0], "x", 1, MSG_NOSIGNAL));
        SAW("read", read(fds[0], &byte, 1));
        close(fds[0]);
    }
}

static void recv_datagrams(void)
{
    char buffer[4] = "";
    int fds[2];
    struct sockaddr_un from;
    socklen_t length = sizeof from;
    pair(SOCK_DGRAM, fds);
    send(fds[1], "abcdef", 6, 0);
    SAW("trunc", recv(fds[0], buffer, 3, MSG_TRUNC));
    send(fds[1], "abcdef", 6, 0);
    SAW("short", recvfrom(fds[0], buffer, 3, 0, any(&from), &length));
    see("length=%u ", length);
    SAW("empty", send(fds[1], "", 0, 0));
    SAW("recv", recv(fds[0], buffer, 3, 0));
    SAW("write none", write(fds[1], "", 0));
    SAW("left", recv(fds[0], buffer, 3, MSG_DONTWAIT));
    struct timeval soon = {0, 20000};
    setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    SAW("time", recv(fds[0], buffer, 3, 0));
    SAW("time", read(fds[0], buffer, 3));
    SAW("time", recvfrom(fds[0], buffer, 3, MSG_WAITALL, any(&from), &length));
    close(fds[1]);
    SAW("closed", recv(fds[0], buffer, 3, 0));
    close(fds[0]);
}

/* What came before the time was over is told. */
static void waitall_in_time(void)
{
    char one[4], two[4];
    int fds[2];
    struct iovec pieces[] = {{one, 4}, {two, 4}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    struct timeval soon = {0, 60000};
    stream_pair(fds);
    setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    send(fds[1], "ab", 2, 0);
    SAW("recv", recv(fds[0], one, 4, MSG_WAITALL));
    SAW("recv", recv(fds[0], one, 4, MSG_WAITALL));
    send(fds[1], "ab", 2, 0);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    SAW("recvmsg", recvmsg(fds[0], &message, MSG_WAITALL));
    clock_gettime(CLOCK_MONOTONIC, &end);
    see("late=%d ",
        (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000 > 110);
    close_both(fds);
}

/* ---- sending ---- */

static volatile sig_atomic_t pipes_broken;

static void on_broken_pipe(int number)
{
    (void)number;
    pipes_broken++;
}

static void broken_pipes(void)
{
    struct sigaction action = {.sa_handler = on_broken_pipe}, before;
    int fds[2];
    struct iovec pieces[] = {{(char *)"ab", 2}, {(char *)"cd", 2}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    sigaction(SIGPIPE, &action, &before);
    pipes_broken = 0;
    if (pipe(fds) != 0)
        abort();
    close(fds[0]);
    SAW("write", write(fds[1], "x", 1));
    SAW("writev", writev(fds[1], pieces, 2));
    SAW("none", write(fds[1], "", 0));
    see("signals=%d ", pipes_broken);
    close(fds[1]);
    pair(SOCK_STREAM, fds);
    close(fds[0]);
    SAW("write", write(fds[1], "x", 1));
    SAW("writev", writev(fds[1], pieces, 2));
    SAW("send", send(fds[1], "x", 1, 0));
    SAW("quiet", send(fds[1], "x", 1, MSG_NOSIGNAL));
    SAW("sendmsg", sendmsg(fds[1], &message, 0));
    SAW("quiet", sendmsg(fds[1], &message, MSG_NOSIGNAL));
    see("signals=%d ", pipes_broken);
    close(fds[1]);
    stream_pair(fds);
    shutdown(fds[0], SHUT_WR);
    SAW("shut", send(fds[0], "x", 1, 0));
    SAW("shut", write(fds[0], "x", 1));
    see("signals=%d ", pipes_broken);
    close_both(fds);
    sigaction(SIGPIPE, &before, NULL);
}

static void send_in_every_state(void)
{
    struct sockaddr_in address;
    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "/nowhere/at/all"};
    int fds[2], listener = listening(&address);
    int fresh = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
    int local = socket(AF_UNIX, SOCK_DGRAM, 0);
    static char large[70000];
    SAW("listener", send(listener, "x", 1, MSG_NOSIGNAL));
    SAW("fresh", send(fresh, "x", 1, MSG_NOSIGNAL));
    SAW("udp", send(udp, "x", 1, 0));
    SAW("udp write", write(udp, "x", 1));
    SAW("local", send(local, "x", 1, 0));
    SAW("path", sendto(local, "x", 1, 0, any(&path), sizeof path));
    SAW("family", sendto(udp, "x", 1, 0, any(&path), sizeof path));
    SAW("short", sendto(udp, "x", 1, 0, any(&address), 3));
    SAW("large", sendto(udp, large, sizeof large, 0, any(&address), sizeof address));
    SAW("no data", sendto(udp, nowhere_at_all, 4, 0, any(&address), sizeof address));
    SAW("bad", send(-1, "x", 1, 0));
    if (pipe(fds) != 0)
        abort();
    SAW("pipe", send(fds[1], "x", 1, 0));
    SAW("pipe", recv(fds[0], large, 1, 0));
    SAW("wrong end", write(fds[0], "x", 1));
    SAW("wrong end", read(fds[1], large, 1));
    close_both(fds);
    pair(SOCK_STREAM, fds);
    SAW("none", send(fds[0], "", 0, 0));
    SAW("null", send(fds[0], nowhere_at_all, 0, 0));
    SAW("urgent", send(fds[0], "x", 1, MSG_OOB));
    SAW("to connected", sendto(fds[0], "x", 1, 0, any(&path), sizeof path));
    SAW("huge", send(fds[0], large, huge, MSG_DONTWAIT) < 0);
    SAW("huge", write(fds[0], large, huge));
    close_both(fds);
    close(listener), close(fresh), close(udp), close(local);
}

static void send_in_time(void)
{
    static char large[1 << 20];
    int fds[2];
    struct timeval soon = {0, 30000};
    pair(SOCK_STREAM, fds);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
    errno = 0;
    ssize_t sent = send(fds[0], large, sizeof large, 0);
    see("part=%d ", sent > 0 && sent < (ssize_t)sizeof large);
    SAW("send", send(fds[0], large, sizeof large, 0));
    SAW("write", write(fds[0], large, sizeof large));
    SAW("now", send(fds[0], large, sizeof large, MSG_DONTWAIT));
    close_both(fds);
}

/* ---- several messages at once ---- */

static void counts_of_messages(void)
{
    enum { MANY = 1100 };
    static struct mmsghdr messages[MANY];
    static char bytes[MANY];
    static struct iovec pieces[MANY];
    int fds[2];
    stream_pair(fds);
    for (int i = 0; i < MANY; i++) {
        pieces[i] = (struct iovec){&bytes[i], 1};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &pieces[i], .msg_iovlen = 1}};
    }
    SAW("none", sendmmsg(fds[0], messages, 0, 0));
    SAW("none of bad", sendmmsg(-1, messages, 0, 0));
    SAW("bad", sendmmsg(-1, messages, 1, 0));
    SAW("none", recvmmsg(fds[0], messages, 0, MSG_DONTWAIT, NULL));
    SAW("none", recvmmsg(fds[0], messages, 0, 0, NULL));
    SAW("none of bad", recvmmsg(-1, messages, 0, 0, NULL));
    SAW("many", sendmmsg(fds[0], messages, MANY, 0));
    SAW("bytes", recv(fds[1], bytes, sizeof bytes, MSG_DONTWAIT));
    SAW("no messages", recvmmsg(fds[0], NULL, 1, MSG_DONTWAIT, NULL));
    struct timespec odd = {0, -1};
    SAW("odd time", recvmmsg(fds[0], messages, 1, 0, &odd));
    messages[1].msg_hdr.msg_iov = NULL;
    SAW("second is bad", sendmmsg(fds[0], messages, 3, 0));
    SAW("the bad one", sendmmsg(fds[0], messages + 1, 2, 0));
    SAW("bytes", recv(fds[1], bytes, sizeof bytes, MSG_DONTWAIT));
    close_both(fds);
}

static void counts_of_pieces(void)
{
    enum { MANY = 1025 };
    static struct iovec pieces[MANY];
    static char bytes[MANY];
    int fds[2];
    for (int i = 0; i < MANY; i++)
        pieces[i] = (struct iovec){&bytes[i], 1};
    for (int kind = 0; kind < 3; kind++) {
        if (kind == 0)
            pair(SOCK_STREAM, fds);
        else if (kind == 1 && pipe(fds) != 0)
            abort();
        else if (kind == 2) {
            char name[] = "/tmp/odd-XXXXXX";
            fds[0] = mkstemp(name);
            fds[1] = dup(fds[0]);
            unlink(name);
        }
        SAW("writev", writev(fds[1], pieces, MANY));
        SAW("writev", writev(fds[1], pieces, negative));
        SAW("writev", writev(fds[1], pieces, 0));
        SAW("writev", writev(fds[1], NULL, 0));
        SAW("writev", writev(fds[1], pieces, 1024));
        lseek(fds[0], 0, SEEK_SET);
        SAW("readv", readv(fds[0], pieces, MANY));
        SAW("readv", readv(fds[0], pieces, negative));
        SAW("readv", readv(fds[0], pieces, 0));
        SAW("readv", readv(fds[0], NULL, 0));
        SAW("readv", readv(fds[0], pieces, 1000));
        struct iovec half[] = {{bytes, 4}, {NULL, 4}};
        SAW("readv", readv(fds[0], half, 2));
        struct iovec wide[] = {{bytes, SSIZE_MAX}, {bytes, SSIZE_MAX}};
        SAW("readv", readv(fds[0], wide, 2));
        SAW("writev", writev(fds[1], wide, 2));
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = MANY};
        SAW("sendmsg", sendmsg(fds[1], &message, 0));
        SAW("recvmsg", recvmsg(fds[0], &message, 0));
        SAW("rest", read(fds[0], bytes, sizeof bytes));
        close_both(fds);
    }
}

/* ---- descriptors that travel ---- */

static void pass(int through, const int *fds, int count)
{
    union {
        char room[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr header;
    } control = {.room = ""};
    struct iovec piece = {(char *)"x", 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, (size_t)count * sizeof(int));
    SAW("pass", sendmsg(through, &message, 0));
}

static void take(int through, size_t room, int flags)
{
    union {
        char room[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr header;
    } control = {.room = ""};
    char bytes[4];
    struct iovec piece = {bytes, 4};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = room};
    SAW("take", recvmsg(through, &message, flags));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    size_t count = header != NULL ? (header->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
    see("flags=%x room=%zu count=%zu ", message.msg_flags, message.msg_controllen, count);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        see("cloexec=%d ", fcntl(fd, F_GETFD));
        close(fd);
    }
}

static void descriptors_travel(void)
{
    int fds[2], given[3] = {0, 1, 2}, bad[1] = {-1};
    pair(SOCK_STREAM, fds);
    for (int i = 0; i < 6; i++)
        pass(fds[0], given, 3);
    take(fds[1], CMSG_SPACE(3 * sizeof(int)), 0);
    take(fds[1], CMSG_LEN(sizeof(int)), 0);
    take(fds[1], 5, 0);
    take(fds[1], 0, 0);
    take(fds[1], CMSG_SPACE(3 * sizeof(int)), MSG_CMSG_CLOEXEC);
    take(fds[1], CMSG_SPACE(3 * sizeof(int)), MSG_PEEK);
    take(fds[1], CMSG_SPACE(3 * sizeof(int)), MSG_WAITALL);
    pass(fds[0], bad, 1);
    close_both(fds);
}

#define SCENES(X)                                                                                  \
    X(connect_refused)                                                                             \
    X(connect_twice)                                                                               \
    X(connect_after_refusal)                                                                       \
    X(connect_nonblocking)                                                                         \
    X(connect_wrongly)                                                                             \
    X(fast_open)                                                                                   \
    X(accept_wrongly)                                                                              \
    X(shutdown_meanwhile)                                                                          \
    X(recv_in_every_state)                                                                         \
    X(recv_reset)                                                                                  \
    X(recv_datagrams)                                                                              \
    X(waitall_in_time)                                                                             \
    X(broken_pipes)                                                                                \
    X(send_in_every_state)                                                                         \
    X(send_in_time)                                                                                \
    X(counts_of_messages)                                                                          \
    X(counts_of_pieces)                                                                            \
    X(descriptors_travel)

SCENE_MODULE(odd_sockets, SCENES)
