/*** @submodule moonlet.fs */
#include "bindings/file/walk.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/option.h"
#include "bindings/file/arguments.h"
#include "bindings/file/file_call.h"
#include "bindings/task/task_options.h"
#include "system/file/walk.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char walk_type[] = "fs.walk";

/* An iterator. User values: the function for errors, or nil; the path. */
struct walking {
    struct ml_walk *walk; /* NULL: closed */
};

/***
A walk, as `walk` returns it for the loop; `<close>` closes it. It prints as its path and state.
@object walk
*/

/***
Ends the walk. Idempotent, never waits.
@function walk:close
*/
static int walking_close(lua_State *L)
{
    struct walking *w = ml_check_object(L, 1, walk_type);
    ml_walk_leave(w->walk);
    w->walk = NULL;
    return 0;
}

/* Has a worker go on. 0 or an error. Raises. */
static int fill(lua_State *L, struct ml_walk *walk)
{
    struct ml_file_call *call = ml_push_file_call(L, ml_walk_fill, true, NULL, NULL, NULL, 0);
    ml_walk_lend(walk, call);
    int result = ml_make_file_call(L);
    ml_free_file_call(L, -1);
    lua_pop(L, 1);
    return result;
}

/* The next thing: 1; 0: there is none any more; or an error. The walk may be closed meanwhile.
 * While it is lent it is the worker's: nothing else of it is looked at. */
static int find_next(lua_State *L, struct walking *w, struct ml_walk_record *record)
{
    int error = 0;
    while (error == 0 && w->walk != NULL) {
        if (atomic_load_explicit(&w->walk->is_lent, memory_order_acquire))
            return -EBUSY;
        if (ml_walk_next(w->walk, record))
            return 1;
        if (w->walk->has_ended)
            break;
        error = fill(L, w->walk);
    }
    return error;
}

static void push_failure(lua_State *L, const struct ml_walk_record *record)
{
    lua_pushfstring(L, "%s: %s", record->path, ml_error_text(record->error));
    lua_pushstring(L, ml_error_name(record->error));
}

/* Calls the function for errors, or raises. The path is the walk's, which a finalizer may close in
 * the first push. */
static void tell_failure(lua_State *L, const struct ml_walk_record *record)
{
    const char *path = lua_pushlstring(L, record->path, record->path_size);
    struct ml_walk_record copy = *record;
    copy.path = path;
    bool is_told = lua_getiuservalue(L, 1, 1) != LUA_TNIL;
    push_failure(L, &copy);
    if (!is_told)
        ml_raise_failure(L);
    lua_pushvalue(L, -4);
    lua_call(L, 3, 0);
    lua_pop(L, 1);
}

/* The walk itself cannot go on. */
static int raise_stop(lua_State *L, int error)
{
    const char *reason = error == -EBUSY ? "another task is in this walk" : ml_error_text(error);
    lua_getiuservalue(L, 1, 2);
    lua_pushfstring(L, "%s: %s", lua_tostring(L, -1), reason);
    lua_pushstring(L, ml_error_name(error));
    return ml_raise_failure(L);
}

static int walking_tostring(lua_State *L)
{
    const struct walking *w = ml_check_object(L, 1, walk_type);
    lua_getiuservalue(L, 1, 2);
    lua_pushfstring(L, "fs.walk %s (%s)", lua_tostring(L, -1), w->walk != NULL ? "open" : "closed");
    return 1;
}

static int walking_next(lua_State *L)
{
    struct walking *w = ml_check_object(L, 1, walk_type);
    struct ml_walk_record record;
    ml_blocking_enter(L, ML_FOREVER);
    int found;
    while ((found = find_next(L, w, &record)) > 0 && record.error != 0)
        tell_failure(L, &record);
    if (found < 0)
        return raise_stop(L, found);
    if (found == 0) {
        walking_close(L);
        return 0;
    }
    lua_pushlstring(L, record.path, record.path_size);
    lua_pushstring(L, ml_file_type_name(DTTOIF(record.type)));
    return 2;
}

/* Pushes the names in the list at the field `skip` of the options, as ml_walk_new() takes them; or
 * returns NULL. Raises. */
static const char *skipped_names(lua_State *L)
{
    luaL_Buffer text;
    if (lua_getfield(L, 2, "skip") == LUA_TNIL)
        return NULL;
    luaL_argcheck(L, lua_istable(L, -1), 2, "option 'skip' must be a list of names");
    int list = lua_gettop(L);
    luaL_buffinit(L, &text);
    for (lua_Integer i = 1; lua_rawgeti(L, list, i) != LUA_TNIL; i++) {
        bool is_name = lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0 &&
                       strlen(lua_tostring(L, -1)) == lua_rawlen(L, -1);
        luaL_argcheck(L, is_name, 2, "option 'skip' must be a list of names");
        luaL_addvalue(&text);
        luaL_addchar(&text, '\0');
    }
    lua_pop(L, 1);
    luaL_addchar(&text, '\0');
    luaL_pushresult(&text);
    return lua_tostring(L, -1);
}

/* The options of walk() at 2, which may be nil. */
struct options {
    lua_Integer depth;
    bool follows;
    const char *skipped; /* a string on the stack; NULL: none */
    size_t skipped_size;
};

static void check_walk_options(lua_State *L, struct options *o)
{
    static const char *const names[] = {"depth", "follow", "on_error", "skip", NULL};
    *o = (struct options){.depth = UINT_MAX};
    if (!ml_check_options(L, 2, names))
        return;
    if (lua_getfield(L, 2, "depth") != LUA_TNIL) {
        o->depth = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        luaL_argcheck(L, o->depth >= 1, 2, "option 'depth' must be a positive integer");
        o->depth = o->depth < UINT_MAX ? o->depth : UINT_MAX;
    }
    lua_pop(L, 1);
    bool is_absent = lua_getfield(L, 2, "on_error") == LUA_TNIL;
    luaL_argcheck(L, is_absent || ml_is_callable(L, -1), 2, "option 'on_error' must be a function");
    lua_pop(L, 1);
    o->follows = ml_boolean_option(L, 2, "follow", false);
    o->skipped = skipped_names(L);
    if (o->skipped != NULL)
        o->skipped_size = lua_rawlen(L, -1);
}

static char *copy_of(const struct options *o)
{
    char *copy = o->skipped != NULL ? malloc(o->skipped_size + 1) : NULL;
    return copy != NULL ? memcpy(copy, o->skipped, o->skipped_size + 1) : NULL;
}

/***
Iterates over all that is below a directory, each directory before what is in it, in no other order.
Links are told of, and not followed. What vanishes meanwhile is passed over, if it was not told of
yet. The loop may be left at any time: the fourth value closes the walk. May wait, in each step.

    for path, type in fs.walk("src") do
      if type == "file" then print(path) end
    end

@function walk
@tparam string dir
@tparam[opt] table opts
@tparam[opt] integer opts.depth levels at most: 1 is what is in the directory itself
@tparam[opt=false] boolean opts.follow directories behind symbolic links are entered, too, unless
they contain the link
@tparam[opt] table opts.skip a list of names: what is called so is left out, with all that is in it
@tparam[opt] function opts.on_error on_error(message, code, path), called for a directory that
cannot be read; without it that is raised, as {message=, code=}
@treturn function the iterator, which returns a path, and a type as in `stat`
@treturn walk for the iterator
*/
static int fs_walk(lua_State *L)
{
    struct options o;
    const char *path = ml_check_path(L, 1);
    lua_settop(L, 2);
    check_walk_options(L, &o);
    struct walking *w = ml_push_object(L, walk_type, sizeof *w, 2);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 2);
    if (!lua_isnil(L, 2)) {
        lua_getfield(L, 2, "on_error");
        lua_setiuservalue(L, -2, 1);
    }
    char *skipped = copy_of(&o);
    if (o.skipped == NULL || skipped != NULL)
        w->walk = ml_walk_new(path, (unsigned)o.depth, o.follows, skipped);
    if (w->walk == NULL)
        luaL_error(L, "not enough memory");
    lua_pushcfunction(L, walking_next);
    lua_insert(L, -2);
    lua_pushnil(L);
    lua_pushvalue(L, -2);
    return 4;
}

void ml_set_walk_function(lua_State *L)
{
    static const luaL_Reg methods[] = {{"close", walking_close}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", walking_close},
                                           {"__close", walking_close},
                                           {"__tostring", walking_tostring},
                                           {NULL, NULL}};
    ml_open_object_type(L, walk_type, methods, metamethods);
    lua_pushcfunction(L, fs_walk);
    lua_setfield(L, -2, "walk");
}
