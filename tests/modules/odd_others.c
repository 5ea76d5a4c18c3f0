/*
 * Names, times, children, texts: require "odd_others" in libc_odd_spec.lua (see scene.h).
 */
#define _GNU_SOURCE
#include "scene.h"

#include <limits.h>
#include <netdb.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

/* What a compiler is not to know, or it would warn. */
static void *volatile nowhere;

/* ---- names ---- */

static void ask(const char *name, const char *service, const struct addrinfo *hints)
{
    struct addrinfo *found = NULL;
    char address[64] = "none";
    errno = 0;
    int result = getaddrinfo(name, service, hints, &found), error = errno, count = 0;
    for (struct addrinfo *one = found; one != NULL; one = one->ai_next)
        count++;
    if (found != NULL)
        getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof address, NULL, 0,
                    NI_NUMERICHOST);
    see("%s,%s=%d errno=%d count=%d first=%s canon=%s ", name, service, result,
        result == EAI_SYSTEM ? error : 0, count, address,
        found != NULL && found->ai_canonname != NULL ? found->ai_canonname : "none");
    if (found != NULL)
        freeaddrinfo(found);
}

static void names(void)
{
    static const char *const asked[] = {NULL,   "",          "localhost",  "127.0.0.1",
                                        "::1",  "256.1.1.1", "1",          "0x7f.1",
                                        "a..b", "-",         "fe80::1%lo", "::g"};
    static const char *const services[] = {NULL, "80", "http", "no-such-service", "99999", ""};
    static const int flags[] = {0,
                                AI_NUMERICHOST,
                                AI_PASSIVE,
                                AI_CANONNAME,
                                AI_CANONNAME | AI_NUMERICHOST,
                                AI_NUMERICSERV,
                                AI_V4MAPPED | AI_ALL,
                                0x8000000};
    static const int families[] = {AF_UNSPEC, AF_INET6, 77};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        ask(asked[i], "80", NULL);
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        ask(NULL, services[i], NULL);
        ask("127.0.0.1", services[i], NULL);
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        for (size_t j = 0; j < sizeof families / sizeof *families; j++) {
            struct addrinfo hints = {
                .ai_flags = flags[i], .ai_family = families[j], .ai_socktype = SOCK_STREAM};
            ask("127.0.0.1", "http", &hints);
            ask("localhost", NULL, &hints);
            ask(NULL, "80", &hints);
        }
    ask("127.0.0.1", "80", &(struct addrinfo){.ai_socktype = 77});
    ask("localhost", "http", &(struct addrinfo){.ai_socktype = SOCK_RAW});
    ask("localhost", "80", &(struct addrinfo){.ai_protocol = IPPROTO_UDP});
}

static void name_of(const struct sockaddr_in *address, socklen_t length, socklen_t host_room,
                    socklen_t service_room, int flags)
{
    char host[1100] = "", service[64] = "";
    int result = getnameinfo((const struct sockaddr *)address, length, host, host_room, service,
                             service_room, flags);
    see("%d ", result);
    if (result == 0)
        see("%s %s ", host, service);
}

static void names_of_addresses(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const int flags[] = {0,           NI_NUMERICHOST, NI_NUMERICSERV,
                                NI_NAMEREQD, NI_DGRAM,       NI_NUMERICHOST | NI_NUMERICSERV,
                                0x8000000};
    static const socklen_t rooms[] = {0, 1, 5, 1025, 1100};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        for (size_t j = 0; j < sizeof rooms / sizeof *rooms; j++) {
            name_of(&address, sizeof address, rooms[j], 64, flags[i]);
            name_of(&address, sizeof address, 1100, j < 3 ? rooms[j] : 64, flags[i]);
        }
    name_of(&address, 3, 1100, 64, 0);
    name_of(&address, 0, 1100, 64, 0);
    address.sin_family = 77;
    name_of(&address, sizeof address, 1100, 64, 0);
}

/* What a call before has left of the error is no part of an answer. */
static void see_host(const struct hostent *host, int error)
{
    h_errno = 0;
    see("%s,%d ", host != NULL ? host->h_name : "none", host != NULL ? 0 : error);
    if (host != NULL)
        see("%d,%d ", host->h_addrtype, host->h_length);
}

#define SEE_HOST(call)                                                                             \
    do {                                                                                           \
        const struct hostent *see_found = (call);                                                  \
        see_host(see_found, h_errno);                                                              \
    } while (0)

static void hosts(void)
{
    static const char *const asked[] = {"", "localhost", "127.0.0.1", "256.1.1.1", "1", "a..b"};
    static const size_t rooms[] = {0, 1, 16, 100, 4096};
    struct hostent host, *found;
    char buffer[4096];
    int error = h_errno = 0;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        SEE_HOST(gethostbyname(asked[i]));
        SEE_HOST(gethostbyname2(asked[i], AF_INET6));
        SEE_HOST(gethostbyname2(asked[i], 77));
        for (size_t j = 0; j < sizeof rooms / sizeof *rooms; j++) {
            found = &host;
            int result = gethostbyname_r(asked[i], &host, buffer, rooms[j], &found, &error);
            see("%d ", result);
            see_host(found, error);
        }
    }
    struct in_addr address = {htonl(INADDR_LOOPBACK)};
    SEE_HOST(gethostbyaddr(&address, 4, AF_INET));
    SEE_HOST(gethostbyaddr(&address, 3, AF_INET));
    SEE_HOST(gethostbyaddr(&address, 4, 77));
#ifndef __SANITIZE_ADDRESS__ /* it takes the length for a promise */
    SEE_HOST(gethostbyaddr(&address, 1 << 30, AF_INET));
#endif
}

/* ---- times ---- */

static void sleeps(void)
{
    struct timespec none = {0, 0}, short_time = {0, 1000}, past = {1, 0}, left = {7, 7};
    struct timespec odd = {0, -1}, odder = {0, 1000000000}, negative = {-1, 5};
    static const clockid_t clocks[] = {CLOCK_REALTIME,
                                       CLOCK_MONOTONIC,
                                       CLOCK_BOOTTIME,
                                       CLOCK_TAI,
                                       CLOCK_PROCESS_CPUTIME_ID,
                                       CLOCK_THREAD_CPUTIME_ID,
                                       CLOCK_MONOTONIC_RAW,
                                       CLOCK_MONOTONIC_COARSE,
                                       CLOCK_REALTIME_COARSE,
                                       -1,
                                       99};
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        clockid_t clock = clocks[i];
        see("clock=%d ", clock);
        SAW("none", clock_nanosleep(clock, 0, &none, &left));
        SAW("short",
            clock == CLOCK_PROCESS_CPUTIME_ID ? 0 : clock_nanosleep(clock, 0, &short_time, &left));
        SAW("past", clock == CLOCK_PROCESS_CPUTIME_ID
                        ? 0
                        : clock_nanosleep(clock, TIMER_ABSTIME, &past, &left));
        SAW("flags", clock_nanosleep(clock, 6, &none, &left));
        SAW("odd", clock_nanosleep(clock, 0, &odd, NULL));
        SAW("odder", clock_nanosleep(clock, TIMER_ABSTIME, &odder, NULL));
        SAW("negative", clock_nanosleep(clock, TIMER_ABSTIME, &negative, NULL));
        SAW("null", clock_nanosleep(clock, 0, nowhere, NULL));
    }
    see("left=%d,%d ", (int)left.tv_sec, (int)left.tv_nsec);
    SAW("nanosleep", nanosleep(&short_time, &short_time));
    SAW("usleep", usleep(0));
    SAW("usleep", usleep(1000000 - 999000));
    SAW("sleep", sleep(0));
}

static void texts(void)
{
    static const int errors[] = {0, 1, -1, 4000, 41, INT_MAX, INT_MIN};
    static const time_t times[] = {0, -1, 253402300800, 1L << 40, -(1L << 40), LONG_MAX};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        errno = 0;
        char *text = strerror(errors[i]);
        see("%s,%d ", text, errno);
    }
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        errno = 0;
        char *text = ctime(&times[i]);
        see("%s,%d ", text != NULL ? text : "none", errno);
        errno = 0;
        struct tm *tm = gmtime(&times[i]);
        see("%d,%d ", tm != NULL ? tm->tm_year : 0, errno);
        errno = 0;
        text = tm != NULL ? asctime(tm) : NULL;
        see("%s,%d ", text != NULL ? text : "none", errno);
    }
    struct tm odd = {.tm_wday = 99, .tm_mon = -5, .tm_mday = INT_MIN, .tm_year = INT_MAX};
    errno = 0;
    char *text = asctime(&odd);
    see("%s,%d ", text != NULL ? text : "none", errno);
    odd = (struct tm){.tm_wday = 9, .tm_mon = 13, .tm_mday = 77, .tm_year = -4000};
    text = asctime(&odd);
    see("%s,%d ", text != NULL ? text : "none", errno);
}

/* ---- children ---- */

static void waits(void)
{
    int status = 77;
    siginfo_t info = {.si_pid = 77};
    struct rusage usage;
    SAW("nobody", waitpid(-1, &status, 0));
    SAW("nobody", waitpid(-1, &status, WNOHANG));
    SAW("nobody", wait(&status));
    SAW("nobody", waitpid(0, &status, 0));
    SAW("stranger", waitpid(1, &status, 0));
    SAW("group", waitpid(-987654, &status, 0));
    SAW("least", waitpid(INT_MIN, &status, 0));
    SAW("options", waitpid(-1, &status, 0x4000));
    SAW("waitid", waitid(P_ALL, 0, &info, WEXITED));
    SAW("waitid", waitid(P_ALL, 0, &info, 0));
    SAW("waitid", waitid(P_ALL, 0, &info, WNOHANG));
    SAW("waitid", waitid((idtype_t)77, 0, &info, WEXITED));
    SAW("waitid", waitid(P_PID, 0, &info, WEXITED));
    see("status=%d pid=%d ", status, info.si_pid);
    pid_t pid = child(50000, 3);
    SAW("not yet", waitpid(pid, &status, WNOHANG));
    SAW("not yet", waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG));
    see("pid=%d ", info.si_pid);
    SAW("stays", waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    SAW("stays", waitpid(pid, &status, 0) == pid);
    see("status=%d ", status);
    pid = child(30000, 4);
    SAW("group", waitpid(0, &status, 0) == pid);
    pid = child(30000, 5);
    SAW("any", wait4(-1, NULL, 0, &usage) == pid);
    pid = child(30000, 6);
    SAW("no info", waitid(P_PID, (id_t)pid, nowhere, WEXITED));
    SAW("gone", waitpid(pid, &status, 0));
    pid = child(5000000, 7);
    kill(pid, SIGSTOP);
    SAW("stopped", waitpid(pid, &status, WUNTRACED) == pid);
    see("%d ", WSTOPSIG(status));
    kill(pid, SIGCONT);
    SAW("goes on", waitpid(pid, &status, WCONTINUED) == pid);
    see("%d ", WIFCONTINUED(status));
    kill(pid, SIGKILL);
    SAW("killed", waitpid(pid, &status, 0) == pid);
    see("%d ", WTERMSIG(status));
}

static volatile sig_atomic_t interrupts;

static void on_interrupt(int number)
{
    (void)number;
    interrupts++;
}

static void shells(void)
{
    struct sigaction action = {.sa_handler = on_interrupt}, before, children;
    interrupts = 0;
    sigaction(SIGINT, &action, &before);
    SAW("system", system(nowhere));
    SAW("system", system("exit 3"));
    SAW("system", system("kill -9 $$"));
    SAW("system", system(""));
    SAW("system", system("no-such-command-at-all 2>/dev/null"));
    raise(SIGINT);
    see("interrupts=%d ", interrupts);
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &ignored, NULL);
    SAW("system", system("kill -INT $$; exit 5"));
    sigaction(SIGINT, &before, NULL);
    sigaction(SIGCHLD, &ignored, &children);
    SAW("system", system("exit 3"));
    sigaction(SIGCHLD, &children, NULL);
}

#define SCENES(X)                                                                                  \
    X(names)                                                                                       \
    X(names_of_addresses)                                                                          \
    X(hosts)                                                                                       \
    X(sleeps)                                                                                      \
    X(texts)                                                                                       \
    X(waits)                                                                                       \
    X(shells)

SCENE_MODULE(odd_others, SCENES)
