/*
 * Names of hosts. libc looks them up on a worker thread, so the answers are libc's own and follow
 * nsswitch.conf. A call that needs no lookup is answered at once.
 */
#include "hub/on/offload.h"
#include "interpose/call_wait.h"
#include "interpose/task_buffers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Copies a string or an address into the block behind a job; NULL stays NULL. */
static void *copy(char **end, const void *data, size_t size)
{
    if (data == NULL)
        return NULL;
    char *start = *end;
    memcpy(start, data, size);
    *end += (size + 15) / 16 * 16;
    return start;
}

static size_t room_for(const void *data, size_t size)
{
    return data != NULL ? (size + 15) / 16 * 16 : 0;
}

static size_t length_of(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

/* ---- getaddrinfo ---- */

struct addrinfo_job {
    struct ml_job job;
    const char *name;
    const char *service;
    bool has_hints;
    struct addrinfo hints;
    struct addrinfo *found;
    int result;
    _Alignas(16) char strings[];
};

static void run_addrinfo(struct ml_job *job)
{
    struct addrinfo_job *j = ml_container_of(job, struct addrinfo_job, job);
    j->result =
        ml_libc.getaddrinfo(j->name, j->service, j->has_hints ? &j->hints : NULL, &j->found);
}

static void release_addrinfo(struct ml_job *job)
{
    struct addrinfo_job *j = ml_container_of(job, struct addrinfo_job, job);
    if (j->found != NULL)
        freeaddrinfo(j->found);
    free(j);
}

/* Whether the call needs a lookup. Numbers and calls without a name do not: AI_NUMERICHOST finds
 * out. */
static bool needs_asking(const char *name, const char *service, const struct addrinfo *hints,
                         struct addrinfo **found, int *result)
{
    struct addrinfo numeric =
        hints != NULL ? *hints : (struct addrinfo){.ai_flags = AI_V4MAPPED | AI_ADDRCONFIG};
    numeric.ai_flags |= name != NULL ? AI_NUMERICHOST : 0;
    if (name != NULL && (numeric.ai_flags & AI_CANONNAME) != 0)
        return true;
    *result = ml_libc.getaddrinfo(name, service, &numeric, found);
    bool was_numeric = hints != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0;
    return *result == EAI_NONAME && name != NULL && !was_numeric;
}

int ml_co_getaddrinfo(struct ml_libc_calls *calls, const char *name, const char *service,
                      const struct addrinfo *hints, struct addrinfo **found)
{
    struct ml_libc_call entry = calls->entry;
    int result;
    if (!needs_asking(name, service, hints, found, &result))
        return result;
    size_t strings = room_for(name, length_of(name)) + room_for(service, length_of(service));
    struct addrinfo_job *job = calloc(1, sizeof *job + strings);
    if (job == NULL)
        return EAI_MEMORY;
    char *end = job->strings;
    job->job =
        (struct ml_job){.run = run_addrinfo, .release = release_addrinfo, .work = ML_WORK_NAMES};
    job->name = copy(&end, name, length_of(name));
    job->service = copy(&end, service, length_of(service));
    job->has_hints = hints != NULL;
    if (hints != NULL)
        job->hints = *hints;
    int error = ml_call_wait_job(calls, entry, &job->job);
    if (error != 0) {
        errno = -error;
        return error == -ENOMEM ? EAI_MEMORY : EAI_SYSTEM;
    }
    result = job->result;
    *found = job->found;
    job->found = NULL;
    release_addrinfo(&job->job);
    return result;
}

/* ---- getnameinfo ---- */

struct nameinfo_job {
    struct ml_job job;
    struct sockaddr_storage address;
    socklen_t length;
    socklen_t host_room, service_room;
    int flags;
    int result;
    char host[NI_MAXHOST];
    char service[NI_MAXSERV];
};

static void run_nameinfo(struct ml_job *job)
{
    struct nameinfo_job *j = ml_container_of(job, struct nameinfo_job, job);
    j->result = ml_libc.getnameinfo((struct sockaddr *)&j->address, j->length, j->host,
                                    j->host_room, j->service, j->service_room, j->flags);
}

static void release_nameinfo(struct ml_job *job)
{
    free(ml_container_of(job, struct nameinfo_job, job));
}

static socklen_t smaller(socklen_t a, size_t b)
{
    return a < b ? a : (socklen_t)b;
}

int ml_co_getnameinfo(struct ml_libc_calls *calls, const struct sockaddr *address, socklen_t length,
                      char *host, socklen_t host_room, char *service, socklen_t service_room,
                      int flags)
{
    struct ml_libc_call entry = calls->entry;
    bool is_numeric = host == NULL || host_room == 0 || (flags & NI_NUMERICHOST) != 0;
    struct nameinfo_job *job = NULL;
    if (!is_numeric && length <= sizeof job->address)
        job = calloc(1, sizeof *job);
    if (job == NULL)
        return ml_libc.getnameinfo(address, length, host, host_room, service, service_room, flags);
    job->job =
        (struct ml_job){.run = run_nameinfo, .release = release_nameinfo, .work = ML_WORK_NAMES};
    memcpy(&job->address, address, length);
    job->length = length;
    job->host_room = smaller(host_room, sizeof job->host);
    job->service_room = service != NULL ? smaller(service_room, sizeof job->service) : 0;
    job->flags = flags;
    int error = ml_call_wait_job(calls, entry, &job->job);
    if (error != 0) {
        errno = -error;
        return EAI_SYSTEM;
    }
    int result = job->result;
    if (result == 0)
        memcpy(host, job->host, strlen(job->host) + 1);
    if (result == 0 && service != NULL && job->service_room > 0)
        memcpy(service, job->service, strlen(job->service) + 1);
    release_nameinfo(&job->job);
    return result;
}

/* ---- gethostby* ---- */

enum host_question { BY_NAME, BY_ADDRESS };

struct host_job {
    struct ml_job job;
    enum host_question question;
    int family;
    socklen_t length; /* of an address */
    int result;       /* as of the _r calls: 0 or an errno */
    int error;        /* h_errno */
    size_t room;
    char *block;  /* malloc'd */
    char *buffer; /* in the block */
    struct hostent host;
    struct hostent *found;
    _Alignas(16) char asked[]; /* the name, or the address */
};

static void ask_host(struct host_job *j)
{
    j->result = j->question == BY_NAME
                    ? ml_libc.gethostbyname2_r(j->asked, j->family, &j->host, j->buffer, j->room,
                                               &j->found, &j->error)
                    : ml_libc.gethostbyaddr_r(j->asked, j->length, j->family, &j->host, j->buffer,
                                              j->room, &j->found, &j->error);
}

/* Lets the buffer grow until the answer fits. */
static void run_host(struct ml_job *job)
{
    struct host_job *j = ml_container_of(job, struct host_job, job);
    j->result = ERANGE;
    while (j->result == ERANGE) {
        size_t room = j->room > 0 ? 2 * j->room : 1024;
        char *buffer = realloc(j->block, room);
        if (buffer == NULL) {
            j->result = errno = ENOMEM;
            j->error = NETDB_INTERNAL;
            break;
        }
        j->block = j->buffer = buffer;
        j->room = room;
        ask_host(j);
    }
}

static void run_host_once(struct ml_job *job)
{
    ask_host(ml_container_of(job, struct host_job, job));
}

static void release_host(struct ml_job *job)
{
    struct host_job *j = ml_container_of(job, struct host_job, job);
    free(j->block);
    free(j);
}

static struct host_job *new_host_job(enum host_question question, const void *asked, size_t size,
                                     int family)
{
    struct host_job *job = calloc(1, sizeof *job + size);
    if (job == NULL)
        return NULL;
    job->job = (struct ml_job){.run = run_host, .release = release_host, .work = ML_WORK_NAMES};
    job->question = question;
    job->family = family;
    job->length = (socklen_t)size;
    memcpy(job->asked, asked, size);
    return job;
}

/* Consumes the job (NULL: no memory). Returns it when it has run, or NULL with errno and h_errno
 * set. */
static struct host_job *answered(struct ml_libc_calls *calls, struct host_job *job)
{
    struct ml_libc_call entry = calls->entry;
    int error = job != NULL ? ml_call_wait_job(calls, entry, &job->job) : -ENOMEM;
    if (error == 0)
        return job;
    errno = -error;
    h_errno = NETDB_INTERNAL;
    return NULL;
}

/* The answer of a call without a caller's buffer: it stays valid until the task's next such
 * call. */
static struct hostent *keep_host(struct ml_libc_calls *calls, struct host_job *job)
{
    struct hostent *result = NULL;
    struct ml_task_buffers *buffers = job != NULL ? ml_task_buffers_of(calls) : NULL;
    if (job == NULL)
        return NULL;
    if (job->found != NULL && buffers != NULL) {
        free(buffers->host_buffer);
        buffers->host = job->host;
        buffers->host_buffer = job->block;
        job->block = NULL;
        result = &buffers->host;
    }
    if (job->error != 0)
        h_errno = job->error;
    release_host(&job->job);
    return result;
}

struct hostent *ml_co_gethostbyname2(struct ml_libc_calls *calls, const char *name, int family)
{
    return keep_host(calls, answered(calls, new_host_job(BY_NAME, name, strlen(name) + 1, family)));
}

struct hostent *ml_co_gethostbyname(struct ml_libc_calls *calls, const char *name)
{
    return ml_co_gethostbyname2(calls, name, AF_INET);
}

struct hostent *ml_co_gethostbyaddr(struct ml_libc_calls *calls, const void *address,
                                    socklen_t length, int family)
{
    if (length > sizeof(struct in6_addr))
        return ml_libc.gethostbyaddr(address, length, family);
    return keep_host(calls, answered(calls, new_host_job(BY_ADDRESS, address, length, family)));
}

/*
 * For calls with a caller's buffer: the worker fills one of the same size and the same alignment,
 * so that libc decides what fits. The answer is then moved to the caller's buffer, with its
 * pointers. Another lookup here would block.
 */
enum { ALIGNMENT = 16 };

static struct host_job *with_room(struct host_job *job, const char *buffer, size_t room, int error)
{
    size_t skip = (uintptr_t)buffer % ALIGNMENT;
    if (job == NULL)
        return NULL;
    job->block = malloc(room + ALIGNMENT);
    if (job->block == NULL) {
        release_host(&job->job);
        return NULL;
    }
    job->job.run = run_host_once;
    job->buffer = job->block + skip;
    job->room = room;
    job->error = error;
    return job;
}

/* The place in the caller's buffer of a pointer into the worker's. */
static char *moved(const struct host_job *job, const void *pointer, char *buffer)
{
    return buffer + ((const char *)pointer - job->buffer);
}

static char **moved_list(const struct host_job *job, char **list, char *buffer)
{
    char **copies = (char **)moved(job, list, buffer);
    for (size_t i = 0; list[i] != NULL; i++)
        copies[i] = moved(job, list[i], buffer);
    return copies;
}

static int give_host(struct host_job *job, struct hostent *host, char *buffer,
                     struct hostent **result, int *error)
{
    *result = NULL;
    if (job == NULL) {
        *error = NETDB_INTERNAL;
        return errno;
    }
    int status = job->result;
    *error = job->error;
    if (job->found != NULL) {
        memcpy(buffer, job->buffer, job->room);
        *host = job->host;
        host->h_addr_list = moved_list(job, job->host.h_addr_list, buffer);
        host->h_aliases = moved_list(job, job->host.h_aliases, buffer);
        host->h_name = moved(job, job->host.h_name, buffer);
        *result = host;
    }
    release_host(&job->job);
    return status;
}

int ml_co_gethostbyname2_r(struct ml_libc_calls *calls, const char *name, int family,
                           struct hostent *host, char *buffer, size_t room, struct hostent **result,
                           int *error)
{
    struct host_job *job = new_host_job(BY_NAME, name, strlen(name) + 1, family);
    job = with_room(job, buffer, room, *error);
    return give_host(answered(calls, job), host, buffer, result, error);
}

int ml_co_gethostbyname_r(struct ml_libc_calls *calls, const char *name, struct hostent *host,
                          char *buffer, size_t room, struct hostent **result, int *error)
{
    return ml_co_gethostbyname2_r(calls, name, AF_INET, host, buffer, room, result, error);
}

int ml_co_gethostbyaddr_r(struct ml_libc_calls *calls, const void *address, socklen_t length,
                          int family, struct hostent *host, char *buffer, size_t room,
                          struct hostent **result, int *error)
{
    if (length > sizeof(struct in6_addr))
        return ml_libc.gethostbyaddr_r(address, length, family, host, buffer, room, result, error);
    struct host_job *job = new_host_job(BY_ADDRESS, address, length, family);
    job = with_room(job, buffer, room, *error);
    return give_host(answered(calls, job), host, buffer, result, error);
}
