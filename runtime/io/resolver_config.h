/*
 * The configuration of a resolver: which servers to ask, for how long, and where to look for a
 * short name. From options or from /etc/resolv.conf, see resolv.conf(5). Knows no sockets.
 */
#ifndef ML_IO_RESOLVER_CONFIG_H
#define ML_IO_RESOLVER_CONFIG_H

#include "base/clock.h"
#include "io/address.h"

struct ml_resolver_config {
    struct ml_addresses servers; /* at least one */
    char *search;    /* domains, a blank between them, "." for the root; malloc'd, NULL: none */
    int dots;        /* a name with as many dots is asked as it is first */
    ml_time timeout; /* of the first try, each further one takes twice as long; 0: not said */
    int tries;       /* 0: not said */
    bool rotates;    /* each question begins with the next server */
};

/* Reads the text of such a file (NULL: an empty one), and LOCALDOMAIN and RES_OPTIONS of the
 * environment. 0, with *config to be released by the caller, or -ENOMEM. */
int ml_resolver_config_read(struct ml_resolver_config *config, const char *text);

/* Harmless on one that is zeroed. */
void ml_resolver_config_release(struct ml_resolver_config *config);

/* Names to ask for in turn until one exists. */
struct ml_names {
    char **items; /* malloc'd, each */
    size_t count;
    bool begins_as_is; /* the first is the name as it was given, and more follow */
};

/* The names that a name may stand for: itself alone if it ends in a dot; otherwise itself, and
 * itself in each domain of the search list. 0, with *names to be released by the caller, or
 * -ENOMEM. */
int ml_names_from(struct ml_names *names, const struct ml_resolver_config *config,
                  const char *name);

void ml_names_release(struct ml_names *names);

#endif
