/* The cases of channel.select: read from the caller's table, and laid out on the stack. */
#ifndef ML_BINDINGS_SYNC_SELECT_CASES_H
#define ML_BINDINGS_SYNC_SELECT_CASES_H

#include "bindings/core/lua_runtime.h"

#include <lua.h>

/* From ML_CASE_READABLE on: installed by folders above. */
enum ml_case_operation {
    ML_CASE_GET,
    ML_CASE_PUT,
    ML_CASE_JOIN,
    ML_CASE_WAIT,
    ML_CASE_ACQUIRE,
    ML_CASE_READABLE,
    ML_CASE_ACCEPT = ML_CASE_READABLE + ML_SELECT_ACCEPT,
    ML_CASE_RECEIVE = ML_CASE_READABLE + ML_SELECT_RECEIVE,
    ML_CASE_GONE = ML_CASE_READABLE + ML_SELECT_GONE,
    ML_CASE_SIGNAL = ML_CASE_READABLE + ML_SELECT_SIGNAL,
    ML_CASE_CHILD = ML_CASE_READABLE + ML_SELECT_CHILD,
    ML_CASE_NEXT = ML_CASE_READABLE + ML_SELECT_NEXT,
    ML_CASE_THREAD_GET =
        ML_CASE_READABLE + ML_SELECT_THREAD_GET, /* "get" of a channel between threads */
    ML_CASE_THREAD_PUT = ML_CASE_READABLE + ML_SELECT_THREAD_PUT,
    ML_CASE_OPERATIONS
};

/*
 * The stack of the call; from ML_CASE_FIRST on it has so many values for each case. An object of a
 * Lua module is replaced by one of ours (its metatable's __select: operation -> {field, operation,
 * function}): then ML_CASE_VALUE is the object itself, and ML_CASE_FINISH is called with it for the
 * results.
 */
enum {
    ML_CASES = 1,
    ML_CASE_FIRST = 2,
    ML_CASE_OBJECT = 0,
    ML_CASE_VALUE = 1,
    ML_CASE_OPERATION = 2,
    ML_CASE_FINISH = 3,
    ML_CASE_PARTS = 4,
    ML_CASES_MOST = 10000
};

static inline int ml_case_at(uint32_t number, int part)
{
    return ML_CASE_FIRST + (int)number * ML_CASE_PARTS + part;
}

static inline enum ml_case_operation ml_case_operation_at(lua_State *L, uint32_t number)
{
    return (enum ml_case_operation)lua_tointeger(L, ml_case_at(number, ML_CASE_OPERATION));
}

/* The source of an operation from ML_CASE_READABLE on; NULL: no object of that kind was ever made.
 */
const struct ml_select_source *ml_case_source(lua_State *L, enum ml_case_operation operation);

/* Whether an event says only that the object is worth a look. */
bool ml_case_is_hint(enum ml_case_operation operation);

/* Reads the cases of the table at ML_CASES, which is the only value on the stack: how many; with
 * *has_sources: an operation is from ML_CASE_READABLE on. Raises, naming the case that is wrong. */
uint32_t ml_cases_push(lua_State *L, bool *has_sources);

#endif
