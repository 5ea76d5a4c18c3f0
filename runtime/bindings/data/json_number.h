/* Numbers of JSON as texts. Knows no Lua and allocates nothing. */
#ifndef ML_BINDINGS_DATA_JSON_NUMBER_H
#define ML_BINDINGS_DATA_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ml_json_number {
    const char *end;     /* past its last byte; after a failure: the wrong byte */
    const char *problem; /* NULL, or a sentence without a full stop */
    bool is_integer;
    int64_t integer;
    double number;
};

/*
 * Reads the number at `at`, which begins with "-" or a digit; the byte at `end` can be read and
 * belongs to no number. Without "." and exponent it is an integer, except "-0" and numbers beyond
 * int64_t, which are floats. A number beyond a float's range is a problem.
 */
struct ml_json_number ml_json_read_number(const char *at, const char *end);

/* The most bytes that the next two write. */
enum { ML_JSON_NUMBER_SIZE = 32 };

/* Both return the bytes written, without a terminator. */
size_t ml_json_write_integer(int64_t integer, char *out);

/* Writes a finite float: the fewest digits that read as the same float; never as an integer. */
size_t ml_json_write_float(double number, char *out);

#endif
