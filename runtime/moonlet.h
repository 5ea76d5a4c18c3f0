/*
 * moonlet: a Lua 5.4 runtime with green threads. This is the whole public interface of libmoonlet.
 *
 * A runtime belongs to the thread that created it: every function here is called from that thread
 * unless it says otherwise. A process may have many runtimes, on as many threads.
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

struct moonlet_options {
    /* Shared C stacks, 1 to 64; 0: the default, 64. */
    unsigned stacks;
    /* Bytes of each C stack, private ones too; 0: the default, 8 MiB. Only address space: the
     * kernel fills in pages as they are touched. */
    size_t stack_size;
    /* Do not read LUA_PATH and its like. */
    bool ignore_environment;
    /* Leave the blocking calls of C libraries to libc. Where the program does not export libc's names (the program
     * `moonlet` does) they are left to it in any case. */
    bool no_interpose;
    /* Install a SIGSEGV handler that names the task whose C stack overflowed, then aborts. Changes
     * the process's signal action, unless somebody else handles SIGSEGV already. */
    bool report_overflow;
    /* Called with the text of each error that nobody handles, without a newline at its end; the
     * text is the callee's until it returns. NULL: "name: text" on stderr. */
    void (*report)(void *context, const char *text);
    void *report_context;
    /* The name before such messages; NULL: "moonlet". Kept by the caller while the runtime lives. */
    const char *name;
};

/* Exit status of moonlet_run() when every task waits and nothing can ever wake one. */
#define MOONLET_DEADLOCK 70

/*
 * Makes a runtime with Lua's standard libraries and moonlet's modules. options: NULL for all
 * defaults. NULL, with errno set, when the system has no room for one.
 */
MOONLET_API struct moonlet *moonlet_create(const struct moonlet_options *options);

/*
 * Sets the global `arg` as lua5.4 does: argv[script] becomes arg[0], those behind it arg[1] and so
 * on, those before it negative. 0, or -ENOMEM.
 */
MOONLET_API int moonlet_set_arguments(struct moonlet *m, int argc, char **argv, int script);

/*
 * These four add a piece to the main chunk; moonlet_run() loads and calls the pieces in order, and
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

/*
 * Runs the main chunk, in a task, and every task that it spawns, until the main chunk and all that
 * are no daemons have ended; then cancels the daemons and gives them 5 s to unwind. Returns the exit
 * status: 0; 1 when the main chunk or a task failed and its error was reported; MOONLET_DEADLOCK;
 * 128 plus the signal's number after moonlet_interrupt(); or what the script gave os.exit(n, true).
 * May be called again after more pieces were added. Not from inside a task.
 */
MOONLET_API int moonlet_run(struct moonlet *m);

/* Whether the script asked for the end of the program with os.exit(n, true). */
MOONLET_API bool moonlet_exit_asked(const struct moonlet *m);

/*
 * Ends what runs: every task is cancelled, moonlet_run() returns 128 plus the signal's number. Only
 * with SIGINT, and if the program is one task that computes, that gets the error "interrupted!", as
 * from lua5.4, and may go on. False when an earlier one is still being served: the caller may want to
 * end the process. While moonlet_run() is on, from any thread and from signal handlers; from another
 * thread it is heeded when the running task next waits.
 */
MOONLET_API bool moonlet_interrupt(struct moonlet *m, int signal_number);

/*
 * Cancels the tasks that are left, gives them 5 s to unwind, closes the Lua state and frees all.
 * NULL is allowed. Not from inside a task.
 */
MOONLET_API void moonlet_close(struct moonlet *m);

/* The version of the library and of Lua, "moonlet 0.1.0" and "Lua 5.4.4 ...". Static. */
MOONLET_API const char *moonlet_version(void);
MOONLET_API const char *moonlet_lua_version(void);

#ifdef __cplusplus
}
#endif

#endif
