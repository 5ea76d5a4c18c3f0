#include "system/signal/profile_timer.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* The action for SIGPROF while any thread has ticks. */
static struct {
    pthread_mutex_t mutex;
    unsigned users;
    struct sigaction previous;
} action = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* The timer of this thread. */
static _Thread_local struct ml_profile_timer *mine;

/* A signal that kill() has sent means nothing. */
static void on_signal(int number, siginfo_t *info, void *interrupted)
{
    (void)number;
    int saved_errno = errno;
    struct ml_profile_timer *timer = mine;
    if (timer != NULL && info->si_code == SI_TIMER)
        timer->tick(timer, 1 + (unsigned)info->si_overrun, interrupted);
    errno = saved_errno;
}

static bool is_ours(const struct sigaction *now)
{
    return (now->sa_flags & SA_SIGINFO) != 0 && now->sa_sigaction == on_signal;
}

static bool is_function(const struct sigaction *now)
{
    return (now->sa_flags & SA_SIGINFO) != 0 ||
           (now->sa_handler != SIG_DFL && now->sa_handler != SIG_IGN);
}

static int replace_action(void)
{
    struct sigaction ours = {.sa_sigaction = on_signal,
                             .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    struct sigaction now;
    if (sigaction(SIGPROF, NULL, &now) != 0)
        return -errno;
    if (is_ours(&now))
        return 0;
    if (is_function(&now))
        return -EBUSY;
    action.previous = now;
    return sigaction(SIGPROF, &ours, NULL) == 0 ? 0 : -errno;
}

/* Takes the action. 0 or a negated errno. */
static int take_action(void)
{
    pthread_mutex_lock(&action.mutex);
    int error = replace_action();
    action.users += error == 0;
    pthread_mutex_unlock(&action.mutex);
    return error;
}

/* The last user puts back the former action, unless other code has replaced this one. */
static void leave_action(void)
{
    struct sigaction now;
    pthread_mutex_lock(&action.mutex);
    action.users--;
    if (action.users == 0 && sigaction(SIGPROF, NULL, &now) == 0 && is_ours(&now))
        sigaction(SIGPROF, &action.previous, NULL);
    pthread_mutex_unlock(&action.mutex);
}

static sigset_t prof_alone(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPROF);
    return set;
}

static int start(struct ml_profile_timer *timer, ml_time period)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer->id) != 0)
        return -errno;
    struct itimerspec when = {.it_interval = {.tv_sec = (time_t)(period / ML_SECOND),
                                              .tv_nsec = (long)(period % ML_SECOND)}};
    when.it_value = when.it_interval;
    if (timer_settime(timer->id, 0, &when, NULL) == 0)
        return 0;
    int error = -errno;
    timer_delete(timer->id);
    return error;
}

int ml_profile_timer_open(struct ml_profile_timer *timer, ml_time period)
{
    if (mine != NULL)
        return -EBUSY;
    int error = take_action();
    if (error != 0)
        return error;
    sigset_t prof = prof_alone(), before;
    timer->process = getpid();
    mine = timer;
    pthread_sigmask(SIG_UNBLOCK, &prof, &before);
    timer->was_blocked = sigismember(&before, SIGPROF) == 1;
    error = start(timer, period);
    if (error != 0) {
        timer->process = 0;
        ml_profile_timer_close(timer);
    }
    return error;
}

/* A tick on its way is taken here: with the former action in force it could end the process. */
void ml_profile_timer_close(struct ml_profile_timer *timer)
{
    static const struct timespec no_time;
    sigset_t prof = prof_alone();
    pthread_sigmask(SIG_BLOCK, &prof, NULL);
    if (timer->process == getpid()) {
        timer_delete(timer->id);
        while (sigtimedwait(&prof, NULL, &no_time) == SIGPROF || errno == EINTR)
            ;
    }
    mine = NULL;
    leave_action();
    if (!timer->was_blocked)
        pthread_sigmask(SIG_UNBLOCK, &prof, NULL);
}

ml_time ml_profile_thread_time(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (ml_time)now.tv_sec * ML_SECOND + now.tv_nsec;
}
