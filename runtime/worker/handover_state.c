#include "worker/handover_state.h"

#include "base/check.h"
#include "worker/kept_stores.h"
#include "worker/shares.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

/* ---- bytes as text ---- */

static void print_bytes(FILE *out, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    fputc(' ', out);
    for (size_t i = 0; i < size; i++)
        fprintf(out, "%02x", at[i]);
}

static bool scan_bytes(FILE *in, void *bytes, size_t size)
{
    unsigned char *at = bytes;
    unsigned byte;
    if (fscanf(in, " ") < 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (fscanf(in, "%2x", &byte) != 1)
            return false;
        at[i] = (unsigned char)byte;
    }
    return true;
}

/* ---- writing ---- */

static void write_slots(const struct ml_master *master, FILE *out)
{
    for (struct ml_link *link = master->slots.next; link != &master->slots; link = link->next) {
        const struct ml_worker_slot *slot = ml_slot_at(link);
        fprintf(out, "slot %u %" PRIu64 " %u %d\n", slot->id, slot->restarts, slot->level,
                slot->is_done);
    }
}

static void write_processes(const struct ml_master *master, FILE *out)
{
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next) {
        const struct ml_worker_process *p = ml_process_at(link);
        bool is_current = p->slot != NULL && p->slot->current == p;
        fprintf(out,
                "process %u %u %u %ld %d %d %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
                " %" PRIu64 " %" PRIu64 "\n",
                p->slot_id, p->generation, p->serial, (long)p->pid, p->control.fd, (int)p->state,
                is_current, p->started_at, p->ready_at, p->term_at, p->kill_at, p->most_requests,
                p->most_memory);
    }
}

/* Metrics that a worker, or those that are gone (serial 0), have said last. */
static void write_lines(const struct ml_buffer *lines, uint32_t serial, FILE *out)
{
    size_t size = ml_buffer_size(lines);
    if (size == 0)
        return;
    fprintf(out, "figures %u %zu", serial, size);
    print_bytes(out, ml_buffer_data(lines), size);
    fputc('\n', out);
}

static void write_figures(const struct ml_master *master, FILE *out)
{
    write_lines(&master->figures.retired, 0, out);
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next)
        write_lines(&ml_process_at(link)->figures, ml_process_at(link)->serial, out);
}

static void write_share(const struct ml_share *share, FILE *out)
{
    fprintf(out, "share %" PRIu64 " %u %d %u", share->number, share->generation,
            share->is_inherited, share->fd_count);
    print_bytes(out, &share->asked, sizeof share->asked);
    print_bytes(out, &share->bound, sizeof share->bound);
    print_bytes(out, &share->path, sizeof share->path);
    print_bytes(out, share->name, sizeof share->name);
    for (uint32_t i = 0; i < share->fd_count; i++)
        fprintf(out, " %d", share->fds[i]);
    fputc('\n', out);
    for (struct ml_link *link = share->users.next; link != &share->users; link = link->next) {
        const struct ml_share_user *user = ml_container_of(link, struct ml_share_user, link);
        fprintf(out, "user %u %u %u\n", user->serial, user->slot, user->generation);
    }
}

static void write_stores(const struct ml_master *master, FILE *out)
{
    for (struct ml_link *link = master->stores.next; link != &master->stores; link = link->next) {
        const struct ml_worker_store *store = ml_container_of(link, struct ml_worker_store, link);
        fprintf(out, "store %" PRIu64 " %d", store->size, store->fd);
        print_bytes(out, store->name, sizeof store->name);
        fputc('\n', out);
    }
}

bool ml_handover_write(const struct ml_master *master, FILE *out)
{
    fprintf(out, "moonlet %d %u %u %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64,
            ML_HANDOVER_VERSION, master->generation, master->last_generation, master->last_serial,
            master->last_share, master->retired_requests, master->retired_connections,
            master->began_at);
    print_bytes(out, &master->mask, sizeof master->mask);
    print_bytes(out, &master->tickets, sizeof master->tickets);
    print_bytes(out, &master->tickets_at, sizeof master->tickets_at);
    fputc('\n', out);
    write_slots(master, out);
    write_processes(master, out);
    for (struct ml_link *link = master->shares.next; link != &master->shares; link = link->next)
        write_share(ml_container_of(link, struct ml_share, link), out);
    write_stores(master, out);
    write_figures(master, out);
    fputs("end\n", out);
    return fflush(out) == 0 && !ferror(out);
}

/* ---- reading ---- */

static int read_head(struct ml_master *master, FILE *in)
{
    int version = 0;
    bool is_head =
        fscanf(in, "moonlet %d", &version) == 1 && version == ML_HANDOVER_VERSION &&
        fscanf(in, " %u %u %u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNd64, &master->generation,
               &master->last_generation, &master->last_serial, &master->last_share,
               &master->retired_requests, &master->retired_connections, &master->began_at) == 7;
    bool is_whole = is_head && scan_bytes(in, &master->mask, sizeof master->mask) &&
                    scan_bytes(in, &master->tickets, sizeof master->tickets) &&
                    scan_bytes(in, &master->tickets_at, sizeof master->tickets_at);
    return is_whole ? 0 : -EPROTO;
}

static int read_slot(struct ml_master *master, FILE *in)
{
    int is_done;
    struct ml_worker_slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL)
        return -ENOMEM;
    slot->start_at = master->now; /* unless a process of its comes */
    slot->tokens_at = master->now;
    ml_list_insert(&master->slots, &slot->link);
    master->count++;
    bool is_slot =
        fscanf(in, "%u %" SCNu64 " %u %d", &slot->id, &slot->restarts, &slot->level, &is_done) == 4;
    slot->is_done = is_slot && is_done;
    if (slot->is_done)
        slot->start_at = ML_FOREVER;
    return is_slot ? 0 : -EPROTO;
}

static void put_into_slot(struct ml_master *master, struct ml_worker_process *process)
{
    for (struct ml_link *link = master->slots.next; link != &master->slots; link = link->next) {
        struct ml_worker_slot *slot = ml_slot_at(link);
        if (slot->id != process->slot_id)
            continue;
        slot->current = process;
        slot->start_at = ML_FOREVER;
        process->slot = slot;
    }
}

static int read_process(struct ml_master *master, FILE *in)
{
    long pid;
    int fd, state, is_current;
    struct ml_worker_process *p = calloc(1, sizeof *p);
    if (p == NULL)
        return -ENOMEM;
    ml_list_insert(&master->processes, &p->link);
    master->process_count++;
    p->pidfd = p->control.fd = -1;
    if (fscanf(in, "%u %u %u %ld %d %d %d", &p->slot_id, &p->generation, &p->serial, &pid, &fd,
               &state, &is_current) != 7 ||
        fscanf(in, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNu64,
               &p->started_at, &p->ready_at, &p->term_at, &p->kill_at, &p->most_requests,
               &p->most_memory) != 6)
        return -EPROTO;
    p->pid = (pid_t)pid;
    p->pidfd = pidfd_open(p->pid, 0); /* our child: until it is waited for its number is its own */
    ml_control_open(&p->control, fd);
    p->state = (enum ml_worker_state)state;
    p->heard_at = master->now;
    if (is_current)
        put_into_slot(master, p);
    return 0;
}

static int read_share(struct ml_master *master, FILE *in)
{
    int is_inherited;
    struct ml_share *share = calloc(1, sizeof *share);
    if (share == NULL)
        return -ENOMEM;
    ml_list_init(&share->users);
    ml_list_insert(&master->shares, &share->link);
    uint32_t count = 0;
    bool is_share = fscanf(in, "%" SCNu64 " %u %d %u", &share->number, &share->generation,
                           &is_inherited, &count) == 4 &&
                    scan_bytes(in, &share->asked, sizeof share->asked) &&
                    scan_bytes(in, &share->bound, sizeof share->bound) &&
                    scan_bytes(in, &share->path, sizeof share->path) &&
                    scan_bytes(in, share->name, sizeof share->name);
    if (!is_share || count > ML_WORKERS_MAX)
        return -EPROTO;
    share->is_inherited = is_inherited;
    share->fds = calloc(count, sizeof *share->fds);
    if (share->fds == NULL)
        return -ENOMEM;
    for (; share->fd_count < count; share->fd_count++)
        if (fscanf(in, "%d", &share->fds[share->fd_count]) != 1)
            return -EPROTO;
    return 0;
}

/* Of the share that was read last. */
static int read_user(struct ml_master *master, FILE *in)
{
    struct ml_share *share = ml_container_of(master->shares.prev, struct ml_share, link);
    struct ml_share_user *user = calloc(1, sizeof *user);
    if (user == NULL)
        return -ENOMEM;
    ml_list_insert(&share->users, &user->link);
    bool is_user = fscanf(in, "%u %u %u", &user->serial, &user->slot, &user->generation) == 3;
    return is_user ? 0 : -EPROTO;
}

static int read_store(struct ml_master *master, FILE *in)
{
    struct ml_worker_store store;
    bool is_store = fscanf(in, "%" SCNu64 " %d", &store.size, &store.fd) == 2 &&
                    scan_bytes(in, store.name, sizeof store.name);
    return is_store ? ml_kept_stores_add(master, store.name, store.size, store.fd) : -EPROTO;
}

static int read_figures(struct ml_master *master, FILE *in)
{
    uint32_t serial;
    size_t size;
    if (fscanf(in, "%u %zu", &serial, &size) != 2 || size == 0)
        return -EPROTO;
    struct ml_worker_process *process = serial != 0 ? ml_master_process(master, serial) : NULL;
    struct ml_buffer *lines = process != NULL ? &process->figures : &master->figures.retired;
    if (ml_buffer_reserve(lines, size) != 0)
        return -ENOMEM;
    if (!scan_bytes(in, ml_buffer_end(lines), size))
        return -EPROTO;
    ml_buffer_commit(lines, size);
    return 0;
}

int ml_handover_read(struct ml_master *master, FILE *in)
{
    static const struct {
        const char *word;
        int (*read)(struct ml_master *master, FILE *in);
    } lines[] = {{"slot", read_slot}, {"process", read_process}, {"share", read_share},
                 {"user", read_user}, {"store", read_store},     {"figures", read_figures}};
    enum { LINES = sizeof lines / sizeof *lines };
    char word[16];
    int error = read_head(master, in);
    while (error == 0) {
        size_t i = 0;
        if (fscanf(in, "%15s", word) != 1)
            return -EPROTO;
        if (strcmp(word, "end") == 0)
            break;
        while (i < LINES && strcmp(word, lines[i].word) != 0)
            i++;
        error = i < LINES ? lines[i].read(master, in) : -EPROTO;
    }
    return error;
}

/* ---- descriptors ---- */

static void set_kept(int fd, bool is_kept)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, is_kept ? 0 : FD_CLOEXEC);
}

void ml_handover_keep(const struct ml_master *master, bool is_kept)
{
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next)
        set_kept(ml_process_at(link)->control.fd, is_kept);
    for (struct ml_link *link = master->shares.next; link != &master->shares; link = link->next) {
        const struct ml_share *share = ml_container_of(link, struct ml_share, link);
        for (uint32_t i = 0; i < share->fd_count; i++)
            set_kept(share->fds[i], is_kept);
    }
    for (struct ml_link *link = master->stores.next; link != &master->stores; link = link->next)
        set_kept(ml_container_of(link, struct ml_worker_store, link)->fd, is_kept);
}
