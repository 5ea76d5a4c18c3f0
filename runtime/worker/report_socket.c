#include "worker/report_socket.h"

#include "io/address.h"
#include "io/socket.h"
#include "worker/master_state.h"
#include "worker/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void ml_report_socket_open(struct ml_master *master)
{
    char name[64];
    struct ml_address address;
    int length = snprintf(name, sizeof name, "@moonlet.workers.%ld", (long)getpid());
    int fd = ml_socket_new(AF_UNIX, SOCK_STREAM);
    bool is_open = fd >= 0 && ml_address_set_path(&address, name, (size_t)length) == 0 &&
                   bind(fd, &address.any, address.size) == 0 && listen(fd, SOMAXCONN) == 0;
    if (!is_open && fd >= 0)
        close(fd);
    master->report = is_open ? fd : -1;
}

void ml_report_socket_close(struct ml_master *master)
{
    if (master->report >= 0)
        close(master->report);
    master->report = -1;
}

/* An abstract name has no permissions. */
static bool may_know(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* What the socket does not take at once is lost: the master waits for nobody. */
static void answer(const struct ml_master *master, int fd)
{
    char *text = may_know(fd) ? ml_report_json(master) : NULL;
    if (text != NULL)
        send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    free(text);
    close(fd);
}

void ml_report_socket_serve(const struct ml_master *master)
{
    int fd;
    while ((fd = accept4(master->report, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        answer(master, fd);
}
