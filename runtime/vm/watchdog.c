#include "vm/watchdog.h"

#include "vm/moonlet_state.h"
#include "vm/poke.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

/* Rounds for each limit, and their length. */
enum { ROUNDS = 2 };
#define SHORTEST_ROUND (ML_MILLISECOND / 5)
#define LONGEST_ROUND (20 * ML_MILLISECOND)

/* Before the signal the thread must have computed within so long. */
#define CHECK (ML_MILLISECOND / 10)

/* Between two looks at a task that goes on, and the most from a signal to the next round. */
#define AGAIN ML_MILLISECOND
#define FOLLOW (5 * ML_MILLISECOND)

static struct {
    pthread_mutex_t life; /* held while the thread is started or ended */
    bool is_alive;        /* there is a thread. Under `life` */
    pthread_t thread;
    pthread_mutex_t mutex; /* protects the rest, and all runtimes in the list from being closed */
    pthread_cond_t roused; /* something changed for the thread */
    struct ml_link watches;
} dog = {.life = PTHREAD_MUTEX_INITIALIZER, .mutex = PTHREAD_MUTEX_INITIALIZER};

static struct moonlet *runtime_of(struct ml_watch *watch)
{
    return ml_container_of(watch, struct moonlet, watch);
}

/* ---- sights ---- */

/*
 * Other threads read what the hub's thread writes without a lock: each is a word, and a wrong
 * combination is a sight that the next round does not see again. So the thread sanitizer is told
 * not to look.
 */
static __attribute__((noinline, no_sanitize("thread"))) void see(const struct ml_hub *hub,
                                                                 uintptr_t *task,
                                                                 uint64_t *switches)
{
    const volatile struct ml_hub_pace *pace = &hub->pace;
    uint64_t number = (uint64_t)pace->polled_at * UINT64_C(0x9E3779B97F4A7C15);
    number += (uint64_t)pace->batch << 7;
    *switches = number + pace->budget;
    *task = (uintptr_t) * (struct ml_task *const volatile *)&hub->current;
}

/* Notes what is to be seen now. Whether it is what was noted before. */
static bool is_same_sight(struct ml_watch *watch)
{
    uintptr_t task;
    uint64_t switches;
    see(&runtime_of(watch)->lua.hub, &task, &switches);
    bool is_same = watch->sight.task == task && watch->sight.switches == switches;
    watch->sight.task = task;
    watch->sight.switches = switches;
    return is_same;
}

bool ml_watch_sees(const struct moonlet *m, ml_time *since, ml_time *computed)
{
    uintptr_t task;
    uint64_t switches;
    see(&m->lua.hub, &task, &switches);
    *since = m->watch.since;
    *computed = ml_poke_cpu_time(m) - m->watch.spent;
    return m->watch.sight.task == task && m->watch.sight.switches == switches;
}

/* ---- a round ---- */

static ml_time round_of(ml_time limit)
{
    ml_time length = limit / ROUNDS;
    return length < SHORTEST_ROUND  ? SHORTEST_ROUND
           : length > LONGEST_ROUND ? LONGEST_ROUND
                                    : length;
}

ml_time ml_watch_due(ml_time since, ml_time limit)
{
    return limit == ML_FOREVER ? ML_FOREVER : ml_time_after(since, limit - 2 * CHECK);
}

/*
 * A time before which the task that is seen now has not begun: that of the round before, and of the
 * last preemption. If the hub has roused the watchdog it has begun now. Half of the limit is its
 * own in any case, though the round came late.
 */
static ml_time begin_of(const struct ml_watch *watch, ml_time now)
{
    ml_time passed_at = watch->passed_at, since = now - watch->limit / 2;
    if (watch->was_asleep)
        return now;
    if (watch->round_at > since)
        since = watch->round_at;
    return passed_at > since ? passed_at : since;
}

/* Another task runs, or the hub. */
static void note_change(struct ml_watch *watch, ml_time now)
{
    ml_time since = begin_of(watch, now);
    watch->since = since;
    watch->seen_at = now;
    watch->spent = ml_poke_cpu_time(runtime_of(watch));
    watch->look_at = ml_watch_due(since, watch->limit);
    watch->checked_spent = -1;
}

/*
 * The hub runs or polls. In the second such round the hub is asked to tell when a task runs; there
 * is one more, since the hub may have begun one before it could see that. Returns when the next
 * round is due.
 */
static ml_time rest(struct ml_watch *watch, bool is_same, ml_time now)
{
    struct ml_hub *hub = &runtime_of(watch)->lua.hub;
    bool was_asked = watch->was_idle;
    watch->was_idle = is_same;
    watch->was_asleep = is_same && was_asked && hub->watch.is_asleep;
    if (watch->was_asleep)
        return ML_FOREVER;
    hub->watch.is_asleep = is_same;
    return ml_time_after(now, round_of(watch->limit));
}

/*
 * A look is due. The signal is sent if the thread computes: for half of the time that its task had
 * when it was seen first, and of the time since the last round. One that waits in the kernel now
 * and then is left alone, for the signal would end its next wait there. Returns when the next round
 * is due.
 */
static ml_time attempt(struct ml_watch *watch, ml_time now)
{
    struct moonlet *m = runtime_of(watch);
    ml_time spent = ml_poke_cpu_time(m), before = watch->checked_spent;
    ml_time rest = watch->limit - (watch->seen_at - watch->since);
    bool computes = before >= 0 && 2 * (spent - before) >= now - watch->checked_at &&
                    2 * (spent - watch->spent) >= rest;
    watch->checked_spent = spent;
    watch->checked_at = now;
    if (!computes)
        return ml_time_after(now, before < 0 ? CHECK : AGAIN);
    watch->checked_spent = -1;
    watch->look_at = ml_time_after(now, AGAIN);
    ml_poke_send(m, ML_POKE_LOOK);
    return ml_time_earlier(ml_time_after(now, round_of(watch->limit)), ml_time_after(now, FOLLOW));
}

/* Looks at one runtime. Returns when the next round is due for it. */
static ml_time look(struct ml_watch *watch, ml_time now)
{
    if (watch->limit == ML_FOREVER)
        return ML_FOREVER;
    bool is_same = is_same_sight(watch);
    if (!is_same)
        note_change(watch, now);
    watch->round_at = now;
    if (watch->sight.task == 0)
        return rest(watch, is_same, now);
    watch->was_idle = watch->was_asleep = false;
    runtime_of(watch)->lua.hub.watch.is_asleep = false;
    if (is_same && now >= watch->look_at)
        return attempt(watch, now);
    ml_time next = ml_time_after(now, round_of(watch->limit));
    return is_same ? ml_time_earlier(next, watch->look_at) : next;
}

/* The mutex is locked. */
static void sleep_until(ml_time time)
{
    struct timespec until = {time / ML_SECOND, time % ML_SECOND};
    if (time == ML_FOREVER)
        pthread_cond_wait(&dog.roused, &dog.mutex);
    else
        pthread_cond_timedwait(&dog.roused, &dog.mutex, &until);
}

static void *watch_all(void *argument)
{
    pthread_setname_np(pthread_self(), "moonlet-watch");
    pthread_mutex_lock(&dog.mutex);
    while (!ml_list_is_empty(&dog.watches)) {
        ml_time now = ml_clock_now(), next = ML_FOREVER;
        struct ml_link *link = dog.watches.next;
        for (; link != &dog.watches; link = link->next)
            next = ml_time_earlier(next, look(ml_container_of(link, struct ml_watch, link), now));
        sleep_until(next);
    }
    pthread_mutex_unlock(&dog.mutex);
    return argument;
}

static void rouse(void)
{
    pthread_mutex_lock(&dog.mutex);
    pthread_cond_signal(&dog.roused);
    pthread_mutex_unlock(&dog.mutex);
}

void ml_watch_rouse(struct ml_hub *hub)
{
    hub->watch.is_asleep = false;
    rouse();
}

void ml_watch_passed(struct moonlet *m)
{
    m->watch.passed_at = ml_clock_now();
}

void ml_watch_again(struct moonlet *m)
{
    m->watch.look_at = ml_time_after(ml_clock_now(), AGAIN);
    rouse();
}

static void init_condition(void)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&dog.roused, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

/* ---- forks: the child has no watchdog ---- */

static void before_fork(void)
{
    pthread_mutex_lock(&dog.life);
    pthread_mutex_lock(&dog.mutex);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&dog.mutex);
    pthread_mutex_unlock(&dog.life);
}

static void in_child(void)
{
    while (!ml_list_is_empty(&dog.watches)) {
        struct ml_watch *watch = ml_container_of(dog.watches.next, struct ml_watch, link);
        ml_list_remove(&watch->link);
        runtime_of(watch)->lua.hub.watch.is_asleep = false;
    }
    dog.is_alive = false;
    init_condition();
    after_fork();
}

/* ---- life ---- */

static void init(void)
{
    init_condition();
    ml_list_init(&dog.watches);
    pthread_atfork(before_fork, after_fork, in_child);
}

/* Starts the thread, with all signals blocked. 0 or a negated errno. */
static int start(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&dog.thread, NULL, watch_all, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    dog.is_alive = error == 0;
    return -error;
}

/* The thread finds the runtime in the list, or not. Returns whether the list is empty. */
static bool change_list(struct ml_watch *watch, bool is_watched)
{
    pthread_mutex_lock(&dog.mutex);
    if (is_watched && !ml_link_is_in_list(&watch->link)) {
        watch->was_asleep = true;
        ml_list_insert(&dog.watches, &watch->link);
    } else if (!is_watched && ml_link_is_in_list(&watch->link)) {
        ml_list_remove(&watch->link);
    }
    bool is_empty = ml_list_is_empty(&dog.watches);
    pthread_cond_signal(&dog.roused);
    pthread_mutex_unlock(&dog.mutex);
    return is_empty;
}

int ml_watch(struct moonlet *m, ml_time limit)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct ml_watch *watch = &m->watch;
    int error = 0;
    pthread_once(&once, init);
    watch->limit = limit;
    m->lua.hub.hooks.roused = ml_watch_rouse;
    pthread_mutex_lock(&dog.life);
    change_list(watch, true);
    if (!dog.is_alive)
        error = start();
    if (error != 0)
        change_list(watch, false);
    pthread_mutex_unlock(&dog.life);
    return error;
}

void ml_watch_end(struct moonlet *m)
{
    if (!ml_link_is_in_list(&m->watch.link))
        return;
    pthread_mutex_lock(&dog.life);
    bool was_last = change_list(&m->watch, false);
    if (was_last && dog.is_alive) {
        pthread_join(dog.thread, NULL);
        dog.is_alive = false;
    }
    pthread_mutex_unlock(&dog.life);
}
