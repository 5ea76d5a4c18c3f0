#include "common/proc.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* Nanoseconds on a CPU of one thread, or -1. */
static int64_t thread_cpu(int pid, const char *thread)
{
    char path[300];
    long long cpu = -1;
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, thread);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    if (fscanf(file, "%lld", &cpu) != 1)
        cpu = -1;
    fclose(file);
    return cpu;
}

int64_t proc_cpu(int pid)
{
    char path[64];
    int64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    if (threads == NULL)
        return -1;
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        int64_t cpu = entry->d_name[0] == '.' ? -1 : thread_cpu(pid, entry->d_name);
        if (cpu > 0)
            sum += cpu;
    }
    closedir(threads);
    return sum;
}

long proc_kb(int pid, const char *field)
{
    char path[64], line[256];
    size_t length = strlen(field);
    long kb = -1;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    while (kb < 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, field, length) == 0)
            sscanf(line + length, ": %ld", &kb);
    fclose(file);
    return kb;
}

void proc_reset_peak(int pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/clear_refs", pid);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return;
    fputs("5", file);
    fclose(file);
}
