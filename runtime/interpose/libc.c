#include "interpose/libc.h"

struct ml_libc ml_libc = {.plain_pclose = pclose,
                          .plain_fclose = fclose,
#define ML_LIBC_VALUE(type, name, parameters, arguments) .name = (name),
                          ML_CALLS(ML_LIBC_VALUE)
#undef ML_LIBC_VALUE
};

const char *ml_libc_function_name(enum ml_libc_function call)
{
    static const char *const names[] = {
#define ML_CALL_NAME(type, name, parameters, arguments) #name,
        ML_CALLS(ML_CALL_NAME)
#undef ML_CALL_NAME
    };
    return names[call];
}
