#include "bindings/inspect/wait_graph.h"

#include "bindings/core/task_view.h"
#include "bindings/inspect/holders.h"
#include "bindings/inspect/task_entry.h"
#include "bindings/task/group_members.h"
#include "bindings/task/group_object.h"
#include "hub/state/scope.h"

#include <lauxlib.h>
#include <string.h>

/* A task as it was when it was visited. */
struct seen {
    uint64_t id;
    uint32_t slot;
    uint32_t switches;
    bool is_left; /* all that it waits for was visited */
};

/* Visits under way, and to come. A task with more members than that has some left out; those are
 * visited from the list of all tasks. */
enum { MOST_PENDING = 2 * ML_GRAPH_PATH };

enum color { UNSEEN, ON_PATH, DONE };

/* The search in depth, in one userdata. */
struct graph {
    struct ml_hub *hub;
    struct ml_task_walk *walk;
    int pending_count, path_count;
    int room;                   /* members of deadlocks that may still be described */
    lua_Integer deadlock_count; /* with those that are not */
    struct seen pending[MOST_PENDING];
    struct seen path[ML_GRAPH_PATH];
    uint32_t slots;         /* entries of the next: tasks in further slots are new */
    unsigned char colors[]; /* slot -> enum color */
};

/* The stack of ml_wait_graph_push(). */
struct lists {
    int edges, deadlocks;
    lua_Integer count, limit;
};

/* ---- edges ---- */

static void set_task(lua_State *L, struct ml_task *task, const char *id, const char *name)
{
    lua_pushinteger(L, (lua_Integer)task->id);
    lua_setfield(L, -2, id);
    if (!ml_lua_task_of(task)->is_named)
        return;
    ml_lua_push_task(L, ml_lua_task_of(task));
    ml_lua_push_task_name(L, -1);
    lua_setfield(L, -3, name);
    lua_pop(L, 1);
}

static void add_edge(lua_State *L, struct lists *lists, struct ml_task *from, struct ml_task *to)
{
    if (++lists->count > lists->limit)
        return;
    lua_createtable(L, 0, 6);
    set_task(L, from, "from", "from_name");
    set_task(L, to, "to", "to_name");
    lua_pushstring(L, from->waits_for->text);
    lua_setfield(L, -2, "waits_for");
    if (from->deadline != ML_FOREVER) {
        ml_time left = from->deadline - ml_hub_now(from->hub);
        lua_pushnumber(L, left > 0 ? ml_time_to_seconds(left) : 0);
        lua_setfield(L, -2, "deadline");
    }
    lua_rawseti(L, lists->edges, lists->count);
}

/* No member ends meanwhile: nothing switches. */
static void add_edges(lua_State *L, struct lists *lists, struct ml_task *task)
{
    struct ml_task *holder = ml_holder_of(ml_lua_of(L), task);
    const struct ml_group *group = ml_awaited_group(task);
    if (holder != NULL)
        add_edge(L, lists, task, holder);
    if (group == NULL)
        return;
    lua_Integer count = lists->count + group->count;
    struct ml_link *link = group->members.next;
    for (; lists->count < lists->limit && link != &group->members; link = link->next)
        add_edge(L, lists, task, &ml_container_of(link, struct ml_member, link)->task.task);
    lists->count = count;
}

/* ---- cycles ---- */

static void add_pending(struct graph *graph, const struct ml_task *task)
{
    if (graph->pending_count < MOST_PENDING && task->state == ML_TASK_WAITING)
        graph->pending[graph->pending_count++] =
            (struct seen){.id = task->id, .slot = task->waiter.slot};
}

static void add_members(struct graph *graph, const struct ml_group *group)
{
    const struct ml_link *link = group->members.next;
    for (; link != &group->members && graph->pending_count < MOST_PENDING; link = link->next)
        add_pending(graph, &ml_container_of(link, struct ml_member, link)->task.task);
}

/* The task, if it lives and waits. */
static struct ml_task *find(const struct graph *graph, const struct seen *seen)
{
    struct ml_task *task = ml_hub_task(graph->hub, seen->slot, seen->id);
    bool is_new = seen->slot >= graph->slots;
    return task != NULL && !is_new && task->state == ML_TASK_WAITING ? task : NULL;
}

static bool is_awaited(struct graph *graph, const struct ml_task *task, const struct ml_task *other)
{
    const struct ml_group *group = ml_awaited_group(task);
    if (group == NULL)
        return ml_holder_of(graph->hub->owner, task) == other;
    const struct ml_lua_task *member =
        ml_container_of((struct ml_task *)other, struct ml_lua_task, task);
    return member->is_member && ((const struct ml_member *)member)->group == group;
}

/* The second look, in one go: whether the cycle that begins there on the path is still one. */
static bool is_deadlock(struct graph *graph, int begin)
{
    bool holds = true;
    for (int i = begin; i < graph->path_count && holds; i++) {
        const struct seen *seen = &graph->path[i];
        const struct ml_task *task = find(graph, seen);
        const struct ml_task *next =
            find(graph, &graph->path[i + 1 < graph->path_count ? i + 1 : begin]);
        holds = task != NULL && next != NULL && task->switches == seen->switches &&
                is_awaited(graph, task, next);
    }
    return holds;
}

/* Pushes the members, in slices: to describe 10,000 takes 12 ms. One that ends meanwhile, by a
 * cancellation, is left out. Returns the earliest deadline of their waits. */
static ml_time push_members(lua_State *L, const struct graph *graph, int begin)
{
    ml_time deadline = ML_FOREVER;
    lua_Integer count = 0;
    lua_createtable(L, graph->path_count - begin, 0);
    for (int i = begin; i < graph->path_count; i++) {
        struct ml_task *task = find(graph, &graph->path[i]);
        if (task == NULL)
            continue;
        deadline = ml_time_earlier(deadline, task->deadline);
        ml_task_entry_push(L, ml_lua_task_of(task), (struct ml_dump_place){.running = NULL}, 0);
        lua_rawseti(L, -2, ++count);
        ml_task_walk_rest(graph->walk);
    }
    return deadline;
}

static void push_deadlock(lua_State *L, const struct graph *graph, int begin)
{
    lua_createtable(L, 0, 2);
    ml_time deadline = push_members(L, graph, begin);
    lua_setfield(L, -2, "tasks");
    if (deadline == ML_FOREVER)
        return;
    ml_time left = deadline - ml_hub_now(graph->hub);
    lua_pushnumber(L, left > 0 ? ml_time_to_seconds(left) : 0);
    lua_setfield(L, -2, "deadline");
}

static void look_at_cycle(lua_State *L, struct graph *graph, const struct lists *lists,
                          const struct seen *seen)
{
    int begin = graph->path_count - 1;
    while (begin >= 0 && graph->path[begin].slot != seen->slot)
        begin--;
    if (begin < 0 || graph->path[begin].id != seen->id || !is_deadlock(graph, begin))
        return;
    graph->deadlock_count++;
    graph->room -= graph->path_count - begin;
    if (graph->room < 0)
        return;
    push_deadlock(L, graph, begin);
    lua_rawseti(L, lists->deadlocks, (lua_Integer)lua_rawlen(L, lists->deadlocks) + 1);
}

/* ---- the search ---- */

static void enter(struct graph *graph, struct seen seen, const struct ml_task *task)
{
    if (graph->path_count == ML_GRAPH_PATH || graph->pending_count == MOST_PENDING)
        return;
    seen.switches = task->switches;
    graph->colors[seen.slot] = ON_PATH;
    graph->path[graph->path_count++] = seen;
    seen.is_left = true;
    graph->pending[graph->pending_count++] = seen;
    const struct ml_task *holder = ml_holder_of(graph->hub->owner, task);
    const struct ml_group *group = ml_awaited_group(task);
    if (holder != NULL)
        add_pending(graph, holder);
    if (group != NULL)
        add_members(graph, group);
}

static void visit(lua_State *L, struct graph *graph, const struct lists *lists, struct seen seen)
{
    if (seen.is_left) {
        graph->colors[seen.slot] = DONE;
        graph->path_count--;
        return;
    }
    const struct ml_task *task = find(graph, &seen);
    if (task == NULL)
        return;
    if (graph->colors[seen.slot] == UNSEEN)
        enter(graph, seen, task);
    else if (graph->colors[seen.slot] == ON_PATH)
        look_at_cycle(L, graph, lists, &seen);
}

static void search_from(lua_State *L, struct graph *graph, const struct lists *lists,
                        const struct ml_task *task)
{
    add_pending(graph, task);
    while (graph->pending_count > 0) {
        visit(L, graph, lists, graph->pending[--graph->pending_count]);
        ml_task_walk_rest(graph->walk);
    }
}

static struct graph *push_graph(lua_State *L, struct ml_task_walk *walk)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    uint32_t slots = hub->slots.count;
    struct graph *graph = lua_newuserdatauv(L, sizeof *graph + slots, 0);
    graph->hub = hub;
    graph->walk = walk;
    graph->pending_count = graph->path_count = 0;
    graph->room = ML_GRAPH_PATH;
    graph->deadlock_count = 0;
    graph->slots = slots;
    memset(graph->colors, UNSEEN, slots);
    return graph;
}

struct ml_wait_counts ml_wait_graph_push(lua_State *L, lua_Integer limit, ml_time slice)
{
    luaL_checkstack(L, 12, NULL);
    struct ml_task_walk walk = ml_task_walk(L, slice);
    lua_newtable(L);
    lua_newtable(L);
    struct lists lists = {.edges = lua_gettop(L) - 1, .deadlocks = lua_gettop(L), .limit = limit};
    struct graph *graph = push_graph(L, &walk);
    struct ml_lua_task *task;
    while ((task = ml_task_walk_next(&walk)) != NULL) {
        if (task->task.state != ML_TASK_WAITING)
            continue;
        add_edges(L, &lists, &task->task);
        search_from(L, graph, &lists, &task->task);
    }
    struct ml_wait_counts counts = {.edges = lists.count, .deadlocks = graph->deadlock_count};
    lua_settop(L, lists.deadlocks);
    return counts;
}
