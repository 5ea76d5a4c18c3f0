#include "interpose/calls.h"

struct ml_libc ml_libc = {.plain_pclose = pclose,
                          .plain_fclose = fclose,
#define ML_LIBC_VALUE(type, name, parameters, arguments) .name = (name),
                          ML_CALLS(ML_LIBC_VALUE)
#undef ML_LIBC_VALUE
};
