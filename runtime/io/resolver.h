/*
 * A resolver: a channel to name servers, and the questions that are under way in it. Knows no hosts
 * file, no search list and not the content of answers (io/lookup.h, io/dns.h).
 *
 * A question belongs to the resolver and outlives its askers: an asker that gives up just leaves,
 * and askers of the same question at the same time share one. Questions are sent at once, so an
 * unanswered one delays no other. Only of very many some wait in line for a few milliseconds;
 * otherwise their datagrams would be lost in the server's buffer. One alarm keeps the time for all
 * of them.
 */
#ifndef ML_IO_RESOLVER_H
#define ML_IO_RESOLVER_H

#include "io/hosts.h"
#include "io/io.h"
#include "io/resolver_channel.h"

struct ml_resolver_options {
    struct ml_addresses servers; /* none: those of /etc/resolv.conf, and its search list */
    ml_time timeout;   /* of the first try, each further one takes twice as long; 0: as that file
                          says, or 2 s */
    int tries;         /* 0: likewise, or 3 */
    const char *hosts; /* path of the hosts file; "": none; NULL: /etc/hosts */
};

/* Chains of the table of questions; with many more questions they get long. */
enum { ML_RESOLVER_CHAINS = 256 };

struct ml_resolver {
    struct ml_link link; /* in io->resolvers */
    struct ml_io *io;
    struct ml_resolver_channel channel; /* open until the resolver is closed */
    struct ml_alarm *alarm;
    struct ml_hosts hosts;
    struct ml_link chains[ML_RESOLVER_CHAINS]; /* questions under way, by their hash */
    struct ml_link answered;                   /* questions that an asker has yet to look at */
    struct ml_link lookups;                    /* all of io/lookup.h in it */
    void (*free_lookups)(struct ml_resolver *resolver); /* set by io/lookup.c; NULL: there was no
                                                           lookup */
    struct ml_link young; /* questions under way that hold a place, in the order of their sending */
    struct ml_link in_line; /* tasks that wait for a place */
    int places;             /* that are free */
    unsigned under_way;
    unsigned users; /* tasks in it */
    bool is_freed;
    uint64_t random; /* for the order of records; never 0 */
};

/* Makes a new one; the caller keeps `options`. 0, -ENOMEM, or an error of the channel. */
int ml_resolver_new(struct ml_io *io, const struct ml_resolver_options *options,
                    struct ml_resolver **resolver);

/* Closes: all tasks that wait in it, or come later, get -ML_ECLOSED. Idempotent; never waits. */
void ml_resolver_close(struct ml_resolver *resolver);

static inline bool ml_resolver_is_open(const struct ml_resolver *resolver)
{
    return ml_resolver_channel_is_open(&resolver->channel);
}

/* Closes and frees it, once the last task has left. */
void ml_resolver_free(struct ml_resolver *resolver);

/* Frees all resolvers of a runtime, and lookups that dropped tasks have left in them. No task is
 * alive. */
void ml_resolver_free_all(struct ml_io *io);

/* Adopts the present /etc/resolv.conf, unless questions are under way. */
void ml_resolver_follow(struct ml_resolver *resolver);

/* One asker of a question. On the heap, since the question refers to it; owned by the code that
 * asks. */
struct ml_asker {
    struct ml_link link;          /* among those of the question */
    struct ml_question *question; /* NULL: asks nothing */
    struct ml_link *queue;        /* tasks that wait there are woken by the answer */
};

struct ml_question {
    struct ml_resolver_query query; /* its way to the servers */
    struct ml_link link;            /* in a chain, or among the answered ones */
    struct ml_link young;           /* among those that hold a place */
    struct ml_resolver *resolver;
    struct ml_link askers; /* askers that have not left */
    uint32_t hash;
    ml_time asked_at; /* by the real clock */
    bool is_answered;
    int error;             /* 0, or the negated error that the answer means */
    unsigned char *answer; /* `size` bytes */
    size_t size;
    char name[];
};

/*
 * Asks for records of a type under a whole name, or joins the askers of the same question. Waits
 * only when very many questions are under way. The caller must be among the resolver's users until
 * the asker has left. 0: look at asker->question once it is answered, and leave it with
 * ml_asker_leave(). -ML_ECLOSED, -ETIMEDOUT, -ECANCELED, -ENOMEM: nothing is asked.
 */
int ml_resolver_ask(struct ml_resolver *resolver, int type, const char *name, ml_time deadline,
                    struct ml_asker *asker);

/* Leaves the question, if there is one. */
void ml_asker_leave(struct ml_asker *asker);

/* To be called around the use of a resolver, which stays in memory meanwhile. */
static inline void ml_resolver_enter(struct ml_resolver *resolver)
{
    resolver->users++;
}

void ml_resolver_leave(struct ml_resolver *resolver);

#endif
