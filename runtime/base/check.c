#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void ml_check_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "moonlet: broken invariant: %s (%s:%d)\n", condition, file, line);
    abort();
}
