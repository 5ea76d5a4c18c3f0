#include "bindings/http/response_coding.h"

#include "bindings/core/object.h"
#include "bindings/http/response_fill.h"
#include "http/accept_encoding.h"
#include "http/encoder.h"
#include "http/syntax.h"
#include "hub/wait/slice.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static const char encoder_type[] = "serving.encoder";

/* A body that is shorter, and known to be, is not worth it. */
enum { SHORTEST = 1024 };

struct encoder {
    struct ml_encoder *encoder; /* NULL: it has ended */
};

void ml_coded_end(lua_State *L, int index)
{
    struct encoder *e = ml_check_object(L, index, encoder_type);
    if (e->encoder != NULL)
        ml_encoder_free(e->encoder);
    e->encoder = NULL;
}

static int encoder_close(lua_State *L)
{
    ml_coded_end(L, 1);
    return 0;
}

void ml_open_coded(lua_State *L)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", encoder_close}, {"__close", encoder_close}, {NULL, NULL}};
    ml_open_object_type(L, encoder_type, none, meta);
}

/* ---- what is coded ---- */

static struct ml_http_pair *find_pair(const struct ml_http_answer *answer,
                                      struct ml_http_pair *pairs, const char *name)
{
    size_t size = strlen(name);
    for (int i = 0; i < answer->pair_count; i++)
        if (pairs[i].name_size == size && strncasecmp(pairs[i].name, name, size) == 0)
            return &pairs[i];
    return NULL;
}

static bool has(const struct ml_http_pair *pair, const char *text)
{
    return memmem(pair->value, pair->value_size, text, strlen(text)) != NULL;
}

/* Texts; an event stream's pieces are too short, images and archives are coded already. */
static bool is_text(const struct ml_http_pair *type)
{
    if (type == NULL || has(type, "event-stream"))
        return false;
    bool begins = type->value_size >= 5 && strncasecmp(type->value, "text/", 5) == 0;
    return begins || has(type, "json") || has(type, "xml") || has(type, "javascript") ||
           has(type, "wasm");
}

/* Whether answers like this may be coded, whatever the peer takes. */
static bool is_codable(const struct ml_http_answer *answer, struct ml_http_pair *pairs,
                       int64_t size)
{
    const struct ml_http_pair *cache = find_pair(answer, pairs, "cache-control");
    return answer->status >= 200 && answer->status != 204 && answer->status != 205 &&
           answer->status != 206 && answer->status != 304 && (size < 0 || size >= SHORTEST) &&
           find_pair(answer, pairs, "content-encoding") == NULL &&
           find_pair(answer, pairs, "content-range") == NULL &&
           (cache == NULL || !has(cache, "no-transform")) &&
           is_text(find_pair(answer, pairs, "content-type"));
}

static enum ml_coding negotiate(const struct ml_http_exchange *x)
{
    static const enum ml_coding offers[] = {ML_CODING_BR, ML_CODING_GZIP};
    struct ml_io *io = x->server->io;
    const struct ml_http_field *field = ml_http_find(&x->head, ML_HTTP_ACCEPT_ENCODING, NULL);
    if (field == NULL || ml_http_find(&x->head, ML_HTTP_ACCEPT_ENCODING, field) != NULL)
        return ML_CODING_IDENTITY;
    int first = ml_coding_can_encode(io, ML_CODING_BR) ? 0 : 1;
    int count = ml_coding_can_encode(io, ML_CODING_GZIP) ? 2 - first : 1 - first;
    int chosen = ml_coding_negotiate(ml_http_at(&x->head, field->value), field->value.size,
                                     offers + first, count);
    return chosen > ML_CODING_IDENTITY ? (enum ml_coding)chosen : ML_CODING_IDENTITY;
}

/* ---- the head ---- */

static void add_pair(struct ml_http_answer *answer, struct ml_http_pair *pairs, const char *name,
                     const char *value)
{
    pairs[answer->pair_count++] =
        (struct ml_http_pair){name, value, (uint32_t)strlen(name), (uint32_t)strlen(value)};
}

static void add_vary(struct ml_http_answer *answer, struct ml_http_pair *pairs)
{
    for (int i = 0; i < answer->pair_count; i++) {
        const struct ml_http_pair *pair = &pairs[i];
        bool is_vary = pair->name_size == 4 && strncasecmp(pair->name, "vary", 4) == 0;
        if (is_vary && (ml_http_list_has(pair->value, pair->value_size, "accept-encoding") ||
                        ml_http_list_has(pair->value, pair->value_size, "*")))
            return;
    }
    add_pair(answer, pairs, "vary", "accept-encoding");
}

/* The tag of the plain answer is not this one's, byte by byte: it becomes a weak one. Pushes what
 * keeps it alive. */
static void push_weak_tag(lua_State *L, struct ml_http_pair *tag)
{
    if (tag == NULL || tag->value_size < 2 || tag->value[0] == 'W') {
        lua_pushnil(L);
        return;
    }
    size_t size;
    lua_pushliteral(L, "W/");
    lua_pushlstring(L, tag->value, tag->value_size);
    lua_concat(L, 2);
    tag->value = lua_tolstring(L, -1, &size);
    tag->value_size = (uint32_t)size;
}

static void begin(lua_State *L, int index, struct ml_lua_response *res, enum ml_coding coding)
{
    struct encoder *e = ml_push_object(L, encoder_type, sizeof *e, 0);
    int error = ml_encoder_new(res->x->server->io, coding, -1, &e->encoder);
    if (error != 0) {
        e->encoder = NULL;
        luaL_error(L, "not enough memory");
    }
    lua_setiuservalue(L, index, ML_RESPONSE_ENCODER);
    res->is_coded = true;
}

void ml_response_choose_coding(lua_State *L, int index, struct ml_lua_response *res,
                               struct ml_http_answer *answer, struct ml_http_pair *pairs,
                               int64_t size)
{
    bool is_possible = is_codable(answer, pairs, size);
    enum ml_coding coding = is_possible ? negotiate(res->x) : ML_CODING_IDENTITY;
    if (is_possible)
        add_vary(answer, pairs);
    if (coding == ML_CODING_IDENTITY) {
        lua_pushnil(L);
        return;
    }
    begin(L, index, res, coding);
    add_pair(answer, pairs, "content-encoding", ml_coding_name(coding));
    push_weak_tag(L, find_pair(answer, pairs, "etag"));
}

/* ---- the body ---- */

/* PIECE: input between two looks at the slice. */
enum { STEP = 8 * 1024, PIECE = 8 * 1024 };

static struct encoder *push_encoder(lua_State *L, int index)
{
    lua_getiuservalue(L, index, ML_RESPONSE_ENCODER);
    return ml_check_object(L, -1, encoder_type);
}

/* Encodes into the buffer, whose place is on top of the stack. */
static void add_coded(lua_State *L, luaL_Buffer *all, struct encoder *e, const char *data,
                      size_t size, enum ml_coding_mode mode)
{
    struct ml_coding_step step = {.in = data, .in_size = size};
    int result = 1;
    while (result == 1 && e->encoder != NULL) {
        step.out = luaL_prepbuffsize(all, STEP);
        step.out_size = STEP;
        result = ml_encoder_feed(e->encoder, &step, mode);
        luaL_addsize(all, STEP - step.out_size);
    }
    if (result < 0)
        luaL_error(L, "the body cannot be coded");
}

static void end_coding(lua_State *L, int index)
{
    push_encoder(L, index);
    ml_coded_end(L, -1);
    lua_pop(L, 1);
}

void ml_response_push_coded(lua_State *L, int index, const char *data, size_t size,
                            enum ml_coding_mode mode)
{
    luaL_Buffer all;
    struct encoder *e = push_encoder(L, index);
    luaL_buffinit(L, &all);
    add_coded(L, &all, e, data, size, mode);
    luaL_pushresult(&all);
    lua_remove(L, -2);
    if (mode == ML_CODING_END)
        end_coding(L, index);
}

/* Lets others run: encoding is work without a wait. */
static void share(lua_State *L, struct ml_http_exchange *x)
{
    struct ml_hub *hub = x->server->io->hub;
    ml_slice_spend(hub, ML_SLICE);
    ml_carrier_begin(L, x);
    ml_carrier_end(L, x, ml_slice_point(hub));
    if (x->phase != ML_HTTP_UNSENT)
        luaL_error(L, "the head of the answer has been sent");
}

void ml_response_push_coded_whole(lua_State *L, int index, struct ml_http_exchange *x,
                                  const char *data, size_t size)
{
    luaL_Buffer all;
    struct encoder *e = push_encoder(L, index);
    luaL_buffinit(L, &all);
    for (; size > PIECE; data += PIECE, size -= PIECE) {
        add_coded(L, &all, e, data, PIECE, ML_CODING_MORE);
        share(L, x);
    }
    add_coded(L, &all, e, data, size, ML_CODING_END);
    luaL_pushresult(&all);
    lua_remove(L, -2);
    end_coding(L, index);
}
