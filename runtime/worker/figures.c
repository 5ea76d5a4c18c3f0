#include "worker/figures.h"

#include "worker/worker_process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Workers have so long to answer. */
#define PATIENCE ML_SECOND

/* Bytes of one worker's metrics at most, and of those of all that are gone. */
enum { MOST = 16 * 1024 * 1024 };

static struct ml_reload_waiter *waiter_at(struct ml_link *link)
{
    return (struct ml_reload_waiter *)((char *)link - offsetof(struct ml_reload_waiter, link));
}

void ml_figures_open(struct ml_master *master)
{
    ml_list_init(&master->figures.waiters);
}

/* ---- lines ---- */

static int append(struct ml_buffer *buffer, const char *text, size_t size)
{
    if (size == 0)
        return 0;
    int error = ml_buffer_reserve(buffer, size);
    if (error != 0)
        return error;
    memcpy(ml_buffer_end(buffer), text, size);
    ml_buffer_commit(buffer, size);
    return 0;
}

/* Adds what is in a file of a worker's. 0; -EFBIG, -ENOMEM, -EIO: nothing is added. */
static int append_file(struct ml_buffer *buffer, int file)
{
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > MOST)
        return -EFBIG;
    size_t size = (size_t)status.st_size;
    int error = ml_buffer_reserve(buffer, size + 1);
    if (error != 0)
        return error;
    if (pread(file, ml_buffer_end(buffer), size, 0) != (ssize_t)size)
        return -EIO;
    ml_buffer_commit(buffer, size);
    return 0;
}

void ml_figures_retire(struct ml_master *master, struct ml_worker_process *process)
{
    struct ml_buffer *retired = &master->figures.retired;
    size_t size = ml_buffer_size(&process->figures);
    if (ml_buffer_size(retired) + size <= MOST)
        append(retired, ml_buffer_data(&process->figures), size);
    ml_buffer_release(&process->figures);
}

void ml_figures_put_together(struct ml_master *master, const struct ml_control_figures *of,
                             int file)
{
    struct ml_figures *figures = &master->figures;
    struct ml_buffer together = {0};
    size_t size = ml_buffer_size(&figures->retired);
    if (of->epoch != figures->epoch || of->retired > size)
        return;
    const char *rest = ml_buffer_data(&figures->retired) + of->retired;
    if (append_file(&together, file) != 0 || append(&together, rest, size - of->retired) != 0) {
        ml_buffer_release(&together);
        return;
    }
    ml_buffer_release(&figures->retired);
    figures->retired = together;
    figures->epoch++;
}

/* ---- answers ---- */

/* Answers all that wait; file -1: with the error. */
static void answer(struct ml_master *master, int error, int file)
{
    struct ml_figures *figures = &master->figures;
    const struct ml_control_figures of = {.retired = ml_buffer_size(&figures->retired),
                                          .epoch = figures->epoch};
    figures->is_under_way = false;
    while (!ml_list_is_empty(&figures->waiters)) {
        struct ml_reload_waiter *waiter = waiter_at(figures->waiters.next);
        struct ml_worker_process *process = ml_master_process(master, waiter->serial);
        if (process != NULL)
            ml_process_send(process, ML_CONTROL_FIGURES, waiter->request, error, &of,
                            error == 0 ? sizeof of : 0, file);
        ml_list_remove(&waiter->link);
        free(waiter);
    }
}

static bool write_buffer(int file, const struct ml_buffer *buffer)
{
    size_t size = ml_buffer_size(buffer);
    return size == 0 || write(file, ml_buffer_data(buffer), size) == (ssize_t)size;
}

/* Of those that have answered, or of the others. */
static bool write_lines(const struct ml_master *master, int file, bool have_answered)
{
    bool is_written = true;
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next) {
        const struct ml_worker_process *process = ml_process_at(link);
        if (process->has_answered == have_answered)
            is_written = is_written && write_buffer(file, &process->figures);
    }
    return is_written;
}

static int write_all(const struct ml_master *master, int file)
{
    bool is_written = write_lines(master, file, true) && write(file, "-\n", 2) == 2 &&
                      write_lines(master, file, false) &&
                      write_buffer(file, &master->figures.retired);
    return is_written ? 0 : -ENOSPC;
}

static void finish(struct ml_master *master)
{
    int file = memfd_create("moonlet.figures", MFD_CLOEXEC);
    int error = file >= 0 ? write_all(master, file) : -errno;
    answer(master, error, error == 0 ? file : -1);
    if (file >= 0)
        close(file);
}

void ml_figures_cancel(struct ml_master *master)
{
    answer(master, -ECANCELED, -1);
}

void ml_figures_close(struct ml_master *master)
{
    ml_figures_cancel(master);
    ml_buffer_release(&master->figures.retired);
}

/* ---- collections ---- */

static void begin(struct ml_master *master)
{
    struct ml_figures *figures = &master->figures;
    figures->is_under_way = true;
    figures->number++;
    figures->until = ml_time_after(master->now, PATIENCE);
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next) {
        struct ml_worker_process *process = ml_process_at(link);
        process->has_answered = false;
        process->owes_figures = process->state == ML_WORKER_READY;
        if (process->owes_figures)
            ml_process_send(process, ML_CONTROL_FIGURES, 0, 0, &figures->number,
                            sizeof figures->number, -1);
    }
}

void ml_figures_ask(struct ml_master *master, const struct ml_worker_process *process,
                    uint64_t request)
{
    struct ml_reload_waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL) {
        ml_process_send(ml_master_process(master, process->serial), ML_CONTROL_FIGURES, request,
                        -ENOMEM, NULL, 0, -1);
        return;
    }
    waiter->serial = process->serial;
    waiter->request = request;
    ml_list_insert(&master->figures.waiters, &waiter->link);
    if (!master->figures.is_under_way)
        begin(master);
}

void ml_figures_take(struct ml_master *master, struct ml_worker_process *process, uint64_t number,
                     int file)
{
    struct ml_buffer line = {0};
    bool is_due = process->owes_figures && number == master->figures.number;
    if (!is_due && number != 0)
        return;
    process->owes_figures = process->owes_figures && !is_due;
    if (append_file(&line, file) != 0) {
        ml_buffer_release(&line);
        return;
    }
    process->has_answered = process->has_answered || is_due;
    ml_buffer_release(&process->figures);
    process->figures = line;
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
    if (!figures->is_under_way)
        return ML_FOREVER;
    if (!is_whole(master) && master->now < figures->until)
        return figures->until;
    finish(master);
    return ML_FOREVER;
}
