#include "http/http2_stream.h"

#include "hub/state/scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ml_http2_stream *ml_http2_stream_new(struct ml_http2_peer *peer, int32_t id)
{
    struct ml_http2_stream *s = ml_http_spare_take(peer->server, &peer->server->streams, sizeof *s);
    if (s == NULL)
        return NULL;
    *s = (struct ml_http2_stream){.peer = peer, .answer_left = -1};
    ml_http2_flow_init(&s->flow, &peer->session);
    s->flow.id = id;
    ml_list_insert(&peer->streams, &s->link);
    return s;
}

int ml_http2_stream_keep_head(struct ml_http2_stream *s, const struct ml_buffer *text)
{
    struct ml_http_head *head = &s->x.head;
    size_t fields = head->field_count * sizeof *head->fields, size = ml_buffer_size(text);
    char *kept = malloc(fields + size + 1); /* 1: a head that is too long has no bytes */
    if (kept == NULL)
        return -ENOMEM;
    memcpy(kept, head->fields, fields);
    if (size > 0)
        memcpy(kept + fields, ml_buffer_data(text), size);
    head->fields = (struct ml_http_field *)kept;
    head->bytes = kept + fields;
    s->kept = kept;
    return 0;
}

/* nghttp2 may know the stream still, and ask for more of its body: not any more. */
static void detach(struct ml_http2_stream *s)
{
    struct ml_http2_session *c = &s->peer->session;
    if (c->session == NULL ||
        c->n->nghttp2_session_get_stream_user_data(c->session, s->flow.id) != s)
        return;
    c->n->nghttp2_session_set_stream_user_data(c->session, s->flow.id, NULL);
    c->n->nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->flow.id, NGHTTP2_CANCEL);
}

void ml_http2_stream_free(struct ml_http2_stream *s)
{
    detach(s);
    ml_list_remove(&s->link);
    ml_http2_flow_release(&s->flow);
    ml_buffer_release(&s->trailer_text);
    free(s->trailer_fields);
    free(s->kept);
    ml_http_spare_give(&s->peer->server->streams, s);
}

/* ---- the peer ---- */

void ml_http2_stream_gone(struct ml_http2_stream *s)
{
    bool is_whole = s->x.phase == ML_HTTP_COMPLETE || s->x.phase == ML_HTTP_HIJACKED;
    bool cancels = s->x.on_gone == ML_HTTP_GONE_CANCEL ||
                   (s->x.on_gone == ML_HTTP_GONE_STREAMING && s->x.phase == ML_HTTP_HEADED);
    if (!is_whole && cancels && s->scope != NULL)
        ml_scope_cancel_if_open(s->scope, s->scope_serial);
}

void ml_http2_stream_closed(struct ml_http2_stream *s)
{
    ml_http2_stream_gone(s);
    ml_http2_flow_close(&s->flow);
}
