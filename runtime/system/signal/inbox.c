#include "system/signal/inbox.h"

#include "base/check.h"
#include "hub/loop/run.h"
#include "system/signal/start_state.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* The places for real-time signals: as many as the kernel would queue, within these bounds. A page
 * of them takes memory once it is used. */
enum { PLACES_LEAST = 4096, PLACES_MOST = 1 << 20 };

/* ---- in signal handlers ---- */

static bool put_standard(struct ml_signal_inbox *inbox, struct ml_signal signal)
{
    uint64_t bit = ml_signal_bit(signal.number);
    if ((atomic_fetch_or(&inbox->held, bit) & bit) != 0)
        return false;
    return ml_signal_ring_put(&inbox->standard, signal);
}

static bool put_queued(struct ml_signal_inbox *inbox, struct ml_signal signal)
{
    bool is_put = ml_signal_ring_put(&inbox->queued, signal);
    inbox->lost += !is_put;
    return is_put;
}

static void arrived(struct ml_signal_receiver *receiver, int number, const siginfo_t *info,
                    enum ml_signal_phase phase)
{
    struct ml_signal_inbox *inbox = ml_container_of(receiver, struct ml_signal_inbox, receiver);
    if (phase != ML_SIGNAL_ARRIVED)
        return;
    bool has_value = info->si_code == SI_QUEUE || info->si_code == SI_TIMER ||
                     info->si_code == SI_MESGQ || info->si_code == SI_ASYNCIO;
    struct ml_signal signal = {number, has_value, has_value ? info->si_value.sival_int : 0};
    bool is_new = number < SIGRTMIN ? put_standard(inbox, signal) : put_queued(inbox, signal);
    if (is_new)
        ml_hub_notify(inbox->hub);
}

/* ---- on the hub's thread ---- */

static bool take(struct ml_signal_inbox *inbox, struct ml_signal *signal)
{
    if (ml_signal_ring_take(&inbox->standard, signal)) {
        inbox->held &= ~ml_signal_bit(signal->number);
        return true;
    }
    return inbox->queued.places != NULL && ml_signal_ring_take(&inbox->queued, signal);
}

void ml_signal_inbox_empty(struct ml_signal_inbox *inbox)
{
    struct ml_signal signal;
    while (inbox != NULL && take(inbox, &signal))
        if (inbox->give != NULL)
            inbox->give(inbox, signal);
}

/* A power of two. */
static uint32_t places_wanted(void)
{
    struct rlimit limit;
    uint32_t count = PLACES_LEAST;
    bool is_known = getrlimit(RLIMIT_SIGPENDING, &limit) == 0;
    while (is_known && count < PLACES_MOST && count < limit.rlim_cur)
        count *= 2;
    return count;
}

/* Makes the ring for real-time signals, before the first can arrive. 0 or a negated errno. */
static int make_queue(struct ml_signal_inbox *inbox)
{
    struct ml_signal_ring *ring = &inbox->queued;
    if (ring->places != NULL)
        return 0;
    uint32_t count = places_wanted();
    void *places = mmap(NULL, count * sizeof *ring->places, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (places == MAP_FAILED)
        return -errno;
    ring->count = count;
    ring->places = places;
    return 0;
}

struct ml_signal_inbox *ml_signal_inbox_open(struct ml_hub *hub)
{
    struct ml_signal_inbox *inbox = calloc(1, sizeof *inbox);
    if (inbox == NULL)
        return NULL;
    inbox->hub = hub;
    inbox->receiver.takes = true;
    inbox->receiver.arrived = arrived;
    inbox->standard.places = inbox->places;
    inbox->standard.count = ML_SIGNAL_STANDARD_PLACES;
    ml_list_init(&inbox->listeners);
    ml_signal_receiver_open(&inbox->receiver);
    return inbox;
}

void ml_signal_inbox_close(struct ml_signal_inbox *inbox)
{
    if (inbox == NULL)
        return;
    ML_CHECK(ml_list_is_empty(&inbox->listeners));
    ml_signal_receiver_close(&inbox->receiver);
    if (inbox->queued.places != NULL)
        munmap(inbox->queued.places, inbox->queued.count * sizeof *inbox->queued.places);
    free(inbox);
}

static void change_mask(int how, int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(how, &set, NULL);
}

/* A signal that the parent process had blocked would never come. One that this process has blocked
 * itself since is its own affair: it may wait for it in another way. */
static void unblock(struct ml_signal_inbox *inbox, int number)
{
    sigset_t blocked;
    if (!ml_start_state_has(ml_start_state->mask, number) ||
        pthread_sigmask(SIG_SETMASK, NULL, &blocked) != 0 || !sigismember(&blocked, number))
        return;
    inbox->unblocked |= ml_signal_bit(number);
    change_mask(SIG_UNBLOCK, number);
}

/* Before the handler goes: the signal is not to do what it does by default. */
static void block_again(struct ml_signal_inbox *inbox, int number)
{
    if ((inbox->unblocked & ml_signal_bit(number)) != 0)
        change_mask(SIG_BLOCK, number);
    inbox->unblocked &= ~ml_signal_bit(number);
}

static void remove_one(struct ml_signal_inbox *inbox, int number)
{
    if (--inbox->listeners_of[number] > 0)
        return;
    block_again(inbox, number);
    ml_signal_leave(&inbox->receiver, number);
}

static int add_one(struct ml_signal_inbox *inbox, int number)
{
    int error = number >= SIGRTMIN ? make_queue(inbox) : 0;
    if (error == 0 && inbox->listeners_of[number] == 0)
        error = ml_signal_receive(&inbox->receiver, number);
    if (error == 0 && inbox->listeners_of[number]++ == 0)
        unblock(inbox, number);
    return error;
}

int ml_signal_inbox_add(struct ml_signal_inbox *inbox, uint64_t signals)
{
    uint64_t added = 0;
    int error = 0;
    for (int number = 1; number < ML_SIGNALS_END && error == 0; number++) {
        if ((signals & ml_signal_bit(number)) != 0)
            error = add_one(inbox, number);
        if (error == 0)
            added |= signals & ml_signal_bit(number);
    }
    if (error != 0)
        ml_signal_inbox_remove(inbox, added);
    return error;
}

void ml_signal_inbox_remove(struct ml_signal_inbox *inbox, uint64_t signals)
{
    for (int number = 1; number < ML_SIGNALS_END; number++)
        if ((signals & ml_signal_bit(number)) != 0)
            remove_one(inbox, number);
}
