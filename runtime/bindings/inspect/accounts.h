/*
 * Accounts of tasks, while they are kept: the time that their code ran, what it allocated, how deep
 * their C stacks were, which task spawned them. An observer of the hub keeps them, in a table by
 * slot. Off, they cost nothing: no observer, Lua's own allocator. Kept, a switch takes 60 ns longer
 * (measured; two looks at the clock).
 */
#ifndef ML_BINDINGS_INSPECT_ACCOUNTS_H
#define ML_BINDINGS_INSPECT_ACCOUNTS_H

#include "bindings/core/lua_runtime.h"

struct ml_account {
    uint64_t id;         /* of the task; another one: there is no account */
    uint64_t parent;     /* the task that spawned it; 0: not known */
    uint64_t allocated;  /* bytes of Lua's, in all: what was freed again counts, too */
    ml_time ran;         /* by the monotonic clock, since accounts are kept */
    ml_time paused_at;   /* 0: not since */
    uint32_t stack_high; /* most bytes of C frames of its running strand when it was paused */
};

/* From now on accounts are kept, until as many calls of the other function. 0 or -ENOMEM. */
int ml_accounts_open(struct ml_lua *lua);
void ml_accounts_close(struct ml_lua *lua);

/* The account of a live task up to now; false: there is none. */
bool ml_account_of(struct ml_lua *lua, const struct ml_task *task, struct ml_account *account);

/* To be called when the Lua state is closed. */
void ml_accounts_release(struct ml_lua *lua);

#endif
