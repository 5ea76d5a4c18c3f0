#include "io/lookup.h"

#include "base/error.h"
#include "hub/wait/wait.h"

#include <stdlib.h>

static const struct ml_wait_kind answer_kind = {.text = "a name server", .external = true};

/* RFC 8305, section 3: the recommended Resolution Delay. */
#define RESOLUTION_DELAY (50 * ML_MILLISECOND)

/* ---- one name ---- */

static void reset_sides(struct ml_lookup *lookup)
{
    for (int i = 0; i < lookup->count; i++) {
        struct ml_lookup_side *side = &lookup->sides[i];
        ml_asker_leave(&side->asker);
        ml_records_release(&side->records);
        side->is_over = false;
        side->error = 0;
    }
}

/* Asks for the next name. */
static int ask(struct ml_lookup *lookup, ml_time deadline)
{
    int error = 0;
    for (int i = 0; i < lookup->count && error == 0; i++) {
        struct ml_lookup_side *side = &lookup->sides[i];
        side->asker.queue = &lookup->queue;
        error = ml_resolver_ask(lookup->resolver, side->type, lookup->names.items[lookup->asked],
                                deadline, &side->asker);
    }
    return error;
}

/* Takes the answer of a side, if it is there. */
static void look_at(struct ml_lookup_side *side)
{
    const struct ml_question *question = side->asker.question;
    if (side->is_over || question == NULL || !question->is_answered)
        return;
    side->is_over = true;
    side->error = question->error;
    if (side->error == 0)
        side->error =
            ml_records_parse(question->answer, question->size, side->type, &side->records);
    ml_asker_leave(&side->asker);
}

bool ml_lookup_look(struct ml_lookup *lookup)
{
    bool are_over = true;
    for (int i = 0; i < lookup->count; i++) {
        look_at(&lookup->sides[i]);
        are_over = are_over && lookup->sides[i].is_over;
    }
    return are_over;
}

static bool has_records(const struct ml_lookup *lookup)
{
    bool has_some = false;
    for (int i = 0; i < lookup->count; i++)
        has_some = has_some || lookup->sides[i].records.count > 0;
    return has_some;
}

/* Waits until all sides are over, or enough is known. */
static int await_answers(struct ml_lookup *lookup, bool is_eager, ml_time deadline)
{
    struct ml_hub *hub = lookup->resolver->io->hub;
    const struct ml_lookup_side *preferred = &lookup->sides[lookup->count - 1];
    ml_time until = ML_FOREVER;
    int error = 0;
    while (!ml_lookup_look(lookup) && error == 0) {
        if (is_eager && preferred->records.count > 0)
            break;
        if (is_eager && until == ML_FOREVER && has_records(lookup))
            until = ml_hub_now(hub) + RESOLUTION_DELAY;
        error = ml_wait(hub, &answer_kind, 0, &lookup->queue, ml_time_earlier(deadline, until));
    }
    return error == -ETIMEDOUT && has_records(lookup) ? 0 : error;
}

/* ---- all of them ---- */

/* A larger weight means that the error says less about whether the name has records. */
static int weight_of(int error)
{
    return error == 0 ? 0 : error == -ML_ENOTFOUND ? 1 : error == -ML_ENODATA ? 2 : 3;
}

static int worse(int error, int other)
{
    return weight_of(other) > weight_of(error) ? other : error;
}

/* The error for the name that was asked and has no records. */
static int error_of_name(const struct ml_lookup *lookup)
{
    int error = 0;
    for (int i = 0; i < lookup->count; i++)
        error = worse(error, lookup->sides[i].error);
    return error;
}

/* Whether to try the next name. A server's failure for one name says nothing of the next; its
 * silence, or a failure of this process, does. */
static bool goes_on_after(int error)
{
    return error == -ML_ENOTFOUND || error == -ML_ENODATA || error == -ML_EDNS ||
           error == -ML_EDNS_ANSWER;
}

/* Goes on to the next name. 0: it is asked; or the final error. */
static int go_on(struct ml_lookup *lookup, ml_time deadline)
{
    int error = error_of_name(lookup);
    if (!goes_on_after(error))
        return error;
    if (lookup->asked == 0 && lookup->names.begins_as_is)
        lookup->first_error = error;
    lookup->worst_error = worse(lookup->worst_error, error);
    if (++lookup->asked == lookup->names.count)
        return lookup->first_error == -ML_ENOTFOUND || lookup->first_error == -ML_ENODATA
                   ? lookup->first_error
                   : lookup->worst_error;
    reset_sides(lookup);
    return ask(lookup, deadline);
}

int ml_lookup_wait(struct ml_lookup *lookup, bool is_eager, ml_time deadline)
{
    int error = await_answers(lookup, is_eager, deadline);
    while (error == 0 && !has_records(lookup)) {
        error = go_on(lookup, deadline);
        if (error == 0)
            error = await_answers(lookup, is_eager, deadline);
    }
    return error;
}

static int name_exactly(struct ml_names *names, const char *name)
{
    static const struct ml_resolver_config none = {.dots = 0};
    return ml_names_from(names, &none, name);
}

/* resolver->free_lookups, when no task is alive. */
static void free_lookups(struct ml_resolver *resolver)
{
    struct ml_link *lookups = &resolver->lookups, *next;
    for (struct ml_link *link = lookups->next; link != lookups; link = next) {
        next = link->next;
        ml_lookup_close(ml_container_of(link, struct ml_lookup, link));
    }
}

int ml_lookup_open(struct ml_resolver *resolver, const char *name, const enum ml_record_type *types,
                   int count, bool is_exact, ml_time deadline, struct ml_lookup **result)
{
    *result = NULL;
    if (!ml_resolver_is_open(resolver))
        return -ML_ECLOSED;
    struct ml_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return -ENOMEM;
    ml_resolver_enter(resolver);
    resolver->free_lookups = free_lookups;
    ml_list_insert(&resolver->lookups, &lookup->link);
    ml_list_init(&lookup->queue);
    lookup->resolver = resolver;
    lookup->count = count;
    for (int i = 0; i < count; i++)
        lookup->sides[i].type = types[i];
    ml_resolver_follow(resolver);
    int error = is_exact ? name_exactly(&lookup->names, name)
                         : ml_resolver_channel_names(&resolver->channel, name, &lookup->names);
    if (error == 0)
        error = ask(lookup, deadline);
    if (error == 0)
        *result = lookup;
    else
        ml_lookup_close(lookup);
    return error;
}

void ml_lookup_close(struct ml_lookup *lookup)
{
    if (lookup == NULL)
        return;
    struct ml_resolver *resolver = lookup->resolver;
    reset_sides(lookup);
    ml_names_release(&lookup->names);
    ml_list_remove(&lookup->link);
    free(lookup);
    ml_resolver_leave(resolver);
}
