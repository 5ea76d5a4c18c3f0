/*
 * Looks a name up with name servers: records of one type or, for addresses, of two at the same
 * time, under the name itself and under those that the search list makes of it. Knows no hosts file
 * and no address families.
 */
#ifndef ML_IO_LOOKUP_H
#define ML_IO_LOOKUP_H

#include "io/dns_records.h"
#include "io/resolver.h"

enum { ML_LOOKUP_TYPES = 2 };

/* The question for one type. */
struct ml_lookup_side {
    struct ml_asker asker;
    enum ml_record_type type;
    bool is_over;
    int error;                 /* once it is over; 0: it has records */
    struct ml_records records; /* once it is over */
};

/* On the heap, since questions refer to it; owned by the task that looks up, which may hand it on.
 * One that a dropped task has left is freed with the resolver. */
struct ml_lookup {
    struct ml_link link; /* among those of the resolver */
    struct ml_resolver *resolver;
    struct ml_link queue; /* tasks that wait for news */
    struct ml_names names;
    size_t asked;    /* index of the name that is asked */
    int first_error; /* of the name as it was given, if that was asked first */
    int worst_error; /* so far */
    int count;       /* of sides */
    struct ml_lookup_side sides[ML_LOOKUP_TYPES];
};

/* Begins. is_exact: no search list. Waits only when very many questions are under way. 0, with
 * *lookup to be closed by the caller; or -ML_ECLOSED, -ETIMEDOUT, -ECANCELED, -ENOMEM. */
int ml_lookup_open(struct ml_resolver *resolver, const char *name, const enum ml_record_type *types,
                   int count, bool is_exact, ml_time deadline, struct ml_lookup **lookup);

/*
 * Waits until a name has records. Without `is_eager` until all sides are over, unless the deadline
 * has passed. With it one side that has records is enough: the last type at once, the other one
 * when the last has been silent for 50 ms more (RFC 8305, section 3).
 *
 * - 0: one of the sides has records;
 * - -ML_ENOTFOUND, -ML_ENODATA, -ML_EDNS, -ML_EDNS_ANSWER: all names were asked; the most telling
 *   of their errors;
 * - -ETIMEDOUT, -ECANCELED, -ML_ECLOSED, -ENOMEM, -EMFILE, -ENFILE.
 */
int ml_lookup_wait(struct ml_lookup *lookup, bool is_eager, ml_time deadline);

/* Takes the answers that have come since, without waiting. True: all sides are over. */
bool ml_lookup_look(struct ml_lookup *lookup);

/* Abandons the questions that are still open, and frees. NULL is allowed. */
void ml_lookup_close(struct ml_lookup *lookup);

#endif
