#include "worker/notify.h"

#include "io/address.h"
#include "worker/master_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A manager that reads nothing is not waited for. */
static void send_text(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct ml_address address;
    if (path == NULL || ml_address_set_path(&address, path, strlen(path)) != 0)
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, &address.any, address.size);
    close(fd);
}

void ml_notify_ready(const struct ml_master *master)
{
    char text[128];
    snprintf(text, sizeof text, "READY=1\nMAINPID=%ld\nSTATUS=%u workers, generation %u\n",
             (long)getpid(), master->count, master->generation);
    send_text(text);
}

/* Type=notify-reload compares the time with that of its own signal. */
void ml_notify_reloading(const struct ml_master *master)
{
    char text[128];
    (void)master;
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reloading\n",
             (long long)(ml_clock_now() / 1000));
    send_text(text);
}

void ml_notify_stopping(const struct ml_master *master)
{
    (void)master;
    send_text("STOPPING=1\nSTATUS=stopping\n");
}

void ml_notify_status(const struct ml_master *master, const char *text)
{
    char line[256];
    (void)master;
    snprintf(line, sizeof line, "STATUS=%s\n", text);
    send_text(line);
}

void ml_notify_alive(const struct ml_master *master)
{
    (void)master;
    send_text("WATCHDOG=1\n");
}

ml_time ml_notify_interval(void)
{
    const char *span = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    bool is_for_us = pid == NULL || strtol(pid, NULL, 10) == (long)getpid();
    long long microseconds = span != NULL && is_for_us ? strtoll(span, NULL, 10) : 0;
    return microseconds > 0 ? microseconds * 1000 / 2 : ML_FOREVER;
}
