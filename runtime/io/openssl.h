/*
 * OpenSSL, loaded when it is first needed: a program without TLS neither waits for it at its start
 * nor pays for its memory (measured: 0.8 ms and 1.7 MB). Its functions are called through a table,
 * typed by OpenSSL's own headers.
 */
#ifndef ML_IO_OPENSSL_H
#define ML_IO_OPENSSL_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define ML_OPENSSL_FUNCTIONS(X)                                                                    \
    X(ASN1_STRING_get0_data)                                                                       \
    X(ASN1_STRING_length)                                                                          \
    X(ASN1_TIME_to_tm)                                                                             \
    X(BIO_clear_flags)                                                                             \
    X(BIO_ctrl)                                                                                    \
    X(BIO_free)                                                                                    \
    X(BIO_meth_free)                                                                               \
    X(BIO_meth_new)                                                                                \
    X(BIO_meth_set_ctrl)                                                                           \
    X(BIO_meth_set_read)                                                                           \
    X(BIO_meth_set_write)                                                                          \
    X(BIO_new)                                                                                     \
    X(BIO_new_file)                                                                                \
    X(BIO_new_mem_buf)                                                                             \
    X(BIO_s_mem)                                                                                   \
    X(BIO_set_flags)                                                                               \
    X(BIO_set_init)                                                                                \
    X(ERR_clear_error)                                                                             \
    X(ERR_peek_error)                                                                              \
    X(ERR_peek_last_error)                                                                         \
    X(ERR_reason_error_string)                                                                     \
    X(EVP_aes_256_cbc)                                                                             \
    X(EVP_DecryptInit_ex)                                                                          \
    X(EVP_Digest)                                                                                  \
    X(EVP_EncryptInit_ex)                                                                          \
    X(EVP_get_digestbyname)                                                                        \
    X(EVP_MAC_CTX_set_params)                                                                      \
    X(EVP_PBE_scrypt)                                                                              \
    X(EVP_PKEY_free)                                                                               \
    X(GENERAL_NAMES_free)                                                                          \
    X(HMAC)                                                                                        \
    X(OPENSSL_cleanse)                                                                             \
    X(OPENSSL_init_crypto)                                                                         \
    X(OPENSSL_sk_num)                                                                              \
    X(OPENSSL_sk_value)                                                                            \
    X(PEM_read_bio_PrivateKey)                                                                     \
    X(PEM_read_bio_X509)                                                                           \
    X(PEM_read_bio_X509_CRL)                                                                       \
    X(PEM_write_bio_X509)                                                                          \
    X(SSL_CIPHER_get_name)                                                                         \
    X(SSL_ctrl)                                                                                    \
    X(SSL_CTX_add_client_CA)                                                                       \
    X(SSL_CTX_callback_ctrl)                                                                       \
    X(SSL_CTX_check_private_key)                                                                   \
    X(SSL_CTX_ctrl)                                                                                \
    X(SSL_CTX_free)                                                                                \
    X(SSL_CTX_get0_certificate)                                                                    \
    X(SSL_CTX_get_cert_store)                                                                      \
    X(SSL_CTX_get_client_CA_list)                                                                  \
    X(SSL_CTX_load_verify_dir)                                                                     \
    X(SSL_CTX_load_verify_file)                                                                    \
    X(SSL_CTX_new)                                                                                 \
    X(SSL_CTX_set1_cert_store)                                                                     \
    X(SSL_CTX_set_alpn_protos)                                                                     \
    X(SSL_CTX_set_alpn_select_cb)                                                                  \
    X(SSL_CTX_set_client_CA_list)                                                                  \
    X(SSL_CTX_set_options)                                                                         \
    X(SSL_CTX_set_session_id_context)                                                              \
    X(SSL_CTX_set_tlsext_ticket_key_evp_cb)                                                        \
    X(SSL_CTX_set_verify)                                                                          \
    X(SSL_CTX_use_certificate)                                                                     \
    X(SSL_CTX_use_PrivateKey)                                                                      \
    X(SSL_do_handshake)                                                                            \
    X(SSL_dup_CA_list)                                                                             \
    X(SSL_free)                                                                                    \
    X(SSL_get0_alpn_selected)                                                                      \
    X(SSL_get0_param)                                                                              \
    X(SSL_get1_peer_certificate)                                                                   \
    X(SSL_get1_session)                                                                            \
    X(SSL_get_current_cipher)                                                                      \
    X(SSL_get_error)                                                                               \
    X(SSL_get_servername)                                                                          \
    X(SSL_get_verify_result)                                                                       \
    X(SSL_get_version)                                                                             \
    X(SSL_has_pending)                                                                             \
    X(SSL_new)                                                                                     \
    X(SSL_read)                                                                                    \
    X(SSL_select_next_proto)                                                                       \
    X(SSL_SESSION_free)                                                                            \
    X(SSL_SESSION_is_resumable)                                                                    \
    X(SSL_is_server)                                                                               \
    X(SSL_session_reused)                                                                          \
    X(SSL_set1_host)                                                                               \
    X(SSL_set_accept_state)                                                                        \
    X(SSL_set_bio)                                                                                 \
    X(SSL_set_connect_state)                                                                       \
    X(SSL_set_hostflags)                                                                           \
    X(SSL_set_session)                                                                             \
    X(SSL_set_SSL_CTX)                                                                             \
    X(SSL_set_verify)                                                                              \
    X(SSL_shutdown)                                                                                \
    X(SSL_up_ref)                                                                                  \
    X(SSL_write)                                                                                   \
    X(TLS_method)                                                                                  \
    X(X509_cmp)                                                                                    \
    X(X509_CRL_free)                                                                               \
    X(X509_free)                                                                                   \
    X(X509_get0_notAfter)                                                                          \
    X(X509_get0_notBefore)                                                                         \
    X(X509_get_default_cert_dir)                                                                   \
    X(X509_get_default_cert_dir_env)                                                               \
    X(X509_get_default_cert_file)                                                                  \
    X(X509_get_default_cert_file_env)                                                              \
    X(X509_get_ext_d2i)                                                                            \
    X(X509_get_issuer_name)                                                                        \
    X(X509_get_subject_name)                                                                       \
    X(X509_NAME_print_ex)                                                                          \
    X(X509_STORE_add_cert)                                                                         \
    X(X509_STORE_add_crl)                                                                          \
    X(X509_STORE_set_flags)                                                                        \
    X(X509_verify_cert_error_string)                                                               \
    X(X509_VERIFY_PARAM_set1_ip)

struct ml_openssl {
    void *library;
#define ML_OPENSSL_MEMBER(name) __typeof__(name) *(name);
    ML_OPENSSL_FUNCTIONS(ML_OPENSSL_MEMBER)
#undef ML_OPENSSL_MEMBER
};

struct ml_io;

/* The table of a runtime, loaded at the first call; NULL: there is no OpenSSL 3 here, or no memory.
 */
const struct ml_openssl *ml_openssl_get(struct ml_io *io);

/* Frees a runtime's table, which is not in use any more. */
void ml_openssl_release(struct ml_io *io);

#endif
