/*
 * The library of scripts when the host leaves out parts of it (options.without): exactly what the
 * list below gives them. A function, module or field that is not on the list does not exist for
 * such a script.
 */
#include "vm/sandbox.h"

#include "vm/moonlet_state.h"

#include <lualib.h>
#include <string.h>

/* Names in one table that scripts get unless one of the parts in `needs` is left out. */
struct permit {
    const char *table;
    unsigned needs;
    const char *names; /* separated by spaces, and one at either end; "begin*": all that begin so */
};

/* Tables that have no name in Lua. */
#define GLOBALS "_G"
#define LOADED "package.loaded"
#define PRELOAD "package.preload"
#define STRING_METATABLE "string metatable"

static const struct permit permits[] = {
    {GLOBALS, 0,
     " _G _VERSION assert collectgarbage coroutine debug error getmetatable ipairs load "
     "math next os package pairs pcall print rawequal rawget rawlen rawset require select "
     "setmetatable string table tonumber tostring type utf8 warn xpcall "},
    {GLOBALS, MOONLET_IO, " io "},
    {GLOBALS, MOONLET_IO | MOONLET_BYTECODE, " dofile loadfile "},
    {LOADED, 0, " _G coroutine debug math os package string table utf8 "},
    {LOADED, MOONLET_IO, " io "},
    {LUA_LOADLIBNAME, 0, " config loaded preload searchers "},
    {LUA_LOADLIBNAME, MOONLET_FILES, " path searchpath "},
    {LUA_LOADLIBNAME, MOONLET_C, " cpath loadlib "},
    {LUA_COLIBNAME, 0, " close create isyieldable resume running status wrap yield "},
    {LUA_STRLIBNAME, 0,
     " byte char dump find format gmatch gsub len lower match pack packsize rep reverse sub "
     "unpack upper "},
    {STRING_METATABLE, 0, " __add __div __idiv __index __mod __mul __pow __sub __unm "},
    {LUA_TABLIBNAME, 0, " concat insert move pack remove sort unpack "},
    {LUA_MATHLIBNAME, 0,
     " abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 "
     "max maxinteger min mininteger modf pi pow rad random randomseed sin sinh sqrt tan "
     "tanh tointeger type ult "},
    {LUA_UTF8LIBNAME, 0, " char charpattern codepoint codes len offset "},
    {LUA_OSLIBNAME, 0, " clock date difftime time "},
    {LUA_OSLIBNAME, MOONLET_OS, " execute exit getenv remove rename setlocale tmpname "},
    {LUA_IOLIBNAME, MOONLET_IO,
     " close flush input lines open output popen read stderr stdin stdout tmpfile type "
     "write "},
    {LUA_DBLIBNAME, 0, " traceback "},
    {LUA_DBLIBNAME, MOONLET_DEBUG,
     " debug gethook getinfo getlocal getmetatable getregistry getupvalue getuservalue "
     "setcstacklimit sethook setlocal setmetatable setupvalue setuservalue upvalueid "
     "upvaluejoin "},
    /* Modules of moonlet. */
    {PRELOAD, 0,
     " moonlet moonlet.argument moonlet.argument.core moonlet.channel moonlet.greenlet "
     "moonlet.json moonlet.named moonlet.pool moonlet.queue moonlet.sync moonlet.sync.core "
     "moonlet.task "
     "moonlet.task.core moonlet.url "},
    {PRELOAD, MOONLET_C, " moonlet.blocking.core "},
    {PRELOAD, MOONLET_NET,
     " moonlet.net moonlet.net.core moonlet.patch moonlet.http "
     "moonlet.http.access_log moonlet.http.client moonlet.http.client.address "
     "moonlet.http.client.body moonlet.http.client.call moonlet.http.client.connect "
     "moonlet.http.client.connection moonlet.http.client.core moonlet.http.client.credentials "
     "moonlet.http.client.deadline moonlet.http.client.download moonlet.http.client.exchange "
     "moonlet.http.client.file moonlet.http.client.hop moonlet.http.client.http2 "
     "moonlet.http.client.options moonlet.http.client.origin moonlet.http.client.redirect "
     "moonlet.http.client.reply moonlet.http.client.retry moonlet.http.client.tunnel "
     "moonlet.http.client.upload "
     "moonlet.http.conditions "
     "moonlet.http.cookies moonlet.http.files moonlet.http.headers moonlet.http.multipart "
     "moonlet.http.multipart.core moonlet.http.parts moonlet.http.pool moonlet.http.proxy "
     "moonlet.http.reader moonlet.http.request moonlet.http.response moonlet.http.router "
     "moonlet.http.saving moonlet.http.server moonlet.http.server.core moonlet.http.trusted "
     "moonlet.http.types moonlet.serving "},
    {PRELOAD, MOONLET_NET, " moonlet.redis moonlet.redis.* "},
    {PRELOAD, MOONLET_NET | MOONLET_IO, " moonlet.http.files.core "},
    {PRELOAD, MOONLET_NET | MOONLET_OS, " moonlet.websocket moonlet.websocket.core "},
    {PRELOAD, MOONLET_OS | MOONLET_IO,
     " moonlet.fs moonlet.fs.core moonlet.fs.glob moonlet.fs.temporary "},
    {PRELOAD, MOONLET_OS,
     " moonlet.signal moonlet.signal.core moonlet.terminal moonlet.terminal.core "},
    {PRELOAD, MOONLET_NET | MOONLET_OS,
     " moonlet.process moonlet.process.core moonlet.process.run "
     "moonlet.process.start "},
    {PRELOAD, MOONLET_OS | MOONLET_IO, " moonlet.fs.watch.core "},
    {PRELOAD, MOONLET_NET | MOONLET_OS | MOONLET_IO,
     " moonlet.postgres moonlet.postgres.* "}, /* libpq reads files */
    {PRELOAD, MOONLET_OS, " moonlet.crypto "}, /* threads, and memory that no limit counts */
    {PRELOAD, MOONLET_OS, " moonlet.sql moonlet.sql.* "}, /* the same: for those of databases */
    {PRELOAD, MOONLET_OS | MOONLET_IO, " moonlet.sqlite moonlet.sqlite.core "},
    {PRELOAD, MOONLET_OS,
     " moonlet.thread moonlet.thread.core moonlet.thread.worker "}, /* the same */
    {PRELOAD, MOONLET_OS,
     " moonlet.worker.cas moonlet.worker.store moonlet.worker.store.core "}, /* the same */
    {PRELOAD, MOONLET_OS | MOONLET_NET,
     " moonlet.worker.redis_store moonlet.worker.redis_value moonlet.durable.encoding "},
    {PRELOAD, MOONLET_OS,
     " moonlet.test moonlet.test.core moonlet.test.specs "}, /* the clock of all tasks, and
                                                                descriptors */
    {PRELOAD, MOONLET_OS | MOONLET_IO,
     " moonlet.durable moonlet.durable.* "}, /* databases in files, and threads */
    {PRELOAD, MOONLET_OS | MOONLET_NET,
     " moonlet.worker moonlet.worker.bus moonlet.worker.core moonlet.worker.drain "
     "moonlet.worker.figures moonlet.worker.messages moonlet.worker.passing "
     "moonlet.worker.show moonlet.worker.topics "}, /* other processes */
    {PRELOAD, MOONLET_OS | MOONLET_DEBUG,
     " moonlet.inspect moonlet.inspect.* "}, /* the stacks of all tasks */
    {PRELOAD, MOONLET_OS | MOONLET_DEBUG | MOONLET_NET, " moonlet.inspector.* "},
    {PRELOAD, MOONLET_OS | MOONLET_IO,
     " moonlet.repl moonlet.repl.complete moonlet.repl.editor moonlet.repl.history "
     "moonlet.repl.session moonlet.repl.show "},
};

/* package.searchers, as luaL_openlibs() fills it. */
static const unsigned searcher_needs[] = {[ML_SEARCHER_PRELOAD] = 0,
                                          [ML_SEARCHER_LUA] = MOONLET_FILES,
                                          [ML_SEARCHER_C] = MOONLET_C,
                                          [ML_SEARCHER_C_ROOT] = MOONLET_C};

/* Whether the entry of a list, which ends at a space, stands for the name. */
static bool is_entry_for(const char *entry, const char *name, size_t length)
{
    size_t same = 0;
    while (same < length && entry[same] == name[same])
        same++;
    return entry[same] == '*' || (same == length && entry[same] == ' ');
}

static bool has_name(const char *names, const char *name, size_t length)
{
    const char *space = names;
    while (space[1] != '\0' && !is_entry_for(space + 1, name, length))
        space = strchr(space + 1, ' ');
    return space[1] != '\0';
}

static bool is_permitted(const char *table, const char *name, size_t length, unsigned without)
{
    bool is_name = length > 0 && strlen(name) == length && strchr(name, ' ') == NULL,
         result = false;
    for (size_t i = 0; is_name && i < sizeof permits / sizeof *permits; i++)
        result |= strcmp(permits[i].table, table) == 0 && (permits[i].needs & without) == 0 &&
                  has_name(permits[i].names, name, length);
    return result;
}

/* Removes from the table on top of the stack, which is popped, all that is not permitted. */
static void keep_permitted(lua_State *L, const char *table, unsigned without)
{
    for (lua_pushnil(L); lua_next(L, -2) != 0;) {
        size_t length = 0;
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &length) : NULL;
        lua_pop(L, 1);
        if (name != NULL && is_permitted(table, name, length, without))
            continue;
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, -4);
    }
    lua_pop(L, 1);
}

/* Stack: package.searchers, which is popped. */
static void keep_searchers(lua_State *L, unsigned without)
{
    int count = (int)luaL_len(L, -1), kept = 0;
    for (int i = 1; i <= count; i++) {
        bool is_known = i < (int)(sizeof searcher_needs / sizeof *searcher_needs);
        bool stays = is_known && (searcher_needs[i] & without) == 0;
        lua_rawgeti(L, -1, i);
        lua_pushnil(L);
        lua_rawseti(L, -3, i);
        if (stays)
            lua_rawseti(L, -2, ++kept);
        else
            lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

int ml_sandbox_getmetatable(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TUSERDATA) {
        lua_pushboolean(L, 0);
        return 1;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static void hide_metatables(lua_State *L)
{
    lua_getglobal(L, "getmetatable");
    lua_pushcclosure(L, ml_sandbox_getmetatable, 1);
    lua_setglobal(L, "getmetatable");
}

void ml_sandbox_close(lua_State *L, unsigned without)
{
    static const char *const libraries[] = {LUA_LOADLIBNAME, LUA_COLIBNAME,   LUA_STRLIBNAME,
                                            LUA_TABLIBNAME,  LUA_MATHLIBNAME, LUA_UTF8LIBNAME,
                                            LUA_OSLIBNAME,   LUA_IOLIBNAME,   LUA_DBLIBNAME};
    if ((without & MOONLET_DEBUG) != 0)
        hide_metatables(L);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, LUA_LOADLIBNAME);
    lua_getfield(L, -1, "searchers");
    keep_searchers(L, without);
    lua_pop(L, 1);
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        lua_getfield(L, -1, libraries[i]);
        keep_permitted(L, libraries[i], without);
    }
    keep_permitted(L, LOADED, without);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    keep_permitted(L, PRELOAD, without);
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    keep_permitted(L, STRING_METATABLE, without);
    lua_pop(L, 1);
    lua_pushglobaltable(L);
    keep_permitted(L, GLOBALS, without);
}
