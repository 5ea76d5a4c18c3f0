#include "http/routes.h"

#include "http/percent.h"
#include "http/url_byte.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The route of each method; 0: none. */
struct ends {
    int route[ML_ROUTE_METHODS];
    bool has_any;
};

struct ml_route_node {
    struct ml_route_node *next; /* in its bucket */
    struct ml_route_node **buckets;
    struct ml_route_node *parameter;
    struct ends here, rest;
    uint32_t hash;
    uint32_t bucket_count; /* a power of two, or 0 */
    uint32_t child_count;
    size_t size;
    char text[];
};

static const char *const method_names[] = {"GET",   "HEAD",   "POST",    "PUT",
                                           "PATCH", "DELETE", "OPTIONS", "ANY"};

enum ml_route_method ml_route_method_by_name(const char *name, size_t size)
{
    int i = 0;
    while (i < ML_ROUTE_ANY &&
           (strlen(method_names[i]) != size || memcmp(method_names[i], name, size) != 0))
        i++;
    return (enum ml_route_method)i;
}

const char *ml_route_method_name(enum ml_route_method method)
{
    return method_names[method];
}

/* ---- text ---- */

/* FNV-1a. */
static const uint32_t hash_basis = 2166136261u;

static uint32_t hash_byte(uint32_t hash, char byte)
{
    return (hash ^ (uint8_t)byte) * 16777619u;
}

static uint32_t hash_text(const char *text, size_t size)
{
    uint32_t hash = hash_basis;
    for (size_t i = 0; i < size; i++)
        hash = hash_byte(hash, text[i]);
    return hash;
}

/* A segment of a path. */
struct segment {
    const char *data;
    size_t size;
    uint32_t hash;   /* of the decoded text */
    bool is_encoded; /* it holds triplets (%XX), all of them complete */
    bool is_empty;
};

static char decoded_byte(const char **at)
{
    const char *p = *at;
    bool is_triplet = *p == '%';
    *at = p + (is_triplet ? 3 : 1);
    return is_triplet ? (char)(ml_url_hex_value(p[1]) << 4 | ml_url_hex_value(p[2])) : *p;
}

static bool can_decode(const char *data, size_t size)
{
    const char *end = data + size;
    bool can = true;
    for (const char *p = data; can && p < end; p++)
        can = *p != '%' || ml_url_is_triplet(p, end);
    return can;
}

static uint32_t hash_decoded(const char *at, const char *end)
{
    uint32_t hash = hash_basis;
    while (at < end)
        hash = hash_byte(hash, decoded_byte(&at));
    return hash;
}

/* The segment that begins at `at`. */
static struct segment segment_at(const char *at, const char *end)
{
    uint32_t hash = hash_basis;
    bool has_percent = false;
    const char *p = at;
    for (; p < end && *p != '/'; p++) {
        hash = hash_byte(hash, *p);
        has_percent |= *p == '%';
    }
    struct segment s = {at, (size_t)(p - at), hash, false, p == at};
    if (has_percent && can_decode(s.data, s.size)) {
        s.is_encoded = true;
        s.hash = hash_decoded(at, p);
    }
    return s;
}

static bool is_text_of(const struct ml_route_node *node, const struct segment *s)
{
    if (!s->is_encoded)
        return node->size == s->size && memcmp(node->text, s->data, s->size) == 0;
    const char *at = s->data, *end = s->data + s->size;
    size_t i = 0;
    while (at < end && i < node->size && node->text[i] == decoded_byte(&at))
        i++;
    return at == end && i == node->size;
}

size_t ml_route_value(const char *data, size_t size, char *out)
{
    const char *end = data + size;
    size_t written = 0;
    while (data < end) {
        const char *slash = memchr(data, '/', (size_t)(end - data));
        const char *stop = slash != NULL ? slash : end;
        ptrdiff_t made = ml_percent_decode(data, (size_t)(stop - data), false, out + written);
        if (made < 0)
            memcpy(out + written, data, (size_t)(stop - data));
        written += made < 0 ? (size_t)(stop - data) : (size_t)made;
        if (slash != NULL)
            out[written++] = '/';
        data = slash != NULL ? slash + 1 : end;
    }
    return written;
}

/* ---- adding ---- */

static struct ml_route_node *new_node(const char *text, size_t size)
{
    struct ml_route_node *node = calloc(1, sizeof *node + size);
    if (node != NULL) {
        node->size = size;
        node->hash = hash_text(text, size);
        if (size > 0)
            memcpy(node->text, text, size);
    }
    return node;
}

static struct ml_route_node *find_child(const struct ml_route_node *node, const struct segment *s)
{
    struct ml_route_node *child = NULL;
    if (node->bucket_count > 0)
        child = node->buckets[s->hash & (node->bucket_count - 1)];
    while (child != NULL && (child->hash != s->hash || !is_text_of(child, s)))
        child = child->next;
    return child;
}

static void insert(struct ml_route_node **buckets, uint32_t count, struct ml_route_node *child)
{
    struct ml_route_node **bucket = &buckets[child->hash & (count - 1)];
    child->next = *bucket;
    *bucket = child;
}

/* Makes room for one more child. False: no memory. */
static bool grow(struct ml_route_node *node)
{
    if (node->child_count < node->bucket_count)
        return true;
    uint32_t count = node->bucket_count > 0 ? 2 * node->bucket_count : 4;
    struct ml_route_node **buckets = calloc(count, sizeof *buckets);
    if (buckets == NULL)
        return false;
    for (uint32_t i = 0; i < node->bucket_count; i++)
        for (struct ml_route_node *child = node->buckets[i], *next; child != NULL; child = next) {
            next = child->next;
            insert(buckets, count, child);
        }
    free(node->buckets);
    node->buckets = buckets;
    node->bucket_count = count;
    return true;
}

static struct ml_route_node *text_child(struct ml_route_node *node, const char *text, size_t size)
{
    struct segment s = {text, size, hash_text(text, size), false, size == 0};
    struct ml_route_node *child = find_child(node, &s);
    if (child != NULL || !grow(node))
        return child;
    child = new_node(text, size);
    if (child != NULL) {
        insert(node->buckets, node->bucket_count, child);
        node->child_count++;
    }
    return child;
}

static struct ml_route_node *parameter_child(struct ml_route_node *node)
{
    if (node->parameter == NULL)
        node->parameter = new_node("", 0);
    return node->parameter;
}

static int add_end(struct ends *ends, enum ml_route_method method, int number)
{
    int before = ends->route[method];
    if (before == 0)
        ends->route[method] = number;
    ends->has_any = true;
    return before;
}

int ml_routes_add(struct ml_routes *routes, enum ml_route_method method,
                  const struct ml_route_segment *segments, size_t count, int number)
{
    if (routes->root == NULL)
        routes->root = new_node("", 0);
    struct ml_route_node *node = routes->root;
    for (size_t i = 0; node != NULL && i < count; i++) {
        if (segments[i].kind == ML_ROUTE_REST)
            return add_end(&node->rest, method, number);
        node = segments[i].kind == ML_ROUTE_TEXT
                   ? text_child(node, segments[i].text, segments[i].size)
                   : parameter_child(node);
    }
    return node != NULL ? add_end(&node->here, method, number) : -ENOMEM;
}

static void free_node(struct ml_route_node *node)
{
    if (node == NULL)
        return;
    for (uint32_t i = 0; i < node->bucket_count; i++)
        for (struct ml_route_node *child = node->buckets[i], *next; child != NULL; child = next) {
            next = child->next;
            free_node(child);
        }
    free_node(node->parameter);
    free(node->buckets);
    free(node);
}

void ml_routes_release(struct ml_routes *routes)
{
    free_node(routes->root);
    routes->root = NULL;
}

/* ---- finding ---- */

struct search {
    enum ml_route_method method;
    const char *end; /* of the path */
    struct ml_route_match *match;
};

/* Whether one of the routes is for the method. If not, notes their methods as allowed. */
static bool choose(const struct search *s, const struct ends *ends)
{
    int route = ends->route[s->method];
    if (!ends->has_any)
        return false;
    if (route == 0 && s->method == ML_ROUTE_HEAD)
        route = ends->route[ML_ROUTE_GET];
    if (route == 0)
        route = ends->route[ML_ROUTE_ANY];
    for (int i = 0; route == 0 && i < ML_ROUTE_METHODS; i++)
        s->match->allowed |= ends->route[i] != 0 ? 1u << i : 0;
    s->match->route = route;
    return route != 0;
}

static void take_value(struct ml_route_match *match, const char *data, size_t size)
{
    match->values[match->count].data = data;
    match->values[match->count++].size = size;
}

/* Searches below the node. at: the "/" before the next segment, or the end. The recursion is as
 * deep as the longest pattern. */
static bool find(const struct search *s, const struct ml_route_node *node, const char *at)
{
    if (at == s->end)
        return choose(s, &node->here);
    struct segment segment = segment_at(at + 1, s->end);
    const char *after = segment.data + segment.size;
    const struct ml_route_node *child = find_child(node, &segment);
    unsigned count = s->match->count;
    if (child != NULL && find(s, child, after))
        return true;
    if (node->parameter != NULL && !segment.is_empty) {
        take_value(s->match, segment.data, segment.size);
        if (find(s, node->parameter, after))
            return true;
        s->match->count = count;
    }
    if (!choose(s, &node->rest))
        return false;
    take_value(s->match, segment.data, (size_t)(s->end - segment.data));
    return true;
}

void ml_routes_find(const struct ml_routes *routes, enum ml_route_method method, const char *path,
                    size_t size, struct ml_route_match *match)
{
    const struct search s = {method, path + size, match};
    match->route = 0;
    match->allowed = 0;
    match->count = 0;
    if (routes->root != NULL && size > 0 && path[0] == '/')
        find(&s, routes->root, path);
}
