/* The object behind a connection to PostgreSQL, for stdlib/moonlet/postgres/. */
#ifndef ML_BINDINGS_POSTGRES_CONNECTION_OBJECT_H
#define ML_BINDINGS_POSTGRES_CONNECTION_OBJECT_H

#include "bindings/core/object.h"
#include "bindings/postgres/values.h"
#include "db/postgres/connection.h"

extern const char ml_pg_connection_type[];

/* Pushes a closed one. */
struct ml_pg *ml_push_pg(lua_State *L);

/* The connection at 1, in a method; raises for anything else. */
struct ml_pg *ml_check_pg(lua_State *L);

/* Pushes the values of the table at `index`, {null, element_null, types}: `how` has their places.
 * Without a table only values without NULL and arrays can be read. */
void ml_pg_push_reading(lua_State *L, int index, struct ml_pg_reading *how);

/* Registers the type. Keeps the stack as it is. */
void ml_open_pg_connection(lua_State *L);

/* Methods of bindings/postgres/query.c and bindings/postgres/copy.c. */
int ml_pg_connection_run(lua_State *L);
int ml_pg_connection_stream(lua_State *L);
int ml_pg_connection_leave(lua_State *L);
int ml_pg_connection_send(lua_State *L);
int ml_pg_connection_result(lua_State *L);
int ml_pg_connection_put(lua_State *L);
int ml_pg_connection_end_copy(lua_State *L);
int ml_pg_connection_get(lua_State *L);

/* Registers the type of requests. Keeps the stack as it is. */
void ml_open_pg_request(lua_State *L);

#endif
