#include "io/tls_tickets.h"

#include "io/io.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME = 16, IV = 16, HASH = 32 };

/* Made out of one secret. */
struct keys {
    unsigned char name[HASH]; /* NAME bytes of it */
    unsigned char mac[HASH];
    unsigned char cipher[HASH];
};

struct ml_tls_tickets {
    const struct ml_io *io;
    const struct ml_openssl *o;
    unsigned char server[HASH]; /* says which one it is */
    bool is_made;
    uint64_t number; /* of the secrets that the keys are made of */
    struct keys keys[ML_TICKET_SECRETS];
};

/* ---- keys ---- */

static bool mix(const struct ml_openssl *o, const void *secret, size_t secret_size,
                const void *text, size_t size, unsigned char hash[HASH])
{
    const EVP_MD *sha256 = o->EVP_get_digestbyname("sha256");
    return sha256 != NULL &&
           o->HMAC(sha256, secret, (int)secret_size, text, size, hash, NULL) != NULL;
}

static bool make_keys(const struct ml_tls_tickets *tickets, const unsigned char *secret,
                      struct keys *keys)
{
    unsigned char input[HASH + 1], *into[] = {keys->name, keys->mac, keys->cipher};
    bool is_made = true;
    memcpy(input, tickets->server, HASH);
    for (unsigned char i = 0; i < 3 && is_made; i++) {
        input[HASH] = i;
        is_made = mix(tickets->o, secret, ML_TICKET_SECRET, input, sizeof input, into[i]);
    }
    return is_made;
}

/* Makes the keys anew if the secrets have changed. False: there are none. */
static bool refresh(struct ml_tls_tickets *tickets)
{
    const struct ml_ticket_secrets *secrets = tickets->io->tickets;
    if (secrets == NULL)
        return false;
    if (tickets->is_made && tickets->number == secrets->number)
        return true;
    tickets->is_made = true;
    tickets->number = secrets->number;
    for (int i = 0; i < ML_TICKET_SECRETS && tickets->is_made; i++)
        tickets->is_made = make_keys(tickets, secrets->bytes[i], &tickets->keys[i]);
    return tickets->is_made;
}

/* ---- OpenSSL's questions ---- */

static bool set_mac(const struct ml_openssl *o, EVP_MAC_CTX *mac, struct keys *keys)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {{.key = OSSL_MAC_PARAM_KEY,
                            .data_type = OSSL_PARAM_OCTET_STRING,
                            .data = keys->mac,
                            .data_size = HASH},
                           {.key = OSSL_MAC_PARAM_DIGEST,
                            .data_type = OSSL_PARAM_UTF8_STRING,
                            .data = digest,
                            .data_size = sizeof digest - 1},
                           {.key = NULL}};
    return o->EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 1; 0: the handshake goes on without a ticket; -1: it fails. */
static int encrypt(struct ml_tls_tickets *tickets, unsigned char *name, unsigned char *iv,
                   EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    const struct ml_openssl *o = tickets->o;
    struct keys *keys = &tickets->keys[0];
    if (getentropy(iv, IV) != 0)
        return 0;
    memcpy(name, keys->name, NAME);
    bool is_set =
        o->EVP_EncryptInit_ex(cipher, o->EVP_aes_256_cbc(), NULL, keys->cipher, iv) == 1 &&
        set_mac(o, mac, keys);
    return is_set ? 1 : -1;
}

/* 1; 2: the client gets a new ticket, as each in TLS 1.3 does; 0: not one of these keys; -1: the
 * handshake fails. */
static int decrypt(struct ml_tls_tickets *tickets, const SSL *ssl, const unsigned char *name,
                   const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    const struct ml_openssl *o = tickets->o;
    int i = 0;
    while (i < ML_TICKET_SECRETS && memcmp(name, tickets->keys[i].name, NAME) != 0)
        i++;
    if (i == ML_TICKET_SECRETS)
        return 0;
    struct keys *keys = &tickets->keys[i];
    bool is_set =
        o->EVP_DecryptInit_ex(cipher, o->EVP_aes_256_cbc(), NULL, keys->cipher, iv) == 1 &&
        set_mac(o, mac, keys);
    bool is_renewed = i > 0 || strcmp(o->SSL_get_version(ssl), "TLSv1.3") == 0;
    return !is_set ? -1 : is_renewed ? 2 : 1;
}

int ml_tls_tickets_answer(struct ml_tls_tickets *tickets, const SSL *ssl, unsigned char *name,
                          unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool is_new)
{
    if (!refresh(tickets))
        return 0;
    return is_new ? encrypt(tickets, name, iv, cipher, mac)
                  : decrypt(tickets, ssl, name, iv, cipher, mac);
}

/* ---- life ---- */

struct ml_tls_tickets *ml_tls_tickets_new(const struct ml_io *io, const struct ml_openssl *o,
                                          const struct ml_pem *certificate)
{
    static const char purpose[] = "moonlet tickets";
    struct ml_tls_tickets *tickets = calloc(1, sizeof *tickets);
    const char *text = certificate->text != NULL ? certificate->text : certificate->file;
    size_t size = certificate->text != NULL ? certificate->size : strlen(text);
    if (tickets == NULL)
        return NULL;
    *tickets = (struct ml_tls_tickets){.io = io, .o = o};
    if (mix(o, purpose, sizeof purpose, text, size, tickets->server))
        return tickets;
    free(tickets);
    return NULL;
}

void ml_tls_tickets_free(struct ml_tls_tickets *tickets)
{
    if (tickets == NULL)
        return;
    tickets->o->OPENSSL_cleanse(tickets->keys, sizeof tickets->keys);
    free(tickets);
}

void ml_tls_tickets_follow(struct ml_tls_tickets *tickets, const struct ml_tls_tickets *old)
{
    memcpy(tickets->server, old->server, sizeof tickets->server);
    tickets->is_made = false;
}
