#include "io/resolver.h"

#include "base/error.h"
#include "hub/on/alarm.h"
#include "hub/state/waiters.h"
#include "hub/wait/wait.h"
#include "io/cares.h"

#include <stdlib.h>
#include <string.h>

static const struct ml_wait_kind place_kind = {.text = "fewer questions to name servers",
                                               .external = true};

/*
 * A question holds one of so many places until it is answered or YOUTH has passed. So a burst of
 * questions comes to the server no faster than it answers or, if it does not, than PLACES per
 * YOUTH. measured: of 10,000 names at once, asked of a server with a receive buffer of 128 KiB, 900
 * timed out without places.
 */
enum { PLACES = 128 };
#define YOUTH (20 * ML_MILLISECOND)

/* Each question has a number of 16 bits, drawn until a free one is found. */
enum { MOST_UNDER_WAY = 16384 };

/* The alarm rings every YOUTH, or so many times within a try, but at most every 5 ms. To find out
 * when c-ares next has something to do would mean to look at all questions. */
enum { LOOKS_PER_TIMEOUT = 20 };
#define SHORTEST_LOOK (5 * ML_MILLISECOND)

/* ---- places ---- */

/* 0, or an error of ml_wait_granted(). */
static int take_place(struct ml_resolver *resolver, ml_time deadline)
{
    struct ml_hub *hub = resolver->io->hub;
    if (resolver->places > 0) {
        resolver->places--;
        return 0;
    }
    int error = ml_wait_granted(hub, &place_kind, 0, &resolver->in_line, 0, deadline);
    return error == 0 && hub->current->waiter.value == ML_WAITER_CLOSED ? -ML_ECLOSED : error;
}

static void give_place_back(struct ml_resolver *resolver)
{
    if (!ml_wake_first(resolver->io->hub, &resolver->in_line))
        resolver->places++;
}

/* Gives the place back of a question that is answered, or no longer young. */
static void leave_place(struct ml_question *question)
{
    if (!ml_link_is_in_list(&question->young))
        return;
    ml_list_remove(&question->young);
    give_place_back(question->resolver);
}

static void leave_old_places(struct ml_resolver *resolver)
{
    ml_time old = ml_clock_now() - YOUTH;
    while (!ml_list_is_empty(&resolver->young) && resolver->under_way < MOST_UNDER_WAY) {
        struct ml_question *first =
            ml_container_of(resolver->young.next, struct ml_question, young);
        if (first->asked_at > old)
            break;
        leave_place(first);
    }
}

static void on_alarm(void *data)
{
    struct ml_resolver *resolver = data;
    leave_old_places(resolver);
    if (resolver->under_way > 0)
        ml_resolver_channel_tick(&resolver->channel);
    else
        ml_alarm_stop(resolver->alarm);
}

static void start_alarm(struct ml_resolver *resolver)
{
    ml_time span = ml_time_earlier(YOUTH, resolver->channel.timeout / LOOKS_PER_TIMEOUT);
    ml_alarm_start(resolver->alarm, span > SHORTEST_LOOK ? span : SHORTEST_LOOK);
}

/* ---- the resolver ---- */

static void init(struct ml_resolver *resolver, struct ml_io *io)
{
    resolver->io = io;
    resolver->random = (uint64_t)ml_clock_now() ^ (uintptr_t)resolver;
    resolver->random += resolver->random == 0;
    ml_list_init(&resolver->answered);
    ml_list_init(&resolver->lookups);
    for (int i = 0; i < ML_RESOLVER_CHAINS; i++)
        ml_list_init(&resolver->chains[i]);
    ml_list_init(&resolver->in_line);
    ml_list_init(&resolver->young);
    resolver->places = PLACES;
    ml_list_insert(&io->resolvers, &resolver->link);
}

int ml_resolver_new(struct ml_io *io, const struct ml_resolver_options *options,
                    struct ml_resolver **result)
{
    struct ml_resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL)
        return -ENOMEM;
    init(resolver, io);
    int error = ml_resolver_channel_init(&resolver->channel, io->hub, &options->servers,
                                         options->timeout, options->tries);
    if (error == 0)
        error =
            ml_hosts_init(&resolver->hosts, options->hosts != NULL ? options->hosts : "/etc/hosts");
    resolver->alarm = ml_alarm_open(io->hub, on_alarm, resolver);
    if (error == 0 && resolver->alarm == NULL)
        error = -ENOMEM;
    if (error == 0)
        error = ml_resolver_channel_open(&resolver->channel);
    *result = error == 0 ? resolver : NULL;
    if (error != 0)
        ml_resolver_free(resolver);
    return error;
}

void ml_resolver_follow(struct ml_resolver *resolver)
{
    if (resolver->under_way == 0)
        ml_resolver_channel_follow(&resolver->channel);
}

void ml_resolver_close(struct ml_resolver *resolver)
{
    if (!ml_resolver_is_open(resolver))
        return;
    ml_resolver_channel_close(&resolver->channel);
    ml_alarm_stop(resolver->alarm);
    ml_turn_all_away(resolver->io->hub, &resolver->in_line);
}

static void free_question(struct ml_question *question)
{
    ml_list_remove(&question->link);
    free(question->answer);
    free(question);
}

static void release(struct ml_resolver *resolver)
{
    struct ml_link *answered = &resolver->answered, *next;
    for (struct ml_link *link = answered->next; link != answered; link = next) {
        next = link->next;
        free_question(ml_container_of(link, struct ml_question, link));
    }
    ml_alarm_close(resolver->alarm);
    ml_hosts_release(&resolver->hosts);
    ml_resolver_channel_release(&resolver->channel);
    ml_list_remove(&resolver->link);
    free(resolver);
}

void ml_resolver_free(struct ml_resolver *resolver)
{
    ml_resolver_close(resolver);
    resolver->is_freed = true;
    if (resolver->users == 0)
        release(resolver);
}

void ml_resolver_leave(struct ml_resolver *resolver)
{
    if (--resolver->users == 0 && resolver->is_freed)
        release(resolver);
}

void ml_resolver_free_all(struct ml_io *io)
{
    struct ml_link *next;
    for (struct ml_link *link = io->resolvers.next; link != &io->resolvers; link = next) {
        struct ml_resolver *resolver = ml_container_of(link, struct ml_resolver, link);
        next = link->next;
        ml_resolver_enter(resolver); /* so that it stays until its release here */
        if (resolver->free_lookups != NULL)
            resolver->free_lookups(resolver);
        ml_resolver_close(resolver);
        release(resolver);
    }
}

/* ---- questions ---- */

/* FNV-1a. */
static uint32_t hash_of(int type, const char *name)
{
    uint32_t hash = 2166136261u ^ (uint32_t)type;
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash;
}

static struct ml_link *chain_of(struct ml_resolver *resolver, uint32_t hash)
{
    return &resolver->chains[hash % ML_RESOLVER_CHAINS];
}

/* The same question under way, unless it is so old that it may be about to fail. */
static struct ml_question *find(struct ml_resolver *resolver, int type, const char *name,
                                uint32_t hash)
{
    struct ml_link *chain = chain_of(resolver, hash);
    ml_time oldest = ml_clock_now() - resolver->channel.timeout;
    for (struct ml_link *link = chain->next; link != chain; link = link->next) {
        struct ml_question *question = ml_container_of(link, struct ml_question, link);
        if (question->hash == hash && question->asked_at > oldest && question->query.type == type &&
            strcmp(question->name, name) == 0)
            return question;
    }
    return NULL;
}

static void wake_askers(struct ml_question *question)
{
    struct ml_link *askers = &question->askers;
    for (struct ml_link *link = askers->next; link != askers; link = link->next)
        ml_wake_all(question->resolver->io->hub,
                    ml_container_of(link, struct ml_asker, link)->queue);
}

static void count(struct ml_io_counters *counters, int error)
{
    counters->dns_absent += error == -ML_ENOTFOUND || error == -ML_ENODATA;
    counters->dns_failed += error != 0 && error != -ML_ENOTFOUND && error != -ML_ENODATA;
}

static void conclude(struct ml_question *question, int error)
{
    struct ml_resolver *resolver = question->resolver;
    question->error = error;
    question->is_answered = true;
    count(&resolver->io->counters, error);
    resolver->under_way--;
    leave_place(question);
    ml_list_remove(&question->link);
    ml_list_insert(&resolver->answered, &question->link);
    if (ml_list_is_empty(&question->askers))
        free_question(question);
    else
        wake_askers(question);
}

static void on_answer(struct ml_resolver_query *query, int error, const unsigned char *answer,
                      size_t size)
{
    struct ml_question *question = ml_container_of(query, struct ml_question, query);
    if (error == 0 && (question->answer = malloc(size)) == NULL)
        error = -ENOMEM;
    if (error == 0) {
        question->size = size;
        memcpy(question->answer, answer, size);
    }
    conclude(question, error);
}

static struct ml_question *new_question(struct ml_resolver *resolver, int type, const char *name,
                                        uint32_t hash)
{
    size_t size = strlen(name) + 1;
    struct ml_question *question = calloc(1, sizeof *question + size);
    if (question == NULL)
        return NULL;
    question->query =
        (struct ml_resolver_query){.on_answer = on_answer, .name = question->name, .type = type};
    question->resolver = resolver;
    question->hash = hash;
    question->asked_at = ml_clock_now();
    ml_list_init(&question->askers);
    memcpy(question->name, name, size);
    ml_list_insert(chain_of(resolver, hash)->next, &question->link);
    return question;
}

static void join(struct ml_question *question, struct ml_asker *asker)
{
    asker->question = question;
    ml_list_insert(&question->askers, &asker->link);
}

/* Sends a new question of one asker. It has a place. The answer may be there when this returns. */
static int start(struct ml_resolver *resolver, int type, const char *name, uint32_t hash,
                 struct ml_asker *asker)
{
    struct ml_question *question = new_question(resolver, type, name, hash);
    if (question == NULL) {
        give_place_back(resolver);
        return -ENOMEM;
    }
    start_alarm(resolver);
    ml_list_insert(&resolver->young, &question->young);
    resolver->under_way++;
    resolver->io->counters.dns_questions++;
    join(question, asker);
    ml_resolver_channel_send(&resolver->channel, &question->query);
    return 0;
}

int ml_resolver_ask(struct ml_resolver *resolver, int type, const char *name, ml_time deadline,
                    struct ml_asker *asker)
{
    if (!ml_resolver_is_open(resolver))
        return -ML_ECLOSED;
    if (deadline == ML_NEVER_WAIT)
        return -ETIMEDOUT;
    uint32_t hash = hash_of(type, name);
    struct ml_question *question = find(resolver, type, name, hash);
    if (question != NULL) {
        join(question, asker);
        return 0;
    }
    int error = take_place(resolver, deadline);
    if (error == 0 && !ml_resolver_is_open(resolver)) {
        give_place_back(resolver);
        error = -ML_ECLOSED;
    }
    return error == 0 ? start(resolver, type, name, hash, asker) : error;
}

void ml_asker_leave(struct ml_asker *asker)
{
    struct ml_question *question = asker->question;
    if (question == NULL)
        return;
    asker->question = NULL;
    ml_list_remove(&asker->link);
    if (ml_list_is_empty(&question->askers) && question->is_answered)
        free_question(question);
}
