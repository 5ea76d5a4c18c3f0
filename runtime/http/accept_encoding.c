#include "http/accept_encoding.h"

#include "http/syntax.h"

#include <string.h>

enum { WHOLE = 1000, UNNAMED = -1 }; /* weights are thousandths */

/* The content of a field: a weight for each coding that it names, and one for the others. */
struct wishes {
    int weights[ML_CODING_UNKNOWN];
    int others;
};

/* The weight after a coding's name; `text` begins after its semicolon. -1: not a weight. */
static int parse_parameter(const char *text, size_t size)
{
    struct ml_http_text t = ml_http_trim(text, size);
    bool is_weight = t.size >= 2 && (t.at[0] == 'q' || t.at[0] == 'Q') && t.at[1] == '=';
    return is_weight ? ml_http_weight(t.at + 2, t.size - 2) : -1;
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
    struct ml_http_text name = ml_http_trim(text, name_size);
    if (weight >= 0)
        note(w, name.at, name.size, weight);
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
