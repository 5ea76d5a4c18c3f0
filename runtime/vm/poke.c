#include "vm/poke.h"

#include "coro/bank.h"
#include "vm/moonlet_state.h"
#include "vm/native_stack.h"
#include "vm/running.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- on the interrupted thread ---- */

static void arm(struct moonlet *m, struct ml_task *task, unsigned due)
{
    for (int i = 0; i < ML_HOOK_REASONS; i++) {
        if ((due & 1u << i) == 0)
            continue;
        ml_hooks_share(&m->lua, (enum ml_hook_reason)i);
        ml_chain_touch(task, (enum ml_hook_reason)i);
    }
}

static void take_backtrace(struct ml_poke *poke)
{
    unsigned asked = atomic_load(&poke->asked);
    if (atomic_load(&poke->taken) == asked)
        return;
    poke->frame_count = ml_native_stack_here(poke->frames, ML_NATIVE_FRAMES);
    atomic_store(&poke->taken, asked);
}

/* On another thread, such as the receiver of a signal for the whole process: nothing to do. */
static void arrived(struct ml_signal_receiver *receiver, int number, const siginfo_t *info,
                    enum ml_signal_phase phase)
{
    (void)number, (void)info, (void)phase;
    struct ml_poke *poke = ml_container_of(receiver, struct ml_poke, receiver);
    struct moonlet *m = ml_container_of(poke, struct moonlet, poke);
    if (!pthread_equal(m->thread, pthread_self()))
        return;
    unsigned due = atomic_exchange(&poke->due, 0);
    bool is_running = ml_bank_current == &m->lua.hub.bank;
    struct ml_task *task = is_running ? ml_running_task(&m->lua.hub) : NULL;
    take_backtrace(poke);
    if (task == NULL)
        return;
    arm(m, task, due);
    if ((due & ML_POKE_LOOK) != 0 && poke->look != NULL)
        poke->look(m, task);
    if (poke->arrived != NULL)
        poke->arrived(m, task);
}

void ml_poke_arm(struct moonlet *m, struct ml_task *task, enum ml_hook_reason reason)
{
    arm(m, task, 1u << reason);
}

/* ---- the runtime's own thread ---- */

static int signal_of(const struct moonlet_options *options)
{
    return options->poke_signal == 0 ? SIGURG : options->poke_signal;
}

void ml_poke_unblock(const struct moonlet_options *options, sigset_t *mask)
{
    if (signal_of(options) > 0)
        sigdelset(mask, signal_of(options));
}

int ml_poke_open(struct moonlet *m)
{
    struct ml_poke *poke = &m->poke;
    int number = signal_of(&m->options);
    if (poke->number != 0 || number < 0)
        return number < 0 ? -ENOTSUP : 0;
    poke->thread = (int)syscall(SYS_gettid);
    int error = pthread_getcpuclockid(pthread_self(), &poke->clock);
    if (error != 0)
        return -error;
    pthread_mutex_init(&poke->asking, NULL);
    ml_native_stack_load();
    poke->receiver.arrived = arrived;
    poke->receiver.takes = true;
    ml_signal_receiver_open(&poke->receiver);
    error = ml_signal_receive(&poke->receiver, number);
    poke->number = error == 0 ? number : 0;
    if (error != 0)
        ml_signal_receiver_close(&poke->receiver);
    return error;
}

void ml_poke_close(struct moonlet *m)
{
    if (m->poke.number == 0)
        return;
    ml_signal_receiver_close(&m->poke.receiver);
    pthread_mutex_destroy(&m->poke.asking);
    m->poke.number = 0;
}

/* ---- any thread ---- */

ml_time ml_poke_cpu_time(const struct moonlet *m)
{
    struct timespec spent;
    if (clock_gettime(m->poke.clock, &spent) != 0)
        return -1;
    return (ml_time)spent.tv_sec * ML_SECOND + spent.tv_nsec;
}

/* 0, or an error of ml_poke(). */
static int check_computing(const struct moonlet *m)
{
    static const struct timespec span = {.tv_nsec = 100000};
    ml_time before = ml_poke_cpu_time(m);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL);
    ml_time after = ml_poke_cpu_time(m);
    return before < 0 || after < 0 ? -ESRCH : after == before ? -EAGAIN : 0;
}

int ml_poke_send(struct moonlet *m, unsigned due)
{
    atomic_fetch_or(&m->poke.due, due);
    long result = syscall(SYS_tgkill, getpid(), m->poke.thread, m->poke.number);
    return result == 0 ? 0 : -errno;
}

int ml_poke(struct moonlet *m, enum ml_hook_reason reason)
{
    int error = check_computing(m);
    return error == 0 ? ml_poke_send(m, 1u << reason) : error;
}

static bool is_taken_by(struct ml_poke *poke, unsigned number, ml_time deadline)
{
    static const struct timespec pause = {.tv_nsec = 200000};
    while (atomic_load(&poke->taken) != number && ml_clock_now() < deadline)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    return atomic_load(&poke->taken) == number;
}

/* A number that was not answered in time may be answered later: the next is another one. */
int ml_poke_backtrace(struct moonlet *m, void **frames, int most, ml_time deadline)
{
    struct ml_poke *poke = &m->poke;
    int result = check_computing(m);
    if (result != 0)
        return result;
    pthread_mutex_lock(&poke->asking);
    unsigned number = atomic_fetch_add(&poke->asked, 1) + 1;
    result = ml_poke_send(m, 0);
    if (result == 0 && is_taken_by(poke, number, deadline)) {
        result = poke->frame_count < most ? poke->frame_count : most;
        memcpy(frames, poke->frames, (size_t)result * sizeof *frames);
    }
    pthread_mutex_unlock(&poke->asking);
    return result;
}
