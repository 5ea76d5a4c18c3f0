/* The exported names in a library that is loaded before libc, for a program that knows nothing of
 * it. */
#include "interpose/exporter.h"

#include <string.h>

const struct ml_interposition *ml_exporter_runtime;

/* Written once, before any other code can call. */
static struct ml_libc libc;

const struct ml_libc *ml_exporter_libc(void)
{
    if (ml_unlikely(!libc.is_exported))
        ml_exporter_find_libc(&libc);
    return &libc;
}

/* The runtime calls this when the first runtime of the process is created. */
__attribute__((visibility("default"))) void moonlet_interpose_attach(
    const struct ml_interposition *runtime);

void moonlet_interpose_attach(const struct ml_interposition *runtime)
{
    if (strcmp(runtime->version, MOONLET_VERSION) != 0)
        return;
    *runtime->libc = *ml_exporter_libc();
    libc.pclose = runtime->pclose;
    libc.fclose = runtime->fclose;
    ml_exporter_runtime = runtime;
}
