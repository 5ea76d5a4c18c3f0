#include "worker/figures.h"

#include "worker/worker_process.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

/* Workers have so long to answer. */
#define PATIENCE ML_SECOND

/* Bytes of one worker's metrics at most. */
enum { MOST = 16 * 1024 * 1024 };

static struct ml_reload_waiter *waiter_at(struct ml_link *link)
{
    return (struct ml_reload_waiter *)((char *)link - offsetof(struct ml_reload_waiter, link));
}

void ml_figures_open(struct ml_master *master)
{
    master->figures.file = -1;
    ml_list_init(&master->figures.waiters);
}

/* Answers all that wait; file -1: with the error. */
static void finish(struct ml_master *master, int error, int file)
{
    struct ml_figures *figures = &master->figures;
    while (!ml_list_is_empty(&figures->waiters)) {
        struct ml_reload_waiter *waiter = waiter_at(figures->waiters.next);
        struct ml_worker_process *process = ml_master_process(master, waiter->serial);
        if (process != NULL)
            ml_process_send(process, ML_CONTROL_FIGURES, waiter->request, error, NULL, 0, file);
        ml_list_remove(&waiter->link);
        free(waiter);
    }
    if (figures->file >= 0)
        close(figures->file);
    figures->file = -1;
}

void ml_figures_close(struct ml_master *master)
{
    finish(master, -ECANCELED, -1);
}

static int begin(struct ml_master *master)
{
    struct ml_figures *figures = &master->figures;
    figures->file = memfd_create("moonlet.figures", MFD_CLOEXEC);
    if (figures->file < 0)
        return -errno;
    figures->number++;
    figures->until = ml_time_after(master->now, PATIENCE);
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next) {
        struct ml_worker_process *process = ml_process_at(link);
        process->owes_figures = process->state == ML_WORKER_READY;
        if (process->owes_figures)
            ml_process_send(process, ML_CONTROL_FIGURES, 0, 0, &figures->number,
                            sizeof figures->number, -1);
    }
    return 0;
}

void ml_figures_ask(struct ml_master *master, const struct ml_worker_process *process,
                    uint64_t request)
{
    struct ml_reload_waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter != NULL) {
        waiter->serial = process->serial;
        waiter->request = request;
        ml_list_insert(&master->figures.waiters, &waiter->link);
    }
    int error = waiter == NULL ? -ENOMEM : master->figures.file < 0 ? begin(master) : 0;
    if (waiter == NULL)
        ml_process_send(ml_master_process(master, process->serial), ML_CONTROL_FIGURES, request,
                        error, NULL, 0, -1);
    else if (error != 0)
        finish(master, error, -1);
}

void ml_figures_take(struct ml_master *master, struct ml_worker_process *process, uint64_t number,
                     int file)
{
    off_t at = 0;
    struct stat status;
    bool is_due = process->owes_figures && number == master->figures.number;
    if (!is_due || master->figures.file < 0)
        return;
    process->owes_figures = false;
    if (fstat(file, &status) != 0 || status.st_size > MOST)
        return;
    while (at < status.st_size &&
           sendfile(master->figures.file, file, &at, (size_t)(status.st_size - at)) > 0)
        continue;
}

static bool is_whole(const struct ml_master *master)
{
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next)
        if (ml_process_at(link)->owes_figures)
            return false;
    return true;
}

ml_time ml_figures_turn(struct ml_master *master)
{
    struct ml_figures *figures = &master->figures;
    if (figures->file < 0)
        return ML_FOREVER;
    if (!is_whole(master) && master->now < figures->until)
        return figures->until;
    finish(master, 0, figures->file);
    return ML_FOREVER;
}
