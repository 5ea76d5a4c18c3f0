/*
 * How the exported names (interpose/exports.c) reach the runtime and libc. In a program that is
 * linked with both it is direct (exporter_program.c); in a library that is loaded before libc the
 * runtime must make itself known first (exporter_preload.c).
 */
#ifndef ML_INTERPOSE_EXPORTER_H
#define ML_INTERPOSE_EXPORTER_H

#include "interpose/libc_calls.h"

/* Of each call what a task gets. */
struct ml_co {
// NOLINTBEGIN(bugprone-macro-parentheses): a type
#define ML_CO_MEMBER(type, name, parameters, arguments)                                            \
    type (*name)(struct ml_libc_calls * calls, ML_UNPACK parameters);
    ML_CALLS(ML_CO_MEMBER)
#undef ML_CO_MEMBER
    // NOLINTEND(bugprone-macro-parentheses)
};

/* What the runtime tells a preloaded library; of one build: nothing here is stable. */
struct ml_interposition {
    const char *version; /* MOONLET_VERSION; another one's is not taken */
    struct ml_libc *libc;
    struct ml_libc_calls *(*current)(void);
    void (*interrupted)(void); /* ml_libc_calls_interrupted() */
    int (*pclose)(FILE *file); /* outside of tasks, for files that their tasks have opened */
    int (*fclose)(FILE *file);
    struct ml_co co;
};

/* Fills the table with what comes behind these names, where the dynamic linker looks next. Its
 * epoll_wait, which the hub's loop calls, too, outside of any task, tells of signals. Once a
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

/* libc's functions, found at the first call, which may come before this library's constructors. */
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
