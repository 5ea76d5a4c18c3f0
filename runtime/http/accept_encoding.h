/*
 * Chooses the content coding of an answer by the field Accept-Encoding (RFC 9110, 12.5.3). Knows
 * nothing of libraries: the caller passes its offers.
 */
#ifndef ML_HTTP_ACCEPT_ENCODING_H
#define ML_HTTP_ACCEPT_ENCODING_H

#include "http/coding.h"

/* The coding to answer with, by an Accept-Encoding field (NULL: there was none). The offer with the
 * highest weight wins, the first of several. The identity competes if the field names it; it also
 * wins if no offer is acceptable. -1: not even the identity is acceptable (identity;q=0). Elements
 * that break the grammar count as absent. */
int ml_coding_negotiate(const char *field, size_t size, const enum ml_coding *offers, int count);

#endif
