/*
 * What the C++ runtimes in the process keep for each thread about exceptions that are caught and
 * thrown, so that a switch can keep it for each task instead. There may be several: libstdc++.so,
 * and those that modules have linked into themselves. Knows no task, and nothing of an exception.
 */
#ifndef ML_HUB_SWITCH_CXX_H
#define ML_HUB_SWITCH_CXX_H

/* What __cxa_get_globals() returns: exceptions being caught and thrown by this thread. */
struct ml_cxx_globals {
    void *caught;
    unsigned uncaught;
};

/* Of further runtimes nothing is kept. */
enum { ML_CXX_MOST = 16 };

/* Those of this thread, which stay where they are as long as it lives. */
struct ml_cxx {
    unsigned count;
    struct ml_cxx_globals *globals[ML_CXX_MOST];
};

/* Adds those of the program, of libstdc++.so and of a library that was loaded from the file
 * `library` (NULL: none), as far as they are new. A runtime whose names a library hides is not
 * found. *cxx: NULL until there is one; also NULL: no memory. Freed by free(). */
void ml_cxx_find(struct ml_cxx **cxx, const char *library);

/* To be called before the switch: the next task is in the midst of no exception. `saved` has room
 * for cxx->count; what is there afterwards is given to ml_cxx_restore(), with the same count. */
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
