/*
 * Calls a fuzz target with each file of the directories named, and with each of its beginnings, for
 * compilers without libFuzzer. Exit status 1 when there is no file.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A copy of exactly that size, so that a sanitizer sees a read behind its end. */
static void run(const unsigned char *data, size_t size)
{
    unsigned char *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void replay(const char *path)
{
    enum { LARGEST = 64 * 1024 };
    static unsigned char data[LARGEST];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        abort();
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    for (size_t end = 0; end <= size; end++)
        run(data, end);
}

static int replay_all(const char *directory)
{
    struct dirent *entry;
    int count = 0;
    DIR *stream = opendir(directory);
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        replay(path);
        count++;
    }
    if (stream != NULL)
        closedir(stream);
    return count;
}

int main(int count, char **arguments)
{
    int files = 0;
    for (int i = 1; i < count; i++)
        files += replay_all(arguments[i]);
    printf("%d inputs, each cut at every byte\n", files);
    return files > 0 ? 0 : 1;
}
