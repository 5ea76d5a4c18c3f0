/* The least an application does with the library: runs the script named on its command line. Built
 * twice, with and without the names of libc (moonlet_interpose). */
#include "moonlet.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct moonlet *m = moonlet_create(NULL);
    if (m == NULL || argc < 2 || moonlet_load_file(m, argv[1]) != 0) {
        fprintf(stderr, "usage: host script\n");
        return 1;
    }
    int status = moonlet_run(m);
    moonlet_close(m);
    return status;
}
