/*
 * Starts a command COUNT times, one after the other, and tells for each run the wall time from
 * just before the start until its end was seen, and the peak of its resident memory. A program of
 * its own because a shell or a Lua script would add more than what is measured.
 *
 * Usage: launch COUNT COMMAND [ARGUMENT...]    (one line of JSON per run)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* Returns the exit status of the command as a shell gives it, 1 if it cannot be started. */
static int run_once(char **command, posix_spawn_file_actions_t *silence)
{
    struct rusage usage;
    int status;
    pid_t pid;
    double start = now_ms();
    int error = posix_spawnp(&pid, command[0], silence, NULL, command, environ);
    if (error != 0) {
        fprintf(stderr, "launch: %s: %s\n", command[0], strerror(error));
        return 1;
    }
    if (wait4(pid, &status, 0, &usage) < 0)
        return 1;
    printf("{\"ms\":%.3f,\"peak_kb\":%ld}\n", now_ms() - start, usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    posix_spawn_file_actions_t silence;
    int status = 0;
    if (argc < 3) {
        fputs("usage: launch COUNT COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    posix_spawn_file_actions_init(&silence);
    posix_spawn_file_actions_addopen(&silence, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&silence, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    for (int i = atoi(argv[1]); i > 0 && status == 0; i--)
        status = run_once(argv + 2, &silence);
    posix_spawn_file_actions_destroy(&silence);
    return status;
}
