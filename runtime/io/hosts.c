#include "io/hosts.h"

#include "base/error.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* A larger file is no hosts file. */
enum { LARGEST = 64 * 1024 * 1024 };

static const char blanks[] = " \t\r\f\v";

int ml_hosts_init(struct ml_hosts *hosts, const char *path)
{
    *hosts = (struct ml_hosts){0};
    if (path[0] == '\0')
        return 0;
    hosts->path = strdup(path);
    return hosts->path != NULL ? 0 : -ENOMEM;
}

void ml_hosts_release(struct ml_hosts *hosts)
{
    free(hosts->text);
    free(hosts->path);
    *hosts = (struct ml_hosts){0};
}

/* ---- the file ---- */

/* Reads a regular file as a whole; NULL: it cannot be. */
static char *read_text(int fd, size_t size)
{
    char *text = malloc(size + 1);
    size_t got = 0;
    ssize_t count = 1;
    while (text != NULL && got < size && count > 0) {
        count = read(fd, text + got, size - got);
        if (count > 0)
            got += (size_t)count;
        else if (count < 0 && errno == EINTR)
            count = 1;
    }
    if (text != NULL)
        text[got] = '\0';
    return text;
}

static void load(struct ml_hosts *hosts)
{
    int fd = open(hosts->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    if (fstat(fd, &hosts->status) == 0 && S_ISREG(hosts->status.st_mode) &&
        hosts->status.st_size <= LARGEST)
        hosts->text = read_text(fd, (size_t)hosts->status.st_size);
    close(fd);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Sees to it that the text is what the file holds now. */
static void refresh(struct ml_hosts *hosts)
{
    struct stat status = {0};
    if (hosts->path == NULL)
        return;
    bool is_there = stat(hosts->path, &status) == 0;
    if (is_there && is_same(&status, &hosts->status))
        return;
    free(hosts->text);
    hosts->text = NULL;
    hosts->status = status;
    if (is_there)
        load(hosts);
}

/* ---- its lines: an address and names, up to a "#" ---- */

struct word {
    const char *start;
    size_t length;
};

/* The next word of a line that ends at `end`; length 0: there is none. */
static struct word next_word(const char *at, const char *end)
{
    while (at < end && strchr(blanks, *at) != NULL)
        at++;
    struct word word = {.start = at};
    while (at < end && strchr(blanks, *at) == NULL)
        at++;
    word.length = (size_t)(at - word.start);
    return word;
}

static bool is_equal(struct word word, struct word other)
{
    return word.length == other.length && strncasecmp(word.start, other.start, word.length) == 0;
}

/* A name with a dot at its end is the same name. */
static struct word trimmed(const char *name)
{
    size_t length = strlen(name);
    bool has_dot = length > 1 && name[length - 1] == '.';
    return (struct word){.start = name, .length = length - has_dot};
}

static bool names(struct word address, const char *end, struct word name)
{
    struct word word = next_word(address.start + address.length, end);
    while (word.length > 0 && !is_equal(word, name))
        word = next_word(word.start + word.length, end);
    return word.length > 0;
}

static int add(struct word text, uint16_t port, int family, struct ml_addresses *found)
{
    struct ml_address address;
    char host[ML_HOST_SIZE];
    if (text.length >= sizeof host)
        return 0;
    memcpy(host, text.start, text.length);
    host[text.length] = '\0';
    if (!ml_address_parse(&address, host, port) ||
        (family != AF_UNSPEC && address.any.sa_family != family))
        return 0;
    return ml_addresses_add(found, &address);
}

int ml_hosts_find(struct ml_hosts *hosts, const char *name, uint16_t port, int family,
                  struct ml_addresses *found)
{
    struct word wanted = trimmed(name);
    size_t before = found->count;
    int error = 0;
    refresh(hosts);
    const char *line = hosts->text;
    while (error == 0 && line != NULL && *line != '\0') {
        const char *next = strchrnul(line, '\n');
        const char *end = line + strcspn(line, "#\n");
        struct word address = next_word(line, end);
        if (names(address, end, wanted))
            error = add(address, port, family, found);
        line = next + (*next != '\0');
    }
    return error == 0 && found->count == before ? -ML_ENOTFOUND : error;
}
