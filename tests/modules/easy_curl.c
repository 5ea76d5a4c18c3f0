/*
 * The easy interface of libcurl, for tests: Debian has no binding of it for Lua 5.4. libcurl is
 * loaded when the module is, so that no test needs its headers; the numbers below are its ABI's.
 *
 *   easy_curl(url, on_data, milliseconds) -> code, message
 *
 * on_data(piece) is called from inside of curl_easy_perform(). An error of its own ends the
 * transfer and comes out of the call.
 */
#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>

enum { OPTION_WRITEDATA = 10001, OPTION_URL = 10002, OPTION_WRITEFUNCTION = 20011 };
enum { OPTION_NOSIGNAL = 99, OPTION_TIMEOUT_MS = 155 };

static void *(*curl_easy_init)(void);
static int (*curl_easy_setopt)(void *handle, int option, ...);
static int (*curl_easy_perform)(void *handle);
static void (*curl_easy_cleanup)(void *handle);
static const char *(*curl_easy_strerror)(int code);

struct transfer {
    lua_State *L;
    int has_failed;
};

/* What a callback returns other than `size` ends the transfer. */
static size_t on_data(const char *data, size_t unit, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t size = unit * count;
    lua_pushvalue(transfer->L, 2);
    lua_pushlstring(transfer->L, data, size);
    transfer->has_failed = lua_pcall(transfer->L, 1, 0, 0) != LUA_OK;
    return transfer->has_failed ? size + 1 : size;
}

static int fetch(lua_State *L)
{
    struct transfer transfer = {L, 0};
    const char *url = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    long limit = (long)luaL_optinteger(L, 3, 0);
    void *handle = curl_easy_init();
    curl_easy_setopt(handle, OPTION_URL, url);
    curl_easy_setopt(handle, OPTION_WRITEFUNCTION, on_data);
    curl_easy_setopt(handle, OPTION_WRITEDATA, &transfer);
    curl_easy_setopt(handle, OPTION_NOSIGNAL, 1L);
    curl_easy_setopt(handle, OPTION_TIMEOUT_MS, limit);
    int code = curl_easy_perform(handle);
    curl_easy_cleanup(handle);
    if (transfer.has_failed)
        return lua_error(L);
    lua_pushinteger(L, code);
    lua_pushstring(L, curl_easy_strerror(code));
    return 2;
}

__attribute__((visibility("default"))) int luaopen_easy_curl(lua_State *L);
__attribute__((visibility("default"))) int luaopen_easy_curl(lua_State *L)
{
    void *library = dlopen("libcurl.so.4", RTLD_NOW);
    if (library == NULL)
        return luaL_error(L, "%s", dlerror());
    *(void **)&curl_easy_init = dlsym(library, "curl_easy_init");
    *(void **)&curl_easy_setopt = dlsym(library, "curl_easy_setopt");
    *(void **)&curl_easy_perform = dlsym(library, "curl_easy_perform");
    *(void **)&curl_easy_cleanup = dlsym(library, "curl_easy_cleanup");
    *(void **)&curl_easy_strerror = dlsym(library, "curl_easy_strerror");
    lua_pushcfunction(L, fetch);
    return 1;
}
