/*
 * The state of exceptions, being caught and thrown, that C++ runtimes keep for each thread: a
 * switch keeps it for each task instead. There may be several runtimes: libstdc++.so, and those
 * that modules have linked into themselves. Knows no task, and nothing of an exception.
 */
#ifndef ML_HUB_SWITCH_CXX_H
#define ML_HUB_SWITCH_CXX_H

/* As returned by __cxa_get_globals(): exceptions being caught and thrown by this thread. */
struct ml_cxx_globals {
    void *caught;
    unsigned uncaught;
};

/* Further runtimes are ignored. */
enum { ML_CXX_MOST = 16 };

/* The states of this thread, at addresses that stay the same while it lives. */
struct ml_cxx {
    unsigned count;
    struct ml_cxx_globals *globals[ML_CXX_MOST];
};

/* Adds the states of the program, of libstdc++.so and of a library that was loaded from the file
 * `library` (NULL: none), unless they are there already. A runtime whose names a library hides is
 * not found. *cxx: NULL until there is one, or without memory. Freed by free(). */
void ml_cxx_find(struct ml_cxx **cxx, const char *library);

/* To be called before the switch: after it, the next task is inside no exception. `saved` has room
 * for cxx->count, and is given to ml_cxx_restore() with the same count. */
static inline void ml_cxx_save(const struct ml_cxx *cxx, struct ml_cxx_globals *saved)
{
    for (unsigned i = 0; i < cxx->count; i++) {
        saved[i] = *cxx->globals[i];
        *cxx->globals[i] = (struct ml_cxx_globals){0};
    }
}

static inline void ml_cxx_restore(const struct ml_cxx *cxx, const struct ml_cxx_globals *saved,
                                  unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        *cxx->globals[i] = saved[i];
}

#endif
