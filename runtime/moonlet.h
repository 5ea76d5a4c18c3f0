/*
 * moonlet: a Lua 5.4 runtime with green threads. This is the whole public interface of libmoonlet.
 *
 * A runtime belongs to the thread that created it: call every function here from that thread unless
 * its comment says otherwise. A process may have many runtimes, on as many threads. A forked child
 * has none of them: it can only close them, and functions that would run tasks return -ECHILD. (A
 * task that forks goes on in the child.)
 *
 * Functions that return int return 0 or more, or a negative number: a negated errno, or one of the
 * MOONLET_E... below, negated. moonlet_error_text() puts it into words. Wrong use is such an error,
 * too:
 *
 * - a runtime that was closed: -MOONLET_ECLOSED (NULL counts as one);
 * - another thread: -MOONLET_ETHREAD;
 * - a wait outside of a task: -MOONLET_ENOTASK;
 * - NULL where a pointer must be: -EINVAL.
 *
 * Times are seconds. A negative time limit means none; 0 never waits.
 *
 * "May suspend" says that the function lets other tasks of its runtime run before it returns, at
 * any depth of C calls. Never hold a lock of your own meanwhile that another task could want.
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

/* From lua.h, which is needed only to call Lua's own functions. */
struct lua_State;

/* Errors that errno does not have. */
#define MOONLET_ECLOSED 4096  /* the runtime, the channel was closed */
#define MOONLET_EFAILED 4100  /* the task ended with an error */
#define MOONLET_ETHREAD 4105  /* called from another thread than the runtime's */
#define MOONLET_ENOTASK 4106  /* only a task can wait */
#define MOONLET_EINTASK 4107  /* not from inside a task */
#define MOONLET_ERUNNING 4108 /* the runtime is running already */
#define MOONLET_ENOWAIT 4109  /* cannot wait in a finalizer or inside task.no_switch */

/* One sentence for an error number of any kind, negated or not. Static. From any thread. */
MOONLET_API const char *moonlet_error_text(int error);

/* Parts that a runtime leaves out: values of moonlet_options.without, to be added. With any of them
 * scripts get what a list names, and nothing else. */
#define MOONLET_OS 1        /* os, but for clock, date, difftime, time; moonlet.test, .thread */
#define MOONLET_IO 2        /* io, dofile, loadfile; moonlet.repl, as without MOONLET_OS */
#define MOONLET_DEBUG 4     /* debug, but for traceback; metatables of userdata */
#define MOONLET_C 8         /* C modules: package.loadlib and their searchers; task.blocking */
#define MOONLET_NET 16      /* moonlet.net, moonlet.patch */
#define MOONLET_BYTECODE 32 /* load() of precompiled chunks, which can be made to crash */
#define MOONLET_FILES 64    /* Lua modules from package.path: only what is preloaded */
/* All of them: for untrusted scripts. */
#define MOONLET_UNTRUSTED 127

/* The smallest stack_size. */
#define MOONLET_LEAST_STACK 65536

/* Options of a runtime. All zero: the defaults. */
struct moonlet_options {
    /* Shared C stacks, 1 to 64; 0: the default, 64. */
    unsigned stacks;
    /* Bytes of each C stack, private ones too, MOONLET_LEAST_STACK at least; 0: the default, 8 MiB.
     * Only address space: the kernel adds pages as they are touched. Lua's limit of 200 nested C
     * calls needs up to 412 KB: with less than 512 KiB a script can overflow the stack, which ends
     * the process. */
    size_t stack_size;
    /* Do not read LUA_PATH and the like. */
    bool ignore_environment;
    /* Parts of the library that scripts do not get: MOONLET_OS and the like, added up. */
    unsigned without;
    /* Bytes that the Lua state may have at a time; 0: no limit. Beyond it the script gets Lua's
     * "not enough memory". */
    size_t memory_limit;
    /* Where the Lua state gets its memory (C stacks are not part of it); NULL: slabs of the
     * runtime's own. size 0 frees. Otherwise it returns a block of `size` bytes, aligned as
     * malloc's, moved if need be, or NULL with the old one unharmed. old_size: bytes of the block
     * so far, 0 for a new one. It is called on the runtime's thread, unless a C library takes it to
     * others (lua_getallocf()), and never after moonlet_close(), by which time all is given back.
     * It calls nothing of moonlet's and no Lua. */
    void *(*allocator)(void *context, void *block, size_t old_size, size_t size);
    void *allocator_context;
    /* Instructions of the virtual machine that a task may take between two waits or yields, in all
     * its coroutines and greenlets together; 0: no limit. Calls that return without a wait do not
     * count as waits. Each coroutine is charged 1,000 when it begins. A task that takes more is
     * ended as if cancelled, and reported; it cannot catch that. The limit makes Lua code about
     * twice as slow. Scripts have no finalizers (__gc) then, since Lua runs those unwatched. */
    unsigned long instruction_limit;
    /* The host's clock, in seconds, which only goes forward; NULL: the system's. moonlet_step() and
     * moonlet_run() read it, and sleeps and time limits of tasks follow it. When tasks unwind at
     * the end it runs at the system's pace. It calls nothing of moonlet's. */
    double (*clock)(void *context);
    void *clock_context;
    /* Gets a script's warnings, piece by piece as a lua_WarnFunction does; NULL: stderr, once they
     * are on. */
    void (*warn)(void *context, const char *text, int to_be_continued);
    void *warn_context;
    /* Leave the blocking calls of C libraries to libc. They are left to it in any case where the
     * program does not export libc's names (the program `moonlet` does). */
    bool no_interpose;
    /* The signal by which other threads of moonlet's interrupt the runtime's thread while it
     * computes, for what the options below need. 0: SIGURG; negative: none, and they do nothing. A
     * handler that the host has is called, too. System calls are restarted (SA_RESTART), and a
     * thread that waits in the kernel gets no signal. */
    int poke_signal;
    /* A task that has computed for so long lets others run, wherever its Lua code stands; 0: it
     * keeps the thread until it waits, yields or ends. At least 0.001. */
    double preempt;
    /* A warning names a task that has computed for so long while others could not run; 0: none. At
     * least 0.001. Ten a minute at most. It goes where `warn` says, to stderr without one. */
    double slow;
    /* Install a SIGSEGV handler that names the task whose C stack overflowed, then aborts. Changes
     * the process's signal action, unless SIGSEGV has a handler already. */
    bool report_overflow;
    /* Called with the text of each error that no code handles, without a newline at its end. The
     * text is valid until it returns. NULL: "name: text" goes to stderr. */
    void (*report)(void *context, const char *text);
    void *report_context;
    /* The name in front of such messages; NULL: "moonlet". The caller keeps it while the runtime
     * lives. */
    const char *name;
};

/* Exit status of moonlet_run() when every task waits and no event can wake one. */
#define MOONLET_DEADLOCK 70

/*
 * Makes a runtime with Lua's standard libraries and moonlet's modules. options: NULL for all
 * defaults. NULL with errno set: EINVAL, an option is out of its range; or the system has no room
 * for a runtime.
 */
MOONLET_API struct moonlet *moonlet_create(const struct moonlet_options *options);

/*
 * Sets the global `arg` as lua5.4 does: argv[script] becomes arg[0], those behind it arg[1] and so
 * on, those before it negative. 0, or -ENOMEM.
 */
MOONLET_API int moonlet_set_arguments(struct moonlet *m, int argc, char **argv, int script);

/*
 * These add a piece to the main chunk. moonlet_run() loads and calls the pieces in order, and ends
 * the main chunk at the first that fails. The strings are copied. 0, or -ENOMEM.
 *
 * - load_string: Lua source; chunk_name as for luaL_loadbuffer (with its "=" or "@").
 * - load_file: a file, called without arguments; NULL: standard input.
 * - load_script: the same, called with the values of `arg`.
 * - load_library: "mod" or "global=mod", required and stored in a global variable.
 */
MOONLET_API int moonlet_load_string(struct moonlet *m, const char *source, const char *chunk_name);
MOONLET_API int moonlet_load_file(struct moonlet *m, const char *path);
MOONLET_API int moonlet_load_script(struct moonlet *m, const char *path);
MOONLET_API int moonlet_load_library(struct moonlet *m, const char *library);

/* The same for `size` bytes of source, or of a precompiled chunk. */
MOONLET_API int moonlet_load_buffer(struct moonlet *m, const void *data, size_t size,
                                    const char *chunk_name);

/*
 * Runs the main chunk, in a task, and every task that it spawns, until the main chunk and all tasks
 * that are no daemons have ended. Then it cancels the daemons and gives them 5 s to unwind. May be
 * called again after more pieces were added. Not from inside a task. Returns the exit status:
 *
 * - 0;
 * - 1: the main chunk or a task failed and its error was reported;
 * - MOONLET_DEADLOCK;
 * - 128 plus the signal's number, after moonlet_interrupt();
 * - the status that the script gave os.exit(n, true).
 */
MOONLET_API int moonlet_run(struct moonlet *m);

/* Whether the script asked for the end of the program with os.exit(n, true). False for a runtime
 * that was closed. */
MOONLET_API bool moonlet_exit_asked(const struct moonlet *m);

/*
 * Ends the program: every task is cancelled, and moonlet_run() returns 128 plus the signal's
 * number. One exception: SIGINT, while the program's only task computes, raises the error
 * "interrupted!" there, as lua5.4 does, and the task may go on. Call it while moonlet_run() runs,
 * from any thread and from signal handlers; from another thread it takes effect when the running
 * task next waits. False for a runtime that was closed, and while an earlier interrupt is still
 * being served: the caller may want to end the process.
 */
MOONLET_API bool moonlet_interrupt(struct moonlet *m, int signal_number);

/*
 * Whether an interactive session is on (the module moonlet.repl, on a terminal). Then SIGINT is for
 * its current entry alone, and may come again and again. An entry that cannot be stopped that way
 * makes moonlet_interrupt() return false. From any thread and from signal handlers.
 */
MOONLET_API bool moonlet_is_interactive(const struct moonlet *m);

/*
 * Whether the program, or the entry of an interactive session, does nothing but os.execute. Then
 * keys are for the command, and a handler of SIGINT or SIGQUIT should do nothing, as system(3)
 * ignores these signals. (os.execute does not change the process's actions for SIGINT and SIGQUIT.)
 * From signal handlers of the runtime's own thread.
 */
MOONLET_API bool moonlet_is_in_shell(const struct moonlet *m);

/*
 * Whether a script of any runtime in this process listens to the signal (the module
 * moonlet.signal). A host's handler that was installed before is still called then; one that would
 * end the program asks this first, as the program moonlet does. From any thread and from signal
 * handlers.
 */
MOONLET_API bool moonlet_is_signal_open(int signal_number);

/*
 * Records from now on what happens to the runtime's tasks, into `size` bytes, 16 for each event; 0:
 * 1 MiB. Inside of tasks, too, as the three functions below.
 *
 * - 0;
 * - -EBUSY: that was begun before, maybe by the script;
 * - -EINVAL: more than 16 MiB; -ENOMEM; -EPERM: the runtime is without moonlet.inspect.
 */
MOONLET_API int moonlet_inspect_trace_start(struct moonlet *m, size_t size);

/*
 * *text becomes what was recorded in the last `seconds`, 0: all that is there, `*size` bytes of
 * JSON for ui.perfetto.dev, to be given to free(). The recording goes on. Does not wait.
 *
 * - 0;
 * - -ENODATA: nothing is recorded;
 * - -EINVAL: text or size is NULL; -ENOMEM; -EPERM.
 */
MOONLET_API int moonlet_inspect_trace_last(struct moonlet *m, double seconds, char **text,
                                           size_t *size);

/* Ends it; harmless if nothing is recorded. 0; -ENOMEM; -EPERM. */
MOONLET_API int moonlet_inspect_trace_stop(struct moonlet *m);

/*
 * *text becomes the metrics of the runtime and its script, `*size` bytes, to be given to free().
 * format: "prometheus" (NULL), "openmetrics" or "json". Some are measured from the first call on.
 * Runs functions of the script that give values. Does not wait.
 *
 * - 0;
 * - -EINVAL: an unknown format, text or size is NULL; -ENOMEM; -EPERM, as above.
 */
MOONLET_API int moonlet_inspect_metrics(struct moonlet *m, const char *format, char **text,
                                        size_t *size);

/* ---- looking inside ---- */

/*
 * Writes a dump of all tasks: in groups of equal stacks, with names, ages, states, what they wait
 * for and which task has to act, their calls, and where they were spawned. For people: the form may
 * change. write_text(context, text, size) is called for each piece of text, and may not call the
 * runtime. From the runtime's own thread, in a task or not, in one go: about 0.03 s for 100,000
 * tasks. Runs no code of scripts and does not wait. Without memory the text ends with a line that
 * says so. 0 or an error.
 */
MOONLET_API int moonlet_inspect_tasks(struct moonlet *m,
                                      void (*write_text)(void *context, const char *text,
                                                         size_t size),
                                      void *context);

/*
 * Asks for such a dump, and returns at once; the program goes on. It is given to `report`, or
 * written to standard error by a worker thread. A task makes it, and lets others run meanwhile. If
 * the running task computes for more than 20 ms, its next Lua instruction makes the dump, in one
 * go. From any thread and from signal handlers; from another thread a task that computes is not
 * interrupted. The program `moonlet` does this for SIGQUIT. False for a runtime that was closed.
 */
MOONLET_API bool moonlet_inspect_dump(struct moonlet *m);

/* ---- inside a host's own loop ---- */

/*
 * Instead of moonlet_run(): starts the main chunk, if pieces were added, and returns. The host then
 * calls moonlet_step() again and again. 0; -ENOMEM; -MOONLET_ERUNNING: a main chunk that was
 * started before is still running. Not from inside a task.
 */
MOONLET_API int moonlet_start(struct moonlet *m);

/*
 * Waits for an event, `max_wait` at most (0: not at all), then runs tasks until all wait or
 * `max_run` is over. A task that computes is not interrupted. 1: tasks are left that are no
 * daemons; 0: none. A call with nothing to do and a max_wait of 0 costs one system call. Not from
 * inside a task.
 */
MOONLET_API int moonlet_step(struct moonlet *m, double max_wait, double max_run);

/*
 * Steps until done(context), called after each step, is true, or no tasks are left, or `limit`
 * seconds are over. 1: done; 0: no tasks are left; -ETIMEDOUT. Not from inside a task.
 */
MOONLET_API int moonlet_run_until(struct moonlet *m, bool (*done)(void *context), void *context,
                                  double limit);

/*
 * The exit status that moonlet_run() would return if the program ended now, for the time since the
 * last moonlet_start() or moonlet_run(). Negative: an error.
 */
MOONLET_API int moonlet_exit_status(const struct moonlet *m);

/*
 * Asks every task, daemons included, to end; the runtime stays open and takes new ones. Outside of
 * tasks it then runs them for `limit` seconds at most. A task, which cancels itself too, must give
 * a `limit` of 0 (-MOONLET_EINTASK). The number of tasks that have not ended, or an error.
 */
MOONLET_API int moonlet_cancel_all(struct moonlet *m, double limit);

/*
 * A descriptor that becomes readable when moonlet_step() has something to do: a descriptor that a
 * task waits for is ready, a time has come, a task can run. It belongs to the runtime. Watch it
 * (level-triggered) and step. Negative: an error.
 */
MOONLET_API int moonlet_fd(struct moonlet *m);

/*
 * Gives the runtime to a libev loop: while the loop runs, tasks do, for `max_run` at a time. `loop`
 * is a struct ev_loop *; NULL takes the runtime out again. The runtime does not keep the loop
 * alive. 0 or an error.
 */
MOONLET_API int moonlet_attach(struct moonlet *m, void *loop, double max_run);

/* The Lua state, to give scripts functions and values of the host's: outside of tasks, with Lua's
 * stack left as it was. It must run no script and no call that waits. NULL: wrong use. */
MOONLET_API struct lua_State *moonlet_lua(struct moonlet *m);

/* The runtime that runs a Lua function. L: a state of moonlet's, or NULL, which gives NULL. */
MOONLET_API struct moonlet *moonlet_of(struct lua_State *L);

/* ---- tasks ---- */

/* A task, as the host sees it. */
struct moonlet_task;

/* The body of a task of C. moonlet_join() gives its result: 0 or more, or a negative error. No C++
 * exception may leave it. */
typedef int moonlet_function(struct moonlet *m, void *argument);

/*
 * Makes a task of a C function. It runs from the next moonlet_run() or moonlet_step() on; if called
 * in a task, soon. name: shown in messages, NULL: none. *task, unless `task` is NULL, becomes its
 * handle, to be released. 0 or an error.
 */
MOONLET_API int moonlet_spawn(struct moonlet *m, const char *name, moonlet_function *function,
                              void *argument, struct moonlet_task **task);

/* The same for a Lua function on top of L's stack, below its `count` arguments; all are popped,
 * also with -ENOMEM. L: moonlet_lua(), or the state on which a C function of the host's was called.
 * -EINVAL, with nothing popped: L is another runtime's, or has fewer values. */
MOONLET_API int moonlet_spawn_lua(struct moonlet *m, struct lua_State *L, int count,
                                  struct moonlet_task **task);

/*
 * Waits until the task has ended. May suspend. Also from outside of tasks, for a task that has
 * ended. result: NULL is allowed.
 *
 * - 0: its function's result is in *result (for a Lua function: 0);
 * - -MOONLET_EFAILED: it ended with an error;
 * - -ECANCELED: it, or the caller, was cancelled;
 * - -ETIMEDOUT;
 * - -EDEADLK: it is the caller itself.
 */
MOONLET_API int moonlet_join(struct moonlet_task *task, double limit, int *result);

/* Asks it to end: the call that it waits in, and every later one, returns -ECANCELED, or raises in
 * Lua. 0 or an error. */
MOONLET_API int moonlet_cancel(struct moonlet_task *task);

/*
 * Calls a function of the script's in a task of its own, and waits for its end. In a task this may
 * suspend; outside of tasks all tasks of the runtime run meanwhile.
 *
 * - name: of the function, "on_hit" or "game.on_hit", found among the globals (without metamethods:
 *   no code of the script's runs outside of the task). NULL: the function itself stands on top of
 *   L's stack, below its arguments.
 * - L: as for moonlet_spawn_lua().
 * - arguments: how many values on top of its stack are for the function. They, and the function,
 *   are popped.
 * - results: how many results to push on L, adjusted as by lua_call(); -1: all.
 *
 * Returns the number of results, now on L, or an error, with nothing pushed unless said otherwise.
 * A call that has not ended by then has been cancelled, and unwinds as the runtime runs on.
 *
 * - -MOONLET_EFAILED: it failed; the error value is pushed, and not reported;
 * - -ENOENT: there is no function of that name;
 * - -ETIMEDOUT: `limit` is over;
 * - -ECANCELED: the call or its caller was cancelled;
 * - -EDEADLK: it waits for an event that can never come;
 * - errors of moonlet_join() and moonlet_run_until().
 */
MOONLET_API int moonlet_call(struct moonlet *m, struct lua_State *L, const char *name,
                             int arguments, int results, double limit);

/* Gives the handle back; the task goes on. NULL is allowed. Also after moonlet_close(). 0, or
 * -MOONLET_ETHREAD with nothing done. */
MOONLET_API int moonlet_release(struct moonlet_task *task);

/* ---- waiting: only in tasks, at any depth of C calls ----
 *
 * Each may suspend, and gives -ECANCELED when the task is cancelled, before it would wait. A C
 * function called by Lua then returns soon, whatever it returns: Lua raises the cancellation. */

/* Waits that long; 0 or less: as moonlet_yield(). 0, or -ECANCELED. */
MOONLET_API int moonlet_sleep(struct moonlet *m, double seconds);

/* Lets all tasks run that can. 0, or -ECANCELED. */
MOONLET_API int moonlet_yield(struct moonlet *m);

#define MOONLET_READABLE 1
#define MOONLET_WRITABLE 2

/*
 * Waits until the descriptor is ready for one of `events`, added up.
 *
 * - the events it is ready for (after an error or a hang-up: all of `events`);
 * - -ETIMEDOUT;
 * - -EBADF;
 * - -EINVAL: `events` has neither.
 */
MOONLET_API int moonlet_wait_fd(struct moonlet *m, int fd, int events, double limit);

/* ---- promises: a callback's value, waited for ---- */

/* A value that a callback will give once. */
struct moonlet_promise;

/* NULL with errno set: no memory, or wrong use (errno is then ECANCELED or an error as above). */
MOONLET_API struct moonlet_promise *moonlet_promise_new(struct moonlet *m);

/*
 * Keeps the promise with a value: tasks that wait for it go on. From any thread and any callback,
 * not from signal handlers; also after moonlet_close(). 0, or -EALREADY: it was kept before.
 */
MOONLET_API int moonlet_promise_keep(struct moonlet_promise *promise, void *value);

/* Waits for the value; any number of tasks may, any number of times. 0 with *value set, -ETIMEDOUT,
 * or -ECANCELED. May suspend. value: NULL is allowed. */
MOONLET_API int moonlet_promise_await(struct moonlet_promise *promise, double limit, void **value);

/* Adds an owner; each owner releases the promise once. From any thread. NULL is allowed. */
MOONLET_API struct moonlet_promise *moonlet_promise_retain(struct moonlet_promise *promise);
MOONLET_API void moonlet_promise_release(struct moonlet_promise *promise);

/* ---- channels of pointers between tasks of C ---- */

/* Pointers on their way from task to task. */
struct moonlet_channel;

/* capacity: how many it holds before put() waits, 1 at least. NULL with errno set. */
MOONLET_API struct moonlet_channel *moonlet_channel_new(struct moonlet *m, unsigned capacity);

/* First come, first served. May suspend, unless the limit is 0; only in tasks. 0, -ETIMEDOUT,
 * -ECANCELED, or -MOONLET_ECLOSED: it is closed, and for get() also empty. */
MOONLET_API int moonlet_channel_put(struct moonlet_channel *channel, void *value, double limit);
MOONLET_API int moonlet_channel_get(struct moonlet_channel *channel, void **value, double limit);

/* Nothing more comes in; values that are in the channel can be got. Wakes all tasks that wait. NULL
 * is allowed. 0, -MOONLET_ETHREAD, or -MOONLET_ECLOSED for a runtime that was closed. */
MOONLET_API int moonlet_channel_close(struct moonlet_channel *channel);

/* Closes and frees it. Tasks that wait are woken with -MOONLET_ECLOSED. The caller disposes of the
 * pointers in it. NULL is allowed; also after moonlet_close(). 0, or -MOONLET_ETHREAD with nothing
 * done. */
MOONLET_API int moonlet_channel_free(struct moonlet_channel *channel);

/* ---- channels between threads ---- */

/* A channel of moonlet.thread: values on their way between the tasks of any runtime, and threads of
 * the host's that have none. The host puts and gets strings of bytes. */
struct moonlet_thread_channel;

/* capacity: how many values it holds before put() waits; 0: each put meets a get. The caller is an
 * owner. Needs no runtime. NULL: no memory. */
MOONLET_API struct moonlet_thread_channel *moonlet_thread_channel_new(unsigned capacity);

/* Adds an owner; each owner releases it once, the last one frees it with the values in it. From any
 * thread. NULL is allowed. */
MOONLET_API struct moonlet_thread_channel *moonlet_thread_channel_retain(
    struct moonlet_thread_channel *channel);
MOONLET_API void moonlet_thread_channel_release(struct moonlet_thread_channel *channel);

/* Pushes the channel on L, as an object of moonlet.thread for scripts. L: as for
 * moonlet_spawn_lua(). 0; -ENOMEM; -EINVAL: L is another runtime's. */
MOONLET_API int moonlet_thread_channel_push(struct moonlet *m, struct lua_State *L,
                                            struct moonlet_thread_channel *channel);

/*
 * Puts a copy of the bytes, which scripts get as a string; gets a string that a script or a host
 * has put, *size bytes and a zero byte behind them, to be freed with free(). From any thread: a
 * task may suspend, a thread that runs no task blocks.
 *
 * - 0;
 * - -MOONLET_ECLOSED: it is closed, and for get() also empty;
 * - -ETIMEDOUT, -ECANCELED, -ENOMEM: nothing was put or got;
 * - -EBADMSG: the value that was got is no string, and is lost.
 */
MOONLET_API int moonlet_thread_channel_put(struct moonlet_thread_channel *channel, const void *data,
                                           size_t size, double limit);
MOONLET_API int moonlet_thread_channel_get(struct moonlet_thread_channel *channel, char **data,
                                           size_t *size, double limit);

/* Nothing more comes in, from any thread; values that are in the channel can be got. Never waits.
 * NULL is allowed. */
MOONLET_API void moonlet_thread_channel_close(struct moonlet_thread_channel *channel);

/* ---- handlers of HTTP in C ---- */

/* A request that a handler of the host's answers. Valid until the handler returns, in its task. */
struct moonlet_request;

/* A field of an answer, such as {"content-type", "image/png"}. Texts end with a zero byte. */
struct moonlet_field {
    const char *name;
    const char *value;
};

/*
 * Answers a request. It runs in the request's task: the functions below, and those for tasks above,
 * may suspend in it. No C++ exception may leave it. 0: it has answered. A negative error: it has
 * not; that is reported, and answered with 500, or the answer that was begun is cut off.
 */
typedef int moonlet_handler(struct moonlet_request *request, void *context);

/*
 * Pushes the handler on L as a Lua function, which http.serve(), http.server() and routers of
 * moonlet.http take as one of theirs. L: as for moonlet_spawn_lua(). 0; -ENOMEM; -EINVAL: L is
 * another runtime's.
 */
MOONLET_API int moonlet_push_handler(struct moonlet *m, struct lua_State *L,
                                     moonlet_handler *handler, void *context);

/* Parts of a request, for moonlet_request_part(). */
#define MOONLET_METHOD 1 /* "GET" */
#define MOONLET_TARGET 2 /* as it was sent */
#define MOONLET_PATH 3   /* the target's path, never decoded */
#define MOONLET_QUERY 4  /* what follows the "?", never decoded */
#define MOONLET_HOST 5   /* with the port, if one was sent */

/* The bytes of a part, *size of them, without a zero byte at their end; NULL: it has none. */
MOONLET_API const char *moonlet_request_part(const struct moonlet_request *request, int part,
                                             size_t *size);

/* Likewise the value of the first field of that name, letters in any case. */
MOONLET_API const char *moonlet_request_field(const struct moonlet_request *request,
                                              const char *name, size_t *size);

/*
 * Reads what is there of the body, at most `size` bytes: how many, 0 at its end. May suspend.
 *
 * - -EMSGSIZE: it is larger than the server allows;
 * - -EPROTO: its framing is wrong;
 * - -ETIMEDOUT, -ECANCELED, -ECONNRESET: it will not come.
 */
MOONLET_API int moonlet_request_read(struct moonlet_request *request, void *buffer, size_t size);

/*
 * Answers as a whole: a status from 200 to 599, `count` fields, a body of `size` bytes. Fields that
 * frame a message are left out. May suspend. 0;
 *
 * - -EINVAL, with nothing sent: a status or a field that cannot be sent, or a body with 204 or 304;
 * - -EALREADY: the answer was begun;
 * - -EPIPE, -ETIMEDOUT, -ECANCELED: the peer does not get it.
 */
MOONLET_API int moonlet_request_answer(struct moonlet_request *request, int status,
                                       const struct moonlet_field *fields, int count,
                                       const void *body, size_t size);

/* The same in parts: the head, and pieces of the body. The end is where the handler returns 0. */
MOONLET_API int moonlet_request_begin(struct moonlet_request *request, int status,
                                      const struct moonlet_field *fields, int count);
MOONLET_API int moonlet_request_write(struct moonlet_request *request, const void *data,
                                      size_t size);

/* Whether the peer has left. */
MOONLET_API bool moonlet_request_gone(const struct moonlet_request *request);

/* ---- a view inside ---- */

/* All zero: the defaults. */
struct moonlet_profile_options {
    /* "cpu": the time in which the thread computes; "wall": also what all tasks wait for; NULL:
     * "cpu". */
    const char *mode;
    /* Samples for each second of CPU time, up to 1000; 0: 100. */
    unsigned hz;
    /* The outermost frame of a stack is its task. */
    bool by_task;
    /* Each line of a function is a frame of its own. */
    bool lines;
};

/*
 * Begins a profile of the runtime, one at a time. It takes SIGPROF: timers of the CPU clock send it
 * to this thread alone, and only while that computes. options: NULL for all defaults. Inside of
 * tasks, too.
 *
 * - 0;
 * - -EALREADY: a profile is being taken, maybe by the script;
 * - -EBUSY: SIGPROF has a handler of other code, or another runtime of this thread has a profile;
 * - -EINVAL: an option is out of its range; -ENOMEM, -EAGAIN.
 */
MOONLET_API int moonlet_inspect_profile_start(struct moonlet *m,
                                              const struct moonlet_profile_options *options);

/*
 * Ends it. *text becomes what was measured, `*size` bytes, to be given to free(). format: "svg", a
 * flame graph; "folded", lines for flamegraph.pl; "speedscope"; "pprof", gzipped; NULL: nothing is
 * wanted. Inside of tasks, too.
 *
 * - 0 or more: the number of samples;
 * - -ENODATA: no profile was begun; -ECHILD: it belongs to the parent of this process;
 * - -EINVAL: an unknown format; -EOPNOTSUPP: "pprof", and zlib is not installed; -ENOMEM. The
 *   profile has ended all the same.
 */
MOONLET_API int moonlet_inspect_profile_stop(struct moonlet *m, const char *format, char **text,
                                             size_t *size);

/* ---- looking inside ---- */

/*
 * Has the runtime inspected, by a thread of its own that lives as long as the runtime: `moonlet
 * --attach PID`, a browser. address: "unix:PATH"; "HOST:PORT" or ":PORT" of this machine, whose URL
 * with a token goes to standard error; NULL: a Unix socket that --attach finds. Not from inside a
 * task. It may be called for several addresses.
 *
 * - 0;
 * - -EINVAL, -EACCES: no such address, or one that other machines reach;
 * - -EADDRINUSE and other errors of the system;
 * - -EPERM: the runtime is without MOONLET_NET or MOONLET_DEBUG.
 */
MOONLET_API int moonlet_inspect_listen(struct moonlet *m, const char *address);

/* ---- workers ---- */

/* Processes of one program that share what their scripts listen on. All zero but `count` and
 * `arguments`: the defaults. */
struct moonlet_workers {
    unsigned count;                  /* of workers, 1 to 1024 */
    char *const *arguments;          /* of the program, as main() has them */
    bool reuseport;                  /* each listener has a queue for each worker */
    unsigned long long max_requests; /* a worker that has answered so many is replaced; 0: never */
    size_t max_rss;                  /* the same for bytes in memory */
    double grace;                    /* seconds that a worker has to drain; 0: 30 */
    double boot;                     /* seconds within which one must be ready; 0: 60 */
    double tickets;   /* keys of TLS sessions change after so many seconds; 0: 7200 */
    double stuck;     /* one whose tasks have not run for so long is killed; 0: 10; negative:
                         never */
    const char *name; /* in front of messages on stderr; NULL: "moonlet" */
};

/*
 * To be called at the begin of main(), before other threads are started. In the process that the
 * user has started it runs the master: it starts `count` processes of the same program with the
 * same arguments, and watches over them until it is stopped. In those processes it returns at once;
 * the first runtime that they create is a worker's.
 *
 * - 1: this is a worker;
 * - 0: this was the master: exit with *status;
 * - -EINVAL and other errors: the master could not begin.
 */
MOONLET_API int moonlet_workers_run(const struct moonlet_workers *workers, int *status);

/* ---- the end ---- */

/*
 * Cancels the tasks that are left, gives them 5 s to unwind, closes the Lua state and frees all.
 * NULL is allowed.
 *
 * - 0;
 * - -MOONLET_EINTASK with nothing done: a task called it;
 * - -MOONLET_ERUNNING: a callback of moonlet_run() or the like called it;
 * - -MOONLET_ETHREAD;
 * - -MOONLET_ECLOSED.
 */
MOONLET_API int moonlet_close(struct moonlet *m);

/* The version of the library and of Lua, "moonlet 0.1.0" and "Lua 5.4.4 ...". Static. */
MOONLET_API const char *moonlet_version(void);
MOONLET_API const char *moonlet_lua_version(void);

#ifdef __cplusplus
}
#endif

#endif
