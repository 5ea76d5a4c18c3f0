#include "system/process/spawn.h"

#include "system/signal/start_state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The functions marked IN_CHILD run in the new process on the parent's memory. They make plain
 * system calls: the C library's functions may take locks, or, as setuid() does, act on all threads
 * of the parent. They are not instrumented, since the instrumentation would take their frames for
 * the parent's.
 */
#define IN_CHILD                                                                                   \
    __attribute__((no_sanitize("address"), no_sanitize("undefined"), no_sanitize("thread")))

/* measured: the deepest call of the child needs less than 2 KiB. */
enum { CHILD_STACK = 32 * 1024 };

struct start {
    const struct ml_spawn *what;
    struct ml_spawned *child;
    int error;
    uint64_t mask; /* of this thread */
};

/* ---- in the child ---- */

static IN_CHILD int fail(struct start *start, enum ml_spawn_step step, int error)
{
    start->child->step = step;
    start->error = -error;
    return -1;
}

/* What the kernel calls struct sigaction; the same on all machines but for what follows. */
struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

static IN_CHILD bool is_ignored_now(int signal)
{
    struct kernel_sigaction now = {.handler = SIG_DFL};
    syscall(SYS_rt_sigaction, signal, NULL, &now, sizeof now.mask);
    return now.handler == SIG_IGN;
}

/* Before the first signal is let in: a handler would run on the parent's memory. */
static IN_CHILD void restore_handling(const struct start *start)
{
    for (int signal = 1; signal <= ML_SIGNALS; signal++) {
        bool is_ignored = start->what->is_plain
                              ? is_ignored_now(signal)
                              : ml_start_state_has(ml_start_state->ignored, signal);
        struct kernel_sigaction action = {.handler = is_ignored ? SIG_IGN : SIG_DFL};
        if (signal != SIGKILL && signal != SIGSTOP)
            syscall(SYS_rt_sigaction, signal, &action, NULL, sizeof action.mask);
    }
}

static IN_CHILD int join_group(struct start *start)
{
    long result = 0;
    if (start->what->group == ML_SPAWN_NEW_SESSION)
        result = syscall(SYS_setsid);
    else if (start->what->group == ML_SPAWN_NEW_GROUP)
        result = syscall(SYS_setpgid, 0, 0);
    return result >= 0 ? 0 : fail(start, ML_SPAWN_GROUP, errno);
}

static IN_CHILD int take_terminal(struct start *start)
{
    int fd = start->what->terminal;
    bool is_done = fd < 0 || syscall(SYS_ioctl, fd, TIOCSCTTY, 0) == 0;
    return is_done ? 0 : fail(start, ML_SPAWN_TERMINAL, errno);
}

/* Lets `fd` be number `number` of the program. */
static IN_CHILD bool put_file(int fd, int number)
{
    if (fd == ML_SPAWN_INHERIT)
        return true;
    if (fd == ML_SPAWN_CLOSED)
        return syscall(SYS_close, number) == 0 || errno == EBADF;
    if (fd == number)
        return syscall(SYS_fcntl, fd, F_SETFD, 0) == 0;
    return syscall(SYS_dup3, fd, number, 0) >= 0;
}

static IN_CHILD void close_others(unsigned least)
{
    enum { MOST_PLAUSIBLE = 65536 };
    if (syscall(SYS_close_range, least, ~0U, 0) == 0)
        return;
    struct rlimit limit = {.rlim_cur = MOST_PLAUSIBLE};
    syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
    if (limit.rlim_cur > MOST_PLAUSIBLE)
        limit.rlim_cur = MOST_PLAUSIBLE;
    for (unsigned fd = least; fd < limit.rlim_cur; fd++)
        syscall(SYS_close, fd);
}

/* First moves those away that stand where another one is to be. */
static IN_CHILD int put_files(struct start *start)
{
    int files[3];
    bool is_done = true;
    for (int i = 0; i < 3 && is_done; i++) {
        files[i] = start->what->files[i];
        if (files[i] < 0 || files[i] > STDERR_FILENO || files[i] == i)
            continue;
        files[i] = (int)syscall(SYS_fcntl, files[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        is_done = files[i] >= 0;
    }
    for (int i = 0; i < 3 && is_done; i++)
        is_done = put_file(files[i], i);
    int passed = start->what->passed;
    if (is_done && passed > 0)
        is_done = put_file(passed, ML_SPAWN_PASSED);
    if (!is_done)
        return fail(start, ML_SPAWN_FILES, errno);
    if (!start->what->is_plain)
        close_others(passed > 0 ? ML_SPAWN_PASSED + 1 : ML_SPAWN_PASSED);
    return 0;
}

static IN_CHILD bool set_limit(int resource, uint64_t soft, uint64_t hard)
{
    struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
    return soft == ML_SPAWN_NO_LIMIT || syscall(SYS_prlimit64, 0, resource, &limit, NULL) == 0;
}

static IN_CHILD int set_limits(struct start *start)
{
    const struct ml_spawn_limits *limits = &start->what->limits;
    bool is_done = set_limit(RLIMIT_AS, limits->memory, limits->memory) &&
                   set_limit(RLIMIT_CPU, limits->cpu, limits->cpu + 1) &&
                   set_limit(RLIMIT_NOFILE, limits->files, limits->files);
    return is_done ? 0 : fail(start, ML_SPAWN_LIMIT, errno);
}

static IN_CHILD int become_user(struct start *start)
{
    const struct ml_spawn_user *user = start->what->user;
    bool is_done =
        user == NULL || (syscall(SYS_setgroups, user->count, user->groups) == 0 &&
                         syscall(SYS_setresgid, user->group, user->group, user->group) == 0 &&
                         syscall(SYS_setresuid, user->user, user->user, user->user) == 0);
    return is_done ? 0 : fail(start, ML_SPAWN_USER, errno);
}

static IN_CHILD int enter_directory(struct start *start)
{
    const char *directory = start->what->directory;
    bool is_done = directory == NULL || syscall(SYS_chdir, directory) == 0;
    return is_done ? 0 : fail(start, ML_SPAWN_DIRECTORY, errno);
}

/* Whether another path may be better after this error. */
static IN_CHILD bool may_be_elsewhere(int error)
{
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == ENODEV ||
           error == ESTALE || error == ETIMEDOUT || error == ENAMETOOLONG || error == ELOOP;
}

/* Returns only if no path can be run. Of several failures EACCES says the most. */
static IN_CHILD int run_program(struct start *start)
{
    const struct ml_spawn *what = start->what;
    int error = ENOENT, last = ENOENT;
    for (size_t i = 0; what->paths[i] != NULL && may_be_elsewhere(last); i++) {
        syscall(SYS_execve, what->paths[i], what->arguments, what->environment);
        last = errno;
        if (last == ENOENT && syscall(SYS_faccessat, AT_FDCWD, what->paths[i], F_OK) == 0) {
            start->child->path = i;
            return fail(start, ML_SPAWN_INTERPRETER, ENOENT);
        }
        if (what->paths[1] == NULL || last == EACCES || !may_be_elsewhere(last)) {
            error = last;
            start->child->path = i;
        }
    }
    return fail(start, ML_SPAWN_PROGRAM, error);
}

/* The mask is the last: no signal has been let in before. */
static IN_CHILD int run_child(void *argument)
{
    struct start *start = argument;
    restore_handling(start);
    if (join_group(start) == 0 && take_terminal(start) == 0 && put_files(start) == 0 &&
        set_limits(start) == 0 && become_user(start) == 0 && enter_directory(start) == 0) {
        const uint64_t *mask = start->what->is_plain ? &start->mask : &ml_start_state->mask;
        if (start->what->mask != NULL)
            mask = start->what->mask;
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, NULL, sizeof *mask);
        run_program(start);
    }
    syscall(SYS_exit, 127);
    return 0;
}

/* ---- in the parent ---- */

/* A kernel before 5.2 has no CLONE_PIDFD and leaves the descriptor as it is. */
static int make_process(struct start *start, char *stack)
{
    struct ml_spawned *child = start->child;
    bool is_watched = !start->what->is_unwatched;
    int flags = CLONE_VM | CLONE_VFORK | SIGCHLD | (is_watched ? CLONE_PIDFD : 0);
    child->pidfd = -1;
    child->pid = clone(run_child, stack + CHILD_STACK, flags, start, &child->pidfd);
    if (child->pid < 0)
        return -errno;
    if (is_watched && child->pidfd < 0 && start->error == 0)
        child->pidfd = pidfd_open(child->pid, 0);
    return 0;
}

/* Waits for a child that could not run its program. It has ended already. */
static void reap(const struct ml_spawned *child)
{
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    if (child->pidfd >= 0)
        close(child->pidfd);
}

int ml_spawn(const struct ml_spawn *what, struct ml_spawned *child)
{
    struct start start = {.what = what, .child = child};
    uint64_t all = ~(uint64_t)0;
    int saved = errno;
    child->step = ML_SPAWN_PROCESS;
    child->path = 0;
    char *stack = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return -ENOMEM;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &start.mask, sizeof all);
    int error = make_process(&start, stack);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &start.mask, NULL, sizeof start.mask);
    munmap(stack, CHILD_STACK);
    if (error == 0 && start.error != 0) {
        reap(child);
        error = start.error;
    }
    errno = saved;
    return error;
}

pid_t ml_spawn_shell(struct ml_spawn what, const char *text)
{
    static const char *const paths[] = {"/bin/sh", NULL};
    const char *const arguments[] = {"sh", "-c", "--", text, NULL};
    struct ml_spawned child;
    what.paths = paths;
    what.arguments = arguments;
    what.environment = (const char *const *)environ;
    int error = ml_spawn(&what, &child);
    return error == 0 ? child.pid : error;
}

bool ml_program_is_at(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}
