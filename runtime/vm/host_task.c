/* Tasks that hosts make: of C functions and of Lua functions. */
#include "moonlet.h"

#include "base/error.h"
#include "bindings/core/lua_spawn.h"
#include "bindings/core/lua_task.h"
#include "hub/state/scope.h"
#include "hub/wait/wait.h"
#include "vm/host_task.h"
#include "vm/runtimes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BODY_TYPE "moonlet.host_task"

/* Owned by the host, if it asked for the handle, and by the task's body. */
struct moonlet_task {
    struct ml_link link; /* in m->handles */
    struct moonlet *m;   /* NULL: the runtime was closed */
    struct ml_lua_task *task;
    int reference; /* keeps the Task in the registry */
    unsigned owners;
    unsigned users;             /* calls of tasks that join it: they keep its memory */
    moonlet_function *function; /* NULL: a Lua function */
    void *argument;
    int result;
};

static void free_unused(struct moonlet_task *handle)
{
    if (handle->owners > 0 || handle->users > 0)
        return;
    if (handle->m != NULL) {
        luaL_unref(handle->m->lua.aside, LUA_REGISTRYINDEX, handle->reference);
        ml_list_remove(&handle->link);
    }
    free(handle);
}

static void give_up(struct moonlet_task *handle)
{
    handle->owners--;
    free_unused(handle);
}

/* Releases the body's share, which goes with the thread, whether it ever ran or not. */
static int body_collect(lua_State *L)
{
    struct moonlet_task **owner = lua_touserdata(L, 1);
    if (*owner != NULL)
        give_up(*owner);
    *owner = NULL;
    return 0;
}

static int run_body(lua_State *L)
{
    struct moonlet_task *handle = *(struct moonlet_task **)lua_touserdata(L, 1);
    handle->result = handle->function(ml_moonlet_of(ml_lua_of(L)), handle->argument);
    return 0;
}

/* Arguments of spawn(). */
struct order {
    struct moonlet *m;
    const char *name;
    struct moonlet_task *handle;
    const char *path; /* where the Lua function is found; NULL: on the stack */
    int count;        /* values on the stack: a Lua function and its arguments; 0: a C function */
    bool is_quiet;
    int error; /* why it failed, other than for want of memory */
};

/* Pushes the body of a C function: a Lua function and its argument. */
static void push_body(lua_State *L, struct moonlet_task *handle)
{
    lua_pushcfunction(L, run_body);
    struct moonlet_task **owner = lua_newuserdatauv(L, sizeof(void *), 0);
    *owner = NULL;
    if (luaL_newmetatable(L, BODY_TYPE)) {
        lua_pushcfunction(L, body_collect);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    *owner = handle;
    handle->owners++;
}

/*
 * Inserts the value that `path` names below the `count` values on top of the stack: a field of a
 * table among the globals, at any depth. Runs no code of the script's. Raises where there is none.
 */
static void insert_found(lua_State *L, struct order *order, int count)
{
    const char *name = order->path, *dot;
    lua_pushglobaltable(L);
    do {
        dot = strchrnul(name, '.');
        lua_pushlstring(L, name, (size_t)(dot - name));
        if (!lua_istable(L, -2) || lua_rawget(L, -2) == LUA_TNIL) {
            order->error = -ENOENT;
            luaL_error(L, "no function '%s'", order->path);
        }
        lua_remove(L, -2);
        name = dot + 1;
    } while (*dot != '\0');
    lua_insert(L, -(count + 1));
}

/* Stack: the order, a Lua function and its arguments or nothing. */
static int spawn(lua_State *L)
{
    struct order *order = lua_touserdata(L, 1);
    struct ml_lua_spawn options = {
        .name = order->name, .name_index = 2, .is_quiet = order->is_quiet};
    int count = order->count;
    if (order->path != NULL)
        insert_found(L, order, count++);
    /* The slot in the table first: once the task exists, nothing may fail any more. */
    lua_pushboolean(L, 0);
    order->handle->reference = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushstring(L, order->name != NULL ? order->name : "");
    lua_insert(L, 2);
    if (count == 0) {
        push_body(L, order->handle);
        count = 2;
    }
    if (ml_lua_spawn(L, &options, count) != 0)
        return luaL_error(L, "not enough memory");
    order->handle->task = lua_touserdata(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, order->handle->reference);
    return 0;
}

static struct moonlet_task *new_handle(struct moonlet *m, moonlet_function *function,
                                       void *argument)
{
    struct moonlet_task *handle = calloc(1, sizeof *handle);
    if (handle == NULL)
        return NULL;
    *handle = (struct moonlet_task){
        .m = m, .owners = 1, .reference = LUA_NOREF, .function = function, .argument = argument};
    ml_list_insert(&m->handles, &handle->link);
    return handle;
}

/* A function called at the end of a task, or a finalizer, may run on the state aside itself. */
static void move_values(lua_State *from, lua_State *aside, int count)
{
    if (from != aside)
        lua_xmove(from, aside, count);
    else
        for (int i = 0; i < count; i++)
            lua_pushvalue(aside, -2 - count);
}

/* The values of the order, if any, are on top of L; they are popped. */
static int spawn_protected(struct moonlet *m, lua_State *L, struct order *order,
                           struct moonlet_task **task)
{
    lua_State *aside = m->lua.aside;
    int top = lua_gettop(aside);
    if (!lua_checkstack(aside, order->count + 8)) {
        if (L != NULL)
            lua_pop(L, order->count);
        give_up(order->handle);
        return -ENOMEM;
    }
    lua_pushcfunction(aside, spawn);
    lua_pushlightuserdata(aside, order);
    if (order->count > 0)
        move_values(L, aside, order->count);
    int status = lua_pcall(aside, order->count + 1, 0, 0);
    lua_settop(aside, L == aside ? top - order->count : top);
    if (status == LUA_OK && task != NULL)
        *task = order->handle;
    else
        give_up(order->handle);
    ml_runtime_touched(m);
    return status == LUA_OK ? 0 : order->error != 0 ? order->error : -ENOMEM;
}

int moonlet_spawn(struct moonlet *m, const char *name, moonlet_function *function, void *argument,
                  struct moonlet_task **task)
{
    int error = function != NULL ? ml_runtime_check(m) : -EINVAL;
    if (error != 0)
        return error;
    struct order order = {.m = m, .name = name, .handle = new_handle(m, function, argument)};
    return order.handle != NULL ? spawn_protected(m, NULL, &order, task) : -ENOMEM;
}

int ml_host_spawn_lua(struct moonlet *m, lua_State *L, const char *path, int count, bool is_quiet,
                      struct moonlet_task **task)
{
    int error = ml_runtime_check(m), values = path == NULL ? count + 1 : count;
    if (error != 0)
        return error;
    if (L == NULL || ml_lua_of(L) != &m->lua || count < 0 || lua_gettop(L) < values)
        return -EINVAL;
    struct order order = {.m = m,
                          .name = path,
                          .handle = new_handle(m, NULL, NULL),
                          .path = path,
                          .count = values,
                          .is_quiet = is_quiet};
    return order.handle != NULL ? spawn_protected(m, L, &order, task) : -ENOMEM;
}

int moonlet_spawn_lua(struct moonlet *m, lua_State *L, int count, struct moonlet_task **task)
{
    return ml_host_spawn_lua(m, L, NULL, count, false, task);
}

struct ml_lua_task *ml_host_task(const struct moonlet_task *handle)
{
    return handle->task;
}

void ml_host_task_push(lua_State *L, const struct moonlet_task *handle)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, handle->reference);
}

/* Checks a handle. */
static int check(const struct moonlet_task *handle)
{
    if (handle == NULL)
        return -EINVAL;
    return handle->m != NULL ? ml_runtime_check(handle->m) : -ML_ECLOSED;
}

static int outcome_of(const struct moonlet_task *handle, int *result)
{
    if (result != NULL)
        *result = handle->result;
    switch (handle->task->outcome) {
    case ML_OUTCOME_DONE:
        return 0;
    case ML_OUTCOME_CANCELLED:
        return -ECANCELED;
    default:
        return -ML_EFAILED;
    }
}

int moonlet_join(struct moonlet_task *handle, double limit, int *result)
{
    int error = check(handle);
    if (error == 0 && handle->task->task.state == ML_TASK_ENDED)
        return outcome_of(handle, result);
    if (error == 0)
        error = ml_runtime_begin_wait(handle->m);
    if (error != 0)
        return error;
    struct moonlet *m = handle->m;
    if (m->lua.hub.current == &handle->task->task)
        return ml_runtime_end_wait(m, -EDEADLK);
    handle->users++; /* another task may release it meanwhile */
    error = ml_join(&m->lua.hub, &handle->task->task, ml_runtime_deadline(m, limit));
    int outcome = error == 0 ? outcome_of(handle, result) : 0;
    handle->users--;
    free_unused(handle);
    error = ml_runtime_end_wait(m, error);
    return error == 0 ? outcome : error;
}

int moonlet_cancel(struct moonlet_task *handle)
{
    int error = check(handle);
    if (error != 0)
        return error;
    ml_task_cancel(&handle->task->task);
    ml_runtime_touched(handle->m);
    return 0;
}

int moonlet_release(struct moonlet_task *handle)
{
    int error = handle != NULL && handle->m != NULL ? ml_runtime_check(handle->m) : 0;
    if (handle != NULL && error == 0)
        give_up(handle);
    return error;
}

void ml_host_tasks_detach(struct moonlet *m)
{
    while (!ml_list_is_empty(&m->handles)) {
        struct moonlet_task *handle = ml_container_of(m->handles.next, struct moonlet_task, link);
        ml_list_remove(&handle->link);
        handle->m = NULL;
        handle->users = 0; /* their tasks were dropped */
        free_unused(handle);
    }
}
