/* The main chunk: its pieces, run as lua5.4 would run them. */
#include "vm/program.h"

#include "bindings/core/cancellation.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/story.h"
#include "bindings/core/traceback.h"
#include "vm/moonlet_state.h"
#include "vm/runtimes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void free_piece(struct ml_piece *piece)
{
    free(piece->text);
    free(piece->chunk_name);
    free(piece);
}

/* The next piece, which the runtime owns until the one after it is taken. */
static struct ml_piece *take_piece(struct moonlet *m)
{
    struct ml_piece *piece = m->pieces;
    if (m->piece != NULL)
        free_piece(m->piece);
    m->piece = piece;
    if (piece != NULL)
        m->pieces = piece->next;
    return piece;
}

void ml_program_free(struct moonlet *m)
{
    while (take_piece(m) != NULL)
        ;
}

/* A copy with a zero behind it. */
static char *memdup(const char *data, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy != NULL) {
        memcpy(copy, data, size);
        copy[size] = '\0';
    }
    return copy;
}

static int add_piece(struct moonlet *m, enum ml_piece_kind kind, const char *text, size_t size,
                     const char *chunk_name)
{
    int error = ml_runtime_check(m);
    if (error != 0)
        return error;
    struct ml_piece *piece = calloc(1, sizeof *piece);
    if (piece == NULL)
        return -ENOMEM;
    piece->kind = kind;
    piece->size = size;
    piece->text = text != NULL ? memdup(text, size) : NULL;
    piece->chunk_name = chunk_name != NULL ? strdup(chunk_name) : NULL;
    if ((text != NULL && piece->text == NULL) ||
        (chunk_name != NULL && piece->chunk_name == NULL)) {
        free_piece(piece);
        return -ENOMEM;
    }
    struct ml_piece **end = &m->pieces;
    while (*end != NULL)
        end = &(*end)->next;
    *end = piece;
    return 0;
}

int moonlet_load_string(struct moonlet *m, const char *source, const char *chunk_name)
{
    return source != NULL ? add_piece(m, ML_PIECE_STRING, source, strlen(source), chunk_name)
                          : -EINVAL;
}

int moonlet_load_file(struct moonlet *m, const char *path)
{
    return add_piece(m, ML_PIECE_FILE, path, path != NULL ? strlen(path) : 0, NULL);
}

int moonlet_load_script(struct moonlet *m, const char *path)
{
    return add_piece(m, ML_PIECE_SCRIPT, path, path != NULL ? strlen(path) : 0, NULL);
}

int moonlet_load_library(struct moonlet *m, const char *library)
{
    return library != NULL ? add_piece(m, ML_PIECE_LIBRARY, library, strlen(library), NULL)
                           : -EINVAL;
}

int moonlet_load_buffer(struct moonlet *m, const void *data, size_t size, const char *chunk_name)
{
    return data != NULL ? add_piece(m, ML_PIECE_STRING, data, size, chunk_name) : -EINVAL;
}

/* ---- running ---- */

/* Stack: an error that is no text -> the text that lua5.4 shows for it. True: it needs no
 * traceback. */
static bool push_text(lua_State *L)
{
    if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING)
        return true;
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    return false;
}

/* Whether moonlet knows more about the error at 1 than lua5.4 would: it came from another task, or
 * is one of moonlet's own failures. */
static bool has_story(lua_State *L)
{
    ml_lua_push_task(L, ml_lua_task_of(ml_lua_of(L)->hub.current));
    bool has = ml_story_push(L, -1, 1) || ml_is_failure(L, 1);
    lua_pop(L, 2);
    return has;
}

/* Message handler, as lua5.4's: a string gets a traceback; an object with __tostring gives its
 * text, unless more is known; of anything else the type is shown. A cancellation, or the error that
 * a C library made of one, is not handled here. */
static int add_traceback(lua_State *L)
{
    const struct ml_lua *runtime = ml_lua_of(L);
    if (runtime->task_hooks.failed != NULL)
        runtime->task_hooks.failed(ml_lua_of(L), L, false);
    struct ml_lua_task *task = ml_lua_task_of(ml_lua_of(L)->hub.current);
    if (ml_is_cancellation(L, 1))
        return 1;
    if (task->task.was_cancelled && task->owes_cancellation) {
        task->owes_cancellation = false;
        ml_cancellation_push(L);
        return 1;
    }
    bool speaks = false;
    if (lua_isstring(L, 1))
        lua_pushvalue(L, 1);
    else
        speaks = push_text(L);
    if (speaks && !has_story(L))
        return 1;
    lua_pushstring(L, lua_tostring(L, -1)); /* up to a zero byte, as in lua5.4 */
    lua_insert(L, 2);
    lua_settop(L, 2);
    lua_pushliteral(L, "\n");
    luaL_traceback(L, L, NULL, 1);
    if (ml_lua_of(L)->watch_thread != NULL)
        ml_strip_bottom_frame(L);
    ml_lua_push_task(L, task);
    lua_insert(L, -2);
    ml_story_complete(L, -2, 1);
    lua_remove(L, -2);
    lua_concat(L, 3);
    return 1;
}

/* Calls the function below `count` arguments. */
static int call(lua_State *L, int count, int results)
{
    int base = lua_gettop(L) - count;
    lua_pushcfunction(L, add_traceback);
    lua_insert(L, base);
    int status = lua_pcall(L, count, results, base);
    lua_remove(L, base);
    return status;
}

/* -> arg[1], arg[2], ... */
static int push_arguments(lua_State *L)
{
    if (lua_getglobal(L, "arg") != LUA_TTABLE)
        luaL_error(L, "'arg' is not a table");
    int count = (int)luaL_len(L, -1);
    luaL_checkstack(L, count + 3, "too many arguments to script");
    for (int i = 1; i <= count; i++)
        lua_rawgeti(L, 1, i);
    return count;
}

static int run_string(lua_State *L, const struct ml_piece *piece)
{
    int status = luaL_loadbuffer(L, piece->text, piece->size, piece->chunk_name);
    return status == LUA_OK ? call(L, 0, 0) : status;
}

static int run_file(lua_State *L, const struct ml_piece *piece)
{
    int status = luaL_loadfile(L, piece->text);
    return status == LUA_OK ? call(L, 0, 0) : status;
}

/* Errors about `arg` have no traceback, as in lua5.4. */
static int run_script(lua_State *L, const struct ml_piece *piece)
{
    int status = luaL_loadfile(L, piece->text);
    int base = lua_gettop(L);
    if (status == LUA_OK) {
        lua_pushcfunction(L, push_arguments);
        status = lua_pcall(L, 0, LUA_MULTRET, 0);
    }
    return status == LUA_OK ? call(L, lua_gettop(L) - base, 0) : status;
}

/* Stack: table, key, value. */
static int set_field(lua_State *L)
{
    lua_settable(L, 1);
    return 0;
}

static int run_library(lua_State *L, const struct ml_piece *piece)
{
    const char *equals = strchr(piece->text, '=');
    const char *module = equals != NULL ? equals + 1 : piece->text;
    size_t length = equals != NULL ? (size_t)(equals - piece->text) : strlen(piece->text);
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    int status = call(L, 1, 1);
    if (status != LUA_OK)
        return status;
    lua_pushcfunction(L, set_field);
    lua_pushglobaltable(L);
    lua_pushlstring(L, piece->text, length);
    lua_rotate(L, -4, -1);
    return lua_pcall(L, 3, 0, 0);
}

static int run_piece(lua_State *L, const struct ml_piece *piece)
{
    switch (piece->kind) {
    case ML_PIECE_STRING:
        return run_string(L, piece);
    case ML_PIECE_FILE:
        return run_file(L, piece);
    case ML_PIECE_SCRIPT:
        return run_script(L, piece);
    case ML_PIECE_LIBRARY:
        return run_library(L, piece);
    }
    return LUA_OK;
}

int ml_program_main(lua_State *L)
{
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    intptr_t count = ml_cancellation_count(L);
    struct ml_piece *piece;
    int status = LUA_OK;
    lua_settop(L, 2); /* the same depth as in lua5.4, so that stack overflows report the same
                         level */
    while (status == LUA_OK && (piece = take_piece(m)) != NULL)
        status = run_piece(L, piece);
    if (status == LUA_OK)
        return 0;
    if (m->lua.hub.current->was_cancelled && ml_is_cancellation(L, -1))
        ml_cancellation_rethrow(L, count);
    ml_program_free(m);
    m->main_failed = true;
    const char *message =
        ml_is_cancellation(L, -1) ? luaL_tolstring(L, -1, NULL) : lua_tostring(L, -1);
    m->lua.report.tell(&m->lua, message != NULL ? message : "(error message not a string)");
    return 0;
}
