/*
 * The runtime behind the public header: the bindings' shared state, and the program it runs. For
 * the files of vm/ alone.
 */
#ifndef ML_VM_MOONLET_STATE_H
#define ML_VM_MOONLET_STATE_H

#include "base/pool.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/repl/session.h"
#include "moonlet.h"
#include "vm/warnings.h"
#include "vm/watch_state.h"

#include <pthread.h>
#include <signal.h>

/* Places in package.searchers, as luaL_openlibs() fills it. */
enum ml_searcher {
    ML_SEARCHER_PRELOAD = 1,
    ML_SEARCHER_LUA = 2,
    ML_SEARCHER_C = 3,     /* a library of the module's name */
    ML_SEARCHER_C_ROOT = 4 /* one of its first part's */
};

/* The time that tasks have to unwind at the end. */
#define ML_UNWIND_TIME (5 * ML_SECOND)

enum ml_piece_kind { ML_PIECE_STRING, ML_PIECE_FILE, ML_PIECE_SCRIPT, ML_PIECE_LIBRARY };

/* One piece of the main chunk. */
struct ml_piece {
    struct ml_piece *next;
    enum ml_piece_kind kind;
    char *text;       /* source, path (NULL: standard input) or library */
    size_t size;      /* of a source */
    char *chunk_name; /* of a string */
};

struct ml_crew;
struct ml_inspector;
struct ml_worker;

struct moonlet {
    struct ml_lua lua;
    struct ml_pool memory; /* of the Lua state, and of the frames of tasks that are moved aside */
    struct ml_pool
        frames; /* the same, if the state's memory is the host's: it must not run out for frames */
    struct ml_warnings warnings;
    struct ml_session session; /* of the interactive mode */
    struct moonlet_options options;
    struct ml_piece *pieces; /* still to be run */
    struct ml_piece *piece;  /* that is running */
    bool main_failed;
    bool is_running;                /* moonlet_run(), moonlet_step() or moonlet_close() is on */
    ml_time clock_lead;             /* while tasks unwind: how far the host's clock is ahead of the
                                       real one */
    pthread_t thread;               /* the thread of the runtime */
    struct ml_link promises;        /* vm/promise.c. Under the lock of vm/runtimes.h */
    struct moonlet_promise *kept;   /* kept by other threads, not yet delivered. Under the lock */
    struct ml_link handles;         /* vm/host_task.c */
    struct ml_link channels;        /* vm/pointer_channel.c */
    struct ml_link ports;           /* vm/api_thread_channel.c */
    struct ml_host_loop *host_loop; /* in a loop of the host's */
    ml_time attached_run;           /* how long tasks run at a time there */
    _Atomic ml_time dump_asked_at;  /* vm/dump.c; 0: it is not */
    struct ml_dump_alarm dump_alarm;
    _Atomic sig_atomic_t interrupt; /* signal number, 0: none */
    ml_time interrupted_at; /* when everything was cancelled for it, or when code that computed on
                               was cancelled again */
    ml_time unwound_at;     /* when a task that has not ended is dropped */
    unsigned uncounted;     /* instructions not counted yet: vm/budget.c */
    struct ml_crew *crew;   /* threads that it has started: vm/threads.c. NULL: none */
    struct ml_poke poke;
    struct ml_watch watch;
    struct ml_preempting preempting;
    struct ml_slow slow;
    struct ml_inspector *inspector; /* vm/inspector.c. NULL: none */
    bool has_pokes;                 /* the same: vm/poke.h works */
    struct ml_worker *worker;       /* it is the runtime of such a thread; NULL: the host's */
};

static inline struct moonlet *ml_moonlet_of(struct ml_lua *lua)
{
    return ml_container_of(lua, struct moonlet, lua);
}

#endif
