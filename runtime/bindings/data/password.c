#include "bindings/data/password.h"

#include "base/base64.h"
#include "hub/on/offload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- the text ---- */

static const char prefix[] = "$scrypt$ln=";

/* The most memory that one hash may take: 128 * N * r bytes. */
static const uint64_t most_memory = (uint64_t)256 << 20;

/* Reads a decimal number from 1 to 99, without a leading 0, and the text that follows it; 0: there
 * is none. */
static int take_number(const char **at, const char *end, const char *follows)
{
    int value = 0, digits = 0;
    size_t size = strlen(follows);
    for (; *at < end && **at >= '0' && **at <= '9' && digits < 3; digits++)
        value = value * 10 + (*(*at)++ - '0');
    bool is_good = digits > 0 && digits < 3 && value >= (digits == 2 ? 10 : 1) &&
                   (size_t)(end - *at) >= size && memcmp(*at, follows, size) == 0;
    *at += is_good ? size : 0;
    return is_good ? value : 0;
}

/* Reads a base64 text of at most `most` bytes, and returns its size; 0: it is none. */
static size_t read_base64(const char *at, const char *end, unsigned char *out, size_t most)
{
    unsigned char bytes[ML_BASE64_DECODED_SIZE(ML_PASSWORD_TEXT)];
    size_t bad;
    if (at >= end || end - at > ML_PASSWORD_TEXT)
        return 0;
    ptrdiff_t size = ml_base64_decode(at, (size_t)(end - at), ML_BASE64_BARE, bytes, &bad);
    if (size <= 0 || (size_t)size > most)
        return 0;
    memcpy(out, bytes, (size_t)size);
    return (size_t)size;
}

/* scrypt itself requires N below 2^(16 r). */
static bool is_affordable(const struct ml_password *p)
{
    return p->cost < 16 * p->block && p->cost >= 1 && p->cost <= 24 && p->block >= 1 &&
           p->block <= 32 && p->lanes >= 1 && p->lanes <= 16 &&
           ((uint64_t)128 << p->cost) * (uint64_t)p->block <= most_memory;
}

bool ml_password_read(const char *text, size_t size, struct ml_password *password)
{
    const char *at = text + strlen(prefix), *end = text + size;
    *password = (struct ml_password){0};
    if (size < strlen(prefix) || memcmp(text, prefix, strlen(prefix)) != 0)
        return false;
    password->cost = take_number(&at, end, ",r=");
    if (password->cost != 0)
        password->block = take_number(&at, end, ",p=");
    if (password->block != 0)
        password->lanes = take_number(&at, end, "$");
    const char *mark = password->lanes != 0 ? memchr(at, '$', (size_t)(end - at)) : NULL;
    if (mark == NULL || !is_affordable(password))
        return false;
    password->salt_size = read_base64(at, mark, password->salt, sizeof password->salt);
    return password->salt_size > 0 &&
           read_base64(mark + 1, end, password->key, sizeof password->key) == ML_PASSWORD_KEY;
}

size_t ml_password_write(const struct ml_password *password, char *out)
{
    char *at = out + sprintf(out, "%s%d,r=%d,p=%d$", prefix, password->cost, password->block,
                             password->lanes);
    at += ml_base64_encode(password->salt, password->salt_size, ML_BASE64_BARE, at);
    *at++ = '$';
    at += ml_base64_encode(password->key, sizeof password->key, ML_BASE64_BARE, at);
    return (size_t)(at - out);
}

/* ---- the computation ---- */

/* Holds everything the worker needs: the runtime may be closed before it ends. */
struct derivation {
    struct ml_job job;
    __typeof__(EVP_PBE_scrypt) *scrypt;
    struct ml_password password;
    unsigned char key[ML_PASSWORD_KEY];
    bool is_done;
    size_t size;
    char text[];
};

static void run_derivation(struct ml_job *job)
{
    struct derivation *d = ml_container_of(job, struct derivation, job);
    const struct ml_password *p = &d->password;
    /* OpenSSL counts slightly more than the bytes of the table. */
    uint64_t memory = 2 * most_memory;
    d->is_done =
        d->scrypt(d->text, d->size, p->salt, p->salt_size, (uint64_t)1 << p->cost,
                  (uint64_t)p->block, (uint64_t)p->lanes, memory, d->key, sizeof d->key) == 1;
}

static void release_derivation(struct ml_job *job)
{
    struct derivation *d = ml_container_of(job, struct derivation, job);
    explicit_bzero(d->text, d->size);
    explicit_bzero(d->key, sizeof d->key);
    free(d);
}

int ml_password_derive(struct ml_hub *hub, const struct ml_wait_kind *kind,
                       __typeof__(EVP_PBE_scrypt) *scrypt, const char *text, size_t size,
                       const struct ml_password *password, unsigned char *key)
{
    struct derivation *d = malloc(sizeof *d + size);
    if (d == NULL)
        return -ENOMEM;
    *d = (struct derivation){.scrypt = scrypt, .password = *password, .size = size};
    d->job =
        (struct ml_job){.run = run_derivation, .release = release_derivation, .work = ML_WORK_USER};
    memcpy(d->text, text, size);
    int error = ml_offload(hub, kind, &d->job, ML_FOREVER);
    if (error != 0)
        return error;
    error = d->is_done ? 0 : -ENOMEM;
    memcpy(key, d->key, sizeof d->key);
    release_derivation(&d->job);
    return error;
}

/* ---- bytes ---- */

bool ml_bytes_equal(const void *a, const void *b, size_t size)
{
    const volatile unsigned char *one = a, *other = b;
    unsigned difference = 0;
    for (size_t i = 0; i < size; i++)
        difference |= (unsigned)one[i] ^ other[i];
    return difference == 0;
}

int ml_random_fill(void *bytes, size_t size)
{
    char *at = bytes;
    while (size > 0) {
        ssize_t count = getrandom(at, size, 0);
        if (count < 0 && errno != EINTR)
            return -errno;
        if (count > 0) {
            at += count;
            size -= (size_t)count;
        }
    }
    return 0;
}
