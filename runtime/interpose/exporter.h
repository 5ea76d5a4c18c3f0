/*
 * The way from the exported names (interpose/exports.c) to the runtime and to libc. In a program
 * that is linked with both, it is direct (exporter_program.c). A library that is loaded before libc
 * waits until the runtime makes itself known (exporter_preload.c).
 */
#ifndef ML_INTERPOSE_EXPORTER_H
#define ML_INTERPOSE_EXPORTER_H

#include "interpose/libc_calls.h"

/* The functions that answer the calls of tasks. */
struct ml_co {
// NOLINTBEGIN(bugprone-macro-parentheses): a type
#define ML_CO_MEMBER(type, name, parameters, arguments)                                            \
    type (*name)(struct ml_libc_calls * calls, ML_UNPACK parameters);
    ML_CALLS(ML_CO_MEMBER)
#undef ML_CO_MEMBER
    // NOLINTEND(bugprone-macro-parentheses)
};

/* What the runtime hands to a preloaded library. Both must be of one build: nothing here is
 * stable. */
struct ml_interposition {
    const char *version; /* MOONLET_VERSION; a runtime of another version is refused */
    struct ml_libc *libc;
    struct ml_libc_calls *(*current)(void);
    void (*interrupted)(void); /* ml_libc_calls_interrupted() */
    int (*pclose)(FILE *file); /* outside of tasks, for files that their tasks have opened */
    int (*fclose)(FILE *file);
    struct ml_co co;
};

/* Fills the table with the functions that the dynamic linker finds next under these names. Its
 * epoll_wait also reports signals: the hub's loop calls it outside of any task. Once per
 * process. */
void ml_exporter_find_libc(struct ml_libc *libc);

#ifdef ML_PRELOAD

extern const struct ml_interposition *ml_exporter_runtime; /* NULL: none yet */

static inline struct ml_libc_calls *ml_exporter_current(void)
{
    return ml_exporter_runtime != NULL ? ml_exporter_runtime->current() : NULL;
}

static inline void ml_exporter_interrupted(void)
{
    if (ml_exporter_runtime != NULL)
        ml_exporter_runtime->interrupted();
}

/* libc's functions, looked up at the first call, which may come before this library's
 * constructors. */
const struct ml_libc *ml_exporter_libc(void);

#define ml_exporter_co(name) (ml_exporter_runtime->co.name)

#else

static inline struct ml_libc_calls *ml_exporter_current(void)
{
    return ml_libc_calls_current();
}

static inline void ml_exporter_interrupted(void)
{
    ml_libc_calls_interrupted();
}

static inline const struct ml_libc *ml_exporter_libc(void)
{
    return &ml_libc;
}

#define ml_exporter_co(name) ml_co_##name

#endif

#endif
