/*
 * The plain calls of libc for Lua, as a C library makes them: require "libc" in the specs of
 * interposition. Each returns what the call returned, or nil, the name of the error.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int fail(lua_State *L, int error)
{
    lua_pushnil(L);
    lua_pushstring(L, strerrorname_np(error));
    return 2;
}

static int push(lua_State *L, ssize_t result)
{
    if (result < 0)
        return fail(L, errno);
    lua_pushinteger(L, result);
    return 1;
}

static struct timespec check_span(lua_State *L, int index)
{
    double seconds = luaL_checknumber(L, index);
    struct timespec span = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    return span;
}

/* ---- descriptors ---- */

static int push_pair(lua_State *L, int result, const int fds[2])
{
    if (result != 0)
        return fail(L, errno);
    lua_pushinteger(L, fds[0]);
    lua_pushinteger(L, fds[1]);
    return 2;
}

static int l_pipe(lua_State *L)
{
    int fds[2];
    return push_pair(L, pipe2(fds, O_CLOEXEC), fds);
}

static int l_socketpair(lua_State *L)
{
    int fds[2], type = lua_toboolean(L, 1) ? SOCK_DGRAM : SOCK_STREAM;
    return push_pair(L, socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), fds);
}

static int l_eventfd(lua_State *L)
{
    return push(L, eventfd(0, EFD_CLOEXEC));
}

static int l_open(lua_State *L)
{
    return push(L, open(luaL_checkstring(L, 1), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static int l_openpty(lua_State *L)
{
    int fds[2] = {posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), -1};
    int result = grantpt(fds[0]) == 0 && unlockpt(fds[0]) == 0 ? 0 : -1;
    fds[1] = open(ptsname(fds[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    return push_pair(L, result, fds);
}

static int l_close(lua_State *L)
{
    return push(L, close((int)luaL_checkinteger(L, 1)));
}

static int l_dup2(lua_State *L)
{
    return push(L, dup2((int)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2)));
}

/* As libraries close and replace descriptors that make their system calls themselves: nobody sees
 * it. */
static int l_close_unseen(lua_State *L)
{
    return push(L, syscall(SYS_close, (int)luaL_checkinteger(L, 1)));
}

static int l_dup_unseen(lua_State *L)
{
    return push(L, syscall(SYS_dup3, (int)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2),
                           O_CLOEXEC));
}

static int l_close_range(lua_State *L)
{
    return push(
        L, close_range((unsigned)luaL_checkinteger(L, 1), (unsigned)luaL_checkinteger(L, 2), 0));
}

static int l_flags(lua_State *L)
{
    return push(L, fcntl((int)luaL_checkinteger(L, 1), F_GETFL));
}

static int l_nonblock(lua_State *L)
{
    int fd = (int)luaL_checkinteger(L, 1);
    return push(L, fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
}

static int l_block_again(lua_State *L)
{
    int fd = (int)luaL_checkinteger(L, 1);
    return push(L, fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK));
}

static int l_timeout(lua_State *L)
{
    struct timespec span = check_span(L, 2);
    struct timeval value = {span.tv_sec, span.tv_nsec / 1000};
    int fd = (int)luaL_checkinteger(L, 1);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);
    return push(L, setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value));
}

static int push_bytes(lua_State *L, char *buffer, ssize_t size)
{
    int error = errno;
    if (size >= 0)
        lua_pushlstring(L, buffer, (size_t)size);
    free(buffer);
    return size >= 0 ? 1 : fail(L, error);
}

static int l_read(lua_State *L)
{
    size_t size = (size_t)luaL_checkinteger(L, 2);
    char *buffer = malloc(size + 1);
    return push_bytes(L, buffer, read((int)luaL_checkinteger(L, 1), buffer, size));
}

static int l_recv(lua_State *L)
{
    size_t size = (size_t)luaL_checkinteger(L, 2);
    char *buffer = malloc(size + 1);
    int flags = lua_toboolean(L, 3) ? MSG_WAITALL : 0;
    return push_bytes(L, buffer, recv((int)luaL_checkinteger(L, 1), buffer, size, flags));
}

/* fd, count: so many bytes, one by one -> how many came */
static int l_recv_each(lua_State *L)
{
    int fd = (int)luaL_checkinteger(L, 1);
    lua_Integer wanted = luaL_checkinteger(L, 2), got = 0;
    char byte;
    while (got < wanted && recv(fd, &byte, 1, 0) == 1)
        got++;
    lua_pushinteger(L, got);
    return 1;
}

static int l_write(lua_State *L)
{
    size_t size;
    const char *data = luaL_checklstring(L, 2, &size);
    return push(L, write((int)luaL_checkinteger(L, 1), data, size));
}

static int l_send(lua_State *L)
{
    size_t size;
    const char *data = luaL_checklstring(L, 2, &size);
    return push(L, send((int)luaL_checkinteger(L, 1), data, size, MSG_NOSIGNAL));
}

/* fd, strings... */
static int l_writev(lua_State *L)
{
    enum { MOST = 16 };
    struct iovec pieces[MOST];
    int count = lua_gettop(L) - 1;
    for (int i = 0; i < count; i++)
        pieces[i].iov_base = (void *)luaL_checklstring(L, i + 2, &pieces[i].iov_len);
    return push(L, writev((int)luaL_checkinteger(L, 1), pieces, count));
}

/* Listens on a loopback port, or on an abstract Unix name -> fd, port */
static int l_listen(lua_State *L)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 128) != 0)
        return fail(L, errno);
    getsockname(fd, (struct sockaddr *)&address, &size);
    lua_pushinteger(L, fd);
    lua_pushinteger(L, ntohs(address.sin_port));
    return 2;
}

static int l_accept(lua_State *L)
{
    return push(L, accept((int)luaL_checkinteger(L, 1), NULL, NULL));
}

/* port -> fd */
static int l_connect(lua_State *L)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)luaL_checkinteger(L, 1))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return push(L, fd);
    int error = errno;
    close(fd);
    return fail(L, error);
}

/* A Unix listener with a backlog of 1 -> fd; connects to it -> fd */
static struct sockaddr_un unix_address(lua_State *L, socklen_t *size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *name = luaL_checkstring(L, 1);
    strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    return address;
}

static int l_listen_unix(lua_State *L)
{
    socklen_t size;
    struct sockaddr_un address = unix_address(L, &size);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 0) != 0)
        return fail(L, errno);
    return push(L, fd);
}

static int l_connect_unix(lua_State *L)
{
    socklen_t size;
    struct sockaddr_un address = unix_address(L, &size);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, size) == 0)
        return push(L, fd);
    int error = errno;
    close(fd);
    return fail(L, error);
}

/* ---- waiting for descriptors ---- */

/* {{fd, events}, ...}, milliseconds -> number, {revents, ...} */
static int l_poll(lua_State *L)
{
    nfds_t count = (nfds_t)luaL_len(L, 1);
    struct pollfd *fds = lua_newuserdatauv(L, (count + 1) * sizeof *fds, 0);
    for (nfds_t i = 0; i < count; i++) {
        lua_geti(L, 1, (lua_Integer)i + 1);
        lua_geti(L, -1, 1);
        lua_geti(L, -2, 2);
        fds[i] =
            (struct pollfd){.fd = (int)lua_tointeger(L, -2), .events = (short)lua_tointeger(L, -1)};
        lua_pop(L, 3);
    }
    int ready = poll(fds, count, (int)luaL_checkinteger(L, 2));
    if (ready < 0)
        return fail(L, errno);
    lua_pushinteger(L, ready);
    lua_createtable(L, (int)count, 0);
    for (nfds_t i = 0; i < count; i++) {
        lua_pushinteger(L, fds[i].revents);
        lua_seti(L, -2, (lua_Integer)i + 1);
    }
    return 2;
}

/* fd to read or nil, fd to write or nil, seconds or nil -> number, readable, writable, seconds
 * left. The sets are as long as the highest of the two needs. */
static int l_select(lua_State *L)
{
    int fds[2] = {(int)luaL_optinteger(L, 1, -1), (int)luaL_optinteger(L, 2, -1)};
    int count = (fds[0] > fds[1] ? fds[0] : fds[1]) + 1;
    size_t size = (size_t)(count / FD_SETSIZE + 1) * sizeof(fd_set);
    unsigned long *sets[2] = {calloc(1, size), calloc(1, size)};
    enum { WORD = 8 * sizeof(unsigned long) };
    struct timeval span = {0};
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            sets[i][fds[i] / WORD] |= 1UL << fds[i] % WORD;
    if (!lua_isnoneornil(L, 3)) {
        struct timespec wanted = check_span(L, 3);
        span = (struct timeval){wanted.tv_sec, wanted.tv_nsec / 1000};
    }
    int ready = select(count, (fd_set *)sets[0], (fd_set *)sets[1], NULL,
                       lua_isnoneornil(L, 3) ? NULL : &span);
    int error = errno;
    lua_pushinteger(L, ready);
    for (int i = 0; i < 2; i++) {
        lua_pushboolean(L, fds[i] >= 0 && (sets[i][fds[i] / WORD] >> fds[i] % WORD & 1));
        free(sets[i]);
    }
    lua_pushnumber(L, (double)span.tv_sec + (double)span.tv_usec / 1e6);
    return ready < 0 ? fail(L, error) : 4;
}

static int l_epoll(lua_State *L)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, (int)luaL_checkinteger(L, 1), &event);
    int ready = epoll_wait(epoll, &event, 1, (int)luaL_checkinteger(L, 2)), error = errno;
    close(epoll);
    return ready < 0 ? fail(L, error) : push(L, ready);
}

/* ---- time and signals: calls under test; nothing here waits for an event ---- */

static int l_nanosleep(lua_State *L)
{
    struct timespec span = check_span(L, 1), left = {0};
    if (nanosleep(&span, &left) == 0)
        return push(L, 0);
    fail(L, errno);
    lua_pushnumber(L, (double)left.tv_sec + (double)left.tv_nsec / 1e9);
    return 3;
}

static int l_sleep(lua_State *L)
{
    lua_pushinteger(L, sleep((unsigned)luaL_checkinteger(L, 1)));
    return 1;
}

static int l_usleep(lua_State *L)
{
    return push(L, usleep((useconds_t)luaL_checkinteger(L, 1)));
}

static struct timespec time_after(clockid_t clock, struct timespec span)
{
    struct timespec at;
    clock_gettime(clock, &at);
    at.tv_sec += span.tv_sec + (at.tv_nsec + span.tv_nsec) / 1000000000;
    at.tv_nsec = (at.tv_nsec + span.tv_nsec) % 1000000000;
    return at;
}

/* seconds; tries again whatever comes back, as some libraries do */
static int l_sleep_stubbornly(lua_State *L)
{
    struct timespec at = time_after(CLOCK_MONOTONIC, check_span(L, 1));
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
        continue;
    return 0;
}

/* clock ("realtime" or "monotonic"), seconds from now, as an absolute time */
static int l_sleep_until(lua_State *L)
{
    clockid_t clock =
        strcmp(luaL_checkstring(L, 1), "realtime") == 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    struct timespec at = time_after(clock, check_span(L, 2));
    int error = clock_nanosleep(clock, TIMER_ABSTIME, &at, NULL);
    return error != 0 ? fail(L, error) : push(L, 0);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

/* seconds: SIGALRM comes then, whose handler does nothing; its count so far without an argument */
static int l_alarm(lua_State *L)
{
    struct sigaction action = {.sa_handler = on_alarm};
    if (lua_isnoneornil(L, 1))
        return push(L, alarms);
    struct timespec span = check_span(L, 1);
    struct itimerval timer = {.it_value = {span.tv_sec, span.tv_nsec / 1000}};
    sigaction(SIGALRM, &action, NULL);
    return push(L, setitimer(ITIMER_REAL, &timer, NULL));
}

/* ---- processes ---- */

/* Runs the function in a child, which ends with what it returns -> pid */
static int l_fork(lua_State *L)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return push(L, pid);
    int status = lua_pcall(L, lua_gettop(L) - 1, 1, 0);
    if (status != LUA_OK)
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    _exit(status == LUA_OK ? (int)lua_tointeger(L, -1) : 99);
}

/* The same, and the child goes on after the call, which returns 0 there */
static int l_plain_fork(lua_State *L)
{
    fflush(NULL);
    return push(L, fork());
}

/* program -> pid; forks and executes it */
static int l_spawn(lua_State *L)
{
    const char *command = luaL_checkstring(L, 1);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    return push(L, pid);
}

static int l_vfork_closes(lua_State *L)
{
    int fd = (int)luaL_checkinteger(L, 1);
    pid_t pid = vfork();
    if (pid == 0) {
        close(fd);
        _exit(0);
    }
    return push(L, pid);
}

static int push_status(lua_State *L, pid_t pid, int status)
{
    if (pid < 0)
        return fail(L, errno);
    lua_pushinteger(L, pid);
    lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    return 2;
}

static int l_waitpid(lua_State *L)
{
    int status = 0;
    pid_t pid = waitpid((pid_t)luaL_checkinteger(L, 1), &status, lua_toboolean(L, 2) ? WNOHANG : 0);
    return push_status(L, pid, status);
}

/* pid; -1: any child */
static int l_waitid(lua_State *L)
{
    siginfo_t info = {0};
    lua_Integer pid = luaL_checkinteger(L, 1);
    if (waitid(pid < 0 ? P_ALL : P_PID, pid < 0 ? 0 : (id_t)pid, &info, WEXITED) != 0)
        return fail(L, errno);
    lua_pushinteger(L, info.si_pid);
    lua_pushinteger(L, info.si_status);
    return 2;
}

static void on_child(int number)
{
    (void)number;
}

/* true: SIGCHLD has a handler, which does nothing, from now on */
static int l_catch_children(lua_State *L)
{
    struct sigaction action = {.sa_handler = lua_toboolean(L, 1) ? on_child : SIG_DFL};
    return push(L, sigaction(SIGCHLD, &action, NULL));
}

static int l_kill(lua_State *L)
{
    return push(L, kill((pid_t)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2)));
}

static int l_getpid(lua_State *L)
{
    return push(L, getpid());
}

static int l_flock(lua_State *L)
{
    int operation = strcmp(luaL_checkstring(L, 2), "lock") == 0 ? LOCK_EX : LOCK_UN;
    return push(L, flock((int)luaL_checkinteger(L, 1), operation));
}

static int l_fsync(lua_State *L)
{
    return push(L, fsync((int)luaL_checkinteger(L, 1)));
}

/* ---- names ---- */

/* name -> address, or nil and the error; asked with getaddrinfo */
static int l_getaddrinfo(lua_State *L)
{
    struct addrinfo *found = NULL, hints = {.ai_family = AF_INET};
    int error = getaddrinfo(luaL_checkstring(L, 1), NULL, &hints, &found);
    if (error != 0) {
        lua_pushnil(L);
        lua_pushstring(L, error == EAI_SYSTEM ? strerrorname_np(errno) : gai_strerror(error));
        return 2;
    }
    lua_pushstring(L, inet_ntoa(((struct sockaddr_in *)found->ai_addr)->sin_addr));
    freeaddrinfo(found);
    return 1;
}

static void push_host(lua_State *L, const struct hostent *host)
{
    if (host == NULL)
        lua_pushnil(L);
    else
        lua_pushstring(L, inet_ntoa(*(struct in_addr *)host->h_addr_list[0]));
}

/* ---- what libc keeps for the thread ---- */

/* time, error number, host number, seconds: asks for all three, sleeps, and then reads the answers.
 * -> the date, the text, the address, errno as it was set before the sleep, the address as
 * inet_ntoa() wrote it */
static int l_keeps(lua_State *L)
{
    time_t time = (time_t)luaL_checkinteger(L, 1);
    struct timespec span = check_span(L, 4);
    const struct tm *date = gmtime(&time);
    const char *text = strerror((int)luaL_checkinteger(L, 2));
    const struct hostent *host = gethostbyname(luaL_checkstring(L, 3));
    const char *number = inet_ntoa((struct in_addr){inet_addr(luaL_checkstring(L, 3))});
    errno = (int)luaL_checkinteger(L, 2);
    nanosleep(&span, NULL);
    int error = errno;
    char numbers[INET_ADDRSTRLEN], written[64];
    snprintf(numbers, sizeof numbers, "%s", number);
    strftime(written, sizeof written, "%Y-%m-%d", date);
    lua_pushstring(L, written);
    lua_pushstring(L, text);
    push_host(L, host);
    lua_pushinteger(L, error);
    lua_pushstring(L, numbers);
    return 5;
}

/* ---- locks ---- */

struct locks {
    pthread_mutex_t plain, recursive;
    pthread_rwlock_t both;
    pthread_once_t once;
};

static struct locks locks = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP,
                             PTHREAD_RWLOCK_INITIALIZER, PTHREAD_ONCE_INIT};

static pthread_mutex_t *mutex_of(lua_State *L)
{
    return lua_toboolean(L, 1) ? &locks.recursive : &locks.plain;
}

/* is recursive, function: called with the mutex locked */
static int l_with_mutex(lua_State *L)
{
    pthread_mutex_t *mutex = mutex_of(L);
    pthread_mutex_lock(mutex);
    int status = lua_pcall(L, 0, 0, 0);
    pthread_mutex_unlock(mutex);
    return status == LUA_OK ? 0 : lua_error(L);
}

static int l_try_mutex(lua_State *L)
{
    pthread_mutex_t *mutex = mutex_of(L);
    int error = pthread_mutex_trylock(mutex);
    if (error == 0)
        pthread_mutex_unlock(mutex);
    lua_pushstring(L, error == 0 ? "free" : strerrorname_np(error));
    return 1;
}

static int push_lock_error(lua_State *L, int error)
{
    lua_pushstring(L, error == 0 ? "free" : strerrorname_np(error));
    return 1;
}

/* recursive, seconds */
static int l_timed_mutex(lua_State *L)
{
    struct timespec until = time_after(CLOCK_REALTIME, check_span(L, 2));
    int error = pthread_mutex_timedlock(mutex_of(L), &until);
    if (error == 0)
        pthread_mutex_unlock(mutex_of(L));
    return push_lock_error(L, error);
}

/* recursive, seconds, function while it is locked: as C++'s std::timed_mutex */
static int l_clock_mutex(lua_State *L)
{
    struct timespec until = time_after(CLOCK_MONOTONIC, check_span(L, 2));
    int error = pthread_mutex_clocklock(mutex_of(L), CLOCK_MONOTONIC, &until);
    if (error == 0) {
        lua_settop(L, 3);
        int status = lua_pcall(L, 0, 0, 0);
        pthread_mutex_unlock(mutex_of(L));
        if (status != LUA_OK)
            return lua_error(L);
    }
    return push_lock_error(L, error);
}

/* "real" or "monotonic", is for writing, seconds */
static int l_timed_rwlock(lua_State *L)
{
    bool is_real = strcmp(luaL_checkstring(L, 1), "real") == 0, is_writer = lua_toboolean(L, 2);
    clockid_t clock = is_real ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    struct timespec until = time_after(clock, check_span(L, 3));
    pthread_rwlock_t *lock = &locks.both;
    int error = is_real && is_writer ? pthread_rwlock_timedwrlock(lock, &until)
                : is_real            ? pthread_rwlock_timedrdlock(lock, &until)
                : is_writer          ? pthread_rwlock_clockwrlock(lock, clock, &until)
                                     : pthread_rwlock_clockrdlock(lock, clock, &until);
    if (error == 0)
        pthread_rwlock_unlock(lock);
    return push_lock_error(L, error);
}

/* is for writing, function */
static int l_with_rwlock(lua_State *L)
{
    if (lua_toboolean(L, 1))
        pthread_rwlock_wrlock(&locks.both);
    else
        pthread_rwlock_rdlock(&locks.both);
    int status = lua_pcall(L, 0, 0, 0);
    pthread_rwlock_unlock(&locks.both);
    return status == LUA_OK ? 0 : lua_error(L);
}

/* For calls under test, during which the thread is to wait. */
static void sleep_once(void)
{
    struct timespec span = {0, 50000000};
    nanosleep(&span, NULL);
}

static int l_once(lua_State *L)
{
    (void)L;
    pthread_once(&locks.once, sleep_once);
    return 0;
}

static ssize_t write_slowly(void *cookie, const char *data, size_t size)
{
    (void)cookie, (void)data;
    sleep_once();
    return (ssize_t)size;
}

/* Writes to a file of stdio whose write function sleeps 50 ms */
static int l_write_cookie(lua_State *L)
{
    cookie_io_functions_t functions = {.write = write_slowly};
    FILE *file = fopencookie(NULL, "w", functions);
    fputs(luaL_checkstring(L, 1), file);
    return push(L, fclose(file));
}

static lua_State *calls_back, *writes_back;

static void call_on_top(void)
{
    lua_call(calls_back, 0, 0);
}

static ssize_t call_instead_of_writing(void *cookie, const char *data, size_t size)
{
    (void)cookie, (void)data;
    lua_State *L = writes_back;
    writes_back =
        NULL; /* what an error leaves in the file is written once more, by whoever flushes all */
    if (L != NULL)
        lua_call(L, 0, 0);
    return (ssize_t)size;
}

/* function: called inside of pthread_once */
static int l_once_calls(lua_State *L)
{
    pthread_once_t once = PTHREAD_ONCE_INIT;
    calls_back = L;
    lua_settop(L, 1);
    pthread_once(&once, call_on_top);
    return 0;
}

static int close_stream(lua_State *L)
{
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    return push(L, fclose(stream->f));
}

/* function: called in a callback of stdio. The collector closes the file if an error leaves it. */
static int l_cookie_calls(lua_State *L)
{
    cookie_io_functions_t functions = {.write = call_instead_of_writing};
    luaL_Stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
    stream->f = fopencookie(NULL, "w", functions);
    stream->closef = close_stream;
    luaL_setmetatable(L, LUA_FILEHANDLE);
    lua_insert(L, 1);
    lua_settop(L, 2);
    writes_back = L;
    setvbuf(stream->f, NULL, _IONBF, 0);
    fputs("x", stream->f);
    stream->closef = NULL;
    return push(L, fclose(stream->f));
}

/* function: called by a C function that catches its error, without a protected call of Lua's own */
static int l_catch(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushboolean(L, lua_pcall(L, 0, 0, 0) == LUA_OK);
    return 1;
}

/* function: called back, twice, with what it returned the first time */
static int l_call_back(lua_State *L)
{
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1);
    lua_pushvalue(L, 1);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    return 1;
}

static atomic_int finalized;

static int count_finalized(lua_State *L)
{
    (void)L;
    atomic_fetch_add(&finalized, 1);
    return 0;
}

/* Leaves an object behind in its Lua state. Returns how many of those have been finalized. */
static int l_leave_object(lua_State *L)
{
    lua_newuserdatauv(L, 1, 0);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, count_finalized);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_pushinteger(L, atomic_load(&finalized));
    return 1;
}

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t told;
    int times;
} blocked = {.mutex = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};

/* Ends all calls of block() that are under way. */
static int l_unblock(lua_State *L)
{
    (void)L;
    pthread_mutex_lock(&blocked.mutex);
    blocked.times++;
    pthread_cond_broadcast(&blocked.told);
    pthread_mutex_unlock(&blocked.mutex);
    return 0;
}

/* seconds, values...: blocks the thread, unseen, for so long at most, then gives the values back,
 * twice the first */
static int l_block(lua_State *L)
{
    struct timespec span = check_span(L, 1), until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += span.tv_nsec;
    until.tv_sec += span.tv_sec + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&blocked.mutex);
    for (int now = blocked.times; now == blocked.times;)
        if (pthread_cond_timedwait(&blocked.told, &blocked.mutex, &until) != 0)
            break;
    pthread_mutex_unlock(&blocked.mutex);
    if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "fail") == 0)
        return luaL_error(L, "it failed");
    if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "table") == 0)
        lua_newtable(L);
    return lua_gettop(L);
}

static int l_bound(lua_State *L)
{
    lua_pushinteger(L, 1);
    return 1;
}

static const luaL_Reg functions[] = {
    {"block", l_block},
    {"unblock", l_unblock},
    {"leave_object", l_leave_object},
    {"pipe", l_pipe},
    {"socketpair", l_socketpair},
    {"eventfd", l_eventfd},
    {"open", l_open},
    {"openpty", l_openpty},
    {"close", l_close},
    {"dup2", l_dup2},
    {"flags", l_flags},
    {"nonblock", l_nonblock},
    {"block_again", l_block_again},
    {"timeout", l_timeout},
    {"read", l_read},
    {"recv", l_recv},
    {"recv_each", l_recv_each},
    {"write", l_write},
    {"send", l_send},
    {"writev", l_writev},
    {"listen", l_listen},
    {"accept", l_accept},
    {"connect", l_connect},
    {"listen_unix", l_listen_unix},
    {"connect_unix", l_connect_unix},
    {"close_unseen", l_close_unseen},
    {"dup_unseen", l_dup_unseen},
    {"close_range", l_close_range},
    {"poll", l_poll},
    {"select", l_select},
    {"epoll", l_epoll},
    {"nanosleep", l_nanosleep},
    {"sleep", l_sleep},
    {"usleep", l_usleep},
    {"sleep_until", l_sleep_until},
    {"sleep_stubbornly", l_sleep_stubbornly},
    {"alarm", l_alarm},
    {"fork", l_fork},
    {"plain_fork", l_plain_fork},
    {"spawn", l_spawn},
    {"vfork_closes", l_vfork_closes},
    {"waitpid", l_waitpid},
    {"waitid", l_waitid},
    {"catch_children", l_catch_children},
    {"kill", l_kill},
    {"getpid", l_getpid},
    {"flock", l_flock},
    {"fsync", l_fsync},
    {"getaddrinfo", l_getaddrinfo},
    {"keeps", l_keeps},
    {"with_mutex", l_with_mutex},
    {"try_mutex", l_try_mutex},
    {"timed_mutex", l_timed_mutex},
    {"clock_mutex", l_clock_mutex},
    {"timed_rwlock", l_timed_rwlock},
    {"with_rwlock", l_with_rwlock},
    {"once", l_once},
    {"write_cookie", l_write_cookie},
    {"once_calls", l_once_calls},
    {"cookie_calls", l_cookie_calls},
    {"catch", l_catch},
    {"call_back", l_call_back},
    {NULL, NULL},
};

int luaopen_libc(lua_State *L);
__attribute__((visibility("default"))) int luaopen_libc(lua_State *L)
{
    luaL_newlib(L, functions);
    lua_pushinteger(L, 1);
    lua_pushcclosure(L, l_bound, 1);
    lua_setfield(L, -2, "bound");
    lua_pushinteger(L, POLLIN);
    lua_setfield(L, -2, "POLLIN");
    lua_pushinteger(L, POLLOUT);
    lua_setfield(L, -2, "POLLOUT");
    lua_pushinteger(L, POLLHUP);
    lua_setfield(L, -2, "POLLHUP");
    lua_pushinteger(L, POLLNVAL);
    lua_setfield(L, -2, "POLLNVAL");
    lua_pushinteger(L, POLLPRI);
    lua_setfield(L, -2, "POLLPRI");
    return 1;
}
