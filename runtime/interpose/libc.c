#include "interpose/calls.h"

struct ml_libc ml_libc = {
#define ML_LIBC_VALUE(type, name, parameters, arguments) .name = (name),
    ML_CALLS(ML_LIBC_VALUE)
#undef ML_LIBC_VALUE
    .plain_pclose = pclose,
    .plain_fclose = fclose,
};
