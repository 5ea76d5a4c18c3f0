/* Names of hosts as TLS asks for them, and as certificates are compared with. Knows no connection.
 */
#ifndef ML_IO_TLS_NAME_H
#define ML_IO_TLS_NAME_H

#include <stdbool.h>

/*
 * Whether it is a number, or the name of one host: labels of letters, digits, '-' and '_' (or of
 * bytes beyond ASCII), one dot between two of them, and at most one more at the end. OpenSSL would
 * take a dot at the beginning for "any name under it", and a '*' literally, so that a certificate
 * of another host would do.
 */
bool ml_tls_is_name(const char *text);

/* The same, or "*." before one: a name that a server can have a certificate for. */
bool ml_tls_is_pattern(const char *text);

#endif
