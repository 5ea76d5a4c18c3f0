/*
 * Shared by the reader and the writer of JSON: runs of plain bytes, UTF-8. Knows no Lua and
 * allocates nothing.
 */
#ifndef ML_BINDINGS_DATA_JSON_TEXT_H
#define ML_BINDINGS_DATA_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The first byte from `at` on that ends a plain run: a quotation mark, a backslash, a control
 * character, or a byte beyond ASCII. `end`: there is none. */
const char *ml_json_plain(const char *at, const char *end);

/* Bytes of the character beyond ASCII at `at`: 2 to 4; 0: this is not UTF-8. */
size_t ml_json_character(const char *at, const char *end);

#endif
