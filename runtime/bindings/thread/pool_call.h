/* The two sides of a call that a thread of a pool carries out: functions of moonlet.thread.core,
 * for stdlib/moonlet/thread.lua and stdlib/moonlet/thread/worker.lua. */
#ifndef ML_BINDINGS_THREAD_POOL_CALL_H
#define ML_BINDINGS_THREAD_POOL_CALL_H

#include <lua.h>

/* function_of(fn): fn; the function and the object, if fn is an object with __call; nothing if it
 * cannot be called on a thread. */
int ml_thread_function(lua_State *L);

/* send(channel, fn, ...): has a thread call it. Returns true, or nil, message, code. */
int ml_thread_send(lua_State *L);

/* answer(calls, outcomes): waits for a call, carries it out, answers. Returns whether one came. */
int ml_thread_answer(lua_State *L);

/* receive(outcomes): waits for the outcome: true and results; false, error, traceback; nothing when
 * the channel is closed. */
int ml_thread_receive(lua_State *L);

/* raise(error, traceback, name): raises the error of a thread of that name. */
int ml_thread_raise(lua_State *L);

#endif
