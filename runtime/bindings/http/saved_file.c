#include "bindings/http/saved_file.h"

#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/file/file_call.h"
#include "system/file/new_file.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static const char saved_type[] = "serving.new_file";

struct saved {
    struct ml_new_file *file; /* NULL: closed, or a worker has it */
};

static void free_new_file(void *object)
{
    ml_new_file_close(object);
    free(object);
}

static void lend(struct ml_file_call *call, struct ml_new_file *file)
{
    call->object = file;
    call->free_object = free_new_file;
}

/* ---- on a worker ---- */

static int make_create(struct ml_file_call *call)
{
    struct ml_new_file *file = malloc(sizeof *file);
    if (file == NULL)
        return -ENOMEM;
    int error = ml_new_file_open(file, call->path, 0666);
    if (error == 0)
        lend(call, file);
    else
        free(file);
    return error;
}

/* One that failed is thrown away here, not by the task. */
static int make_write(struct ml_file_call *call)
{
    int error = ml_new_file_write(call->object, call->input, call->input_size);
    if (error != 0)
        ml_new_file_close(call->object);
    return error;
}

static int make_commit(struct ml_file_call *call)
{
    int error = ml_file_call_is_given_up(call) ? -ECANCELED : 0;
    if (error == 0)
        error = ml_new_file_commit(call->object, false);
    ml_new_file_close(call->object);
    return error;
}

static int make_discard(struct ml_file_call *call)
{
    ml_new_file_close(call->object);
    return 0;
}

/* ---- the object ---- */

static struct saved *check_saved(lua_State *L)
{
    struct saved *saved = ml_check_object(L, 1, saved_type);
    luaL_argcheck(L, saved->file != NULL, 1, "the file is closed");
    return saved;
}

int ml_saved_file_create(lua_State *L)
{
    size_t size;
    const char *path = luaL_checklstring(L, 1, &size);
    luaL_argcheck(L, strlen(path) == size, 1, "the path has a zero byte");
    lua_settop(L, 1);
    struct saved *saved = ml_push_object(L, saved_type, sizeof *saved, 0);
    struct ml_file_call *call = ml_push_file_call(L, make_create, true, path, NULL, NULL, 0);
    int error = ml_make_file_call(L);
    if (error == 0) {
        saved->file = call->object;
        call->object = NULL;
    }
    ml_free_file_call(L, -1);
    lua_settop(L, 2);
    return error == 0 ? 1 : ml_push_failure(L, error);
}

/* The call has the file meanwhile: if the task is cancelled, the worker throws it away. */
static int run(lua_State *L, struct saved *saved, int (*make)(struct ml_file_call *),
               const char *data, size_t size)
{
    struct ml_file_call *call = ml_push_file_call(L, make, true, NULL, NULL, data, size);
    lend(call, saved->file);
    saved->file = NULL;
    int error = ml_make_file_call(L);
    if (error == 0) {
        saved->file = call->object;
        call->object = NULL;
    }
    ml_free_file_call(L, -1);
    return error;
}

static int saved_write(lua_State *L)
{
    size_t size;
    struct saved *saved = check_saved(L);
    const char *data = luaL_checklstring(L, 2, &size);
    return ml_push_outcome(L, run(L, saved, make_write, data, size));
}

static int saved_commit(lua_State *L)
{
    struct saved *saved = check_saved(L);
    int error = run(L, saved, make_commit, NULL, 0);
    if (saved->file != NULL)
        free_new_file(saved->file);
    saved->file = NULL;
    return ml_push_outcome(L, error);
}

/* The most that a cancelled task waits for a disk; the worker does its work all the same. */
#define LONGEST_DISCARD (5 * ML_SECOND)

/* Waits for a worker also in a task that is cancelled: nothing is left when the task has ended.
 * False: it may not wait here. */
static bool discard_on_worker(lua_State *L, struct ml_new_file *file)
{
    struct ml_file_call *call = ml_file_call_new(make_discard, true, NULL, NULL, NULL, 0);
    if (call == NULL || !ml_blocking_begin_quietly(L)) {
        ml_file_call_free(call);
        return false;
    }
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    ml_time until = ml_time_after(ml_hub_now(hub), LONGEST_DISCARD);
    struct ml_scope *shield = ml_scope_open(hub, ML_SCOPE_SHIELD, until);
    lend(call, file);
    call->job.must_run = true;
    ml_file_call_run(hub, &call);
    if (shield != NULL)
        ml_scope_close(hub, shield);
    ml_blocking_finish(L);
    ml_file_call_free(call);
    return true;
}

static int saved_close(lua_State *L)
{
    struct saved *saved = ml_check_object(L, 1, saved_type);
    struct ml_new_file *file = saved->file;
    saved->file = NULL;
    if (file != NULL && !discard_on_worker(L, file))
        free_new_file(file);
    return 0;
}

void ml_open_saved_files(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"write", saved_write}, {"commit", saved_commit}, {"close", saved_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", saved_close}, {"__close", saved_close}, {NULL, NULL}};
    ml_open_object_type(L, saved_type, methods, meta);
}
