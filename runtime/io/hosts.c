#include "io/hosts.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

int ml_hosts_init(struct ml_hosts *hosts, const char *path)
{
    return ml_text_file_init(&hosts->file, path);
}

void ml_hosts_release(struct ml_hosts *hosts)
{
    ml_text_file_release(&hosts->file);
}

/* ---- its lines: an address and names, up to a "#" ---- */

static bool is_equal(struct ml_word word, struct ml_word other)
{
    return word.length == other.length && strncasecmp(word.start, other.start, word.length) == 0;
}

/* The name without a dot at its end. */
static struct ml_word trimmed(const char *name)
{
    size_t length = strlen(name);
    bool has_dot = length > 1 && name[length - 1] == '.';
    return (struct ml_word){.start = name, .length = length - has_dot};
}

static bool names(struct ml_word address, const char *end, struct ml_word name)
{
    struct ml_word word = ml_word_next(address.start + address.length, end);
    while (word.length > 0 && !is_equal(word, name))
        word = ml_word_next(word.start + word.length, end);
    return word.length > 0;
}

static int add(struct ml_word text, uint16_t port, int family, struct ml_addresses *found)
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
    struct ml_word wanted = trimmed(name);
    size_t before = found->count;
    bool is_new;
    int error = ml_text_file_refresh(&hosts->file, &is_new);
    const char *line = hosts->file.text;
    while (error == 0 && line != NULL && *line != '\0') {
        const char *next = strchrnul(line, '\n');
        const char *end = line + strcspn(line, "#\n");
        struct ml_word address = ml_word_next(line, end);
        if (names(address, end, wanted))
            error = add(address, port, family, found);
        line = next + (*next != '\0');
    }
    return error == 0 && found->count == before ? -ML_ENOTFOUND : error;
}
