#include "bindings/inspect/process_figures.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Reads a file of /proc as a text. False: it cannot be read. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd >= 0 ? read(fd, text, size - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[count > 0 ? count : 0] = '\0';
    return count > 0;
}

/* When the machine was started, in seconds since 1970. */
static double boot_time(void)
{
    struct timespec real, boot;
    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return (double)(real.tv_sec - boot.tv_sec) + 1e-9 * (double)(real.tv_nsec - boot.tv_nsec);
}

/* proc(5), /proc/PID/stat: the second field, in brackets, is the program's name, which may have
 * blanks and brackets itself. */
static void read_stat(struct ml_process_figures *figures)
{
    enum { THREADS = 20, START = 22, VIRTUAL = 23, RESIDENT = 24 };
    char text[1024];
    const char *field = read_text("/proc/self/stat", text, sizeof text) ? strrchr(text, ')') : NULL;
    for (int i = 3; field != NULL && i <= RESIDENT; i++) {
        unsigned long long value = 0;
        field = strchr(field + 1, ' ');
        if (field == NULL || sscanf(field, " %llu", &value) != 1)
            continue;
        if (i == THREADS)
            figures->threads = value;
        else if (i == START)
            figures->start_seconds = boot_time() + (double)value / (double)sysconf(_SC_CLK_TCK);
        else if (i == VIRTUAL)
            figures->virtual_bytes = value;
        else if (i == RESIDENT)
            figures->resident_bytes = value * (uint64_t)sysconf(_SC_PAGESIZE);
    }
}

/* Since Linux 6.2 the size of the directory is the number of descriptors; before, it is 0. */
static int64_t count_descriptors(void)
{
    struct stat status;
    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0)
        return status.st_size;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return -1;
    int64_t count = -1; /* the directory's own */
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

void ml_process_figures_read(struct ml_process_figures *figures)
{
    struct timespec cpu;
    struct rlimit limit;
    *figures = (struct ml_process_figures){.max_fds = HUGE_VAL};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    figures->cpu_seconds = (double)cpu.tv_sec + 1e-9 * (double)cpu.tv_nsec;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        figures->max_fds = (double)limit.rlim_cur;
    figures->open_fds = count_descriptors();
    read_stat(figures);
}
