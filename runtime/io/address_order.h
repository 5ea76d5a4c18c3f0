/*
 * The order in which to try the addresses of a name (RFC 6724, section 6). Knows no name servers.
 */
#ifndef ML_IO_ADDRESS_ORDER_H
#define ML_IO_ADDRESS_ORDER_H

#include "io/address.h"

/* Sorts internet addresses; equal ones keep their order. Asks the kernel from which address it
 * would send to each; without memory or descriptors for that all keep their order. */
void ml_addresses_sort(struct ml_addresses *addresses);

#endif
