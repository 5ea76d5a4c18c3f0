/*
 * Makes COUNT changes in DIRECTORY as fast as it can, each of which is one event of a watch: names
 * that are linked to one file, then removed.
 *
 * Usage: watch_storm DIRECTORY COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* So many names are there at a time. */
enum { NAMES = 1000 };

int main(int argc, char **argv)
{
    char name[32];
    if (argc != 3 || chdir(argv[1]) != 0) {
        fprintf(stderr, "watch_storm DIRECTORY COUNT\n");
        return 1;
    }
    long count = atol(argv[2]);
    for (long i = 0; i < count; i++) {
        snprintf(name, sizeof name, "name%ld", i % NAMES);
        if (i / NAMES % 2 == 0 ? link("../file", name) != 0 : unlink(name) != 0)
            perror(name);
    }
    return 0;
}
