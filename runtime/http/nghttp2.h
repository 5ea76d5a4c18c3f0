/*
 * nghttp2, loaded when HTTP/2 is first spoken. Its functions are called through a table, typed by
 * its own header.
 */
#ifndef ML_HTTP_NGHTTP2_H
#define ML_HTTP_NGHTTP2_H

#include <nghttp2/nghttp2.h>

#define ML_NGHTTP2_FUNCTIONS(X)                                                                    \
    X(nghttp2_option_del)                                                                          \
    X(nghttp2_option_new)                                                                          \
    X(nghttp2_option_set_max_outbound_ack)                                                         \
    X(nghttp2_option_set_max_settings)                                                             \
    X(nghttp2_option_set_no_auto_window_update)                                                    \
    X(nghttp2_session_callbacks_del)                                                               \
    X(nghttp2_session_callbacks_new)                                                               \
    X(nghttp2_session_callbacks_set_on_begin_frame_callback)                                       \
    X(nghttp2_session_callbacks_set_on_begin_headers_callback)                                     \
    X(nghttp2_session_callbacks_set_on_data_chunk_recv_callback)                                   \
    X(nghttp2_session_callbacks_set_on_frame_recv_callback)                                        \
    X(nghttp2_session_callbacks_set_on_frame_send_callback)                                        \
    X(nghttp2_session_callbacks_set_on_header_callback)                                            \
    X(nghttp2_session_callbacks_set_on_invalid_frame_recv_callback)                                \
    X(nghttp2_session_callbacks_set_on_stream_close_callback)                                      \
    X(nghttp2_session_client_new2)                                                                 \
    X(nghttp2_session_consume_connection)                                                          \
    X(nghttp2_session_consume_stream)                                                              \
    X(nghttp2_session_del)                                                                         \
    X(nghttp2_session_find_stream)                                                                 \
    X(nghttp2_session_get_last_proc_stream_id)                                                     \
    X(nghttp2_session_get_outbound_queue_size)                                                     \
    X(nghttp2_session_get_remote_settings)                                                         \
    X(nghttp2_session_get_stream_user_data)                                                        \
    X(nghttp2_session_mem_recv)                                                                    \
    X(nghttp2_session_mem_send)                                                                    \
    X(nghttp2_session_resume_data)                                                                 \
    X(nghttp2_session_server_new3)                                                                 \
    X(nghttp2_session_set_local_window_size)                                                       \
    X(nghttp2_session_set_stream_user_data)                                                        \
    X(nghttp2_session_terminate_session)                                                           \
    X(nghttp2_session_want_read)                                                                   \
    X(nghttp2_session_want_write)                                                                  \
    X(nghttp2_submit_goaway)                                                                       \
    X(nghttp2_submit_headers)                                                                      \
    X(nghttp2_submit_ping)                                                                         \
    X(nghttp2_submit_request)                                                                      \
    X(nghttp2_submit_response)                                                                     \
    X(nghttp2_submit_rst_stream)                                                                   \
    X(nghttp2_submit_settings)                                                                     \
    X(nghttp2_submit_shutdown_notice)                                                              \
    X(nghttp2_submit_trailer)

struct ml_nghttp2 {
    void *library;
#define ML_NGHTTP2_MEMBER(name) __typeof__(name) *(name);
    ML_NGHTTP2_FUNCTIONS(ML_NGHTTP2_MEMBER)
#undef ML_NGHTTP2_MEMBER
    /* nghttp2_option_set_max_continuations(). NULL: the release is older than 2024 and lacks it. */
    void (*set_max_continuations)(nghttp2_option *option, size_t count);
};

struct ml_io;

/* The table of a runtime, loaded at the first call. NULL: nghttp2 is not installed, or there is no
 * memory. The end of the runtime frees the table; the library stays in the process. */
const struct ml_nghttp2 *ml_nghttp2_get(struct ml_io *io);

#endif
