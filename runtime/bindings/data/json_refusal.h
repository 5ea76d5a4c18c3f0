/* Errors about a value of Lua that has no text of JSON, with the path to it. Each function raises.
 */
#ifndef ML_BINDINGS_DATA_JSON_REFUSAL_H
#define ML_BINDINGS_DATA_JSON_REFUSAL_H

#include "bindings/data/json_encoder.h"

/* Raises "path text": the path to the table of the level at `depth`, or to its current value. */
_Noreturn void ml_json_refuse(struct ml_json_encoder *e, int depth, bool has_key, const char *text);

/* Raises about the current value. */
_Noreturn void ml_json_refuse_value(struct ml_json_encoder *e, const char *text);

/* Raises for the table on top, which lies too deep. If it contains itself, the message names the
 * path to the repetition. */
_Noreturn void ml_json_refuse_depth(struct ml_json_encoder *e);

/* Raises for a table whose key on top does not go with its other keys. The level is pushed. */
_Noreturn void ml_json_refuse_key(struct ml_json_encoder *e, bool has_names);

#endif
