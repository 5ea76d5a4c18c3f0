#include "bindings/net/datagram_destination.h"

#include "base/error.h"
#include "bindings/core/failure.h"
#include "bindings/net/address.h"
#include "bindings/net/options.h"

static bool choose(const struct ml_addresses *found, int family, struct ml_address *chosen)
{
    for (size_t i = 0; i < found->count; i++) {
        if (found->items[i].any.sa_family == family) {
            *chosen = found->items[i];
            return true;
        }
    }
    return false;
}

int ml_target_find(struct ml_io *io, int family, const struct ml_target *target, ml_time deadline,
                   struct ml_address *found)
{
    struct ml_addresses all;
    int wanted = family == AF_INET ? AF_INET : AF_UNSPEC;
    int error = ml_target_resolve(io, target, wanted, deadline, &all);
    if (error == 0 && !choose(&all, family, found))
        *found = all.items[0];
    ml_addresses_release(&all);
    return error;
}

struct ml_destination ml_check_destination(lua_State *L, int index)
{
    struct ml_destination to = {.deadline = ML_FOREVER};
    if (ml_to_address(L, index, &to.address) && lua_isnoneornil(L, index + 1))
        return to;
    to.target = ml_check_target(L, index);
    to.deadline = ml_timeout_option(L, to.target.options);
    to.address.size = 0;
    if (ml_to_local_address(L, index, &to.address) && !to.target.is_local)
        ml_address_set_port(&to.address, to.target.port);
    return to;
}

int ml_destination_reach(struct ml_datagram *d, struct ml_destination *to)
{
    if (!ml_datagram_is_open(d))
        return -ML_ECLOSED;
    return to->address.size > 0
               ? 0
               : ml_target_find(d->io, d->family, &to->target, to->deadline, &to->address);
}

int ml_push_destination_failure(lua_State *L, int error, const struct ml_destination *to)
{
    if (error == -ML_ECLOSED || error == -ETIMEDOUT)
        return ml_push_failure(L, error);
    if (to->target.host != NULL)
        return ml_push_target_failure(L, error, ml_error_text(error), &to->target);
    ml_push_address_text(L, &to->address);
    return ml_push_net_failure(L, error, lua_tostring(L, -1));
}
