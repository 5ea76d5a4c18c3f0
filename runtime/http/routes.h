/*
 * Finds the pattern that matches a path, and the parameters. A pattern is a list of segments:
 *
 * - a text;
 * - a parameter: one segment that is not empty;
 * - the rest: all segments that are left, at least one; it comes last.
 *
 * Of several matching patterns the most specific wins, segment by segment: text, then parameter,
 * then rest. Segments of a path are compared decoded; one that cannot be decoded is compared as it
 * is.
 *
 * The patterns form a tree with a node for each segment. A node belongs to one depth of the path,
 * so a match looks at each node once at most, whatever the path. A match allocates nothing.
 */
#ifndef ML_HTTP_ROUTES_H
#define ML_HTTP_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ml_route_method {
    ML_ROUTE_GET,
    ML_ROUTE_HEAD,
    ML_ROUTE_POST,
    ML_ROUTE_PUT,
    ML_ROUTE_PATCH,
    ML_ROUTE_DELETE,
    ML_ROUTE_OPTIONS,
    ML_ROUTE_ANY, /* any other method, or all methods without a route of their own */
    ML_ROUTE_METHODS
};

enum { ML_ROUTE_MOST_PARAMETERS = 32 };

enum ml_route_segment_kind { ML_ROUTE_TEXT, ML_ROUTE_PARAMETER, ML_ROUTE_REST };

struct ml_route_segment {
    enum ml_route_segment_kind kind;
    const char *text; /* decoded; copied when a route is added */
    size_t size;
};

struct ml_route_node;

struct ml_routes {
    struct ml_route_node *root; /* NULL: no route yet */
};

/* A match: its values are slices of the path, not decoded. */
struct ml_route_match {
    int route;        /* its number; 0: none */
    unsigned allowed; /* without a route: a bit for each method that would have matched */
    unsigned count;
    struct {
        const char *data;
        size_t size;
    } values[ML_ROUTE_MOST_PARAMETERS];
};

/* Frees all routes. */
void ml_routes_release(struct ml_routes *routes);

/* The method of that name; ML_ROUTE_ANY: another method. */
enum ml_route_method ml_route_method_by_name(const char *name, size_t size);

const char *ml_route_method_name(enum ml_route_method method);

/*
 * Adds a route. number: above 0, for the caller. At most ML_ROUTE_MOST_PARAMETERS segments may be
 * parameters or rests: the caller checks that.
 *
 * - 0;
 * - -ENOMEM;
 * - the number of the route that has the method and the pattern already (names of parameters make
 *   no difference).
 */
int ml_routes_add(struct ml_routes *routes, enum ml_route_method method,
                  const struct ml_route_segment *segments, size_t count, int number);

/* Finds the route for a path, which begins with "/". A GET route answers HEAD if HEAD has no
 * route. */
void ml_routes_find(const struct ml_routes *routes, enum ml_route_method method, const char *path,
                    size_t size, struct ml_route_match *match);

/* The value for a handler: decoded, or unchanged if it cannot be decoded; in a rest each segment on
 * its own. `out` has room for `size` bytes. Returns the number of bytes written. */
size_t ml_route_value(const char *data, size_t size, char *out);

#endif
