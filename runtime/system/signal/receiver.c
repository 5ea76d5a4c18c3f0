/*
 * The receivers are a list that handlers walk without a lock, on any thread. A handler counts
 * itself in and out; a thread that took a receiver off the list waits until all handlers that may
 * have seen it are out. There are two counts, so that handlers that come later do not prolong that
 * wait.
 *
 * No thread that waits so is inside of a handler of this file, for handlers come back before the
 * code that they interrupted goes on. The action that was in force before is called when the
 * handler has counted itself out: it may leave by longjmp.
 */
#include "system/signal/receiver.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <unistd.h>

struct slot {
    unsigned users; /* receivers of this signal */
    /* What was in force before this code, and is called by it. */
    struct sigaction previous;
    /* What is put back: the same, unless code that came later lies over this code's handler. */
    struct sigaction covered;
    bool is_beneath;      /* other code lay over the handler when its last user left */
    atomic_bool is_spent; /* `previous` was to be called once (SA_RESETHAND), and was */
};

static struct {
    pthread_mutex_t mutex; /* protects all but what handlers read */
    struct ml_signal_receiver *_Atomic first;
    atomic_uint epoch;     /* its lowest bit: the count that handlers use now */
    atomic_int inside[2];  /* handlers at work */
    pid_t _Atomic process; /* the one that has the receivers: not a fork of it */
    struct slot slots[ML_SIGNALS_END];
} all = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---- the list, as handlers see it ---- */

static unsigned enter(void)
{
    unsigned epoch = all.epoch & 1;
    all.inside[epoch]++;
    return epoch;
}

static void leave(unsigned epoch)
{
    all.inside[epoch]--;
}

/* Waits until no handler uses what was in the list or in a slot before the call. */
static void wait_for_handlers(void)
{
    for (int i = 0; i < 2; i++) {
        unsigned epoch = all.epoch++ & 1;
        while (all.inside[epoch] > 0)
            sched_yield();
    }
}

/* Tells the receivers of the signal. Whether one takes it. */
static bool tell(int number, const siginfo_t *info, enum ml_signal_phase phase)
{
    bool is_taken = false;
    struct ml_signal_receiver *receiver = all.first;
    for (; receiver != NULL; receiver = receiver->next) {
        if ((receiver->signals & ml_signal_bit(number)) == 0)
            continue;
        is_taken |= receiver->takes;
        receiver->arrived(receiver, number, info, phase);
    }
    return is_taken;
}

bool ml_signal_is_taken(int number)
{
    if (number <= 0 || number >= ML_SIGNALS_END || all.process != getpid())
        return false;
    bool is_taken = false;
    unsigned epoch = enter();
    struct ml_signal_receiver *receiver = all.first;
    for (; receiver != NULL && !is_taken; receiver = receiver->next)
        is_taken = receiver->takes && (receiver->signals & ml_signal_bit(number)) != 0;
    leave(epoch);
    return is_taken;
}

/* ---- the handler ---- */

static bool is_function(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 ||
           (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static bool is_default(const struct sigaction *action)
{
    return !is_function(action) && action->sa_handler == SIG_DFL;
}

/* Signals that are ignored by default, or that have acted already. */
static bool is_harmless(int number)
{
    return number == SIGCHLD || number == SIGWINCH || number == SIGURG || number == SIGCONT;
}

/* Whether the kernel found an error in the program, which happens again. */
static bool is_fault(int number, const siginfo_t *info)
{
    bool is_its_signal = number == SIGSEGV || number == SIGBUS || number == SIGFPE ||
                         number == SIGILL || number == SIGTRAP;
    return is_its_signal && info->si_code > 0;
}

/* Has the signal do what it does by default. If that stops the process the handler is in force
 * again when the process goes on. */
static void act_by_default(int number, const siginfo_t *info)
{
    struct sigaction ours, by_default = {.sa_handler = SIG_DFL};
    sigset_t one;
    sigaction(number, &by_default, &ours);
    if (is_fault(number, info))
        return;
    raise(number);
    sigemptyset(&one);
    sigaddset(&one, number);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    sigaction(number, &ours, NULL);
}

static void call(const struct sigaction *action, int number, siginfo_t *info, void *context)
{
    if ((action->sa_flags & SA_SIGINFO) != 0)
        action->sa_sigaction(number, info, context);
    else
        action->sa_handler(number);
}

/* What was in force before, for this one signal. */
static struct sigaction previous_of(struct slot *slot)
{
    struct sigaction previous = slot->previous;
    bool is_once = is_function(&previous) && (previous.sa_flags & (int)SA_RESETHAND) != 0;
    if (is_once && atomic_exchange(&slot->is_spent, true))
        previous = (struct sigaction){.sa_handler = SIG_DFL};
    return previous;
}

/* Tells the receivers, in this process. */
static void tell_phase(int number, const siginfo_t *info, enum ml_signal_phase phase)
{
    if (all.process != getpid())
        return;
    unsigned epoch = enter();
    tell(number, info, phase);
    leave(epoch);
}

/* The previous action sets the default one when it means to end the process. */
static bool has_become_default(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && is_default(&now);
}

/* Called in a child of vfork(), too, which must not touch this process's memory. */
static void pass_on(const struct sigaction *previous, int number, siginfo_t *info, void *context,
                    bool is_taken)
{
    bool is_by_default = is_default(previous) && !is_taken && !is_harmless(number);
    if (is_function(previous))
        call(previous, number, info, context);
    if (is_by_default || (is_function(previous) && has_become_default(number)))
        tell_phase(number, info, ML_SIGNAL_DEFAULT);
    if (!is_by_default)
        return;
    act_by_default(number, info);
    if (!is_fault(number, info))
        tell_phase(number, info, ML_SIGNAL_OVER);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    struct slot *slot = &all.slots[number];
    bool is_ours = all.process == getpid(), is_taken = false;
    struct sigaction previous;
    if (is_ours) {
        unsigned epoch = enter();
        is_taken = tell(number, info, ML_SIGNAL_ARRIVED);
        previous = previous_of(slot);
        leave(epoch);
    } else {
        previous = slot->previous;
    }
    errno = saved_errno;
    pass_on(&previous, number, info, context, is_taken);
    errno = saved_errno;
}

/* ---- actions ---- */

static bool is_our_action(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_signal;
}

/* Of several signals that are pending the kernel delivers the lowest first. But if the others are
 * not blocked meanwhile, their handlers begin before the first has done anything. */
static void block_others(sigset_t *mask)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigfillset(mask);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(mask, faults[i]);
}

/* Calls that wait are restarted, unless the function that was in force before did not want that. A
 * process that ignored SIGCHLD has no zombies, and keeps that. */
static struct sigaction our_action(const struct sigaction *previous, int number)
{
    enum { KEPT = SA_RESTART | SA_ONSTACK | SA_NODEFER | SA_NOCLDSTOP | SA_NOCLDWAIT };
    struct sigaction action = {.sa_sigaction = on_signal};
    action.sa_flags = SA_SIGINFO | (previous->sa_flags & KEPT);
    if (is_function(previous)) {
        action.sa_mask = previous->sa_mask;
    } else {
        action.sa_flags |= SA_RESTART | SA_ONSTACK;
        block_others(&action.sa_mask);
    }
    if (number == SIGCHLD && !is_function(previous) && previous->sa_handler == SIG_IGN)
        action.sa_flags |= SA_NOCLDWAIT;
    return action;
}

/* Notes the action that the handler replaces. One that lies over it since it was in use before may
 * call it, and is not called by it. */
static void cover(struct slot *slot, const struct sigaction *now)
{
    slot->covered = *now;
    if (slot->is_beneath && is_function(now))
        return;
    slot->is_beneath = false;
    wait_for_handlers();
    slot->previous = *now;
    slot->is_spent = false;
}

/* Puts the handler in force for its first user. 0 or a negated errno. */
static int install(int number)
{
    struct slot *slot = &all.slots[number];
    struct sigaction now;
    if (sigaction(number, NULL, &now) != 0)
        return -errno;
    if (is_our_action(&now)) {
        slot->covered = slot->previous;
        slot->is_beneath = false;
        return 0;
    }
    cover(slot, &now);
    struct sigaction action = our_action(&slot->covered, number);
    return sigaction(number, &action, NULL) == 0 ? 0 : -errno;
}

/* Puts back what the handler covers, unless other code has replaced it. */
static void uninstall(int number)
{
    struct slot *slot = &all.slots[number];
    struct sigaction now, by_default = {.sa_handler = SIG_DFL};
    bool is_on_top = sigaction(number, NULL, &now) == 0 && is_our_action(&now);
    bool is_spent = slot->is_spent && !slot->is_beneath;
    if (is_on_top)
        sigaction(number, is_spent ? &by_default : &slot->covered, NULL);
    slot->is_beneath = is_on_top ? slot->is_beneath : true;
}

/* ---- forks ---- */

static void before_fork(void)
{
    pthread_mutex_lock(&all.mutex);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&all.mutex);
}

/* The child has no receivers; its signals do what they did before. */
static void in_child(void)
{
    all.first = NULL;
    all.inside[0] = all.inside[1] = 0;
    for (int number = 1; number < ML_SIGNALS_END; number++) {
        if (all.slots[number].users > 0)
            uninstall(number);
        all.slots[number].users = 0;
    }
    pthread_mutex_unlock(&all.mutex);
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork, in_child);
}

/* ---- receivers ---- */

static struct ml_signal_receiver *_Atomic *place_of(const struct ml_signal_receiver *receiver)
{
    struct ml_signal_receiver *_Atomic *place = &all.first;
    while (*place != NULL && *place != receiver)
        place = &(*place)->next;
    return place;
}

void ml_signal_receiver_open(struct ml_signal_receiver *receiver)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&all.mutex);
    all.process = getpid();
    receiver->signals = 0;
    receiver->next = all.first;
    all.first = receiver;
    pthread_mutex_unlock(&all.mutex);
}

void ml_signal_receiver_close(struct ml_signal_receiver *receiver)
{
    for (int number = 1; number < ML_SIGNALS_END; number++)
        ml_signal_leave(receiver, number);
    pthread_mutex_lock(&all.mutex);
    struct ml_signal_receiver *_Atomic *place = place_of(receiver);
    if (*place != NULL) {
        *place = (struct ml_signal_receiver *)receiver->next;
        wait_for_handlers();
    }
    pthread_mutex_unlock(&all.mutex);
}

int ml_signal_receive(struct ml_signal_receiver *receiver, int number)
{
    int error = 0;
    pthread_mutex_lock(&all.mutex);
    if ((receiver->signals & ml_signal_bit(number)) == 0) {
        receiver->signals |= ml_signal_bit(number);
        if (all.slots[number].users == 0)
            error = install(number);
        if (error == 0)
            all.slots[number].users++;
        else
            receiver->signals &= ~ml_signal_bit(number);
    }
    pthread_mutex_unlock(&all.mutex);
    return error;
}

void ml_signal_leave(struct ml_signal_receiver *receiver, int number)
{
    struct slot *slot = &all.slots[number];
    pthread_mutex_lock(&all.mutex);
    bool is_received = (receiver->signals & ml_signal_bit(number)) != 0;
    receiver->signals &= ~ml_signal_bit(number);
    if (is_received && slot->users > 0 && --slot->users == 0)
        uninstall(number);
    pthread_mutex_unlock(&all.mutex);
}
