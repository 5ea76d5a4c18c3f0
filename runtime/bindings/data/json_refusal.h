/* Why a value of Lua has no text of JSON, and where it lies. Each of these raises. */
#ifndef ML_BINDINGS_DATA_JSON_REFUSAL_H
#define ML_BINDINGS_DATA_JSON_REFUSAL_H

#include "bindings/data/json_encoder.h"

/* Raises "path text": the path to the table of the level at `depth`, or to its value whose turn it
 * is. */
_Noreturn void ml_json_refuse(struct ml_json_encoder *e, int depth, bool has_key, const char *text);

/* Of the value that is at its turn. */
_Noreturn void ml_json_refuse_value(struct ml_json_encoder *e, const char *text);

/* The table on top lies too deep; if it is in itself, the path to where it comes again. */
_Noreturn void ml_json_refuse_depth(struct ml_json_encoder *e);

/* Raises for a table whose key on top is none that its other keys go with. The level is pushed. */
_Noreturn void ml_json_refuse_key(struct ml_json_encoder *e, bool has_names);

#endif
