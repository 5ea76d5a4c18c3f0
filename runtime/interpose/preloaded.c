#include "interpose/preloaded.h"

#include "interpose/child_file.h"
#include "interpose/exporter.h"
#include "interpose/libc_calls.h"

#include <dlfcn.h>

static struct ml_libc_calls *current(void)
{
    return ml_libc_calls_current();
}

static const struct ml_interposition interposition = {
    .version = MOONLET_VERSION,
    .libc = &ml_libc,
    .current = current,
    .interrupted = ml_libc_calls_interrupted,
    .pclose = ml_child_file_close,
    .fclose = ml_child_file_close_any,
    .co =
        {
#define ML_CO_VALUE(type, name, parameters, arguments) .name = ml_co_##name,
            ML_CALLS(ML_CO_VALUE)
#undef ML_CO_VALUE
        },
};

static void introduce(void)
{
    void (*tell)(const struct ml_interposition *) =
        (void (*)(const struct ml_interposition *))dlsym(RTLD_DEFAULT, "moonlet_interpose_attach");
    if (tell != NULL)
        tell(&interposition);
}

void ml_preloaded_introduce(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, introduce);
}
