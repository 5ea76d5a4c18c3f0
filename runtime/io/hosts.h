/*
 * A hosts file: addresses of names, in the order of its lines. Read again when it has changed, and
 * searched from its beginning, without an index. Asks no server.
 */
#ifndef ML_IO_HOSTS_H
#define ML_IO_HOSTS_H

#include "io/address.h"
#include "io/text_file.h"

struct ml_hosts {
    struct ml_text_file file;
};

/* path: "" for no file. A file that does not exist or may not be read counts as empty. 0 or
 * -ENOMEM. */
int ml_hosts_init(struct ml_hosts *hosts, const char *path);
void ml_hosts_release(struct ml_hosts *hosts);

/* Appends the addresses of a name that are of the family (AF_UNSPEC: any). 0; -ML_ENOTFOUND: there
 * are none; -ENOMEM, -EMFILE, -ENFILE: the file cannot be read now, and no server must be asked
 * instead. */
int ml_hosts_find(struct ml_hosts *hosts, const char *name, uint16_t port, int family,
                  struct ml_addresses *found);

#endif
