#include "system/file/watch_source.h"

#include "base/check.h"
#include "base/hostile.h"
#include "hub/on/alarm.h"
#include "hub/on/watch.h"
#include "hub/state/waiters.h"
#include "hub/wait/slice.h"
#include "system/file/watch_drops.h"
#include "system/file/watch_kernel.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* The block holds any event; reads of one pump. */
enum {
    LARGEST_EVENT = sizeof(struct inotify_event) + NAME_MAX + 1,
    BLOCK = ML_IS_HOSTILE ? LARGEST_EVENT : 64 * 1024,
    READS = ML_IS_HOSTILE ? 256 : 32,
    FIRST_BUCKETS = 64
};

/* How long the descriptor stays open after the last watch. While the kernel still has to free what
 * it watched, close() waits for it (measured: 20 ms; 10 us later). */
#define LINGER (ML_SECOND / 2)

void ml_watch_source_init(struct ml_watch_source *source, struct ml_hub *hub)
{
    *source = (struct ml_watch_source){.hub = hub};
    ml_list_init(&source->inboxes);
}

/* ---- the descriptor ---- */

static bool has_waiters(struct ml_watch_source *source)
{
    bool has = false;
    for (struct ml_link *l = source->inboxes.next; l != &source->inboxes && !has; l = l->next) {
        struct ml_watch_inbox *inbox = ml_container_of(l, struct ml_watch_inbox, link);
        has = ml_first_waiter(source->hub, &inbox->waiters) != NULL;
    }
    return has;
}

static void on_readable(void *data, int fd, bool readable, bool writable)
{
    (void)fd, (void)readable, (void)writable;
    struct ml_watch_source *source = data;
    if (has_waiters(source)) {
        ml_watch_pump(source);
    } else {
        ml_watch_set(source->poll, false, false);
        source->is_polling = false;
    }
}

void ml_watch_source_poll(struct ml_watch_source *source)
{
    if (!source->is_polling)
        ml_watch_set(source->poll, true, false);
    source->is_polling = true;
}

static void close_all(struct ml_watch_source *source)
{
    ml_alarm_close(source->alarm);
    ml_watch_close(source->poll);
    free(source->block);
    if (source->kernel != NULL)
        ml_watch_kernel_drop(source->kernel);
    source->alarm = NULL;
    source->poll = NULL;
    source->block = NULL;
    source->kernel = NULL;
    source->is_polling = false;
    source->strays = 0;
    source->error = 0;
}

static void on_alarm(void *data)
{
    struct ml_watch_source *source = data;
    ml_alarm_stop(source->alarm);
    close_all(source);
}

static int open_all(struct ml_watch_source *source)
{
    int error = ml_watch_kernel_open(&source->kernel);
    if (error != 0)
        return error;
    source->block = malloc(BLOCK);
    source->poll = ml_watch_open(source->hub, source->kernel->fd, on_readable, source);
    source->alarm = ml_alarm_open(source->hub, on_alarm, source);
    if (source->block != NULL && source->poll != NULL && source->alarm != NULL)
        return 0;
    close_all(source);
    return -ENOMEM;
}

int ml_watch_source_join(struct ml_watch_source *source, struct ml_watch_inbox *inbox)
{
    ml_watch_inbox_init(inbox);
    int error = source->kernel == NULL ? open_all(source) : 0;
    if (error != 0)
        return error;
    ml_alarm_stop(source->alarm);
    ml_list_insert(&source->inboxes, &inbox->link);
    return 0;
}

void ml_watch_source_leave(struct ml_watch_source *source, struct ml_watch_inbox *inbox)
{
    ml_watch_notes_drop_all(inbox);
    ml_turn_all_away(source->hub, &inbox->waiters);
    ml_list_remove(&inbox->link);
    if (ml_list_is_empty(&source->inboxes))
        ml_alarm_start(source->alarm, LINGER);
}

bool ml_watch_source_lingers(const struct ml_watch_source *source, int fd)
{
    return source->kernel != NULL && source->kernel->fd == fd && ml_list_is_empty(&source->inboxes);
}

void ml_watch_source_release(struct ml_watch_source *source)
{
    close_all(source);
    free(source->claims);
    source->claims = NULL;
    source->buckets = 0;
}

/* ---- claims ---- */

static struct ml_watch_claim **bucket_of(const struct ml_watch_source *source, int wd)
{
    return &source->claims[(uint32_t)wd & (source->buckets - 1)];
}

static struct ml_watch_claim *claim_of(const struct ml_watch_source *source, int wd)
{
    struct ml_watch_claim *claim = source->buckets > 0 ? *bucket_of(source, wd) : NULL;
    while (claim != NULL && claim->wd != wd)
        claim = claim->next;
    return claim;
}

/* Doubles the table; without memory it stays as it is, and is only slower. */
static void grow_claims(struct ml_watch_source *source)
{
    struct ml_watch_claim **old = source->claims;
    uint32_t count = source->buckets;
    struct ml_watch_claim **claims = calloc((size_t)count * 2, sizeof *claims);
    if (claims == NULL)
        return;
    source->claims = claims;
    source->buckets = count * 2;
    for (uint32_t i = 0; i < count; i++) {
        for (struct ml_watch_claim *claim = old[i], *next; claim != NULL; claim = next) {
            next = claim->next;
            struct ml_watch_claim **bucket = bucket_of(source, claim->wd);
            claim->next = *bucket;
            *bucket = claim;
        }
    }
    free(old);
}

int ml_watch_claims_reserve(struct ml_watch_source *source)
{
    if (source->buckets == 0) {
        source->claims = calloc(FIRST_BUCKETS, sizeof *source->claims);
        if (source->claims == NULL)
            return -ENOMEM;
        source->buckets = FIRST_BUCKETS;
    } else if (source->claim_count >= source->buckets) {
        grow_claims(source);
    }
    return 0;
}

void ml_watch_claim(struct ml_watch_source *source, struct ml_watch_claim *claim,
                    struct ml_watch_inbox *inbox, int wd)
{
    if (source->claim_count >= source->buckets)
        grow_claims(source);
    struct ml_watch_claim **bucket = bucket_of(source, wd);
    *claim = (struct ml_watch_claim){.next = *bucket, .inbox = inbox, .wd = wd};
    *bucket = claim;
    source->claim_count++;
}

/* The kernel is to watch the directory no more. If another scan adds it at the same time, it may be
 * dropped all the same; then the kernel says so (IN_IGNORED), and it is listed again. */
static void drop(struct ml_watch_source *source, int wd)
{
    if (source->drops != NULL)
        source->drops->wds[source->drops->count++] = wd;
    else
        inotify_rm_watch(source->kernel->fd, wd);
}

void ml_watch_unclaim(struct ml_watch_source *source, struct ml_watch_claim *claim)
{
    int wd = claim->wd;
    if (wd < 0)
        return;
    struct ml_watch_claim **place = bucket_of(source, wd);
    while (*place != claim)
        place = &(*place)->next;
    *place = claim->next;
    claim->wd = -1;
    source->claim_count--;
    if (claim_of(source, wd) == NULL)
        drop(source, wd);
}

void ml_watch_unclaim_begin(struct ml_watch_source *source, size_t count)
{
    source->drops = ml_watch_drops_new(source->kernel, count);
}

void ml_watch_unclaim_end(struct ml_watch_source *source)
{
    ml_watch_drops_start(source->drops, source->hub);
    source->drops = NULL;
}

struct ml_watch_claim *ml_watch_next_claim(const struct ml_watch_source *source,
                                           const struct ml_watch_inbox *inbox, int wd,
                                           const struct ml_watch_claim *claim)
{
    struct ml_watch_claim *next = claim != NULL ? claim->next : claim_of(source, wd);
    while (next != NULL && (next->wd != wd || next->inbox != inbox))
        next = next->next;
    return next;
}

void ml_watch_scan_begin(struct ml_watch_source *source)
{
    source->scans++;
}

void ml_watch_scan_end(struct ml_watch_source *source)
{
    if (--source->scans == 0)
        source->strays = 0;
}

bool ml_watch_was_stray(const struct ml_watch_source *source, int wd)
{
    bool was = source->strays > ML_WATCH_STRAYS;
    for (uint32_t i = 0; i < source->strays && !was; i++)
        was = source->stray[i] == wd;
    return was;
}

/* No directory claims `wd`. A scan may have just added it for one that is about to; otherwise it is
 * left from a scan whose watch was closed. */
static void note_stray(struct ml_watch_source *source, int wd, uint32_t mask)
{
    if (source->scans == 0 && (mask & IN_IGNORED) == 0)
        inotify_rm_watch(source->kernel->fd, wd);
    if (source->scans == 0 || (source->strays > 0 && ml_watch_was_stray(source, wd)))
        return;
    if (source->strays < ML_WATCH_STRAYS)
        source->stray[source->strays] = wd;
    source->strays++;
}

/* ---- events ---- */

static int put(struct ml_watch_source *source, struct ml_watch_inbox *inbox,
               const struct inotify_event *event)
{
    inbox->number = source->number;
    return ml_watch_note_put(inbox, event, ml_hub_now(source->hub), source->drained_at);
}

static int sort_overflow(struct ml_watch_source *source, const struct inotify_event *event)
{
    int error = 0;
    for (struct ml_link *l = source->inboxes.next; l != &source->inboxes; l = l->next) {
        int result = put(source, ml_container_of(l, struct ml_watch_inbox, link), event);
        error = result != 0 ? result : error;
    }
    if (source->scans > 0)
        source->strays = ML_WATCH_STRAYS + 1;
    return error;
}

/* A watch with several claims on a directory gets one note. */
static int sort(struct ml_watch_source *source, const struct inotify_event *event)
{
    int error = 0;
    source->number++;
    if ((event->mask & IN_Q_OVERFLOW) != 0)
        return sort_overflow(source, event);
    struct ml_watch_claim *claim = claim_of(source, event->wd);
    if (claim == NULL)
        note_stray(source, event->wd, event->mask);
    for (; claim != NULL; claim = claim->next) {
        bool is_for = claim->wd == event->wd && claim->inbox->number != source->number;
        int result = is_for ? put(source, claim->inbox, event) : 0;
        error = result != 0 ? result : error;
    }
    return error;
}

static int sort_block(struct ml_watch_source *source, size_t size)
{
    int error = 0;
    for (size_t at = 0; at < size;) {
        const struct inotify_event *event = (const void *)(source->block + at);
        int result = sort(source, event);
        error = result != 0 ? result : error;
        at += sizeof *event + event->len;
    }
    return error;
}

static void wake_readers(struct ml_watch_source *source)
{
    for (struct ml_link *l = source->inboxes.next; l != &source->inboxes; l = l->next) {
        struct ml_watch_inbox *inbox = ml_container_of(l, struct ml_watch_inbox, link);
        if (inbox->is_lost || !ml_list_is_empty(&inbox->notes) || source->error != 0)
            ml_wake_first(source->hub, &inbox->waiters);
    }
}

/* The size of what was read; 0: there is nothing. */
static ssize_t read_block(struct ml_watch_source *source)
{
    ssize_t size;
    do
        size = read(source->kernel->fd, source->block, BLOCK);
    while (size < 0 && errno == EINTR);
    ml_slice_spend_call(source->hub, size);
    return size >= 0 ? size : errno == EAGAIN ? 0 : -errno;
}

int ml_watch_pump(struct ml_watch_source *source)
{
    int error = 0, reads = 0;
    ssize_t size = 1;
    while (reads < READS && (size = read_block(source)) > 0) {
        int result = sort_block(source, (size_t)size);
        error = result != 0 ? result : error;
        reads++;
    }
    if (size == 0)
        source->drained_at = ml_hub_now(source->hub);
    source->error = size < 0 ? (int)size : 0;
    if (reads > 0 || size < 0)
        wake_readers(source);
    error = size < 0 ? (int)size : error;
    return error != 0 ? error : reads > 0;
}
