/* The part of moonlet.url for other modules whose functions take a URL. */
#ifndef ML_BINDINGS_DATA_URL_H
#define ML_BINDINGS_DATA_URL_H

#include <lua.h>
#include <stddef.h>

/* The text of the URL at `index`, a string or a result of url.parse(); it lives as long as that.
 * Raises for anything else. Needs the metatable of URLs: ml_open_url_type(). */
const char *ml_check_url_text(lua_State *L, int index, size_t *size);

/* Registers the type that url.parse() returns. Keeps the stack as it is. */
void ml_open_url_type(lua_State *L);

/* moonlet.url. */
int ml_open_url(lua_State *L);

#endif
