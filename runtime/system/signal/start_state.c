#include "system/signal/start_state.h"

#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct ml_start_state state;

const struct ml_start_state *const ml_start_state = &state;

/* The C library answers for no signal of its own (32 and 33); those are never ignored. */
static bool is_ignored(int signal)
{
    struct sigaction action;
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static __attribute__((constructor)) void note(void)
{
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &state.mask, sizeof state.mask);
    for (int signal = 1; signal <= ML_SIGNALS; signal++)
        if (is_ignored(signal))
            state.ignored |= (uint64_t)1 << (signal - 1);
}
