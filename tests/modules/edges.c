/*
 * Odd uses of libc's calls, as C libraries make them: require "edges" in libc_more_spec.lua.
 * Each function plays one scene and returns what it saw as text, so that a scene played in a task
 * can be compared with one played by libc itself. Whoever has to act meanwhile is a thread.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guarded_room.h"
#include "scene.h"

/* ---- receiving ---- */

static void scene_waitall_messages(int type)
{
    int fds[2];
    char buffer[64];
    pair(type, fds);
    send(fds[1], "one", 3, 0);
    send(fds[1], "three", 5, 0);
    see_result("first", recv(fds[0], buffer, sizeof buffer, MSG_WAITALL));
    see_result("second", recv(fds[0], buffer, sizeof buffer, MSG_WAITALL));
    close_both(fds);
}

static void waitall_datagrams(void)
{
    scene_waitall_messages(SOCK_DGRAM);
}

static void waitall_packets(void)
{
    scene_waitall_messages(SOCK_SEQPACKET);
}

/* Looks at the first part, then takes all that come: six bytes, or less when the stream `ends`
 * behind the second. */
static void peek_and_take(const char *third, bool ends)
{
    int fds[2];
    char buffer[64] = "";
    pair(SOCK_STREAM, fds);
    struct helper first = {.fd = fds[1], .parts = {"ab"}, .closes = -1};
    begin_help(&first);
    see_result("peek", recv(fds[0], buffer, 6, MSG_WAITALL | MSG_PEEK));
    end_help();
    see("%s ", buffer);
    struct helper rest = {.fd = fds[1], .parts = {"cd", third}, .closes = ends ? fds[1] : -1};
    begin_help(&rest);
    see_result("take", recv(fds[0], buffer, 6, MSG_WAITALL));
    end_help();
    close(fds[0]);
    if (!ends)
        close(fds[1]);
}

static void waitall_peek(void)
{
    peek_and_take("ef", false);
}

static void waitall_peek_end(void)
{
    peek_and_take(NULL, true);
}

static void waitall_recvfrom(void)
{
    int fds[2];
    char buffer[64] = "";
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    pair(SOCK_STREAM, fds);
    struct helper h = {.fd = fds[1], .parts = {"ab", "cd", "ef"}, .closes = -1};
    begin_help(&h);
    see_result("got", recvfrom(fds[0], buffer, 6, MSG_WAITALL, (struct sockaddr *)&from, &length));
    end_help();
    see("%s %u", buffer, length);
    close_both(fds);
}

static void waitall_recvmsg(void)
{
    int fds[2];
    char one[5] = "", two[5] = "";
    struct iovec pieces[] = {{one, 3}, {two, 3}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    pair(SOCK_STREAM, fds);
    struct helper h = {.fd = fds[1], .parts = {"ab", "cd", "ef"}, .closes = -1};
    begin_help(&h);
    see_result("got", recvmsg(fds[0], &message, MSG_WAITALL));
    end_help();
    see("%s %s flags=%d", one, two, message.msg_flags);
    close_both(fds);
}

static void several_messages(int flags, struct timespec *timeout, struct helper h)
{
    int fds[2];
    char buffers[3][8] = {"", "", ""};
    struct iovec pieces[3];
    struct mmsghdr messages[3] = {0};
    for (int i = 0; i < 3; i++) {
        pieces[i] = (struct iovec){buffers[i], 7};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    pair(SOCK_DGRAM, fds);
    h.fd = fds[1];
    begin_help(&h);
    see_result("got", recvmmsg(fds[0], messages, 3, flags, timeout));
    end_help();
    see("%s %s %s", buffers[0], buffers[1], buffers[2]);
    close_both(fds);
}

static void recvmmsg_all(void)
{
    several_messages(0, NULL, (struct helper){.parts = {"a", "bb", "ccc"}, .closes = -1});
}

static void recvmmsg_one(void)
{
    several_messages(MSG_WAITFORONE, NULL, (struct helper){.parts = {"a"}, .closes = -1});
}

static void recvmmsg_timed(void)
{
    /* Over when the second has come: the pause begins after the call, which has taken the first,
     * and is as long. */
    enum { LIMIT = 300000 };
    struct timespec timeout = {0, LIMIT * 1000};
    several_messages(0, &timeout,
                     (struct helper){.parts = {"a", "bb", "ccc"}, .pause = LIMIT, .closes = -1});
}

static void read_nothing(void)
{
    char byte;
    int types[] = {SOCK_DGRAM, SOCK_STREAM};
    for (int i = 0; i < 2; i++) {
        int fds[2];
        pair(types[i], fds);
        see_result("empty", read(fds[0], &byte, 0));
        send(fds[1], "x", 1, 0);
        see_result("nothing", read(fds[0], &byte, 0));
        struct iovec none = {&byte, 0};
        see_result("piece", readv(fds[0], &none, 1));
        see_result("rest", recv(fds[0], &byte, 1, MSG_DONTWAIT));
        close_both(fds);
    }
}

static void write_nothing(void)
{
    int fds[2];
    char byte;
    struct iovec none = {&byte, 0};
    pair(SOCK_DGRAM, fds);
    see_result("writev", writev(fds[0], &none, 1));
    see_result("came", recv(fds[1], &byte, 1, MSG_DONTWAIT));
    close_both(fds);
}

/* ---- sending ---- */

/* Receives at the second of two sockets, once the first takes no more. */
static void *drain(void *argument)
{
    const int *fds = argument;
    char buffer[65536];
    long sum = 0;
    ssize_t got;
    wait_until(is_full, fds[0]);
    while ((got = recv(fds[1], buffer, sizeof buffer, 0)) > 0)
        sum += got;
    return (void *)sum;
}

/* A blocking call gives all, also when an address comes with it. */
static void sendto_stream(void)
{
    enum { SIZE = 8 << 20 };
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int small = 65536;
    static int fds[2]; /* the thread's, too: what is on the task's stack moves with it */
    stream_pair(fds);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    getpeername(fds[0], (struct sockaddr *)&address, &length);
    char *data = calloc(1, SIZE);
    pthread_t thread;
    void *sum;
    pthread_create(&thread, NULL, drain, fds);
    see_result("sent", sendto(fds[0], data, SIZE, 0, (struct sockaddr *)&address, length));
    shutdown(fds[0], SHUT_WR);
    pthread_join(thread, &sum);
    see_result("came", (long)sum);
    free(data);
    close_both(fds);
}

/* An eventfd takes eight bytes; what it makes of more depends on the kernel. */
static void eventfd_words(void)
{
    uint64_t words[] = {3, 5}, sum = 0;
    struct iovec pieces[] = {{&words[0], 8}, {&words[1], 8}};
    int fd = eventfd(1, 0);
    see_result("write", write(fd, words, sizeof words));
    see_result("read", read(fd, &sum, sizeof sum));
    see("%d ", (int)sum);
    see_result("writev", writev(fd, pieces, 2));
    see_result("read", read(fd, &sum, sizeof sum));
    see("%d", (int)sum);
    close(fd);
}

/* ---- connecting ---- */

/* A second connect waits for what the first has begun. */
static void connect_again(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int fds[3];
    bind(listener, (struct sockaddr *)&address, length);
    listen(listener, 0);
    getsockname(listener, (struct sockaddr *)&address, &length);
    for (int i = 0; i < 3; i++) {
        struct timeval soon = {0, 20000};
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fds[i], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
    }
    see_result("first", connect(fds[0], (struct sockaddr *)&address, length));
    connect(fds[1], (struct sockaddr *)&address, length);
    see_result("full", connect(fds[2], (struct sockaddr *)&address, length));
    see_result("again", connect(fds[2], (struct sockaddr *)&address, length));
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    close(listener);
}

/* ---- waiting ---- */

static void select_beyond_sets(void)
{
    int fds[2];
    char *end = guarded_room_open();
    fd_set *set = (fd_set *)(end - sizeof *set);
    struct timeval soon = {0, 20000};
    if (pipe(fds) != 0)
        abort();
    FD_SET(fds[0], set);
    see_result("select", select(1 << 20, set, NULL, NULL, &soon));
    see_result("is set", FD_ISSET(fds[0], set));
    FD_SET(fds[1], set);
    see_result("writable", select(1 << 20, NULL, set, NULL, &soon));
    close_both(fds);
    guarded_room_close(end);
}

/* Times that are none, or refused: the sleeps are the calls under test. */
static void odd_times(void)
{
    struct timespec none = {0, 0}, odd = {0, 1000000000}, negative = {-1, 0};
    struct timeval odd_value = {0, -1}, large = {0, 1500000 - 1490000};
    int fds[2];
    if (pipe(fds) != 0)
        abort();
    struct pollfd poll_fd = {fds[0], POLLIN, 99};
    see_result("pselect", pselect(0, NULL, NULL, NULL, &odd, NULL));
    see_result("pselect", pselect(0, NULL, NULL, NULL, &negative, NULL));
    see_result("select", select(0, NULL, NULL, NULL, &odd_value));
    see_result("select", select(0, NULL, NULL, NULL, &large));
    see_result("ppoll", ppoll(&poll_fd, 1, &odd, NULL));
    see_result("ppoll", ppoll(&poll_fd, 1, &negative, NULL));
    see_result("ppoll", ppoll(&poll_fd, 1, &none, NULL));
    see("revents=%d ", poll_fd.revents);
    see_result("nanosleep", nanosleep(&odd, NULL));
    see_result("nanosleep", nanosleep(&negative, NULL));
    see_result("clock_nanosleep", clock_nanosleep(CLOCK_MONOTONIC, 0, &odd, NULL));
    see_result("clock_nanosleep", clock_nanosleep(99, 0, &none, NULL));
    see_result("poll", poll(&poll_fd, 1, -7 + 7));
    close_both(fds);
}

/* No pointer where there must be one: an error, not the end of the process. */
static void no_pointers(void)
{
    struct timespec *volatile no_span = NULL;
    struct pollfd *volatile no_fds = NULL;
    struct iovec *volatile no_pieces = NULL;
    struct mmsghdr *volatile no_messages = NULL;
    char *volatile no_data = NULL;
    int fds[2];
    char name[] = "/tmp/edges-XXXXXX";
    int file = mkstemp(name);
    unlink(name);
    if (pipe(fds) != 0)
        abort();
    see_result("nanosleep", nanosleep(no_span, NULL));
    see_result("clock_nanosleep", clock_nanosleep(CLOCK_MONOTONIC, 0, no_span, NULL));
    see_result("poll", poll(no_fds, 3, 10));
    see_result("readv", readv(fds[0], no_pieces, 1));
    see_result("file readv", readv(file, no_pieces, 1));
    see_result("writev", writev(fds[1], no_pieces, 1));
    see_result("write", write(fds[1], no_data, 5));
    close_both(fds);
    pair(SOCK_STREAM, fds);
    see_result("readv", readv(fds[0], no_pieces, 1));
    see_result("writev", writev(fds[1], no_pieces, 1));
    see_result("sendmsg", sendmsg(fds[1], NULL, 0));
    see_result("sendmmsg", sendmmsg(fds[1], no_messages, 1, 0));
    see_result("recvmsg", recvmsg(fds[1], NULL, MSG_DONTWAIT));
    close_both(fds);
    close(file);
}

/* Nothing was there; then something is, and a look without a wait sees it. */
static void look_after_drought(void)
{
    int fds[2];
    char byte;
    struct timespec none = {0, 0};
    pair(SOCK_STREAM, fds);
    struct pollfd readable = {fds[0], POLLIN, 99};
    see_result("recv", recv(fds[0], &byte, 1, MSG_DONTWAIT));
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    see_result("recv", recv(fds[0], &byte, 1, 0));
    see_result("ppoll", ppoll(&readable, 1, &none, NULL));
    see("revents=%d ", readable.revents);
    see_result("recv", recv(fds[0], &byte, 1, 0));
    send(fds[1], "x", 1, 0);
    see_result("ppoll", ppoll(&readable, 1, &none, NULL));
    close_both(fds);
}

/* ---- children ---- */

/* A child of vfork runs on its parent's stack and memory: it may wait, and nobody else may run
 * meanwhile. */
static void vfork_waits(void)
{
    volatile int woken = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        usleep(
            30000); /* the wait under test: its parent runs when the child has ended, not before */
        woken = 1;
        _exit(7);
    }
    int status = 0;
    see_result("wait", waitpid(pid, &status, 0) == pid);
    see("status=%d woken=%d", WEXITSTATUS(status), woken);
}

/* ---- stdio ---- */

static FILE *file_of(int fd, const char *mode)
{
    FILE *file = fdopen(fd, mode);
    if (file == NULL)
        abort();
    return file;
}

static void fgets_at_end(void)
{
    int fds[2];
    char line[16] = "kept";
    if (pipe(fds) != 0 || write(fds[1], "a\nbc", 4) != 4)
        abort();
    close(fds[1]);
    FILE *file = file_of(fds[0], "r");
    while (fgets(line, sizeof line, file) != NULL)
        see("<%s>", line);
    see(" %s end=%d error=%d", line, feof(file) != 0, ferror(file) != 0);
    fclose(file);
}

/* The end of a file is told until somebody clears it, although more has come. */
static void end_stays(void)
{
    char name[] = "/tmp/edges-XXXXXX";
    if (mkdtemp(name) == NULL || chdir(name) != 0 || mkfifo("fifo", 0600) != 0)
        abort();
    int other = open("fifo", O_RDWR);
    int fd = open("fifo", O_RDONLY);
    FILE *file = file_of(fd, "r");
    if (write(other, "x", 1) != 1)
        abort();
    close(other);
    see("%d ", fgetc(file));
    see("%d ", fgetc(file));
    other = open("fifo", O_RDWR);
    if (write(other, "y", 1) != 1)
        abort();
    see("%d ", fgetc(file));
    clearerr(file);
    see("%d ", fgetc(file));
    close(other);
    fclose(file);
    unlink("fifo");
    if (chdir("/") != 0 || rmdir(name) != 0)
        abort();
}

static void wrong_way(void)
{
    int fds[2];
    char line[8];
    if (pipe(fds) != 0)
        abort();
    FILE *in = file_of(fds[0], "r"), *out = file_of(fds[1], "w");
    errno = 0;
    see_result("getc", fgetc(out));
    see("error=%d ", ferror(out) != 0);
    see_result("fread", (long)fread(line, 1, 4, out));
    see_result("fputs", fputs("x", in));
    see("error=%d ", ferror(in) != 0);
    fclose(in), fclose(out);
    pair(SOCK_STREAM, fds);
    in = file_of(fds[0], "r"), out = file_of(fds[1], "w");
    static char large[100000];
    see_result("fwrite", (long)fwrite(large, 1, sizeof large, in));
    see_result("getc", fgetc(out));
    fclose(in), fclose(out);
}

/* What was written and refused is gone; the file can be closed. */
static void refused(void)
{
    FILE *file = fopen("/dev/full", "w");
    see_result("fputs", fputs("some text", file) >= 0 ? 0 : -1);
    see_result("fflush", fflush(file));
    see("error=%d ", ferror(file) != 0);
    see_result("fclose", fclose(file));
    file = fopen("/dev/full", "w");
    setvbuf(file, NULL, _IONBF, 0);
    see_result("fputs", fputs("some text", file) >= 0 ? 0 : -1);
    see_result("fclose", fclose(file));
    file = fopen("/dev/full", "w");
    setvbuf(file, NULL, _IOLBF, 0);
    see_result("fputs", fputs("some\ntext", file) >= 0 ? 0 : -1);
    see_result("fclose", fclose(file));
    file = fopen("/dev/full", "w");
    char large[10000] = "";
    see_result("fwrite", fwrite(large, 1, sizeof large, file) == sizeof large ? 0 : -1);
    see_result("fclose", fclose(file));
}

/* Both ways with one file, on a socket that has said more than was read. */
static void both_ways(void)
{
    int fds[2];
    char line[64] = "";
    pair(SOCK_STREAM, fds);
    FILE *file = file_of(fds[0], "r+");
    send(fds[1], "first\nsecond\nthird\n", 19, 0);
    see("%s", fgets(line, sizeof line, file));
    see("%d ", fputs("answer\n", file) >= 0);
    see_result("fflush", fflush(file));
    line[0] = '\0';
    see("%s", fgets(line, sizeof line, file));
    fclose(file);
    close(fds[1]);
}

static void results_of_printing(void)
{
    FILE *file = fopen("/dev/null", "w");
    int count = -1;
    FILE *before = stdout;
    stdout = file;
    see_result("puts", puts("four"));
    stdout = before;
    see_result("fprintf", fprintf(file, "%d%n%s", 12345, &count, "abc"));
    see("n=%d ", count);
    see_result("fputs", fputs("", file));
    see_result("fwrite", (long)fwrite("abc", 0, 5, file));
    see_result("fputc", fputc(300, file));
    fclose(file);
}

#define SCENES(X)                                                                                  \
    X(waitall_datagrams)                                                                           \
    X(waitall_packets)                                                                             \
    X(waitall_peek)                                                                                \
    X(waitall_peek_end)                                                                            \
    X(waitall_recvfrom)                                                                            \
    X(waitall_recvmsg)                                                                             \
    X(recvmmsg_all)                                                                                \
    X(recvmmsg_one)                                                                                \
    X(recvmmsg_timed)                                                                              \
    X(read_nothing)                                                                                \
    X(write_nothing)                                                                               \
    X(sendto_stream)                                                                               \
    X(eventfd_words)                                                                               \
    X(connect_again)                                                                               \
    X(select_beyond_sets)                                                                          \
    X(odd_times)                                                                                   \
    X(no_pointers)                                                                                 \
    X(look_after_drought)                                                                          \
    X(vfork_waits)                                                                                 \
    X(fgets_at_end)                                                                                \
    X(end_stays)                                                                                   \
    X(wrong_way)                                                                                   \
    X(refused)                                                                                     \
    X(both_ways)                                                                                   \
    X(results_of_printing)

SCENE_MODULE(edges, SCENES)
