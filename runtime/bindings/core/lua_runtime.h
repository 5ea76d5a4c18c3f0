/*
 * The state that one runtime's bindings share: its hub, its Lua state, the threads on which tasks
 * run. Reached from any lua_State through its extra space. Knows neither the program's options nor
 * its end.
 */
#ifndef ML_BINDINGS_CORE_LUA_RUNTIME_H
#define ML_BINDINGS_CORE_LUA_RUNTIME_H

#include "bindings/core/hook_records.h"
#include "bindings/core/lua_strand.h"
#include "bindings/core/source_line.h"
#include "bindings/core/task_hooks.h"
#include "hub/state/hub.h"
#include "io/io.h"
#include "system/process/children.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>

struct ml_debugger;
struct ml_inspectors;
struct ml_accounts;
struct ml_http_exchange;
struct ml_libc_calls;
struct ml_lua_server;
struct ml_lua_task;
struct ml_lua_worker;
struct ml_pool;
struct ml_profile;
struct ml_select_source;
struct ml_session;
struct ml_signal_inbox;
struct ml_thread_call;
struct ml_thread_runtimes;
struct ml_wire;

/* bindings/core/lua_memory.c. */
struct ml_lua_memory {
    struct ml_pool *pool;
    size_t thread_size;  /* bytes of a lua_State with its extra space */
    size_t limit;        /* the most bytes of the state at a time; 0: no limit */
    _Atomic size_t used; /* counted only with a limit */
    /* The earliest time of the next collection for want of memory: collection.c. */
    ml_time collect_at;
};

/* A Lua thread of the pool, and its index there; L is NULL while its place is empty. */
struct ml_pool_thread {
    lua_State *L;
    int index;
};

/* Threads that serve one task after another. When more tasks live at a time, the collector frees
 * the others. measured: see docs/performance.md, spawn and finish. */
enum { ML_POOL_THREADS = 4096 };

/* bindings/core/thread_pool.c. */
struct ml_thread_pool {
    struct ml_pool_thread *idle; /* ML_POOL_THREADS of them, idle_count in use */
    int idle_count;
    int count; /* places of the pool in use */
    int ref;   /* in the registry: index -> thread */
};

/* The values of enum ml_outcome. */
enum { ML_OUTCOMES = 4 };

/* The live tasks: bindings/core/lua_task.c, bindings/core/lua_spawn.c. */
struct ml_lua_tasks {
    struct ml_lua_task *main;
    int ref;                        /* in the registry: slot + 1 -> Task */
    int type_ref;                   /* the metatable of Tasks */
    uint64_t outcomes[ML_OUTCOMES]; /* how many have ended how; enum ml_outcome */
    /* Slices that were over while the task computed on: it was preempted, or could not be left
     * where it stood; and tasks that a warning of slow ones is about, also of those left out. */
    uint64_t preempted, postponed, slow;
    /* The size of that table, up to which an entry needs no memory. */
    uint32_t places;
};

/* bindings/core/report.c. */
struct ml_reports {
    /* Reports an error that no task gets, message and traceback in one text. Set by the owner. */
    void (*tell)(struct ml_lua *lua, const char *text);
    bool was_told;    /* an error of a task was reported */
    bool is_composed; /* an error's text is being composed: no wait is allowed */
};

/* os.exit(code, true), or an interrupt; read by others. */
struct ml_exit {
    atomic_bool is_asked;
    int status;
    /* Called before os.exit() ends the process at once; the owner's. NULL: there is nothing to do.
     */
    void (*before)(struct ml_lua *lua);
};

/* bindings/lib/standard.c. */
struct ml_standard {
    lua_CFunction debug_traceback; /* the library's own, which scripts may replace */
    bool text_only;                /* load() refuses precompiled chunks */
};

/* bindings/coroutine/. */
struct ml_greenlets {
    uint32_t dropped; /* that are about to die: bindings/coroutine/greenlet_drop.c */
    bool are_used;    /* the script has made one */
    bool are_traced;  /* there is a trace function */
};

/* Kinds of things that select can wait for and that become ready from outside:
 * bindings/sync/select_source.h. */
enum ml_select_place {
    ML_SELECT_READABLE,
    ML_SELECT_ACCEPT,
    ML_SELECT_RECEIVE,
    ML_SELECT_GONE,
    ML_SELECT_SIGNAL,
    ML_SELECT_CHILD,
    ML_SELECT_NEXT,
    ML_SELECT_THREAD_GET,
    ML_SELECT_THREAD_PUT,
    ML_SELECT_SOURCES
};

/* bindings/sync/select.c. */
struct ml_select {
    const struct ml_select_source *sources[ML_SELECT_SOURCES];
    uint32_t turn; /* the index at which the next select begins */
};

/* Threads with runtimes of their own: bindings/thread/runtimes.h. */
struct ml_lua_threads {
    const struct ml_thread_runtimes *runtimes; /* the owner's */
    struct ml_thread_call *call;               /* that this runtime was opened for; NULL: none */
};

/* bindings/inspect/: the inspector, which has a runtime of its own. */
struct ml_lua_inspect {
    const struct ml_inspectors *inspectors; /* how one is started; the owner's */
    struct ml_wire *wire;      /* to the inspector of this runtime; NULL: it has none */
    struct ml_wire *inspected; /* this is an inspector's: to the runtime that it inspects */
    unsigned serving;          /* requests that have a task */
    struct ml_link unbegun;    /* those of them whose task has not begun; with `wire` */
    struct ml_link brief;      /* those under way whose function does not wait; with `wire` */
    bool stands_still;         /* the thread serves requests only */
};

/* bindings/http/server.c. */
struct ml_lua_http {
    struct ml_lua_server *servers; /* all, each leads to the next */
    /* What those have counted that are gone. */
    uint64_t connections, requests, errors, refused;
    /* Told of each exchange when its handler has ended; the request is at `request`. May not raise.
     * NULL: nothing. */
    void (*answered)(lua_State *L, const struct ml_http_exchange *x, int request);
};

/* bindings/lib/preempt_by_chance.c. */
struct ml_chance {
    uint64_t state;
    uint32_t mean, left;                /* instructions until the next switch */
    const struct ml_hook_kind *by_time; /* in force otherwise */
};

/* bindings/inspect/collector_clock.h. */
struct ml_collector_clock {
    bool is_on;
    ml_time began; /* when the collector began to work; 0: it does not */
    ml_time spent;
};

struct ml_lua {
    struct ml_hub hub;
    struct ml_io io;
    struct ml_children children;
    /* calls of C libraries; in force while hub.libc_calls is the same */
    struct ml_libc_calls *libc_calls;
    lua_State *main;  /* runs no task, no script: see docs/architecture-bindings.md */
    lua_State *aside; /* for protected work on behalf of a task whose own thread is dead */
    lua_State *idle_generators; /* holds threads of generators that ended, on its stack */
    struct ml_hooks hooks;
    struct ml_chance chance;
    struct ml_debugger *debugger; /* bindings/inspect/debugger.h; NULL: none is attached */
    struct ml_source_lines source_lines;
    struct ml_accounts *accounts; /* bindings/inspect/accounts.h; NULL: never kept */
    struct ml_lua_memory memory;
    struct ml_thread_pool threads;
    struct ml_lua_tasks tasks;
    struct ml_task_hooks task_hooks;
    struct ml_reports report;
    struct ml_exit exit;
    struct ml_standard standard;
    struct ml_greenlets greenlets;
    struct ml_select select;
    struct ml_signal_inbox *signals; /* system/signal/inbox.h; NULL: not needed yet */
    struct ml_lua_threads os_threads;
    unsigned own_loads; /* modules of moonlet's that are being loaded: bindings/lib/require.c */
    struct ml_lua_inspect inspect;
    struct ml_collector_clock collector;
    struct ml_profile *profile; /* bindings/inspect/profile.h; NULL: none is under way */
    struct ml_lua_http http;
    struct ml_lua_worker *worker; /* bindings/core/lua_worker.h; NULL: this is none */
    struct ml_session *session;   /* of the interactive mode; the owner's */
    /* Called before a thread begins, with its function on it. `thread` is a task's, or a
     * generator's or greenlet's; then code on L begins it, on which this may raise. NULL: nothing.
     */
    void (*watch_thread)(lua_State *L, lua_State *thread);
    /* A task is to be preempted after so many milliseconds; 0: after the runtime's own time, or the
     * default if it has none. Returns what is to stand in its preempt_after, or a negated errno. */
    int (*watch_task)(struct ml_lua *lua, unsigned milliseconds);
    uint32_t cancellations; /* the number of the last that was raised, in any task */
    bool is_unwinding;      /* the end of the program has begun: tasks spawned now never run */
    bool is_closing;        /* no task can run any more */
};

/*
 * The extra space of a lua_State holds its runtime, with these marks in the lowest bits. New
 * threads copy the main state's, which has none.
 */
enum {
    ML_MARK_PARKED =
        1, /* a task is parked, or a greenlet suspended, in a call made on this state */
    ML_MARK_GREENLET = 2, /* it is a greenlet's thread */
    ML_MARK_KNOWN = 4,    /* the script has seen it: no other task uses it */
    ML_MARKS = 7
};

static inline uintptr_t *ml_lua_mark(lua_State *L)
{
    return (uintptr_t *)lua_getextraspace(L);
}

static inline struct ml_lua *ml_lua_of(lua_State *L)
{
    return (struct ml_lua *)(*ml_lua_mark(L) & ~(uintptr_t)ML_MARKS);
}

#endif
