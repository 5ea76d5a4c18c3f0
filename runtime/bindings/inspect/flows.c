#include "bindings/inspect/flows.h"

#include "bindings/core/lua_strand.h"

#include <stdlib.h>

static struct ml_flow **bucket_of(struct ml_flows *flows, const struct ml_task *task)
{
    return &flows->buckets[task->id % ML_FLOW_BUCKETS];
}

struct ml_flow *ml_flow_search(struct ml_flows *flows, const struct ml_task *task)
{
    struct ml_flow *flow = *bucket_of(flows, task);
    while (flow != NULL && &flow->task->task != task)
        flow = flow->next;
    return flow;
}

struct ml_flow *ml_flow_obtain(struct ml_flows *flows, struct ml_task *task)
{
    struct ml_flow *flow = ml_flow_search(flows, task);
    if (flow != NULL)
        return flow;
    flow = calloc(1, sizeof *flow);
    if (flow == NULL)
        return NULL;
    flow->task = ml_lua_task_of(task);
    flow->next = *bucket_of(flows, task);
    *bucket_of(flows, task) = flow;
    flows->count++;
    return flow;
}

void ml_flow_drop(struct ml_flows *flows, const struct ml_task *task)
{
    struct ml_flow **link = bucket_of(flows, task);
    while (*link != NULL && &(*link)->task->task != task)
        link = &(*link)->next;
    struct ml_flow *flow = *link;
    if (flow == NULL)
        return;
    ml_flow_aim(flows, flow, ML_AIM_NONE);
    *link = flow->next;
    free(flow);
    flows->count--;
}

struct ml_flow *ml_flow_next(struct ml_flows *flows, const struct ml_flow *flow)
{
    if (flow != NULL && flow->next != NULL)
        return flow->next;
    struct ml_flow **bucket = flows->buckets;
    if (flow != NULL)
        bucket = bucket_of(flows, &flow->task->task) + 1;
    while (bucket < flows->buckets + ML_FLOW_BUCKETS && *bucket == NULL)
        bucket++;
    return bucket < flows->buckets + ML_FLOW_BUCKETS ? *bucket : NULL;
}

void ml_flows_release(struct ml_flows *flows)
{
    struct ml_flow *flow;
    while ((flow = ml_flow_next(flows, NULL)) != NULL)
        ml_flow_drop(flows, &flow->task->task);
}

void ml_flow_aim(struct ml_flows *flows, struct ml_flow *flow, enum ml_aim aim)
{
    flows->steps -= flow->aim != ML_AIM_NONE;
    flow->aim = aim;
    flows->steps += aim != ML_AIM_NONE;
}

void ml_flows_rest(struct ml_flows *flows)
{
    for (struct ml_flow *flow = NULL; (flow = ml_flow_next(flows, flow)) != NULL;)
        ml_flow_aim(flows, flow, ML_AIM_NONE);
}

/* ---- steps ---- */

/* So many calls are looked through for one that an error may have ended. */
enum { MOST_LEVELS = 1000 };

static bool is_standing(lua_State *L, const void *call)
{
    lua_Debug frame;
    for (int level = 0; level < MOST_LEVELS && lua_getstack(L, level, &frame); level++)
        if (frame.i_ci == call)
            return true;
    return false;
}

/* Whether the thread that runs was resumed, directly or not, from the flow's own. */
static bool is_further_in(const struct ml_flow *flow)
{
    const struct ml_strand *strand = flow->task->task.strand->resumer;
    while (strand != NULL && (flow->L == NULL || strand != ml_strand_of(flow->L)))
        strand = strand->resumer;
    return strand != NULL;
}

static bool has_left(const struct ml_flow *flow, lua_State *L, const lua_Debug *ended, bool is_c)
{
    if (L != flow->L)
        return !is_further_in(flow);
    return (const void *)ended->i_ci == flow->frame || (is_c && !is_standing(L, flow->frame));
}

void ml_flow_follow(struct ml_flow *flow, lua_State *L, const lua_Debug *ended, bool is_c,
                    lua_Debug *caller)
{
    if (flow->aim <= ML_AIM_PAUSE || !has_left(flow, L, ended, is_c))
        return;
    flow->L = caller != NULL ? L : NULL;
    flow->frame = caller != NULL ? (const void *)caller->i_ci : NULL;
    if (flow->aim != ML_AIM_IN)
        flow->aim = caller != NULL && caller->what[0] != 'C' ? ML_AIM_OVER : ML_AIM_OUT;
}
