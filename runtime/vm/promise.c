/* Promises: a callback on any thread keeps them, tasks wait for them. */
#include "moonlet.h"

#include "base/error.h"
#include "hub/loop/run.h"
#include "hub/state/waiters.h"
#include "hub/wait/wait.h"
#include "vm/promise.h"
#include "vm/runtimes.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static const struct ml_wait_kind promise_kind = {.text = "a promise", .external = true};

struct moonlet_promise {
    struct ml_link link;               /* in m->promises */
    struct moonlet *m;                 /* NULL: the runtime was closed. Under the lock */
    struct ml_link waiters;            /* its tasks; only its thread touches them */
    struct moonlet_promise *next_kept; /* in m->kept. Under the lock */
    atomic_uint owners;
    unsigned users; /* shares of tasks that wait for it; only its thread touches this */
    atomic_bool is_kept;
    void *value; /* written before is_kept */
};

struct moonlet_promise *moonlet_promise_new(struct moonlet *m)
{
    int error = ml_runtime_check(m);
    struct moonlet_promise *promise = error == 0 ? calloc(1, sizeof *promise) : NULL;
    if (promise == NULL) {
        errno = error != 0 ? -error : ENOMEM;
        return NULL;
    }
    promise->m = m;
    promise->owners = 1;
    ml_list_init(&promise->waiters);
    ml_runtimes_lock();
    ml_list_insert(&m->promises, &promise->link);
    ml_runtimes_unlock();
    return promise;
}

struct moonlet_promise *moonlet_promise_retain(struct moonlet_promise *promise)
{
    if (promise != NULL)
        promise->owners++;
    return promise;
}

void moonlet_promise_release(struct moonlet_promise *promise)
{
    if (promise == NULL || --promise->owners > 0)
        return;
    ml_runtimes_lock();
    if (promise->m != NULL)
        ml_list_remove(&promise->link);
    ml_runtimes_unlock();
    free(promise);
}

/* Wakes the tasks, on the runtime's own thread. Outside of a run the host learns of it through
 * moonlet_fd(). */
static void wake(struct moonlet *m, struct moonlet_promise *promise)
{
    ml_wake_all(&m->lua.hub, &promise->waiters);
    ml_runtime_touched(m);
}

/* Called on another thread: the runtime's own wakes the tasks. The lock is held. */
static void post(struct moonlet *m, struct moonlet_promise *promise)
{
    promise->owners++;
    promise->next_kept = m->kept;
    m->kept = promise;
    ml_hub_notify(&m->lua.hub);
}

int moonlet_promise_keep(struct moonlet_promise *promise, void *value)
{
    if (promise == NULL)
        return -EINVAL;
    int error = 0;
    bool is_own_thread = false;
    ml_runtimes_lock();
    struct moonlet *m = promise->m;
    if (promise->is_kept) {
        error = -EALREADY;
    } else {
        promise->value = value;
        promise->is_kept = true;
        is_own_thread = m != NULL && pthread_equal(m->thread, pthread_self());
        if (m != NULL && !is_own_thread)
            post(m, promise);
    }
    ml_runtimes_unlock();
    if (is_own_thread)
        wake(m, promise);
    return error;
}

static struct moonlet *runtime_of(const struct moonlet_promise *promise)
{
    ml_runtimes_lock();
    struct moonlet *m = promise->m;
    ml_runtimes_unlock();
    return m;
}

int moonlet_promise_await(struct moonlet_promise *promise, double limit, void **value)
{
    if (promise == NULL)
        return -EINVAL;
    struct moonlet *m = runtime_of(promise);
    int error = m != NULL ? ml_runtime_begin_wait(m) : -ML_ECLOSED;
    if (error != 0)
        return error;
    ml_time deadline = ml_runtime_deadline(m, limit);
    moonlet_promise_retain(promise); /* its owner may release it meanwhile */
    promise->users++;
    while (error == 0 && !promise->is_kept)
        error = ml_wait(&m->lua.hub, &promise_kind, 0, &promise->waiters, deadline);
    if (error == 0 && value != NULL)
        *value = promise->value;
    promise->users--;
    moonlet_promise_release(promise);
    return ml_runtime_end_wait(m, error);
}

/* ---- for the runtime ---- */

void ml_promises_deliver(struct moonlet *m)
{
    ml_runtimes_lock();
    struct moonlet_promise *promise = m->kept;
    m->kept = NULL;
    ml_runtimes_unlock();
    while (promise != NULL) {
        struct moonlet_promise *next = promise->next_kept;
        ml_wake_all(&m->lua.hub, &promise->waiters);
        moonlet_promise_release(promise);
        promise = next;
    }
}

/* Takes the first promise out of the runtime's list; returns how many shares dropped tasks have
 * left. */
static unsigned detach_first(struct moonlet *m, struct moonlet_promise **promise)
{
    ml_runtimes_lock();
    bool is_last = ml_list_is_empty(&m->promises);
    *promise = is_last ? NULL : ml_container_of(m->promises.next, struct moonlet_promise, link);
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed has left the list
    unsigned shares = is_last ? 0 : (*promise)->users; /* without a share of ours another thread may
                                                          free it */
    if (!is_last) {
        (*promise)->m = NULL;
        ml_list_remove(&(*promise)->link);
    }
    ml_runtimes_unlock();
    return shares;
}

void ml_promises_detach(struct moonlet *m)
{
    struct moonlet_promise *promise;
    ml_promises_deliver(m);
    do
        for (unsigned shares = detach_first(m, &promise); shares > 0; shares--)
            // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each share is an owner, the last frees it
            moonlet_promise_release(promise);
    while (promise != NULL);
}
