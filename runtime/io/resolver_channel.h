/*
 * The c-ares channels of a resolver: they send single questions to name servers, either given ones
 * or those of the system, whose configuration they follow. Knows no askers and no content of
 * answers, and is told when to look at the clock.
 */
#ifndef ML_IO_RESOLVER_CHANNEL_H
#define ML_IO_RESOLVER_CHANNEL_H

#include "base/clock.h"
#include "io/resolver_config.h"
#include "io/text_file.h"

struct ml_hub;
struct ml_resolver_service;

struct ml_resolver_channel {
    struct ml_hub *hub;
    struct ml_resolver_service *service; /* c-ares and its configuration; NULL: closed */
    struct ml_addresses servers;         /* those given; none: those of the system */
    struct ml_text_file file;            /* the system's configuration */
    ml_time given_timeout;               /* 0: as the configuration says */
    int given_tries;                     /* 0: likewise */
    ml_time timeout;                     /* of the first try */
    uint64_t ids[65536 / 64];            /* one bit for each number that a question has */
};

/* A closed one. servers, timeout, tries: as in struct ml_resolver_options; the caller keeps the
 * servers. 0, or -ENOMEM: must be released all the same. */
int ml_resolver_channel_init(struct ml_resolver_channel *channel, struct ml_hub *hub,
                             const struct ml_addresses *servers, ml_time timeout, int tries);

/* Frees a closed one. Harmless on one that is zeroed. */
void ml_resolver_channel_release(struct ml_resolver_channel *channel);

/* Opens a closed one. 0, or a negated errno: for want of descriptors or memory. */
int ml_resolver_channel_open(struct ml_resolver_channel *channel);

/* Closes an open one: every question that is left gets -ML_ECLOSED as its answer. Never waits. */
void ml_resolver_channel_close(struct ml_resolver_channel *channel);

static inline bool ml_resolver_channel_is_open(const struct ml_resolver_channel *channel)
{
    return channel->service != NULL;
}

/* Adopts the system's present configuration; no question may be under way. If that fails, the
 * previous one serves until the next call. */
void ml_resolver_channel_follow(struct ml_resolver_channel *channel);

/* The names to ask for. 0, with *names to be released by the caller, or -ENOMEM. */
int ml_resolver_channel_names(const struct ml_resolver_channel *channel, const char *name,
                              struct ml_names *names);

/* A question on its way; the sender owns it until it is answered. */
struct ml_resolver_query {
    struct ml_resolver_channel *channel;
    void (*on_answer)(struct ml_resolver_query *query, int error, const unsigned char *answer,
                      size_t size);
    const char *name; /* the caller's */
    int type;
    uint16_t id;
};

/*
 * Sends a question for records of a type (RFC 1035), of which on_answer, name and type are set:
 * over UDP, and over TCP if the answer is cut short. on_answer is called once, perhaps before this
 * returns, with the answer, which is freed after it, or an error:
 *
 * - -ML_ENOTFOUND: no such name;
 * - -ML_EDNS, -ML_EDNS_ANSWER, -ETIMEDOUT, -ML_ECLOSED, -ENOMEM, -EMFILE, -ENFILE.
 */
void ml_resolver_channel_send(struct ml_resolver_channel *channel, struct ml_resolver_query *query);

/* Makes an open one check its clock, to ask again or give up. Questions may be answered. Never
 * waits. */
void ml_resolver_channel_tick(struct ml_resolver_channel *channel);

#endif
