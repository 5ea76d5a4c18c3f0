/*
 * Which content coding to answer with, by the field Accept-Encoding (RFC 9110, 12.5.3). Knows
 * nothing of libraries: the caller says what it can offer.
 */
#ifndef ML_HTTP_ACCEPT_ENCODING_H
#define ML_HTTP_ACCEPT_ENCODING_H

#include "http/coding.h"

/* The coding to answer with, by an Accept-Encoding field (NULL: there was none): the offer with the
 * highest weight, of several the first; the identity if no offer is acceptable. The identity counts
 * with the others if the field names it. -1: not even that is (identity;q=0). Elements that are not
 * of the grammar are taken for absent. */
int ml_coding_negotiate(const char *field, size_t size, const enum ml_coding *offers, int count);

#endif
