/*
 * What the C++ runtime keeps for each thread about exceptions that are caught and thrown, so that a switch can
 * keep it for each task instead. Knows no task, and nothing of an exception.
 */
#ifndef ML_HUB_CXX_H
#define ML_HUB_CXX_H

/* What __cxa_get_globals() returns: exceptions being caught and thrown by this thread. */
struct ml_cxx_globals {
    void *caught;
    unsigned uncaught;
};

/* Those of this thread, which stay where they are as long as it lives; NULL: libstdc++ is not in the process. */
struct ml_cxx_globals *ml_cxx_find(void);

/* To be called before the switch: whoever runs next is in the midst of no exception. Returns what to
 * give to ml_cxx_restore() afterwards. */
static inline struct ml_cxx_globals ml_cxx_save(struct ml_cxx_globals *globals)
{
    struct ml_cxx_globals saved = *globals;
    *globals = (struct ml_cxx_globals){0};
    return saved;
}

static inline void ml_cxx_restore(struct ml_cxx_globals *globals, struct ml_cxx_globals saved)
{
    *globals = saved;
}

#endif
