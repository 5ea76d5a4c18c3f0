/*
 * Files of every kind, waits for them, locks on them: require "odd_files" in libc_odd_spec.lua
 * (see scene.h).
 */
#define _GNU_SOURCE
#include "guarded_room.h"
#include "scene.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>

/* What a compiler is not to know, or it would warn. */
static void *volatile nowhere;
static volatile int negative = -1;

/* Who is to get a signal. */
static pthread_t me;

static void open_pipe(int fds[2])
{
    if (pipe(fds) != 0)
        abort();
}

static int open_file(void)
{
    char name[] = "/tmp/odd-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    return fd;
}

/* ---- files of every kind ---- */

static void directories(void)
{
    char byte;
    struct iovec piece = {&byte, 1};
    int fd = open("/tmp", O_RDONLY | O_DIRECTORY), path = open("/tmp", O_PATH);
    SAW("read", read(fd, &byte, 1));
    SAW("readv", readv(fd, &piece, 1));
    SAW("write", write(fd, "x", 1));
    SAW("fsync", fsync(fd));
    SAW("flock", flock(fd, LOCK_EX | LOCK_NB));
    SAW("recv", recv(fd, &byte, 1, 0));
    SAW("path read", read(path, &byte, 1));
    SAW("path write", write(path, "x", 1));
    SAW("path fsync", fsync(path));
    SAW("path flock", flock(path, LOCK_SH));
    SAW("path poll", poll(&(struct pollfd){path, POLLIN, 0}, 1, 10));
    close(path);
    close(fd);
}

static void wrong_way(void)
{
    char name[] = "/tmp/odd-XXXXXX", byte;
    close(mkstemp(name));
    int in = open(name, O_RDONLY), out = open(name, O_WRONLY | O_APPEND);
    struct iovec piece = {(char *)"ab", 2};
    SAW("write", write(in, "x", 1));
    SAW("writev", writev(in, &piece, 1));
    SAW("read", read(out, &byte, 1));
    SAW("write", write(out, "abc", 3));
    SAW("writev", writev(out, &piece, 1));
    SAW("read", read(in, &byte, 1));
    SAW("no room", read(in, nowhere, 1));
    SAW("no data", write(out, nowhere, 1));
    SAW("lockf", lockf(in, F_LOCK, 0));
    SAW("at", lseek(in, 0, SEEK_CUR));
    close(in), close(out);
    unlink(name);
}

static void clocks_and_counters(void)
{
    uint64_t word = 0;
    struct itimerspec soon = {.it_value = {0, 20000000}};
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    timerfd_settime(fd, 0, &soon, NULL);
    SAW("timer", read(fd, &word, sizeof word));
    see("%d ", (int)word);
    timerfd_settime(fd, 0, &soon, NULL);
    SAW("short", read(fd, &word, 4));
    SAW("write", write(fd, &word, 8));
    SAW("poll", poll(&(struct pollfd){fd, POLLIN, 0}, 1, 1000));
    close(fd);
    fd = eventfd(2, EFD_SEMAPHORE);
    SAW("one", read(fd, &word, sizeof word));
    see("%d ", (int)word);
    SAW("short", read(fd, &word, 4));
    SAW("short", write(fd, &word, 4));
    word = UINT64_MAX;
    SAW("too much", write(fd, &word, 8));
    SAW("one", read(fd, &word, sizeof word));
    struct helper h = {.fd = fd, .parts = {"12345678"}, .closes = -1};
    begin_help(&h);
    SAW("wait", read(fd, &word, sizeof word));
    end_help();
    see("%d ", (int)word);
    close(fd);
}

static void *signals(void *argument)
{
    usleep(20000);
    pthread_kill(*(pthread_t *)argument, SIGUSR2);
    return NULL;
}

static void signals_and_changes(void)
{
    struct signalfd_siginfo info = {0};
    sigset_t set, before;
    pthread_t thread;
    char name[] = "/tmp/odd-XXXXXX", events[4096];
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    int fd = signalfd(-1, &set, 0);
    me = pthread_self();
    pthread_create(&thread, NULL, signals, &me);
    SAW("signal", read(fd, &info, sizeof info));
    see("%d ", (int)info.ssi_signo);
    pthread_join(thread, NULL);
    SAW("short", read(fd, &info, 5));
    close(fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (mkdtemp(name) == NULL)
        abort();
    fd = inotify_init();
    SAW("watch", inotify_add_watch(fd, name, IN_DELETE_SELF));
    rmdir(name);
    SAW("events", read(fd, events, sizeof events) > 0);
    close(fd);
}

static void pidfds(void)
{
    char byte;
    siginfo_t info = {0};
    pid_t pid = child(30000, 4);
    int fd = pidfd_open(pid, 0);
    SAW("read", read(fd, &byte, 1));
    SAW("poll", poll(&(struct pollfd){fd, POLLIN, 0}, 1, -1));
    SAW("waitid", waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOWAIT));
    SAW("waitid", waitid(P_PIDFD, (id_t)fd, &info, WEXITED));
    see("pid=%d status=%d ", info.si_pid == pid, info.si_status);
    SAW("again", waitid(P_PIDFD, (id_t)fd, &info, WEXITED));
    close(fd);
    pid = child(30000, 5);
    fd = pidfd_open(pid, 0);
    SAW("waitid", waitid(P_PIDFD, (id_t)fd, &info, WEXITED));
    see("status=%d ", info.si_status);
    close(fd);
    pid = child(30000, 6);
    fd = pidfd_open(pid, PIDFD_NONBLOCK);
    SAW("not yet", waitid(P_PIDFD, (id_t)fd, &info, WEXITED));
    SAW("waitpid", waitpid(pid, NULL, 0) == pid);
    SAW("bad", waitid(P_PIDFD, 987, &info, WEXITED));
    close(fd);
}

/* ---- poll, select, epoll ---- */

static void odd_polls(void)
{
    int fds[2];
    char *end = guarded_room_open();
    struct pollfd *last = (struct pollfd *)end - 1;
    open_pipe(fds);
    *last = (struct pollfd){fds[0], POLLIN, 77};
#ifndef __SANITIZE_ADDRESS__ /* it looks at all of them itself */
    SAW("too many", poll(last, 1 << 30, 10));
    SAW("all", poll(last, (nfds_t)negative, 10));
#endif
    SAW("none", poll(nowhere, 1 << 30, 10));
    see("revents=%d ", last->revents);
    struct pollfd odd[] = {{-1, POLLIN, 77}, {-987, POLLOUT, 77}, {fds[0], 0, 77}};
    SAW("nobody", poll(odd, 3, 10));
    see("%d %d %d ", odd[0].revents, odd[1].revents, odd[2].revents);
    struct pollfd bad[] = {{987, POLLIN, 77}, {fds[0], POLLIN, 77}};
    SAW("bad", poll(bad, 2, -1));
    see("%d %d ", bad[0].revents, bad[1].revents);
    SAW("nothing", poll(NULL, 0, 1));
    close(fds[1]);
    odd[2].revents = 0;
    SAW("end", poll(&odd[2], 1, -1));
    see("%d ", odd[2].revents);
    close(fds[0]);
    open_pipe(fds);
    close(fds[0]);
    odd[2] = (struct pollfd){fds[1], 0, 77};
    SAW("broken", poll(&odd[2], 1, -1));
    see("%d ", odd[2].revents);
    close(fds[1]);
    pair(SOCK_STREAM, fds);
    struct helper h = {.fd = fds[1], .parts = {NULL}, .closes = fds[1]};
    odd[2] = (struct pollfd){fds[0], POLLRDHUP, 77};
    begin_help(&h);
    SAW("hangs up", poll(&odd[2], 1, -1));
    end_help();
    see("%d ", odd[2].revents);
    close(fds[0]);
    guarded_room_close(end);
}

static void on_signal(int number)
{
    (void)number;
}

static void *alarm_me(void *argument)
{
    usleep(50000);
    pthread_kill(*(pthread_t *)argument, SIGUSR1);
    return NULL;
}

static void begin_alarm(pthread_t *thread, struct sigaction *before)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, before);
    me = pthread_self();
    pthread_create(thread, NULL, alarm_me, &me);
}

static void end_alarm(pthread_t thread, const struct sigaction *before)
{
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, before, NULL);
}

/* What an error leaves of the sets, and of the time (POSIX, select()). */
static void select_interrupted(void)
{
    fd_set in, out;
    int fds[2];
    pthread_t thread;
    struct sigaction before;
    struct timeval span = {5, 0};
    open_pipe(fds);
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(fds[0], &in);
    begin_alarm(&thread, &before);
    SAW("select", select(fds[0] + 1, &in, &out, NULL, &span));
    end_alarm(thread, &before);
    see("set=%d left=%d ", FD_ISSET(fds[0], &in), (int)span.tv_sec);
    struct timespec rest = {5, 0};
    begin_alarm(&thread, &before);
    SAW("pselect", pselect(fds[0] + 1, &in, NULL, NULL, &rest, NULL));
    end_alarm(thread, &before);
    see("set=%d left=%d ", FD_ISSET(fds[0], &in), (int)rest.tv_sec);
    struct pollfd readable = {fds[0], POLLIN, 77};
    begin_alarm(&thread, &before);
    SAW("poll", poll(&readable, 1, -1));
    end_alarm(thread, &before);
    struct timespec left = {0};
    begin_alarm(&thread, &before);
    SAW("sleep", clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, &left));
    end_alarm(thread, &before);
    see("left=%d ", (int)left.tv_sec);
    close_both(fds);
}

static void odd_selects(void)
{
    fd_set set;
    int fds[2];
    struct timeval odd = {-1, 0}, wide = {0, 3000000}, huge = {5000000000, 0};
    open_pipe(fds);
    FD_ZERO(&set);
    FD_SET(fds[1], &set);
    SAW("negative count", select(-1, &set, NULL, NULL, NULL));
    SAW("negative time", select(0, NULL, NULL, NULL, &odd));
    SAW("wide", select(fds[1] + 1, NULL, &set, NULL, &wide));
    see("left=%d ", (int)wide.tv_sec);
    SAW("huge", select(fds[1] + 1, NULL, &set, NULL, &huge));
    see("left=%ld ", (huge.tv_sec + 1) / 1000);
    FD_ZERO(&set);
    FD_SET(fds[0], &set);
    close_both(fds);
    wide = (struct timeval){1, 500000};
    SAW("bad", select(fds[0] + 1, &set, NULL, NULL, &wide));
    see("set=%d left=%d ", FD_ISSET(fds[0], &set), (int)wide.tv_sec);
    SAW("no sets", select(fds[0] + 1, NULL, NULL, NULL, &(struct timeval){0, 1000}));
}

static void nested_epolls(void)
{
    enum { DEEP = 5 };
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7};
    int fds[2], chain[DEEP];
    open_pipe(fds);
    for (int i = 0; i < DEEP; i++) {
        chain[i] = epoll_create1(0);
        SAW("add", epoll_ctl(chain[i], EPOLL_CTL_ADD, i == 0 ? fds[0] : chain[i - 1], &event));
    }
    SAW("self", epoll_ctl(chain[0], EPOLL_CTL_ADD, chain[0], &event));
    for (int i = 0; i < DEEP; i++)
        SAW("empty", epoll_wait(chain[i], &event, 1, 5));
    for (int i = 0; i < DEEP; i++) {
        char byte;
        struct helper h = {.fd = fds[1], .parts = {"x"}, .closes = -1};
        begin_help(&h);
        SAW("wait", epoll_wait(chain[i], &event, 1, 2000));
        end_help();
        SAW("take", read(fds[0], &byte, 1));
    }
    for (int i = 0; i < DEEP; i++)
        close(chain[i]);
    close_both(fds);
}

static void odd_epolls(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = 7}, room[2];
    sigset_t mask;
    int fds[2], epoll = epoll_create1(0);
    open_pipe(fds);
    sigemptyset(&mask);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event);
    SAW("no room", epoll_wait(epoll, room, 0, 10));
    SAW("less", epoll_wait(epoll, room, negative, 10));
    SAW("no epoll", epoll_wait(fds[0], room, 1, 10));
    SAW("bad", epoll_wait(987, room, 1, 10));
    SAW("negative", epoll_wait(epoll, room, 1, 0));
    SAW("masked", epoll_pwait(epoll, room, 1, 10, &mask));
    SAW("odd time", epoll_pwait2(epoll, room, 1, &(struct timespec){0, -1}, NULL));
    SAW("time", epoll_pwait2(epoll, room, 1, &(struct timespec){0, 1000}, NULL));
    struct helper h = {.fd = fds[1], .parts = {"x"}, .closes = -1};
    begin_help(&h);
    SAW("edge", epoll_wait(epoll, room, 2, -5));
    end_help();
    SAW("no more", epoll_wait(epoll, room, 2, 10));
    event.events = EPOLLIN | EPOLLONESHOT;
    epoll_ctl(epoll, EPOLL_CTL_MOD, fds[0], &event);
    SAW("once", epoll_wait(epoll, room, 2, -1));
    SAW("no more", epoll_wait(epoll, room, 2, 10));
    close_both(fds);
    close(epoll);
}

/* ---- locks, disks ---- */

static void locks_on_files(void)
{
    char name[] = "/tmp/odd-XXXXXX";
    int a = mkstemp(name), b = open(name, O_RDWR), fds[2];
    open_pipe(fds);
    SAW("shared", flock(a, LOCK_SH));
    SAW("shared", flock(b, LOCK_SH));
    SAW("upgrade", flock(a, LOCK_EX | LOCK_NB));
    SAW("other", flock(b, LOCK_EX | LOCK_NB));
    SAW("first", flock(a, LOCK_SH | LOCK_NB));
    SAW("unlock", flock(b, LOCK_UN | LOCK_NB));
    SAW("upgrade", flock(a, LOCK_EX));
    SAW("none", flock(a, 0));
    SAW("odd", flock(a, 77));
    SAW("both", flock(a, LOCK_SH | LOCK_EX));
    SAW("bad", flock(-1, LOCK_EX));
    SAW("pipe", flock(fds[0], LOCK_EX));
    SAW("unlocked", flock(a, LOCK_UN));
    SAW("lockf", lockf(a, F_LOCK, 0));
    SAW("lockf", lockf(a, F_TEST, 10));
    SAW("lockf", lockf(a, F_TLOCK, -1));
    SAW("lockf", lockf(a, 99, 0));
    SAW("lockf", lockf(-1, F_LOCK, 0));
    SAW("lockf", lockf(fds[0], F_LOCK, 0));
    close_both(fds);
    close(a), close(b);
    unlink(name);
}

static void *unlock_soon(void *argument)
{
    usleep(30000);
    flock((int)(intptr_t)argument, LOCK_UN);
    return NULL;
}

static void lock_after_a_while(void)
{
    char name[] = "/tmp/odd-XXXXXX";
    int a = mkstemp(name), b = open(name, O_RDWR);
    pthread_t thread;
    flock(a, LOCK_EX);
    pthread_create(&thread, NULL, unlock_soon, (void *)(intptr_t)a);
    SAW("flock", flock(b, LOCK_EX));
    pthread_join(thread, NULL);
    close(a), close(b);
    unlink(name);
}

static void syncs(void)
{
    int fds[2], file = open_file(), main_end = posix_openpt(O_RDWR | O_NOCTTY);
    open_pipe(fds);
    SAW("file", fsync(file));
    SAW("file", fdatasync(file));
    SAW("pipe", fsync(fds[0]));
    SAW("terminal", fsync(main_end));
    SAW("bad", fsync(-1));
    SAW("bad", fdatasync(987));
    close_both(fds);
    pair(SOCK_STREAM, fds);
    SAW("socket", fdatasync(fds[0]));
    close_both(fds);
    /* Nor does it need a place for another descriptor. */
    struct rlimit before, few;
    getrlimit(RLIMIT_NOFILE, &before);
    few = (struct rlimit){3, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    SAW("full", fsync(file));
    SAW("full", fdatasync(file));
    setrlimit(RLIMIT_NOFILE, &before);
    close(main_end);
    close(file);
}

static void renames(void)
{
    SAW("rename", rename(nowhere, "/tmp/odd"));
    SAW("rename", rename("/tmp/odd", nowhere));
    SAW("rename", rename("", "/tmp/odd"));
    SAW("rename", rename("/nowhere/at/all", "/tmp/odd"));
    SAW("remove", remove(nowhere));
    SAW("remove", remove(""));
    SAW("remove", remove("/proc"));
#ifndef __SANITIZE_ADDRESS__ /* it reads the name itself */
    SAW("fopen", fopen(nowhere, "r") != NULL);
#endif
    SAW("fopen", fopen("/tmp", "w") != NULL);
    SAW("fopen", fopen("/tmp/x", "q") != NULL);
}

/* ---- terminals ---- */

static void set_least(int fd, int least, int tenths)
{
    struct termios mode;
    tcgetattr(fd, &mode);
    mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    mode.c_cc[VMIN] = (cc_t)least;
    mode.c_cc[VTIME] = (cc_t)tenths;
    tcsetattr(fd, TCSANOW, &mode);
}

/* A terminal that is to give what there is, or to wait for so long. */
static void terminals(void)
{
    char bytes[8] = "";
    int main_end = posix_openpt(O_RDWR | O_NOCTTY);
    grantpt(main_end);
    unlockpt(main_end);
    int fd = open(ptsname(main_end), O_RDWR | O_NOCTTY);
    set_least(fd, 0, 0);
    SAW("at once", read(fd, bytes, 8));
    SAW("write", write(main_end, "ab", 2));
    SAW("there", read(fd, bytes, 8));
    set_least(fd, 0, 1);
    SAW("a tenth", read(fd, bytes, 8));
    struct helper h = {.fd = main_end, .parts = {"x"}, .closes = -1};
    set_least(fd, 0, 20);
    begin_help(&h);
    SAW("two seconds", read(fd, bytes, 8));
    end_help();
    set_least(fd, 1, 0);
    begin_help(&h);
    SAW("one byte", read(fd, bytes, 8));
    end_help();
    close(fd);
    SAW("hung up", read(main_end, bytes, 8));
    close(main_end);
}

#define SCENES(X)                                                                                  \
    X(directories)                                                                                 \
    X(wrong_way)                                                                                   \
    X(clocks_and_counters)                                                                         \
    X(signals_and_changes)                                                                         \
    X(pidfds)                                                                                      \
    X(odd_polls)                                                                                   \
    X(select_interrupted)                                                                          \
    X(odd_selects)                                                                                 \
    X(nested_epolls)                                                                               \
    X(odd_epolls)                                                                                  \
    X(locks_on_files)                                                                              \
    X(lock_after_a_while)                                                                          \
    X(syncs)                                                                                       \
    X(renames)                                                                                     \
    X(terminals)

SCENE_MODULE(odd_files, SCENES)
