/*
 * Password hashes: their text, and their computation on a worker thread. Knows no Lua.
 */
#ifndef ML_BINDINGS_DATA_PASSWORD_H
#define ML_BINDINGS_DATA_PASSWORD_H

#include "hub/wait/wait.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

/* The cost is the logarithm of scrypt's N. The default follows OWASP's advice for passwords, in the
 * variant with 32 MB: N = 2^15, r = 8, p = 3. */
enum { ML_PASSWORD_COST = 15, ML_PASSWORD_LEAST_COST = 10, ML_PASSWORD_LARGEST_COST = 18 };

/* Bytes: of a salt made here, of the longest salt, of a key, of the longest hash text. */
enum {
    ML_PASSWORD_SALT = 16,
    ML_PASSWORD_LONGEST_SALT = 64,
    ML_PASSWORD_KEY = 32,
    ML_PASSWORD_TEXT = 256
};

struct ml_password {
    int cost, block, lanes; /* ln, r, p */
    size_t salt_size;
    unsigned char salt[ML_PASSWORD_LONGEST_SALT];
    unsigned char key[ML_PASSWORD_KEY];
};

/* Reads "$scrypt$ln=15,r=8,p=3$SALT$KEY". False: it is not such a text, or would need too much
 * memory. */
bool ml_password_read(const char *text, size_t size, struct ml_password *password);

/* Writes it; returns the bytes, ML_PASSWORD_TEXT at most. */
size_t ml_password_write(const struct ml_password *password, char *out);

/*
 * Computes the key of `text` for the password's salt and cost on a worker, while the running task
 * waits. 0, or an error of ml_offload(); -ENOMEM also if scrypt finds no memory.
 */
int ml_password_derive(struct ml_hub *hub, const struct ml_wait_kind *kind,
                       __typeof__(EVP_PBE_scrypt) *scrypt, const char *text, size_t size,
                       const struct ml_password *password, unsigned char *key);

/* Whether the bytes are the same, in a time that depends only on `size`. */
bool ml_bytes_equal(const void *a, const void *b, size_t size);

/* Fills the block with random bytes from the kernel. 0 or a negated errno. */
int ml_random_fill(void *bytes, size_t size);

#endif
