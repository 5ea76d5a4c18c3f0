/* PostgreSQL as stdlib/moonlet/postgres.lua uses it. */
#ifndef ML_BINDINGS_POSTGRES_POSTGRES_H
#define ML_BINDINGS_POSTGRES_POSTGRES_H

#include <lua.h>

/* moonlet.postgres.core. */
int ml_open_postgres(lua_State *L);

#endif
