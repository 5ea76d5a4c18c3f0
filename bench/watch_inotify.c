/*
 * Reads the events of a directory as plain C over inotify, while another program makes them.
 * Prints {"events":, "lost":, "s":, "cpu":}: seconds until the last, and of its own processor.
 *
 * Usage: watch_inotify DIRECTORY COUNT STORM
 */
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double processor(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Counts the events of a block; -1: some were lost. */
static long count_events(const char *block, ssize_t size)
{
    long count = 0;
    for (ssize_t at = 0; at < size && count >= 0;) {
        const struct inotify_event *event = (const void *)(block + at);
        count = (event->mask & IN_Q_OVERFLOW) != 0 ? -1 : count + 1;
        at += (ssize_t)sizeof *event + event->len;
    }
    return count;
}

static long read_events(int fd, long most)
{
    static _Alignas(struct inotify_event) char block[64 * 1024];
    long events = 0, more = 0;
    while (events < most && more >= 0) {
        ssize_t size = read(fd, block, sizeof block);
        more = size > 0 ? count_events(block, size) : -1;
        events += more > 0 ? more : 0;
    }
    return events;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "watch_inotify DIRECTORY COUNT STORM\n");
        return 1;
    }
    long most = atol(argv[2]);
    int fd = inotify_init1(IN_CLOEXEC);
    if (fd < 0 || inotify_add_watch(fd, argv[1], IN_CREATE | IN_DELETE) < 0)
        return 1;
    char *storm[] = {argv[3], argv[1], argv[2], NULL};
    pid_t child;
    double begin = now(), used = processor();
    if (posix_spawn(&child, argv[3], NULL, NULL, storm, environ) != 0)
        return 1;
    long events = read_events(fd, most);
    printf("{\"events\":%ld,\"lost\":%ld,\"s\":%.4f,\"cpu\":%.4f}\n", events, most - events,
           now() - begin, processor() - used);
    waitpid(child, NULL, 0);
    return 0;
}
