/*** @submodule moonlet.fs */
/* Watches of directories and files as scripts see them. */
#include "bindings/file/watch.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/option.h"
#include "bindings/core/time_limit.h"
#include "bindings/sync/select_source.h"
#include "system/file/watch.h"

#include <errno.h>
#include <string.h>

/* User value 1 of a watch: the path. */
static const char watch_type[] = "fs.watch";

/* The source of a runtime, in the registry. It is made before the first watch, and so finalized
 * after the last. */
static const char source_type[] = "fs.watch source";

static struct ml_file_watch *check_watch(lua_State *L)
{
    return ml_check_object(L, 1, watch_type);
}

/* ---- the source ---- */

static int collect_source(lua_State *L)
{
    ml_watch_source_release(ml_check_object(L, 1, source_type));
    return 0;
}

static struct ml_watch_source *source_of(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, source_type);
    struct ml_watch_source *source = ml_to_object(L, -1);
    lua_pop(L, 1);
    return source;
}

static void open_source(lua_State *L)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", collect_source}, {NULL, NULL}};
    ml_open_object_type(L, source_type, none, metamethods);
    struct ml_watch_source *source = ml_push_object(L, source_type, sizeof *source, 0);
    ml_watch_source_init(source, &ml_lua_of(L)->hub);
    lua_rawsetp(L, LUA_REGISTRYINDEX, source_type);
}

bool ml_fs_watch_lingers(lua_State *L, int fd)
{
    bool is_open = lua_rawgetp(L, LUA_REGISTRYINDEX, source_type) != LUA_TNIL;
    bool lingers = is_open && ml_watch_source_lingers(ml_to_object(L, -1), fd);
    lua_pop(L, 1);
    return lingers;
}

/* ---- failures ---- */

/* What a reader can do about it, or what has become of the directory; NULL: the error says it. */
static const char *explain(const struct ml_file_watch *w, int error)
{
    static const char *const ends[] = {
        [ML_WATCH_GOES_ON] = NULL,
        [ML_WATCH_ROOT_REMOVED] = "the watched directory was removed",
        [ML_WATCH_ROOT_RENAMED] = "the watched directory was renamed",
        [ML_WATCH_ROOT_UNMOUNTED] = "the watched file system was unmounted"};
    switch (error) {
    case -ENOSPC:
        return "too many watches of the user, see the sysctl fs.inotify.max_user_watches";
    case -EUSERS:
        return "too many inotify descriptors of the user, see the sysctl "
               "fs.inotify.max_user_instances";
    case -EBUSY:
        return "another task reads this watch";
    case -ENOENT:
    case -ENODEV:
        return ends[w->end];
    default:
        return NULL;
    }
}

/* Pushes nil, "path: reason", code. */
static int push_watch_failure(lua_State *L, const struct ml_file_watch *w, const char *path,
                              int error)
{
    const char *reason = explain(w, error);
    bool is_plain = path == NULL || error == -ETIMEDOUT || error == -ML_ECLOSED;
    error = error == -EUSERS ? -EMFILE : error;
    if (is_plain)
        return ml_push_failure(L, error);
    luaL_pushfail(L);
    lua_pushfstring(L, "%s: %s", path, reason != NULL ? reason : ml_error_text(error));
    lua_pushstring(L, ml_error_name(error));
    return 3;
}

/* ---- events ---- */

/* Each push may run a finalizer that reads the watch or closes it: then the event is freed. So its
 * paths are Lua's after the first push, and the rest was read before. */
static void push_event(lua_State *L, const struct ml_watch_event *event)
{
    static const char *const kinds[] = {[ML_WATCH_CREATED] = "created",
                                        [ML_WATCH_CHANGED] = "changed",
                                        [ML_WATCH_REMOVED] = "removed",
                                        [ML_WATCH_RENAMED] = "renamed",
                                        [ML_WATCH_OVERFLOW] = "overflow"};
    const char *kind = kinds[event->kind];
    bool is_directory = event->is_directory;
    size_t path_size = event->path_size, from_size = event->from_size;
    size_t from = (size_t)(ml_watch_event_from(event) - event->path);
    const char *paths =
        lua_pushlstring(L, event->path, from_size > 0 ? from + from_size : path_size);
    lua_createtable(L, 0, from_size > 0 ? 4 : 3);
    lua_pushstring(L, kind);
    lua_setfield(L, -2, "kind");
    lua_pushlstring(L, paths, path_size);
    lua_setfield(L, -2, "path");
    lua_pushboolean(L, is_directory);
    lua_setfield(L, -2, "directory");
    if (from_size > 0) {
        lua_pushlstring(L, paths + from, from_size);
        lua_setfield(L, -2, "from");
    }
    lua_remove(L, -2);
}

/* Waits for an event of the watch at `index` and pushes it: 1; or nil, message, code: 3. The event
 * stays in the watch until it is a value of Lua's; if a finalizer took it meanwhile, the next one
 * is awaited. */
static int push_next(lua_State *L, int index, ml_time deadline)
{
    struct ml_file_watch *w = ml_to_object(L, index);
    const struct ml_watch_event *event = NULL;
    int top = lua_gettop(L);
    uint64_t serial;
    do {
        lua_settop(L, top);
        ml_blocking_begin_until(L, deadline);
        int error = ml_blocking_end_until(L, deadline, ml_file_watch_next(w, &event, deadline));
        if (error != 0)
            return push_watch_failure(L, w, w->name, error);
        serial = event->serial;
        push_event(L, event);
    } while (!ml_file_watch_drop(w, serial));
    return 1;
}

/***
A watch of a directory or a file. `<close>` closes it. It prints as its path and state.

A reader that applies every event has a picture of the directory that agrees with the disk once the
disk is quiet, whatever happened in between: renames while a directory is listed, lost events, a
directory that is replaced by another one.
@object Watch
*/

/***
Waits for the next event. May wait. An event is a table:

- `kind`: "created"; "changed": content or attributes; "removed"; "renamed"; or "overflow": events
  were lost, and the differences that a new listing shows come next;
- `path`: begins with the path that was watched;
- `from`: with "renamed", the old path. What was at the new one before is replaced;
- `directory`: true if it is one.

A directory that comes is reported as created, then all that is in it; one that goes, all that is in
it as removed, then itself. A renamed one is reported once: the paths of all that is in it are new.
Changes of one file are reported as one, as long as they wait to be read.
@function Watch:next
@tparam[opt] number timeout seconds; 0: never waits
@treturn table the event; or nil, message, code: "ENOENT": the directory itself was removed or
renamed, "ENODEV": unmounted, and nothing more will come; "ENOSPC": a new directory is not watched,
since the user has too many watches; "CLOSED"; "EBUSY": another task reads it; "ETIMEDOUT"; a code
of errno when a directory cannot be listed, which the next call tries again
*/
static int watch_next(lua_State *L)
{
    check_watch(L);
    return push_next(L, 1, ml_check_deadline(L, 2));
}

static int iterate(lua_State *L)
{
    int index = lua_upvalueindex(1);
    int results = push_next(L, index, ML_FOREVER);
    const struct ml_file_watch *w = ml_to_object(L, index);
    if (results == 1 || !ml_file_watch_is_open(w) || w->is_over) {
        lua_settop(L, lua_gettop(L) - results + 1);
        return 1;
    }
    return ml_raise_failure(L);
}

/***
Iterates over the events, until the watch is closed or the directory itself is gone. Waits as next()
does; raises other failures, as {message=, code=}.
@function Watch:events
@treturn function():table an iterator
*/
static int watch_events(lua_State *L)
{
    check_watch(L);
    lua_settop(L, 1);
    lua_pushcclosure(L, iterate, 1);
    return 1;
}

/***
Closes it at once; the task that reads it gets nil, "closed", "CLOSED". Idempotent, never waits.
@function Watch:close
*/
static int watch_close(lua_State *L)
{
    ml_file_watch_close(check_watch(L));
    lua_pushboolean(L, 1);
    return 1;
}

static int watch_tostring(lua_State *L)
{
    const struct ml_file_watch *w = check_watch(L);
    lua_getiuservalue(L, 1, 1);
    lua_pushfstring(L, "fs.watch %s (%s)", lua_tostring(L, -1),
                    ml_file_watch_is_open(w) ? "open" : "closed");
    return 1;
}

static int watch_gc(lua_State *L)
{
    struct ml_file_watch *w = check_watch(L);
    if (ml_file_watch_is_open(w))
        ml_warn_unclosed(L, w);
    ml_file_watch_close(w);
    return 0;
}

/* ---- in select ---- */

static int attempt(lua_State *L, int index)
{
    return ml_file_watch_look(ml_to_object(L, index));
}

static int finish(lua_State *L, int index)
{
    return push_next(L, index, ML_NEVER_WAIT);
}

static int enter(struct ml_lua *lua, void *object, struct ml_waiter *waiter, bool is_short,
                 ml_time *again)
{
    (void)lua, (void)is_short;
    return ml_file_watch_enter(object, waiter, again);
}

/* The waiter has left the queue with the choice. */
static void leave(void *object)
{
    (void)object;
}

static const struct ml_select_source select_source = {
    .type = watch_type, .attempt = attempt, .finish = finish, .watch = enter, .unwatch = leave};

/* ---- the module ---- */

static const char *check_path(lua_State *L)
{
    size_t size;
    const char *path = luaL_checklstring(L, 1, &size);
    luaL_argcheck(L, strlen(path) == size, 1, "path contains a zero byte");
    return path;
}

static struct ml_file_watch_options check_options(lua_State *L)
{
    static const char *const names[] = {"recursive", "initial", NULL};
    if (lua_isnoneornil(L, 2))
        return (struct ml_file_watch_options){0};
    luaL_checktype(L, 2, LUA_TTABLE);
    ml_check_option_names(L, 2, names);
    return (struct ml_file_watch_options){.recursive = ml_boolean_option(L, 2, "recursive", false),
                                          .initial = ml_boolean_option(L, 2, "initial", false)};
}

/***
Watches a directory, or a file: what is created, changed, removed and renamed there. Of a file the
events are those of its name: an editor that writes a new file and renames it is seen, and so is
the new file. A link at `path` is followed, links below are not. All watches of a program share one
inotify descriptor. May wait until all directories are listed; events count from then on.
@function watch
@tparam string path
@tparam[opt] table opts
@tparam[opt=false] boolean opts.recursive with all directories below
@tparam[opt=false] boolean opts.initial begin with a "created" for all that is there
@treturn Watch or nil, message, code: "ENOENT", "EACCES", ...; "ENOSPC": the user has too many
watches (sysctl fs.inotify.max_user_watches); "EMFILE"
*/
static int watch(lua_State *L)
{
    const char *path = check_path(L);
    struct ml_file_watch_options options = check_options(L);
    struct ml_watch_source *source = source_of(L);
    struct ml_file_watch *w = ml_push_object(L, watch_type, sizeof *w, 1);
    ml_file_watch_init(w);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    ml_object_note_source_line(L, w);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, ml_file_watch_open(w, source, path, &options));
    return error == 0 ? 1 : push_watch_failure(L, w, path, error);
}

int ml_open_fs_watch(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"next", watch_next}, {"events", watch_events}, {"close", watch_close}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", watch_gc}, {"__close", watch_close}, {"__tostring", watch_tostring}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"watch", watch}, {NULL, NULL}};
    open_source(L);
    ml_open_object_type(L, watch_type, methods, metamethods);
    ml_lua_of(L)->select.sources[ML_SELECT_NEXT] = &select_source;
    luaL_newlib(L, functions);
    return 1;
}
