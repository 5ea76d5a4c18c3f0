#include "http/accept_encoding.h"

#include <string.h>

enum { WHOLE = 1000, UNNAMED = -1 }; /* weights are thousandths */

/* The content of a field: a weight for each coding that it names, and one for the others. */
struct wishes {
    int weights[ML_CODING_UNKNOWN];
    int others;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static void trim(const char **text, size_t *size)
{
    while (*size > 0 && is_space((*text)[0])) {
        ++*text;
        --*size;
    }
    while (*size > 0 && is_space((*text)[*size - 1]))
        --*size;
}

/* "0", "0.5", "1.000" in thousandths. -1: not a weight. */
static int parse_weight(const char *text, size_t size)
{
    static const int places[] = {100, 10, 1};
    if (size == 0 || size > 5 || (text[0] != '0' && text[0] != '1') || (size > 1 && text[1] != '.'))
        return -1;
    int weight = text[0] == '1' ? WHOLE : 0;
    for (size_t i = 2; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        weight += (text[i] - '0') * places[i - 2];
    }
    return weight <= WHOLE ? weight : -1;
}

/* The weight after a coding's name; `text` begins after its semicolon. -1: not a weight. */
static int parse_parameter(const char *text, size_t size)
{
    trim(&text, &size);
    bool is_weight = size >= 2 && (text[0] == 'q' || text[0] == 'Q') && text[1] == '=';
    return is_weight ? parse_weight(text + 2, size - 2) : -1;
}

/* If a coding is named twice, its first element counts. */
static void note(struct wishes *w, const char *name, size_t size, int weight)
{
    int *place = NULL;
    enum ml_coding coding = ml_coding_by_name(name, size);
    if (size == 1 && name[0] == '*')
        place = &w->others;
    else if (coding != ML_CODING_UNKNOWN)
        place = &w->weights[coding];
    if (place != NULL && *place == UNNAMED)
        *place = weight;
}

static void parse_element(struct wishes *w, const char *text, size_t size)
{
    const char *semicolon = memchr(text, ';', size);
    size_t name_size = semicolon != NULL ? (size_t)(semicolon - text) : size;
    int weight = WHOLE;
    if (semicolon != NULL)
        weight = parse_parameter(semicolon + 1, size - name_size - 1);
    trim(&text, &name_size);
    if (weight >= 0)
        note(w, text, name_size, weight);
}

static void parse_wishes(struct wishes *w, const char *field, size_t size)
{
    for (int i = 0; i < ML_CODING_UNKNOWN; i++)
        w->weights[i] = UNNAMED;
    w->others = UNNAMED;
    while (size > 0) {
        const char *comma = memchr(field, ',', size);
        size_t length = comma != NULL ? (size_t)(comma - field) : size;
        parse_element(w, field, length);
        size_t step = comma != NULL ? length + 1 : length;
        field += step;
        size -= step;
    }
}

/* The weight of a coding. 0: not acceptable. */
static int weight_of(const struct wishes *w, enum ml_coding coding)
{
    int weight = w->weights[coding] != UNNAMED ? w->weights[coding] : w->others;
    return weight == UNNAMED ? 0 : weight;
}

int ml_coding_negotiate(const char *field, size_t size, const enum ml_coding *offers, int count)
{
    struct wishes w;
    if (field == NULL)
        return ML_CODING_IDENTITY;
    parse_wishes(&w, field, size);
    int best = -1, best_weight = 0;
    for (int i = 0; i < count; i++) {
        int weight = weight_of(&w, offers[i]);
        if (weight > best_weight) {
            best = (int)offers[i];
            best_weight = weight;
        }
    }
    /* The identity is acceptable unless the field excludes it; it competes only if it is named. */
    int named = w.weights[ML_CODING_IDENTITY];
    bool is_excluded = named == 0 || (named == UNNAMED && w.others == 0);
    if (named > best_weight || (best < 0 && !is_excluded))
        best = ML_CODING_IDENTITY;
    return best;
}
