/* What functions of other modules that take a URL need of moonlet.url. */
#ifndef ML_BINDINGS_DATA_URL_H
#define ML_BINDINGS_DATA_URL_H

#include <lua.h>
#include <stddef.h>

/* The text of the URL at `index`, a string or what url.parse() returned; it lives as long as that.
 * Raises for anything else. Needs the metatable of URLs: ml_open_url_type(). */
const char *ml_check_url_text(lua_State *L, int index, size_t *size);

/* Registers what url.parse() returns. Stack unchanged. */
void ml_open_url_type(lua_State *L);

/* moonlet.url. */
int ml_open_url(lua_State *L);

#endif
