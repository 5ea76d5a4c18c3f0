#include "worker/slots.h"

#include "worker/peers.h"
#include "worker/worker_process.h"

int ml_slot_start_next(struct ml_master *master, struct ml_worker_slot *slot, uint32_t generation)
{
    int error;
    slot->next = ml_process_start(master, slot, generation, &error);
    return error;
}

void ml_slot_swap(struct ml_master *master, struct ml_worker_slot *slot, const char *reason,
                  bool others_serve)
{
    struct ml_worker_process *old = slot->current;
    slot->current = slot->next;
    slot->next = NULL;
    slot->start_at = ML_FOREVER;
    slot->is_done = false;
    ml_peers_tell(master, ML_CONTROL_JOINED, slot->current);
    if (old != NULL) {
        old->slot = NULL;
        ml_process_drain(master, old, reason, others_serve);
    }
}
