/*
 * A Lua module for tests: allocations of OpenSSL's and of Lua's that fail on purpose, one at a
 * time, and the books of what OpenSSL has and has not given back.
 *
 *     local faults = require "memory_faults"
 *     faults.install()        before OpenSSL is first used: its allocations go through here from
 * now on faults.openssl(n)       the n-th allocation from now on fails, 0: none; how many there
 * were since the last call faults.lua(n)           the same for those of the running Lua state,
 * with the second try that Lua makes faults.blocks()         blocks that OpenSSL has now
 */
#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdlib.h>

int luaopen_memory_faults(lua_State *L);

/* Of one allocator. The count is of calls that need more memory. */
struct plan {
    unsigned long calls;       /* since the plan was made */
    unsigned long first, last; /* that fail */
};

static struct plan openssl, lua;
static long blocks;
static lua_Alloc real_allocator;

static bool is_chosen(struct plan *plan)
{
    plan->calls++;
    return plan->first <= plan->calls && plan->calls <= plan->last;
}

/* ---- OpenSSL ---- */

static void *allocate(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    void *block = is_chosen(&openssl) ? NULL : malloc(size);
    blocks += block != NULL;
    return block;
}

static void release(void *block, const char *file, int line)
{
    (void)file, (void)line;
    blocks -= block != NULL;
    free(block);
}

static void *reallocate(void *block, size_t size, const char *file, int line)
{
    if (block == NULL)
        return allocate(size, file, line);
    if (size == 0) {
        release(block, file, line);
        return NULL;
    }
    return is_chosen(&openssl) ? NULL : realloc(block, size);
}

typedef int set_functions(void *(*)(size_t, const char *, int),
                          void *(*)(void *, size_t, const char *, int),
                          void (*)(void *, const char *, int));

static int install(lua_State *L)
{
    void *library = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
    set_functions *set = NULL;
    if (library != NULL)
        set = (set_functions *)dlsym(library, "CRYPTO_set_mem_functions");
    if (set == NULL || set(allocate, reallocate, release) != 1)
        return luaL_error(L, "OpenSSL is not there, or in use already");
    return 0;
}

/* ---- Lua ---- */

/* Lua collects garbage after a failure and tries again: that fails, too. */
static void *allocate_for_lua(void *data, void *block, size_t old, size_t size)
{
    bool is_more = size > (block != NULL ? old : 0);
    return is_more && is_chosen(&lua) ? NULL : real_allocator(data, block, old, size);
}

/* `tries` in a row fail from the number on that is argument 1. */
static int plan_failures(lua_State *L, struct plan *plan, unsigned tries)
{
    unsigned long first = (unsigned long)luaL_checkinteger(L, 1);
    lua_pushinteger(L, (lua_Integer)plan->calls);
    *plan = (struct plan){.first = first, .last = first > 0 ? first + tries - 1 : 0};
    return 1;
}

static int fail_openssl(lua_State *L)
{
    return plan_failures(L, &openssl, 1);
}

static int fail_lua(lua_State *L)
{
    void *data;
    lua_Alloc allocator = lua_getallocf(L, &data);
    if (allocator != allocate_for_lua) {
        real_allocator = allocator;
        lua_setallocf(L, allocate_for_lua, data);
    }
    return plan_failures(L, &lua, 2);
}

static int count_blocks(lua_State *L)
{
    lua_pushinteger(L, blocks);
    return 1;
}

int luaopen_memory_faults(lua_State *L)
{
    static const luaL_Reg functions[] = {{"install", install},
                                         {"openssl", fail_openssl},
                                         {"lua", fail_lua},
                                         {"blocks", count_blocks},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
