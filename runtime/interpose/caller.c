#include "interpose/caller.h"

#include <dlfcn.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

const char *ml_caller_library(struct ml_libc_call entry)
{
    Dl_info info;
    if (dladdr(entry.caller, &info) == 0 || info.dli_fname == NULL)
        return "";
    const char *slash = strrchr(info.dli_fname, '/');
    return slash != NULL ? slash + 1 : info.dli_fname;
}

bool ml_caller_matches(struct ml_libc_call entry, const char *pattern)
{
    return fnmatch(pattern, ml_caller_library(entry), 0) == 0;
}

int ml_caller_exclude(struct ml_libc_calls *calls, const char *pattern)
{
    size_t size = strlen(pattern) + 1;
    struct ml_exclusion *exclusion = malloc(sizeof *exclusion + size);
    if (exclusion == NULL)
        return -ENOMEM;
    memcpy(exclusion->pattern, pattern, size);
    exclusion->next = calls->exclusions;
    calls->exclusions = exclusion;
    return 0;
}

bool ml_caller_is_excluded(const struct ml_libc_calls *calls, struct ml_libc_call entry)
{
    if (calls->exclusions == NULL)
        return false;
    const char *library = ml_caller_library(entry);
    const struct ml_exclusion *e = calls->exclusions;
    while (e != NULL && fnmatch(e->pattern, ml_libc_function_name(entry.call), 0) != 0 &&
           fnmatch(e->pattern, library, 0) != 0)
        e = e->next;
    return e != NULL;
}

void ml_caller_release(struct ml_libc_calls *calls)
{
    while (calls->exclusions != NULL) {
        struct ml_exclusion *exclusion = calls->exclusions;
        calls->exclusions = exclusion->next;
        free(exclusion);
    }
}
