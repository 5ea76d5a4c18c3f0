/* Enters and leaves greenlets, and handles the end of one. */
#ifndef ML_BINDINGS_COROUTINE_GREENLET_SWITCH_H
#define ML_BINDINGS_COROUTINE_GREENLET_SWITCH_H

#include <lua.h>

struct ml_lua_task;
struct ml_strand;

/* Keys in the registry: GreenletExit; the trace function; the error of a greenlet with more results
 * than there is room for. */
extern const char ml_greenlet_exit_key, ml_greenlet_tracer_key, ml_greenlet_overfull_key;

/* Pushes GreenletExit. */
void ml_greenlet_push_exit(lua_State *L);

/* Makes the value on top, which is popped, the trace function; nil: none. */
void ml_greenlet_set_tracer(lua_State *L);

/* Methods, documented where they are defined. */
int ml_greenlet_switch(lua_State *L);
int ml_greenlet_throw(lua_State *L);

/* Throws GreenletExit at the greenlet at 1, as its method `throw` does. */
int ml_greenlet_end(lua_State *L);

/* The body of a greenlet's thread; does not return for long: see hub->hooks.strand_body. */
void ml_greenlet_body(struct ml_strand *strand);

/* The frames of the greenlet that the task runs are being abandoned. */
void ml_greenlet_abandon(struct ml_lua_task *task);

#endif
