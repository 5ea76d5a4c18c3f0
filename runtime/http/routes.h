/*
 * Which of many patterns a path is for, and with which parameters. A pattern is a list of segments:
 * a text; a parameter, which is one segment that is not empty; or the rest, which stands last and is
 * all segments that are left, one at least. Of several patterns that match, the most specific wins,
 * segment by segment: text, then parameter, then rest. Segments of a path are compared decoded; one
 * that cannot be decoded is compared as it stands.
 *
 * A tree with a node for each segment of the patterns: a node is asked at one depth of the path
 * only, so a match looks at each node once at most, whatever the path. Allocates nothing in a match.
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
    ML_ROUTE_ANY, /* any other, or all that have no route of their own */
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

/* A match: parts of the path as they stand there. */
struct ml_route_match {
    int route;        /* its number; 0: none */
    unsigned allowed; /* without one: a bit for each method that would have matched */
    unsigned count;
    struct {
        const char *data;
        size_t size;
    } values[ML_ROUTE_MOST_PARAMETERS];
};

/* Frees all. */
void ml_routes_release(struct ml_routes *routes);

/* The method of that name; ML_ROUTE_ANY for another one. */
enum ml_route_method ml_route_method_by_name(const char *name, size_t size);

const char *ml_route_method_name(enum ml_route_method method);

/* Adds a route; number: above 0, for the caller. 0; -ENOMEM; or the number of the route that has
 * the method and the pattern already (the names of parameters make no difference). At most
 * ML_ROUTE_MOST_PARAMETERS segments are no text: the caller sees to it. */
int ml_routes_add(struct ml_routes *routes, enum ml_route_method method,
                  const struct ml_route_segment *segments, size_t count, int number);

/* Finds the route for a path, "/" and what follows. A GET route answers HEAD where there is none
 * for that. */
void ml_routes_find(const struct ml_routes *routes, enum ml_route_method method, const char *path,
                    size_t size, struct ml_route_match *match);

/* The value as it is handed over: decoded, or, if it cannot be, as it stands; the segments of a rest
 * each for itself. `out` has room for as many bytes. Returns the bytes written. */
size_t ml_route_value(const char *data, size_t size, char *out);

#endif
