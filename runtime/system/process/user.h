/*
 * The numbers of a user: by name or number, with the groups. Asks the name services on a worker, as
 * they may ask other machines.
 */
#ifndef ML_SYSTEM_PROCESS_USER_H
#define ML_SYSTEM_PROCESS_USER_H

#include "base/clock.h"
#include "system/process/spawn.h"

struct ml_hub;

enum { ML_USER_NAME = 256, ML_USER_GROUPS = 256 };

struct ml_user {
    uid_t user;
    gid_t group;
    int count;
    gid_t groups[ML_USER_GROUPS];
};

/*
 * Finds "user" or "user:group"; either may be a number. With a group the user is in no other one. A
 * number of a user that has no name needs a group.
 *
 * - 0;
 * - -ENOENT: there is no such user, or group;
 * - -EINVAL: the name is too long;
 * - errors of ml_offload().
 */
int ml_user_find(struct ml_hub *hub, const char *name, struct ml_user *user);

#endif
