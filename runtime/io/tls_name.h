/* Names of hosts as TLS asks for them, and as certificates are compared with. Knows no connection.
 */
#ifndef ML_IO_TLS_NAME_H
#define ML_IO_TLS_NAME_H

#include <stdbool.h>

/*
 * Whether it is a number, or the name of one host: labels of letters, digits, '-' and '_' (or of
 * bytes beyond ASCII), one dot between two of them, and one more at the end at most. OpenSSL takes
 * a dot at the beginning for "any name under it", and a '*' for itself, so that a certificate for
 * others would do.
 */
bool ml_tls_is_name(const char *text);

/* The same, or "*." before one: names that a server has certificates for. */
bool ml_tls_is_pattern(const char *text);

#endif
