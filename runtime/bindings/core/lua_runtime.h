/*
 * What one runtime's bindings share: its hub, its Lua state, the threads on which tasks run. Found
 * from any lua_State through its extra space; knows neither the program's options nor its end.
 */
#ifndef ML_BINDINGS_CORE_LUA_RUNTIME_H
#define ML_BINDINGS_CORE_LUA_RUNTIME_H

#include "base/check.h"
#include "bindings/core/hooks.h"
#include "bindings/core/lua_strand.h"
#include "bindings/core/source_line.h"
#include "bindings/repl/session.h"
#include "hub/state/hub.h"
#include "io/io.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>

struct ml_libc_calls;
struct ml_lua_task;

/* A Lua thread of the pool, and its index there; L is NULL while its place is empty. */
struct ml_pool_thread {
    lua_State *L;
    int index;
};

/* Threads that serve one task after another; those of more tasks at a time are left to the
 * collector. measured: see docs/performance.md, spawn and finish. */
enum { ML_POOL_THREADS = 4096 };

struct ml_lua {
    struct ml_hub hub;
    struct ml_io io;
    /* calls of C libraries; in force while hub.libc_calls is the same */
    struct ml_libc_calls *libc_calls;
    struct ml_hooks hooks;
    struct ml_pool *pool;   /* the memory of the state */
    size_t thread_size;     /* of a lua_State with its extra space, bytes */
    uint32_t cancellations; /* number of the last that was raised, in any task */
    struct ml_source_lines source_lines;
    struct ml_session session;  /* of the interactive mode */
    uint32_t select_turn;       /* where the next select begins */
    lua_State *main;            /* runs no task, no script: see docs/architecture.md */
    lua_State *idle_generators; /* holds threads of generators that ended, on its stack */
    lua_State *aside; /* for protected work on behalf of a task whose own thread is dead */
    struct ml_pool_thread *idle; /* ML_POOL_THREADS of them, idle_count in use */
    int idle_count;
    int pool_size; /* places of the pool in use */

    /* An error that nobody joined; message and traceback in one text. Set by the owner. */
    void (*report)(struct ml_lua *lua, const char *text);
    struct ml_lua_task *main_task;
    int tasks_ref; /* in the registry */
    /* Places of the table of tasks that are there: filling one needs no memory. */
    uint32_t task_places;
    int pool_ref;
    int task_type_ref;
    int exit_status;
    size_t memory_limit;        /* bytes of the state at a time; 0: none */
    _Atomic size_t memory_used; /* counted only with a limit */
    /* Called before a thread begins, its function on it: `thread`, of a task or, begun by code on L
     * that it may raise on, of a generator or a greenlet. NULL: nothing. */
    void (*watch_thread)(lua_State *L, lua_State *thread);
    /* When it is worth while to collect garbage again for want of memory. */
    ml_time collect_at;
    /* Greenlets that are to die: bindings/coroutine/greenlet_drop.c. */
    uint32_t dropped_greenlets;
    lua_CFunction debug_traceback; /* the library's own, which scripts may replace */
    bool text_only;                /* load() takes no precompiled chunks */
    atomic_bool exit_asked;        /* os.exit(code, true), or an interrupt; others look at it */
    bool has_reported;             /* a task's error was */
    bool is_reporting;             /* an error's text is being composed: nobody may wait */
    bool is_unwinding;             /* the end has begun: tasks spawned now never run */
    bool is_closing;               /* no task can run any more */
    bool uses_greenlets;           /* the script has made one */
    bool traces_greenlets;         /* there is a trace function */
};

/*
 * The extra space of a lua_State holds its runtime, with these marks in the lowest bits. New
 * threads copy the main state's, which has none.
 */
enum {
    ML_MARK_PARKED =
        1, /* a task is parked, or a greenlet suspended, in a call made on this state */
    ML_MARK_GREENLET = 2, /* it is a greenlet's thread */
    ML_MARK_KNOWN = 4,    /* the script has seen it: it serves nobody else */
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

/* Opens the bindings on a fresh state: `lua` is zeroed, its hub is set up. Raises on `L` (call it
 * protected). */
void ml_lua_open(lua_State *L, struct ml_lua *lua);

/* Frees what is not Lua's. After lua_close(). */
void ml_lua_release(struct ml_lua *lua);

/*
 * What a userdata of ours begins with: its type, told by the address of its name. So checking an
 * argument takes two calls of Lua's API (measured: 6 ns; luaL_checkudata(), which looks the type up
 * by name, 45).
 */
struct ml_object {
    const char *type;
    uint32_t source_line; /* where it was made; 0: not noted */
};

/* The struct behind the object of that type at `index`; NULL for anything else. */
static inline void *ml_test_object(lua_State *L, int index, const char *type)
{
    struct ml_object *object = lua_touserdata(L, index);
    bool is_ours = object != NULL && lua_rawlen(L, index) > sizeof *object && object->type == type;
    return is_ours ? object + 1 : NULL;
}

/* The same; raises for anything else. */
static inline void *ml_check_object(lua_State *L, int index, const char *type)
{
    void *object = ml_test_object(L, index, type);
    if (ml_unlikely(object == NULL))
        luaL_typeerror(L, index, type);
    return object;
}

/* The same for what is certainly one. */
static inline void *ml_to_object(lua_State *L, int index)
{
    return (struct ml_object *)lua_touserdata(L, index) + 1;
}

/* Pushes a new object with `values` user values and a struct of `size` bytes, zeroed, which is
 * returned. Its metatable is set: from here on its finalizer runs. */
void *ml_push_object(lua_State *L, const char *type, size_t size, int values);

/* Notes that the script made the object, of the struct at `object`, in the line that called the
 * running C function: for messages about objects that nobody closed. measured: 35 ns. */
void ml_object_note_source_line(lua_State *L, void *object);

/* In the finalizer of an object at 1 that is still open: warns, with its text and where it was
 * made. */
void ml_warn_unclosed(lua_State *L, const void *object);

/* Where it was made: "file.lua:12", "?" if that was not noted. */
const char *ml_object_source_line(lua_State *L, const void *object);

/* Registers a type of objects: its metatable, with `methods` behind __index, the most used first.
 * Stack unchanged. */
void ml_open_object_type(lua_State *L, const char *type, const luaL_Reg *methods,
                         const luaL_Reg *metamethods);

/* Pushes a new table whose keys ("k") or values ("v") are weak. Raises. */
void ml_push_weak_table(lua_State *L, const char *mode);

/* Raises for a field whose name is none of `names`, which a NULL ends: it is a mistake in typing.
 */
void ml_check_option_names(lua_State *L, int options, const char *const names[]);

/* The same for a table at `options` that came inside the function's argument of that number. */
void ml_check_nested_names(lua_State *L, int options, int argument, const char *const names[]);

/* The same for a table whose fields with a number are items. */
void ml_check_names_beside_items(lua_State *L, int table, int argument, const char *const names[]);

/* The field `name` of the options table at `options` (0: there is none) as a truth value;
 * `otherwise` when it is absent. */
bool ml_boolean_option(lua_State *L, int options, const char *name, bool otherwise);

/* What hangs off the registry. Each pushes one value on L; none allocates. */
void ml_lua_push_tasks(lua_State *L);     /* a table: slot + 1 -> Task */
void ml_lua_push_pool(lua_State *L);      /* a table: index -> thread */
void ml_lua_push_task_type(lua_State *L); /* the metatable of Tasks */

#endif
