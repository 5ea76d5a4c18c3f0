/*
 * moonlet: a Lua 5.4 runtime with green threads. This is the whole public interface of libmoonlet.
 *
 * A runtime belongs to the thread that created it: every function here is called from that thread
 * unless it says otherwise. A process may have many runtimes, on as many threads. A process that is
 * forked has none of them: there they can be closed, and what would run tasks is -ECHILD. (A task
 * that forks goes on in the child.)
 *
 * Functions that return int give 0 or more, or a negative number: a negated errno, or one of the
 * MOONLET_E... below, negated; moonlet_error_text() puts it into words. Wrong use is such an error,
 * too: a runtime that was closed
 * (-MOONLET_ECLOSED; NULL counts as one), another thread (-MOONLET_ETHREAD), waiting outside of a
 * task
 * (-MOONLET_ENOTASK), NULL where a pointer must be (-EINVAL).
 * Times are seconds; a time limit that is negative is none, and 0 never waits.
 *
 * "May suspend" says that the function lets other tasks of its runtime run before it returns. It
 * does so at any depth of C calls. Never hold a lock of your own meanwhile that another task could
 * want.
 */
#ifndef MOONLET_H
#define MOONLET_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MOONLET_API __attribute__((visibility("default")))
#else
#define MOONLET_API
#endif

/* One runtime: a Lua state, its tasks and their scheduler. */
struct moonlet;

/* lua.h's: only those who call Lua's own functions need that header. */
struct lua_State;

/* Errors that errno does not know. */
#define MOONLET_ECLOSED 4096  /* the runtime, the channel was closed */
#define MOONLET_EFAILED 4100  /* the task ended with an error */
#define MOONLET_ETHREAD 4105  /* called from another thread than the runtime's */
#define MOONLET_ENOTASK 4106  /* only a task can wait */
#define MOONLET_EINTASK 4107  /* not from inside a task */
#define MOONLET_ERUNNING 4108 /* the runtime is running already */
#define MOONLET_ENOWAIT 4109  /* cannot wait in a finalizer or inside task.no_switch */

/* One sentence for an error number of any kind, negated or not. Static. From any thread. */
MOONLET_API const char *moonlet_error_text(int error);

/* What a runtime leaves out; values of moonlet_options.without, to be added. Scripts get what a
 * list gives them then: what neither these nor that list names is not there. */
#define MOONLET_OS 1        /* os, but for clock, date, difftime, time; moonlet.test */
#define MOONLET_IO 2        /* io, dofile, loadfile; moonlet.repl, as without MOONLET_OS */
#define MOONLET_DEBUG 4     /* debug, but for traceback; metatables of userdata */
#define MOONLET_C 8         /* C modules: package.loadlib and their searchers; task.blocking */
#define MOONLET_NET 16      /* moonlet.net, moonlet.patch */
#define MOONLET_BYTECODE 32 /* load() of precompiled chunks, which can be made to crash */
#define MOONLET_FILES 64    /* Lua modules from package.path: only what is preloaded */
/* All of them: for scripts that nobody has read. */
#define MOONLET_UNTRUSTED 127

/* The smallest stack_size. */
#define MOONLET_LEAST_STACK 65536

/* What a runtime is made with; all zero: the defaults. */
struct moonlet_options {
    /* Shared C stacks, 1 to 64; 0: the default, 64. */
    unsigned stacks;
    /* Bytes of each C stack, private ones too, MOONLET_LEAST_STACK at least; 0: the default, 8 MiB.
     * Only address space: the kernel fills in pages as they are touched. Lua's limit of 200 nested
     * C calls needs up to 412 KB: with less than 512 KiB a script can overflow the stack, which
     * ends the process. */
    size_t stack_size;
    /* Do not read LUA_PATH and its like. */
    bool ignore_environment;
    /* Parts of the library that scripts do not get: MOONLET_OS and the like, added up. */
    unsigned without;
    /* Bytes that the Lua state may have at a time; 0: no limit. Beyond it the script gets Lua's
     * "not enough memory". */
    size_t memory_limit;
    /* Where the Lua state gets its memory (C stacks are not of it); NULL: slabs of the runtime's
     * own. size 0 frees; otherwise the block of `size` bytes, aligned as malloc's, moved if need
     * be, or NULL with the old one unharmed. old_size: what the block has, 0 for a new one. On the
     * runtime's thread, unless a C library takes it to others (lua_getallocf()); never after
     * moonlet_close(), by which time all is given back. It calls nothing of moonlet's and no Lua.
     */
    void *(*allocator)(void *context, void *block, size_t old_size, size_t size);
    void *allocator_context;
    /* Instructions of the virtual machine that a task may take between two waits or yields, in all
     * its coroutines and greenlets together; 0: no limit. Calls that do not wait do not count as
     * waits. Each coroutine is charged 1,000 when it begins. A task that takes more is ended as if
     * cancelled, and reported; it cannot catch that. Costs about the time again. Scripts have no
     * finalizers (__gc) then, which Lua runs unwatched. */
    unsigned long instruction_limit;
    /* The host's clock, in seconds, which only goes forward: sleeps and time limits of tasks follow
     * it, as moonlet_step() and moonlet_run() read it; when tasks unwind at the end it goes as the
     * system's. NULL: the system's. It calls nothing of moonlet's. */
    double (*clock)(void *context);
    void *clock_context;
    /* Where a script's warnings go, piece by piece as for lua_WarnFunction; NULL: stderr, once they
     * are on. */
    void (*warn)(void *context, const char *text, int to_be_continued);
    void *warn_context;
    /* Leave the blocking calls of C libraries to libc. Where the program does not export libc's
     * names (the program `moonlet` does) they are left to it in any case. */
    bool no_interpose;
    /* Install a SIGSEGV handler that names the task whose C stack overflowed, then aborts. Changes
     * the process's signal action, unless somebody else handles SIGSEGV already. */
    bool report_overflow;
    /* Called with the text of each error that nobody handles, without a newline at its end; the
     * text is the callee's until it returns. NULL: "name: text" on stderr. */
    void (*report)(void *context, const char *text);
    void *report_context;
    /* The name before such messages; NULL: "moonlet". Kept by the caller while the runtime lives.
     */
    const char *name;
};

/* Exit status of moonlet_run() when every task waits and nothing can ever wake one. */
#define MOONLET_DEADLOCK 70

/*
 * Makes a runtime with Lua's standard libraries and moonlet's modules. options: NULL for all
 * defaults. NULL with errno set: EINVAL, an option is out of its range; or the system has no room
 * for one.
 */
MOONLET_API struct moonlet *moonlet_create(const struct moonlet_options *options);

/*
 * Sets the global `arg` as lua5.4 does: argv[script] becomes arg[0], those behind it arg[1] and so
 * on, those before it negative. 0, or -ENOMEM.
 */
MOONLET_API int moonlet_set_arguments(struct moonlet *m, int argc, char **argv, int script);

/*
 * These add a piece to the main chunk; moonlet_run() loads and calls the pieces in order, and
 * ends the main chunk at the first that fails. The strings are copied. 0, or -ENOMEM.
 *
 * load_string: Lua source; chunk_name as for luaL_loadbuffer (with its "=" or "@").
 * load_file: a file, called without arguments; NULL: standard input.
 * load_script: the same, called with the values of `arg`.
 * load_library: "mod" or "global=mod", required and stored in a global variable.
 */
MOONLET_API int moonlet_load_string(struct moonlet *m, const char *source, const char *chunk_name);
MOONLET_API int moonlet_load_file(struct moonlet *m, const char *path);
MOONLET_API int moonlet_load_script(struct moonlet *m, const char *path);
MOONLET_API int moonlet_load_library(struct moonlet *m, const char *library);

/* The same for `size` bytes of source, or of a precompiled chunk. */
MOONLET_API int moonlet_load_buffer(struct moonlet *m, const void *data, size_t size,
                                    const char *chunk_name);

/*
 * Runs the main chunk, in a task, and every task that it spawns, until the main chunk and all that
 * are no daemons have ended; then cancels the daemons and gives them 5 s to unwind. Returns the
 * exit status: 0; 1 when the main chunk or a task failed and its error was reported;
 * MOONLET_DEADLOCK; 128 plus the signal's number after moonlet_interrupt(); or what the script gave
 * os.exit(n, true). May be called again after more pieces were added. Not from inside a task.
 */
MOONLET_API int moonlet_run(struct moonlet *m);

/* Whether the script asked for the end of the program with os.exit(n, true). False of a runtime
 * that was closed. */
MOONLET_API bool moonlet_exit_asked(const struct moonlet *m);

/*
 * Ends what runs: every task is cancelled, moonlet_run() returns 128 plus the signal's number. Only
 * with SIGINT, and if the program is one task that computes, that gets the error "interrupted!", as
 * from lua5.4, and may go on. False when an earlier one is still being served: the caller may want
 * to end the process; and of a runtime that was closed. While moonlet_run() is on, from any thread
 * and from signal handlers; from another thread it is heeded when the running task next waits.
 */
MOONLET_API bool moonlet_interrupt(struct moonlet *m, int signal_number);

/*
 * Whether an interactive session is on (the module moonlet.repl, on a terminal). SIGINT is for its
 * current entry alone then, and may come again and again: only when moonlet_interrupt() returns
 * false is an entry not to be stopped that way. From any thread and from signal handlers.
 */
MOONLET_API bool moonlet_is_interactive(const struct moonlet *m);

/*
 * Whether os.execute is all that the program, or the entry of an interactive session, does now:
 * then keys are the command's affair, and a handler of SIGINT or SIGQUIT does nothing, as system(3)
 * ignores them. (Of SIGINT and SIGQUIT os.execute leaves to the process what they do.) From signal
 * handlers of the runtime's own thread.
 */
MOONLET_API bool moonlet_is_in_shell(const struct moonlet *m);

/* ---- inside a host's own loop ---- */

/*
 * Instead of moonlet_run(): starts the main chunk, if pieces were added, and returns; the host then
 * calls moonlet_step() again and again. 0 or -ENOMEM; -MOONLET_ERUNNING: the main chunk that was
 * started before goes on. Not from inside a task.
 */
MOONLET_API int moonlet_start(struct moonlet *m);

/*
 * Waits for something to happen, `max_wait` at most (0: not at all), then runs the tasks that can,
 * until all wait or `max_run` is over: a task that computes is not interrupted. 1: tasks are left
 * that are no daemons; 0: none. With nothing to do and a max_wait of 0 it costs one system call.
 * Not from inside a task.
 */
MOONLET_API int moonlet_step(struct moonlet *m, double max_wait, double max_run);

/*
 * Steps until done(context) is true, which is asked after each, or no tasks are left, or `limit`
 * seconds are over. 1: done; 0: no tasks are left; -ETIMEDOUT. Not from inside a task.
 */
MOONLET_API int moonlet_run_until(struct moonlet *m, bool (*done)(void *context), void *context,
                                  double limit);

/*
 * The exit status that moonlet_run() would give if the program ended now: of what has happened
 * since the last moonlet_start() or moonlet_run(). Negative: an error.
 */
MOONLET_API int moonlet_exit_status(const struct moonlet *m);

/*
 * Asks every task that there is to end, daemons, too; the runtime stays open and takes new ones.
 * Outside of tasks it then runs them for `limit` seconds at most; in a task, whose own is among
 * them, `limit` must be 0
 * (-MOONLET_EINTASK). The number of those that have not ended, or an error.
 */
MOONLET_API int moonlet_cancel_all(struct moonlet *m, double limit);

/*
 * A descriptor that becomes readable when moonlet_step() has something to do: a descriptor that a
 * task waits for is ready, a time has come, a task can run. The runtime's; watch it
 * (level-triggered) and step. Negative: an error.
 */
MOONLET_API int moonlet_fd(struct moonlet *m);

/*
 * Gives the runtime to a loop of libev's: while that runs, tasks do, for `max_run` at a time.
 * `loop` is a struct ev_loop *; NULL takes the runtime out again. The loop is not kept alive by it.
 * 0 or an error.
 */
MOONLET_API int moonlet_attach(struct moonlet *m, void *loop, double max_run);

/* The Lua state, to give scripts functions and values of the host's: outside of tasks, with Lua's
 * stack left as it was found. It runs no script and no call that waits. NULL: wrong use. */
MOONLET_API struct lua_State *moonlet_lua(struct moonlet *m);

/* The runtime that runs a Lua function. L: one of moonlet's, or NULL, which gives NULL. */
MOONLET_API struct moonlet *moonlet_of(struct lua_State *L);

/* ---- tasks ---- */

/* A task, as the host sees it. */
struct moonlet_task;

/* What a task of C runs; its result is what moonlet_join() gives: 0 or more, or a negative error.
 * An exception of C++ must not leave it. */
typedef int moonlet_function(struct moonlet *m, void *argument);

/*
 * Makes a task of a C function; it runs from the next moonlet_run() or moonlet_step() on, or soon,
 * if called in a task. name: for people, NULL: none. *task, unless `task` is NULL, becomes its
 * handle, to be released. 0 or an error.
 */
MOONLET_API int moonlet_spawn(struct moonlet *m, const char *name, moonlet_function *function,
                              void *argument, struct moonlet_task **task);

/* The same for a Lua function: on top of L's stack, below its `count` arguments; all are popped,
 * also with -ENOMEM. L: moonlet_lua(), or the one on which a C function of the host's was called.
 * -EINVAL, with nothing popped: another runtime's, or fewer values. */
MOONLET_API int moonlet_spawn_lua(struct moonlet *m, struct lua_State *L, int count,
                                  struct moonlet_task **task);

/*
 * Waits until the task has ended. 0, with what its function returned in *result (of a Lua function:
 * 0); -MOONLET_EFAILED: it ended with an error; -ECANCELED: it, or the caller, was cancelled;
 * -ETIMEDOUT; -EDEADLK: it is the caller itself. May suspend. Of a task that has ended from outside
 * of tasks, too. result: NULL is allowed.
 */
MOONLET_API int moonlet_join(struct moonlet_task *task, double limit, int *result);

/* Asks it to end: the call that it waits in, and every later one, is -ECANCELED, or raises in Lua.
 * 0 or an error. */
MOONLET_API int moonlet_cancel(struct moonlet_task *task);

/*
 * Calls a function of the script's in a task of its own, and waits for its end. name: of the
 * function, "on_hit" or "game.on_hit", found among the globals (without metamethods: no code of the
 * script's runs outside of the task); NULL: the function itself stands on top of L's stack, below
 * its arguments. L: as moonlet_spawn_lua() takes it. arguments: how many values on top of its stack
 * are for the function; they, and the function, are popped. In a task this may suspend; outside of
 * tasks all tasks of the runtime run meanwhile.
 *
 * The number of results, which are pushed on L: `results` of them, as lua_call() adjusts them, or
 * with -1 all. An error pushes nothing, but for -MOONLET_EFAILED: the error value, which is not
 * reported, then. -ENOENT: there is nothing of that name; -ETIMEDOUT: `limit` is over; -ECANCELED:
 * the call or its caller was cancelled; -EDEADLK: it waits for what can never come; errors of
 * moonlet_join() and moonlet_run_until(). Whenever it has not ended by then, it has been cancelled,
 * and unwinds as the runtime runs on.
 */
MOONLET_API int moonlet_call(struct moonlet *m, struct lua_State *L, const char *name,
                             int arguments, int results, double limit);

/* Gives the handle back; the task goes on. NULL is allowed; also after moonlet_close(). 0, or
 * -MOONLET_ETHREAD with nothing done. */
MOONLET_API int moonlet_release(struct moonlet_task *task);

/* ---- waiting: only in tasks, at any depth of C calls ----
 *
 * Each may suspend, and gives -ECANCELED when the task is cancelled, before it would wait. A C
 * function called by Lua then returns soon, whatever it returns: Lua raises the cancellation. */

/* Waits that long; 0 or less: as moonlet_yield(). 0, or -ECANCELED. */
MOONLET_API int moonlet_sleep(struct moonlet *m, double seconds);

/* Lets all others run that can. 0, or -ECANCELED. */
MOONLET_API int moonlet_yield(struct moonlet *m);

#define MOONLET_READABLE 1
#define MOONLET_WRITABLE 2

/* Waits until the descriptor is ready for one of `events`, added up. What it is ready for, or
 * -ETIMEDOUT; an error or a hang-up is all of `events`; -EBADF; -EINVAL: `events` has neither. */
MOONLET_API int moonlet_wait_fd(struct moonlet *m, int fd, int events, double limit);

/* ---- promises: a callback's value, waited for ---- */

/* A value that somebody will give once. */
struct moonlet_promise;

/* NULL with errno set: no memory, or wrong use (ECANCELED and the like as above). */
MOONLET_API struct moonlet_promise *moonlet_promise_new(struct moonlet *m);

/*
 * Keeps it with a value: whoever waits for it goes on. From any thread and any callback, not from
 * signal handlers; also after moonlet_close(). 0, or -EALREADY: it was kept before.
 */
MOONLET_API int moonlet_promise_keep(struct moonlet_promise *promise, void *value);

/* Waits for the value, any number of tasks any number of times. 0 with *value set, -ETIMEDOUT, or
 * -ECANCELED. May suspend. value: NULL is allowed. */
MOONLET_API int moonlet_promise_await(struct moonlet_promise *promise, double limit, void **value);

/* Another owner: each releases it once. From any thread. NULL is allowed. */
MOONLET_API struct moonlet_promise *moonlet_promise_retain(struct moonlet_promise *promise);
MOONLET_API void moonlet_promise_release(struct moonlet_promise *promise);

/* ---- channels of pointers between tasks of C ---- */

/* Pointers on their way from task to task. */
struct moonlet_channel;

/* capacity: how many it holds before put() waits, 1 at least. NULL with errno set. */
MOONLET_API struct moonlet_channel *moonlet_channel_new(struct moonlet *m, unsigned capacity);

/* First come, first served. 0, -ETIMEDOUT, -ECANCELED, or -MOONLET_ECLOSED: it is closed, and for
 * get() empty. May suspend, but for a limit of 0; only in tasks. */
MOONLET_API int moonlet_channel_put(struct moonlet_channel *channel, void *value, double limit);
MOONLET_API int moonlet_channel_get(struct moonlet_channel *channel, void **value, double limit);

/* Nothing more comes in; what is there can be got. Wakes who waits. NULL is allowed. 0,
 * -MOONLET_ETHREAD or, of a runtime that was closed, -MOONLET_ECLOSED. */
MOONLET_API int moonlet_channel_close(struct moonlet_channel *channel);

/* Closes and frees it; who waits is woken with -MOONLET_ECLOSED. What it holds is the caller's
 * affair. NULL is allowed; also after moonlet_close(). 0, or -MOONLET_ETHREAD with nothing done. */
MOONLET_API int moonlet_channel_free(struct moonlet_channel *channel);

/* ---- the end ---- */

/*
 * Cancels the tasks that are left, gives them 5 s to unwind, closes the Lua state and frees all. 0;
 * -MOONLET_EINTASK with nothing done: a task called it; -MOONLET_ERUNNING: a callback of
 * moonlet_run() or the like did; -MOONLET_ETHREAD; -MOONLET_ECLOSED. NULL is allowed.
 */
MOONLET_API int moonlet_close(struct moonlet *m);

/* The version of the library and of Lua, "moonlet 0.1.0" and "Lua 5.4.4 ...". Static. */
MOONLET_API const char *moonlet_version(void);
MOONLET_API const char *moonlet_lua_version(void);

#ifdef __cplusplus
}
#endif

#endif
