/*
 * The side of the inspected runtime: it serves requests of its inspector, which name a function of
 * the Lua module moonlet.inspect.agent. A request is served
 *
 * - in a task of its own, a daemon, when the hub gets to it;
 * - at once, by code that computes (ml_agent_serve()) or that stands still for the inspector, if
 *   its function never waits.
 *
 * No task is there for the inspector while there is no request: it neither keeps a program alive
 * nor hides a deadlock.
 */
#ifndef ML_BINDINGS_INSPECT_AGENT_H
#define ML_BINDINGS_INSPECT_AGENT_H

#include "bindings/core/lua_runtime.h"

struct ml_wire;

/* Begins to serve the requests of that wire, which becomes lua->inspect.wire; it stays the
 * caller's. */
void ml_agent_open(struct ml_lua *lua, struct ml_wire *wire);

/* The same, undone. */
void ml_agent_close(struct ml_lua *lua);

/* Whether the running code may be interrupted by ml_agent_serve(). It may not while it carries out
 * a request whose function does not wait, which would find its own work half done, nor while a
 * module of moonlet's is being loaded, which would be loaded twice. Both are over soon. */
bool ml_agent_is_ready(const struct ml_lua *lua);

/* Serves the requests that wait for no more than code which runs on L; no wait is allowed there
 * meanwhile. Never raises. For hooks. */
void ml_agent_serve(lua_State *L);

/* For a thread that stands still for the inspector: waits for requests, for a while at most, and
 * serves them as ml_agent_serve(). False: there is no inspector, or the program is to end. */
bool ml_agent_stand(lua_State *L);

/* moonlet.inspect.agent.core. */
int ml_open_inspect_agent(lua_State *L);

#endif
