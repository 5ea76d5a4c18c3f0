/* The part of moonlet.test that is written in C. */
#ifndef ML_BINDINGS_LIB_TEST_H
#define ML_BINDINGS_LIB_TEST_H

#include <lua.h>

/* moonlet.test.core */
int ml_open_test(lua_State *L);

#endif
