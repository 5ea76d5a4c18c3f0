/*
 * Calls of files as C makes them, beside bench/files.lua: a line of JSON for each, nanoseconds a
 * call.
 *
 *     files FILE DIRECTORY COUNT
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, BYTES = 4096 };

static const char *path;
static int open_file;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void call_stat(void)
{
    struct stat status;
    if (stat(path, &status) != 0)
        exit(1);
}

static void call_pread(void)
{
    char block[BYTES];
    if (pread(open_file, block, sizeof block, 0) != BYTES)
        exit(1);
}

static void read_whole(void)
{
    char block[BYTES + 1];
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0 || read(fd, block, sizeof block) != BYTES)
        exit(1);
    close(fd);
}

static void measure(const char *what, void (*call)(void), int count)
{
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        double begun = now();
        for (int i = 0; i < count; i++)
            call();
        double time = (now() - begun) / count;
        best = time < best ? time : best;
    }
    printf("{\"what\":\"%s\",\"ns\":%.1f}\n", what, best);
}

static const char *directory;

static void find_all(void)
{
    char command[4200];
    snprintf(command, sizeof command, "find '%s' > /dev/null", directory);
    if (system(command) != 0)
        exit(1);
}

int main(int count, char **words)
{
    if (count != 4)
        return 2;
    path = words[1];
    directory = words[2];
    open_file = open(path, O_RDONLY | O_CLOEXEC);
    measure("stat", call_stat, atoi(words[3]));
    measure("read", call_pread, atoi(words[3]));
    measure("whole", read_whole, atoi(words[3]));
    measure("walk", find_all, 1);
    return 0;
}
