/*
 * Objects: userdata of moonlet's, each with its type and the line where the script made it. Knows
 * no type.
 */
#ifndef ML_BINDINGS_CORE_OBJECT_H
#define ML_BINDINGS_CORE_OBJECT_H

#include "base/check.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The begin of every userdata of moonlet's: its type, identified by the address of its name. So
 * checking an argument takes two calls of Lua's API (measured: 6 ns; luaL_checkudata(), which looks
 * the type up by name, 45).
 */
struct ml_object {
    const char *type;
    uint32_t source_line; /* where it was made; 0: not noted */
};

/* The struct behind the object of that type at `index`; NULL for anything else. */
static inline void *ml_test_object(lua_State *L, int index, const char *type)
{
    struct ml_object *object = lua_touserdata(L, index);
    bool is_ours = object != NULL && lua_rawlen(L, index) > sizeof *object && object->type == type;
    return is_ours ? object + 1 : NULL;
}

/* The same; raises for anything else. */
static inline void *ml_check_object(lua_State *L, int index, const char *type)
{
    void *object = ml_test_object(L, index, type);
    if (ml_unlikely(object == NULL))
        luaL_typeerror(L, index, type);
    return object;
}

/* The same for a value that is certainly one. */
static inline void *ml_to_object(lua_State *L, int index)
{
    return (struct ml_object *)lua_touserdata(L, index) + 1;
}

/* Pushes a new object with `values` user values and a struct of `size` bytes, zeroed, which is
 * returned. Its metatable is set: from here on its finalizer runs. */
void *ml_push_object(lua_State *L, const char *type, size_t size, int values);

/* The same without its metatable, for a caller that has that at hand: looking it up by the type's
 * name takes a third of the whole. */
void *ml_push_bare_object(lua_State *L, const char *type, size_t size, int values);

/* Notes that the script made the object, of the struct at `object`, in the line that called the
 * running C function: for warnings about objects that were not closed. measured: 35 ns. */
void ml_object_note_source_line(lua_State *L, void *object);

/* Whether that was noted. */
static inline bool ml_object_is_noted(const void *object)
{
    return ((const struct ml_object *)object - 1)->source_line != 0;
}

/* To be called in the finalizer of an object at 1 that is still open: warns, with its text and
 * where it was made. */
void ml_warn_unclosed(lua_State *L, const void *object);

/* Where it was made: "file.lua:12", "?" if that was not noted. */
const char *ml_object_source_line(lua_State *L, const void *object);

/* Registers a type of objects: its metatable, with `methods` behind __index, the most used first.
 * Keeps the stack as it is. */
void ml_open_object_type(lua_State *L, const char *type, const luaL_Reg *methods,
                         const luaL_Reg *metamethods);

#endif
