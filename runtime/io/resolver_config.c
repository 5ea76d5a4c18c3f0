#include "io/resolver_config.h"

#include "io/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DNS_PORT = 53, LONGEST_NAME = 254 };

/* resolv.conf(5): larger values are cut to these. */
enum { MOST_DOTS = 15, LONGEST_TIMEOUT = 30, MOST_TRIES = 5 };

static bool is_word(struct ml_word word, const char *text)
{
    return word.length == strlen(text) && memcmp(word.start, text, word.length) == 0;
}

/* ---- the lines ---- */

static int add_server(struct ml_resolver_config *config, struct ml_word word)
{
    char host[ML_HOST_SIZE];
    struct ml_address address;
    word.length = strcspn(word.start, ";# \t\r\n");
    if (word.length >= sizeof host)
        return 0;
    memcpy(host, word.start, word.length);
    host[word.length] = '\0';
    return ml_address_parse(&address, host, DNS_PORT) ? ml_addresses_add(&config->servers, &address)
                                                      : 0;
}

/* Makes the words up to `end` the search list. */
static int set_search(struct ml_resolver_config *config, const char *at, const char *end,
                      bool is_list)
{
    char *search = malloc((size_t)(end - at) + 2), *to = search;
    if (search == NULL)
        return -ENOMEM;
    struct ml_word word = ml_word_next(at, end);
    while (word.length > 0) {
        if (to > search)
            *to++ = ' ';
        memcpy(to, word.start, word.length);
        to += word.length;
        word = ml_word_next(is_list ? word.start + word.length : end, end);
    }
    *to = '\0';
    free(config->search);
    config->search = search;
    return 0;
}

/* The number behind "name:" in an option; -1: it is another option. */
static int number_of(struct ml_word option, const char *name, int most)
{
    size_t length = strlen(name);
    if (option.length <= length || memcmp(option.start, name, length) != 0)
        return -1;
    int number = 0;
    for (size_t i = length; i < option.length; i++) {
        if (option.start[i] < '0' || option.start[i] > '9')
            return -1;
        number = number > most ? number : number * 10 + (option.start[i] - '0');
    }
    return number < most ? number : most;
}

static void set_option(struct ml_resolver_config *config, struct ml_word option)
{
    int dots = number_of(option, "ndots:", MOST_DOTS);
    int timeout = number_of(option, "timeout:", LONGEST_TIMEOUT);
    int tries = number_of(option, "attempts:", MOST_TRIES);
    if (dots >= 0)
        config->dots = dots;
    if (timeout > 0)
        config->timeout = timeout * ML_SECOND;
    if (tries > 0)
        config->tries = tries;
    if (is_word(option, "rotate"))
        config->rotates = true;
}

static void set_options(struct ml_resolver_config *config, const char *at, const char *end)
{
    struct ml_word option = ml_word_next(at, end);
    while (option.length > 0) {
        set_option(config, option);
        option = ml_word_next(option.start + option.length, end);
    }
}

static int read_line(struct ml_resolver_config *config, const char *line, const char *end)
{
    struct ml_word key = ml_word_next(line, end);
    const char *rest = key.start + key.length;
    if (key.start != line) /* a line that begins with a blank is ignored */
        return 0;
    if (is_word(key, "nameserver"))
        return add_server(config, ml_word_next(rest, end));
    if (is_word(key, "search") || is_word(key, "domain"))
        return set_search(config, rest, end, key.start[0] == 's');
    if (is_word(key, "options"))
        set_options(config, rest, end);
    return 0;
}

/* ---- defaults ---- */

/* The machine's own domain, if its name has one. */
static int set_own_domain(struct ml_resolver_config *config)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    const char *dot = strchr(host, '.');
    return dot != NULL ? set_search(config, dot + 1, dot + strlen(dot), false) : 0;
}

static int apply_environment(struct ml_resolver_config *config)
{
    const char *domains = getenv("LOCALDOMAIN"), *options = getenv("RES_OPTIONS");
    if (options != NULL)
        set_options(config, options, options + strlen(options));
    return domains != NULL ? set_search(config, domains, domains + strlen(domains), true) : 0;
}

static int add_defaults(struct ml_resolver_config *config)
{
    static const char own_server[] = "127.0.0.1";
    int error = config->search == NULL ? set_own_domain(config) : 0;
    if (error == 0 && config->servers.count == 0)
        error = add_server(config, (struct ml_word){.start = own_server});
    return error;
}

int ml_resolver_config_read(struct ml_resolver_config *config, const char *text)
{
    int error = 0;
    *config = (struct ml_resolver_config){.dots = 1};
    for (const char *line = text; error == 0 && line != NULL && *line != '\0';) {
        const char *end = strchrnul(line, '\n');
        error = read_line(config, line, end);
        line = end + (*end != '\0');
    }
    if (error == 0)
        error = apply_environment(config);
    if (error == 0)
        error = add_defaults(config);
    if (error != 0)
        ml_resolver_config_release(config);
    return error;
}

void ml_resolver_config_release(struct ml_resolver_config *config)
{
    ml_addresses_release(&config->servers);
    free(config->search);
    *config = (struct ml_resolver_config){0};
}

/* ---- names ---- */

static int count_dots(const char *name)
{
    int count = 0;
    for (; *name != '\0'; name++)
        count += *name == '.';
    return count;
}

/* Appends a name, in a domain unless that is the root; one that is too long is left out. */
static int add_name(struct ml_names *names, const char *name, struct ml_word domain)
{
    while (domain.length > 0 && domain.start[domain.length - 1] == '.')
        domain.length--;
    size_t length = strlen(name), size = length + 1 + domain.length + 1;
    if (domain.length > 0 && size > LONGEST_NAME)
        return 0;
    char *item = malloc(size);
    if (item == NULL)
        return -ENOMEM;
    snprintf(item, size, "%s%s%.*s", name, domain.length > 0 ? "." : "", (int)domain.length,
             domain.start);
    names->items[names->count++] = item;
    return 0;
}

/* Appends the name in each domain of the list; in the root only if it is not tried as it is anyway.
 */
static int add_domains(struct ml_names *names, const char *name, const char *search,
                       bool *is_tried_as_is)
{
    const char *end = search + strlen(search);
    int error = 0;
    struct ml_word domain = ml_word_next(search, end);
    while (domain.length > 0 && error == 0) {
        bool is_root = strspn(domain.start, ".") >= domain.length;
        if (!is_root || !*is_tried_as_is)
            error = add_name(names, name, domain);
        *is_tried_as_is = *is_tried_as_is || is_root;
        domain = ml_word_next(domain.start + domain.length, end);
    }
    return error;
}

int ml_names_from(struct ml_names *names, const struct ml_resolver_config *config, const char *name)
{
    static const struct ml_word root = {.start = ""};
    size_t length = strlen(name);
    bool is_whole = length == 0 || name[length - 1] == '.' || config->search == NULL;
    bool is_first = is_whole || count_dots(name) >= config->dots;
    bool is_tried = is_first;
    size_t most = 2 + (is_whole ? 0 : strlen(config->search));
    *names = (struct ml_names){.items = calloc(most, sizeof *names->items)};
    int error = names->items != NULL ? 0 : -ENOMEM;
    if (error == 0 && is_first)
        error = add_name(names, name, root);
    if (error == 0 && !is_whole)
        error = add_domains(names, name, config->search, &is_tried);
    if (error == 0 && !is_tried)
        error = add_name(names, name, root);
    names->begins_as_is = is_first && names->count > 1;
    if (error != 0)
        ml_names_release(names);
    return error;
}

void ml_names_release(struct ml_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct ml_names){0};
}
