/*
 * Starts a program in a new process. Everything but the program, its descriptors and what is asked
 * for is as when this process began: the mask and the handling of signals are those of
 * system/signal/start_state.h, and no descriptor of this process is passed on but the three and one
 * more that may be named.
 *
 * The new process borrows this one's memory until it runs the program, as with vfork(): the cost
 * does not grow with the memory in use. The calling thread stands still meanwhile.
 * measured: see docs/performance.md, children.
 */
#ifndef ML_SYSTEM_PROCESS_SPAWN_H
#define ML_SYSTEM_PROCESS_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where a start failed. */
enum ml_spawn_step {
    ML_SPAWN_PROCESS,    /* making the process */
    ML_SPAWN_GROUP,      /* its group or session */
    ML_SPAWN_FILES,      /* its descriptors */
    ML_SPAWN_TERMINAL,   /* its controlling terminal */
    ML_SPAWN_LIMIT,      /* setrlimit() */
    ML_SPAWN_USER,       /* setgroups(), setgid(), setuid() */
    ML_SPAWN_DIRECTORY,  /* chdir() */
    ML_SPAWN_PROGRAM,    /* execve() */
    ML_SPAWN_INTERPRETER /* the file is there, but not what its first line, or its header, names */
};

enum ml_spawn_group {
    ML_SPAWN_SAME_GROUP, /* this process's */
    ML_SPAWN_NEW_GROUP,  /* its own, whose number is the process's */
    ML_SPAWN_NEW_SESSION /* the same, in a session of its own */
};

#define ML_SPAWN_NO_LIMIT UINT64_MAX

/* A standard file that is passed on if it is open and without FD_CLOEXEC. */
enum { ML_SPAWN_CLOSED = -1, ML_SPAWN_INHERIT = -2 };

/* The number of the one descriptor that may be passed on besides the standard files. */
enum { ML_SPAWN_PASSED = 3 };

/* As setrlimit() counts them; ML_SPAWN_NO_LIMIT: as this process has it. */
struct ml_spawn_limits {
    uint64_t memory; /* bytes of address space */
    uint64_t cpu;    /* seconds: then SIGXCPU, a second later SIGKILL */
    uint64_t files;  /* descriptors */
};

#define ML_SPAWN_NO_LIMITS                                                                         \
    ((struct ml_spawn_limits){ML_SPAWN_NO_LIMIT, ML_SPAWN_NO_LIMIT, ML_SPAWN_NO_LIMIT})

struct ml_spawn_user {
    uid_t user;
    gid_t group;
    const gid_t *groups; /* the supplementary ones */
    size_t count;        /* of groups */
};

struct ml_spawn {
    const char *const *paths;       /* tried in turn, as execvp() does; ends with NULL, not empty */
    const char *const *arguments;   /* ends with NULL */
    const char *const *environment; /* ends with NULL */
    const char *directory;          /* NULL: this process's */
    int files[3];                   /* descriptors that become 0, 1 and 2; or one of the above */
    int passed;                     /* becomes descriptor ML_SPAWN_PASSED; 0: none */
    int terminal; /* becomes the controlling terminal of a new session; -1: none */
    enum ml_spawn_group group;
    struct ml_spawn_limits limits;
    const struct ml_spawn_user *user; /* NULL: as this process */
    const uint64_t *mask; /* of blocked signals, as the kernel has it; NULL: that of the start */
    bool is_plain; /* as posix_spawn() does: the mask and the ignored signals are those of now, and
                      the other descriptors without FD_CLOEXEC are passed on */
    bool may_wait; /* the running task may be parked (system/process/spawn_beside.h) */
    bool is_unwatched; /* no pidfd is made, and no descriptor needed */
};

/* Commands that a shell runs for os.execute and io.popen: as those of the C library. The path, the
 * arguments and the environment are to be filled in. */
#define ML_SPAWN_AS_LIBC                                                                           \
    ((struct ml_spawn){.files = {ML_SPAWN_INHERIT, ML_SPAWN_INHERIT, ML_SPAWN_INHERIT},            \
                       .terminal = -1,                                                             \
                       .limits = ML_SPAWN_NO_LIMITS,                                               \
                       .is_plain = true,                                                           \
                       .is_unwatched = true})

struct ml_spawned {
    pid_t pid;
    int pidfd; /* the caller's; close-on-exec; -1: not asked for */
    /* After a failure: */
    enum ml_spawn_step step;
    size_t path; /* for the last two steps: the index of the path */
};

/* 0, or a negated errno: then there is no process. Takes no lock, allocates no heap memory. */
int ml_spawn(const struct ml_spawn *what, struct ml_spawned *child);

/* The same for a text that the shell runs, with the environment of this process. Returns the number
 * of the process or a negated errno. */
pid_t ml_spawn_shell(struct ml_spawn what, const char *text);

/* Whether there is a file at `path` that this process may run. */
bool ml_program_is_at(const char *path);

#endif
