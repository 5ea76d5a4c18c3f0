#include "worker/tickets.h"

#include "worker/worker_process.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Their order in struct ml_ticket_secrets. */
enum { PRESENT, BEFORE, AFTER };

int ml_tickets_open(struct ml_master *master)
{
    struct ml_ticket_secrets *tickets = &master->tickets;
    master->tickets_at = ml_time_after(master->now, master->options.tickets);
    tickets->number = 1;
    return getentropy(tickets->bytes, sizeof tickets->bytes) == 0 ? 0 : -errno;
}

/* Without a new secret the old ones stay until the next time. */
static void change(struct ml_ticket_secrets *tickets)
{
    unsigned char fresh[ML_TICKET_SECRET];
    if (getentropy(fresh, sizeof fresh) != 0)
        return;
    memcpy(tickets->bytes[BEFORE], tickets->bytes[PRESENT], ML_TICKET_SECRET);
    memcpy(tickets->bytes[PRESENT], tickets->bytes[AFTER], ML_TICKET_SECRET);
    memcpy(tickets->bytes[AFTER], fresh, ML_TICKET_SECRET);
    explicit_bzero(fresh, sizeof fresh);
    tickets->number++;
}

ml_time ml_tickets_turn(struct ml_master *master)
{
    if (master->now < master->tickets_at)
        return master->tickets_at;
    change(&master->tickets);
    master->tickets_at = ml_time_after(master->now, master->options.tickets);
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next)
        ml_process_send(ml_process_at(link), ML_CONTROL_TICKETS, 0, 0, &master->tickets,
                        sizeof master->tickets, -1);
    return master->tickets_at;
}
