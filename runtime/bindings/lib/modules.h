/* The Lua modules that are written in C, as package.preload takes them. */
#ifndef ML_BINDINGS_LIB_MODULES_H
#define ML_BINDINGS_LIB_MODULES_H

#include "bindings/core/lua_strand.h"

int ml_open_task(lua_State *L);     /* moonlet.task.core */
int ml_open_argument(lua_State *L); /* moonlet.argument.core */
int ml_open_blocking(lua_State *L); /* moonlet.blocking.core, a function */
int ml_open_net(lua_State *L);      /* moonlet.net.core */
int ml_open_greenlet(lua_State *L); /* moonlet.greenlet */
int ml_open_sync(lua_State *L);     /* moonlet.sync.core */
int ml_open_channel(lua_State *L);  /* moonlet.channel */
int ml_open_test(lua_State *L);     /* moonlet.test.core */
int ml_open_patch(lua_State *L);    /* moonlet.patch */
int ml_open_session(lua_State *L);  /* moonlet.repl.session */
int ml_open_editor(lua_State *L);   /* moonlet.repl.editor */

/* Creates the metatable of Tasks; the program needs it before any script asks for moonlet.task. */
void ml_open_task_type(lua_State *L);

/* Replaces pcall, xpcall, load, os.exit and coroutine.* in the standard library by versions that
 * know tasks and let cancellations through. After luaL_openlibs(). */
void ml_open_standard(lua_State *L);

/* os.exit as that has it: needs a state of a runtime. */
int ml_os_exit(lua_State *L);

/* The part of it that is `require`. */
void ml_open_require(lua_State *L);

/* The part of it that is coroutine.*. */
void ml_open_coroutine(lua_State *L);

/* Installed as hub->hooks.strand_body: what a generator or a greenlet runs. */
void ml_strand_body(struct ml_strand *strand);

#endif
