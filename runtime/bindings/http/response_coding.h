/*
 * Answers with a content coding: whether an answer gets one, its head's fields, its encoder. Sends
 * nothing.
 */
#ifndef ML_BINDINGS_HTTP_RESPONSE_CODING_H
#define ML_BINDINGS_HTTP_RESPONSE_CODING_H

#include "bindings/http/types.h"
#include "http/encoder.h"

struct ml_http_headers;

/* Pairs that ml_response_choose_coding() adds to a head at most. */
enum { ML_CODED_PAIRS = 2 };

/*
 * Chooses the coding for an answer of an exchange that may have one, by what the peer takes and
 * what the answer is; `size` of its body, -1: not known. Makes the encoder, and pushes a value that
 * keeps the changed fields alive: pairs are added behind those of `answer`, where there is room.
 */
void ml_response_choose_coding(lua_State *L, int index, struct ml_lua_response *res,
                               struct ml_http_answer *answer, struct ml_http_pair *pairs,
                               int64_t size);

/* Pushes what the encoder of the response at `index` makes of the bytes. */
void ml_response_push_coded(lua_State *L, int index, const char *data, size_t size,
                            enum ml_coding_mode mode);

/* Frees what the encoder at `index` holds. */
void ml_coded_end(lua_State *L, int index);

/* Creates the encoders' metatable; stack unchanged. */
void ml_open_coded(lua_State *L);

/* Pushes all of a body, encoded piece by piece: others run in between. Raises as a wait does, and
 * if the answer was begun meanwhile. */
void ml_response_push_coded_whole(lua_State *L, int index, struct ml_http_exchange *x,
                                  const char *data, size_t size);

#endif
