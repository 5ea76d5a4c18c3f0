#include "http/ws_extension.h"

#include "http/syntax.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char extension_name[] = "permessage-deflate";

struct cursor {
    const char *at, *end;
};

struct text {
    const char *data;
    size_t size;
};

/* One extension in the list. */
struct offer {
    bool is_deflate;
    bool is_valid; /* every parameter is known, comes once and has an allowed value */
    uint8_t seen;  /* bits: the parameters that have come */
    struct ml_ws_terms terms;
};

/* ---- the grammar ---- */

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
        c->at++;
}

/* Takes `byte` and the space around it. False: another byte follows; the space before it is taken
 * all the same. */
static bool take(struct cursor *c, char byte)
{
    skip_space(c);
    bool is_there = c->at < c->end && *c->at == byte;
    if (is_there) {
        c->at++;
        skip_space(c);
    }
    return is_there;
}

static bool take_token(struct cursor *c, struct text *token)
{
    token->data = c->at;
    while (c->at < c->end && ml_http_is(*c->at, ML_HTTP_TOKEN))
        c->at++;
    token->size = (size_t)(c->at - token->data);
    return token->size > 0;
}

/* Takes a quoted string whose content is a token (RFC 6455, 9.1). Its unescaped bytes go to
 * `plain`, and those without room there are dropped: no parameter has so long a value. */
static bool take_quoted(struct cursor *c, struct text *token, char plain[4])
{
    size_t size = 0;
    bool is_token = true;
    for (c->at++; c->at < c->end && *c->at != '"'; c->at++) {
        c->at += *c->at == '\\' && c->at + 1 < c->end;
        is_token = is_token && ml_http_is(*c->at, ML_HTTP_TOKEN);
        if (size < 4)
            plain[size++] = *c->at;
    }
    *token = (struct text){plain, size};
    bool is_closed = c->at < c->end;
    c->at += is_closed;
    return is_closed && is_token && size > 0;
}

static bool is(const struct text *text, const char *word)
{
    return text->size == strlen(word) && memcmp(text->data, word, text->size) == 0;
}

/* ---- parameters ---- */

enum { NO_SERVER_TAKEOVER = 1, NO_CLIENT_TAKEOVER = 2, SERVER_BITS = 4, CLIENT_BITS = 8 };

static unsigned parameter_of(const struct text *name)
{
    return is(name, "server_no_context_takeover")   ? NO_SERVER_TAKEOVER
           : is(name, "client_no_context_takeover") ? NO_CLIENT_TAKEOVER
           : is(name, "server_max_window_bits")     ? SERVER_BITS
           : is(name, "client_max_window_bits")     ? CLIENT_BITS
                                                    : 0;
}

/* The number, 8 to 15, without a leading zero. 0: anything else. */
static uint8_t bits_of(const struct text *value)
{
    const char *d = value->data;
    if (value->size == 1 && (d[0] == '8' || d[0] == '9'))
        return (uint8_t)(d[0] - '0');
    if (value->size == 2 && d[0] == '1' && d[1] >= '0' && d[1] <= '5')
        return (uint8_t)(10 + d[1] - '0');
    return 0;
}

/* value: its data is NULL if the parameter has none. */
static void add_parameter(struct offer *o, const struct text *name, const struct text *value)
{
    unsigned parameter = parameter_of(name);
    uint8_t bits = value->data != NULL ? bits_of(value) : 0;
    bool is_flag = parameter == NO_SERVER_TAKEOVER || parameter == NO_CLIENT_TAKEOVER;
    bool may_lack = is_flag || parameter == CLIENT_BITS;
    bool is_right = value->data == NULL ? may_lack : !is_flag && bits != 0;
    if (parameter == 0 || (o->seen & parameter) != 0 || !is_right)
        o->is_valid = false;
    o->seen |= (uint8_t)parameter;
    if (parameter == SERVER_BITS)
        o->terms.server_bits = bits;
    if (parameter == CLIENT_BITS)
        o->terms.client_bits = bits;
}

/* False: not an extension. */
static bool take_extension(struct cursor *c, struct offer *o)
{
    struct text name, value;
    char plain[4];
    bool is_well = take_token(c, &name);
    *o = (struct offer){.is_deflate = is_well && is(&name, extension_name), .is_valid = true};
    while (is_well && take(c, ';')) {
        value = (struct text){NULL, 0};
        is_well = take_token(c, &name);
        if (is_well && take(c, '='))
            is_well = c->at < c->end && *c->at == '"' ? take_quoted(c, &value, plain)
                                                      : take_token(c, &value);
        if (is_well)
            add_parameter(o, &name, &value);
    }
    o->terms.server_no_takeover = (o->seen & NO_SERVER_TAKEOVER) != 0;
    o->terms.client_no_takeover = (o->seen & NO_CLIENT_TAKEOVER) != 0;
    o->terms.has_client_bits = (o->seen & CLIENT_BITS) != 0;
    return is_well;
}

/* Takes the next extension of a list, whose items may be empty. 1; 0: there is none; -EPROTO. */
static int next_extension(struct cursor *c, struct offer *o)
{
    while (take(c, ','))
        ;
    if (c->at == c->end)
        return 0;
    bool is_well = take_extension(c, o);
    skip_space(c);
    return is_well && (c->at == c->end || *c->at == ',') ? 1 : -EPROTO;
}

/* ---- the agreement ---- */

static uint8_t smaller(uint8_t bits, uint8_t other)
{
    return bits != 0 && bits < other ? bits : other;
}

/* The answer to an offer. 15 bits are the default and are not mentioned. */
static struct ml_ws_terms answer_to(const struct ml_ws_compression *ours,
                                    const struct ml_ws_terms *offered)
{
    struct ml_ws_terms terms = {
        .server_no_takeover = offered->server_no_takeover || ours->no_takeover,
        .client_no_takeover = offered->client_no_takeover || ours->no_takeover};
    uint8_t bits = smaller(offered->server_bits, ours->window_bits);
    if (offered->server_bits != 0 || bits < ML_WS_WINDOW_MAX)
        terms.server_bits = bits;
    bits = smaller(offered->client_bits, ours->window_bits);
    terms.has_client_bits = offered->has_client_bits && bits < ML_WS_WINDOW_MAX;
    if (terms.has_client_bits)
        terms.client_bits = bits;
    return terms;
}

int ml_ws_accept_offer(const struct ml_ws_compression *ours, const char *field, size_t size,
                       struct ml_ws_terms *terms)
{
    struct cursor c = {field, field + size};
    struct offer o;
    bool is_found = false;
    int result = 1;
    while ((result = next_extension(&c, &o)) == 1) {
        if (!is_found && o.is_deflate && o.is_valid) {
            *terms = answer_to(ours, &o.terms);
            is_found = true;
        }
    }
    return result < 0 ? result : is_found;
}

int ml_ws_read_terms(const char *field, size_t size, struct ml_ws_terms *terms)
{
    struct cursor c = {field, field + size};
    struct offer o, other;
    bool is_one = next_extension(&c, &o) == 1 && o.is_deflate && o.is_valid &&
                  next_extension(&c, &other) == 0;
    if (!is_one || (o.terms.has_client_bits && o.terms.client_bits == 0))
        return -EPROTO;
    *terms = o.terms;
    return 0;
}

struct ml_ws_terms ml_ws_offer(const struct ml_ws_compression *ours)
{
    uint8_t bits = ours->window_bits < ML_WS_WINDOW_MAX ? ours->window_bits : 0;
    return (struct ml_ws_terms){.server_no_takeover = ours->no_takeover,
                                .client_no_takeover = ours->no_takeover,
                                .has_client_bits = true,
                                .server_bits = bits,
                                .client_bits = bits};
}

int ml_ws_read_answer(const struct ml_ws_compression *ours, const char *field, size_t size,
                      struct ml_ws_terms *terms)
{
    struct ml_ws_terms asked = ml_ws_offer(ours);
    int error = ml_ws_read_terms(field, size, terms);
    if (error != 0)
        return error;
    bool is_kept = terms->server_no_takeover || !asked.server_no_takeover;
    if (asked.server_bits != 0)
        is_kept = is_kept && terms->server_bits != 0 && terms->server_bits <= asked.server_bits;
    if (asked.client_bits != 0)
        is_kept = is_kept && terms->client_bits <= asked.client_bits;
    return is_kept ? 0 : -EPROTO;
}

size_t ml_ws_write_terms(char text[ML_WS_TERMS_SIZE], const struct ml_ws_terms *terms)
{
    char server_bits[32] = "", client_bits[32] = "";
    if (terms->server_bits != 0)
        snprintf(server_bits, sizeof server_bits, "; server_max_window_bits=%u",
                 terms->server_bits);
    if (terms->client_bits != 0)
        snprintf(client_bits, sizeof client_bits, "; client_max_window_bits=%u",
                 terms->client_bits);
    else if (terms->has_client_bits)
        strcpy(client_bits, "; client_max_window_bits");
    return (size_t)snprintf(text, ML_WS_TERMS_SIZE, "%s%s%s%s%s", extension_name,
                            terms->server_no_takeover ? "; server_no_context_takeover" : "",
                            terms->client_no_takeover ? "; client_no_context_takeover" : "",
                            server_bits, client_bits);
}
