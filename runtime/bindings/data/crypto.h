/* moonlet.crypto: digests, HMAC, encodings, passwords, from OpenSSL. */
#ifndef ML_BINDINGS_DATA_CRYPTO_H
#define ML_BINDINGS_DATA_CRYPTO_H

#include <lua.h>

/* moonlet.crypto. */
int ml_open_crypto(lua_State *L);

#endif
