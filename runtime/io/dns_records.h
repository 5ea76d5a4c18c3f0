/*
 * Reads the records of an answer from a name server (RFC 1035) from its bytes, which are not
 * trusted. Knows no resolver.
 */
#ifndef ML_IO_DNS_RECORDS_H
#define ML_IO_DNS_RECORDS_H

#include "io/address.h"

/* Their numbers in the protocol. */
enum ml_record_type {
    ML_RECORD_A = 1,
    ML_RECORD_NS = 2,
    ML_RECORD_CNAME = 5,
    ML_RECORD_PTR = 12,
    ML_RECORD_MX = 15,
    ML_RECORD_TXT = 16,
    ML_RECORD_AAAA = 28,
    ML_RECORD_SRV = 33
};

/* Fields that the type does not have are zero. */
struct ml_record {
    char *text;    /* NS, CNAME, PTR, MX, SRV: a host, "." for the root; TXT: its strings, joined.
                      malloc'd */
    size_t length; /* of the text */
    uint32_t ttl;  /* seconds, at most 2^31 - 1 */
    uint16_t priority;
    uint16_t weight;
    uint16_t port;
    struct ml_address address; /* A, AAAA: port 0 */
};

struct ml_records {
    struct ml_record *items; /* malloc'd */
    size_t count;
};

/*
 * Reads the records of one type that an answer has for the name in its question, or for the name to
 * which aliases in the answer lead from there. Those of other names are ignored.
 *
 * - 0, with *records to be released by the caller;
 * - -ML_ENODATA: there is none;
 * - -ML_EDNS_ANSWER: the answer is broken;
 * - -ENOMEM.
 */
int ml_records_parse(const unsigned char *answer, size_t size, enum ml_record_type type,
                     struct ml_records *records);

/* Appends one, and takes its text over. 0 or -ENOMEM. */
int ml_records_add(struct ml_records *records, const struct ml_record *record);

/* Puts them in the order in which to try them: by priority; SRV records of one priority at random,
 * the heavy ones earlier, as in RFC 2782. *random: any number but 0, changed. */
void ml_records_sort(struct ml_records *records, uint64_t *random);

void ml_records_release(struct ml_records *records);

#endif
