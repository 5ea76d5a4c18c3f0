/* What a thread's runtime inherits of the script that starts it: package.path, package.cpath,
 * modules that the script has preloaded, arg. */
#ifndef ML_BINDINGS_THREAD_SETTINGS_H
#define ML_BINDINGS_THREAD_SETTINGS_H

#include "bindings/thread/parcel.h"

/* Packs them. A preloaded function that cannot be copied is left out. Raises. */
struct ml_parcel *ml_settings_pack(lua_State *L);

/* Puts them into force. Raises. */
void ml_settings_apply(lua_State *L, const struct ml_parcel *settings);

#endif
