#include "profile.h"

#include "moonlet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Descriptors from here on are not those that a script expects for its first files. */
enum { HIGH_FD = 100 };

enum { HZ = 100 };

struct ending {
    const char *text;   /* of the file's name */
    const char *format; /* moonlet_inspect_profile_stop()'s */
    const char *hint;   /* how to look at it, behind the name */
};

static const struct ending endings[] = {
    {".svg", "svg", "a browser shows it"},
    {".folded", "folded", "for flamegraph.pl"},
    {".txt", "folded", "for flamegraph.pl"},
    {".json", "speedscope", "open it at www.speedscope.app"},
    {".pb.gz", "pprof", "look at it with: go tool pprof"},
};
enum { ENDINGS = sizeof endings / sizeof *endings };

/* The profile under way. exit() has no argument that could carry it. */
static struct {
    struct moonlet *m; /* NULL: none */
    const char *program;
    const char *path;
    const struct ending *ending;
    int fd;
    pid_t process;
    struct timespec begun;
} profile;

static const struct ending *ending_of(const char *path)
{
    size_t length = strlen(path);
    for (int i = 0; i < ENDINGS; i++) {
        size_t size = strlen(endings[i].text);
        if (length > size && strcmp(path + length - size, endings[i].text) == 0)
            return &endings[i];
    }
    return NULL;
}

bool cli_profile_can_write(const char *path)
{
    return ending_of(path) != NULL;
}

static bool fail(const char *what, const char *reason)
{
    fprintf(stderr, "%s: %s %s: %s\n", profile.program, what, profile.path, reason);
    return false;
}

/* The file keeps what is in it until there is something to write. */
static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return -1;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    if (high >= 0)
        close(fd);
    return high >= 0 ? high : fd;
}

bool cli_profile_start(struct moonlet *m, const char *program, const char *path)
{
    profile.program = program;
    profile.path = path;
    profile.ending = ending_of(path);
    profile.process = getpid();
    profile.fd = open_file(path);
    if (profile.fd < 0)
        return fail("cannot write", strerror(errno));
    clock_gettime(CLOCK_MONOTONIC, &profile.begun);
    struct moonlet_profile_options options = {.hz = HZ};
    int error = moonlet_inspect_profile_start(m, &options);
    if (error != 0)
        return fail("cannot begin the profile", moonlet_error_text(error));
    profile.m = m;
    atexit(cli_profile_finish);
    return true;
}

static int write_all(const char *text, size_t size)
{
    if (ftruncate(profile.fd, 0) != 0 && errno != EINVAL)
        return -errno;
    while (size > 0) {
        ssize_t count = write(profile.fd, text, size);
        if (count < 0 && errno != EINTR)
            return -errno;
        text += count > 0 ? count : 0;
        size -= count > 0 ? (size_t)count : 0;
    }
    return 0;
}

static double seconds_since_start(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - profile.begun.tv_sec) +
           (double)(now.tv_nsec - profile.begun.tv_nsec) / 1e9;
}

/* Called by exit() on a task's stack, too. A forked child has no profile. */
void cli_profile_finish(void)
{
    struct moonlet *m = profile.m;
    profile.m = NULL;
    if (m == NULL || profile.process != getpid())
        return;
    char *text = NULL;
    size_t size = 0;
    double seconds = seconds_since_start();
    int samples = moonlet_inspect_profile_stop(m, profile.ending->format, &text, &size);
    int error = samples < 0 ? samples : write_all(text, size);
    if (close(profile.fd) != 0 && error == 0)
        error = -errno;
    free(text);
    if (error != 0)
        fail("cannot write the profile", moonlet_error_text(error));
    else
        fprintf(stderr, "%s: profile: %d samples in %.2f s at %d Hz of CPU time: %s (%s)\n",
                profile.program, samples, seconds, HZ, profile.path, profile.ending->hint);
}
