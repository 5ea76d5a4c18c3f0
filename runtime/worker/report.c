#include "worker/report.h"

#include "base/check.h"
#include "worker/master_state.h"
#include "worker/shares.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *state_name(const struct ml_worker_process *process)
{
    static const char *const names[] = {[ML_WORKER_STARTING] = "starting",
                                        [ML_WORKER_READY] = "ready",
                                        [ML_WORKER_DRAINING] = "draining"};
    return names[process->state];
}

static double seconds_since(const struct ml_master *master, ml_time then)
{
    return ml_time_to_seconds(ml_time_between(then, master->now));
}

static void print_process(FILE *out, const struct ml_master *master,
                          const struct ml_worker_process *process)
{
    fprintf(out,
            "{\"id\":%u,\"pid\":%ld,\"state\":\"%s\",\"generation\":%u,\"age\":%.3f,"
            "\"silent\":%.3f,\"connections\":%llu,\"requests\":%llu,\"open\":%llu,"
            "\"memory\":%llu,\"late\":%.6f}",
            process->slot_id, (long)process->pid, state_name(process), process->generation,
            seconds_since(master, process->started_at), seconds_since(master, process->heard_at),
            (unsigned long long)process->beat.connections,
            (unsigned long long)process->beat.requests, (unsigned long long)process->beat.open,
            (unsigned long long)process->memory, (double)process->beat.late / 1e9);
}

static void print_processes(FILE *out, const struct ml_master *master)
{
    const char *comma = "";
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next) {
        fputs(comma, out);
        print_process(out, master, ml_process_at(link));
        comma = ",";
    }
}

static void print_text(FILE *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '"' || byte == '\\' || byte < ' ' || byte >= 0x7f)
            fprintf(out, "\\u%04x", byte);
        else
            fputc(byte, out);
    }
}

static void print_address(FILE *out, const struct ml_address *address)
{
    char host[ML_HOST_SIZE], path[ML_PATH_SIZE];
    if (ml_address_is_local(address)) {
        size_t length = ml_address_path(address, path);
        fputs("unix:", out);
        print_text(out, path, length);
        return;
    }
    ml_address_host(address, host);
    fprintf(out, address->any.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host,
            ml_address_port(address));
}

static void print_shares(FILE *out, const struct ml_master *master)
{
    const char *comma = "";
    for (struct ml_link *link = master->shares.next; link != &master->shares; link = link->next) {
        const struct ml_share *share = ml_container_of(link, struct ml_share, link);
        fprintf(out, "%s{\"address\":\"", comma);
        print_address(out, &share->bound);
        fprintf(out, "\",\"kind\":\"%s\",\"sockets\":%u}",
                share->asked.kind == ML_SHARE_DATAGRAM ? "datagram" : "stream",
                share->asked.is_per_slot ? share->fd_count : 1);
        comma = ",";
    }
}

static void print_sums(FILE *out, const struct ml_master *master)
{
    uint64_t requests = master->retired_requests, connections = master->retired_connections;
    uint64_t restarts = 0;
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next) {
        requests += ml_process_at(link)->beat.requests;
        connections += ml_process_at(link)->beat.connections;
    }
    for (struct ml_link *link = master->slots.next; link != &master->slots; link = link->next)
        restarts += ml_slot_at(link)->restarts;
    fprintf(out, "\"requests\":%llu,\"connections\":%llu,\"restarts\":%llu",
            (unsigned long long)requests, (unsigned long long)connections,
            (unsigned long long)restarts);
}

static void print_all(FILE *out, const struct ml_master *master)
{
    fprintf(out,
            "{\"pid\":%ld,\"count\":%u,\"generation\":%u,\"uptime\":%.3f,\"reloading\":%s,"
            "\"stopping\":%s,\"tickets\":%llu,",
            (long)getpid(), master->count, master->generation,
            seconds_since(master, master->began_at), master->reload.is_under_way ? "true" : "false",
            master->is_stopping ? "true" : "false", (unsigned long long)master->tickets.number);
    print_sums(out, master);
    fputs(",\"workers\":[", out);
    print_processes(out, master);
    fputs("],\"sockets\":[", out);
    print_shares(out, master);
    fputs("]}", out);
}

char *ml_report_json(const struct ml_master *master)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    print_all(out, master);
    bool is_whole = !ferror(out);
    if (fclose(out) == 0 && is_whole)
        return text;
    free(text);
    return NULL;
}
