/*
 * A host that is linked with neither moonlet nor Lua and opens the library when it needs it, as
 * plug-ins are opened: plugin_host LIBRARY local|global SCRIPT. Twice, for whoever closes it may
 * open it again.
 */
#include "moonlet.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static int run_script(void *library, const char *script)
{
    struct moonlet *(*create)(const struct moonlet_options *);
    int (*load)(struct moonlet *, const char *), (*run)(struct moonlet *), (*end)(struct moonlet *);
    *(void **)&create = dlsym(library, "moonlet_create");
    *(void **)&load = dlsym(library, "moonlet_load_file");
    *(void **)&run = dlsym(library, "moonlet_run");
    *(void **)&end = dlsym(library, "moonlet_close");
    struct moonlet *m = create(NULL);
    int status = m != NULL && load(m, script) == 0 ? run(m) : 1;
    return m != NULL && end(m) == 0 ? status : 1;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    int scope = strcmp(argv[2], "local") == 0 ? RTLD_LOCAL : RTLD_GLOBAL;
    for (int i = 0; i < 2; i++) {
        void *library = dlopen(argv[1], RTLD_NOW | scope);
        if (library == NULL) {
            puts(dlerror());
            return 1;
        }
        int status = run_script(library, argv[3]);
        dlclose(library);
        if (status != 0)
            return status;
    }
    return 0;
}
