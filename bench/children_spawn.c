/*
 * Children in C, as bench/children.lua makes them: posix_spawn() and waitpid() of /bin/true, or 100
 * children at once that write to pipes read with poll().
 *
 *     children_spawn spawn COUNT MEGABYTES
 *     children_spawn pipes CHILDREN MEGABYTES
 *
 * MEGABYTES: of resident memory; or written by each child. Prints a line of JSON.
 */
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MEGABYTE = 1024 * 1024, BLOCK = 64 * 1024, MOST = 1024 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu_seconds(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void check(int error)
{
    if (error == 0)
        return;
    fprintf(stderr, "posix_spawn: %s\n", strerror(error));
    exit(1);
}

static void spawn_and_wait(int count)
{
    const char *const arguments[] = {"/bin/true", NULL};
    for (int i = 0; i < count; i++) {
        pid_t pid;
        check(posix_spawn(&pid, arguments[0], NULL, NULL, (char *const *)arguments, environ));
        waitpid(pid, NULL, 0);
    }
}

static int start_writer(const char *bytes)
{
    const char *const arguments[] = {"head", "-c", bytes, "/dev/zero", NULL};
    posix_spawn_file_actions_t actions;
    int ends[2];
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) != 0)
        exit(1);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    check(posix_spawnp(&pid, arguments[0], &actions, NULL, (char *const *)arguments, environ));
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    return ends[0];
}

static long long read_all(int children, const char *bytes)
{
    static char block[BLOCK];
    struct pollfd fds[MOST];
    long long total = 0;
    int open = children;
    for (int i = 0; i < children; i++)
        fds[i] = (struct pollfd){.fd = start_writer(bytes), .events = POLLIN};
    while (open > 0 && poll(fds, (nfds_t)children, -1) > 0)
        for (int i = 0; i < children; i++) {
            ssize_t count = fds[i].revents != 0 ? read(fds[i].fd, block, sizeof block) : -1;
            total += count > 0 ? count : 0;
            if (count == 0) {
                close(fds[i].fd);
                fds[i].fd = -1;
                open--;
            }
        }
    while (wait(NULL) > 0)
        continue;
    return total;
}

int main(int argc, char **argv)
{
    int count = argc == 4 ? atoi(argv[2]) : 0;
    size_t bytes = (size_t)(argc == 4 ? atoi(argv[3]) : 0) * MEGABYTE;
    bool spawns = argc == 4 && strcmp(argv[1], "spawn") == 0;
    char number[32];
    if (count <= 0 || count > MOST * 100 || (!spawns && count > MOST))
        return 1;
    if (spawns)
        memset(malloc(bytes + 1), 1, bytes + 1);
    snprintf(number, sizeof number, "%zu", bytes);
    double begun = now(), cpu = cpu_seconds(RUSAGE_SELF);
    long long total = 0;
    if (spawns)
        spawn_and_wait(count);
    else
        total = read_all(count, number);
    printf("{\"s\": %.6f, \"cpu\": %.6f, \"bytes\": %lld}\n", now() - begun,
           cpu_seconds(RUSAGE_SELF) - cpu, total);
    return 0;
}
