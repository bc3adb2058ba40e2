/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_impl.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <errno.h>
#include <string.h>

/* One suite: a pre-shared key belongs to one digest (RFC 8446, 4.2.11). */
#define SUITE "TLS_AES_128_GCM_SHA256"

static const uint8_t suite_id[] = { 0x13, 0x01 };
static const uint8_t identity[] = "ferry";
#define IDENTITY_LEN (sizeof(identity) - 1)

/* @return NULL: no memory */
static SSL_SESSION *
session_of_key(SSL *ssl)
{
	const struct peer_tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	SSL_SESSION *s = SSL_SESSION_new();

	if (s != NULL && SSL_SESSION_set1_master_key(s, t->psk, sizeof(t->psk)) == 1 &&
	    SSL_SESSION_set_cipher(s, SSL_CIPHER_find(ssl, suite_id)) == 1 &&
	    SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION) == 1)
		return s;
	SSL_SESSION_free(s);
	return NULL;
}

static int
on_calling(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *id_len,
	   SSL_SESSION **out)
{
	*out = session_of_key(ssl);
	*id = identity;
	*id_len = IDENTITY_LEN;
	return *out != NULL;
}

/* Without a key the handshake goes on, and fails: there is no certificate to fall back on. */
static int
on_called(SSL *ssl, const unsigned char *id, size_t id_len, SSL_SESSION **out)
{
	*out = NULL;
	if (id_len != IDENTITY_LEN || memcmp(id, identity, IDENTITY_LEN) != 0)
		return 1;
	*out = session_of_key(ssl);
	return *out != NULL;
}

/*
 * Nothing but the key opens a connection: no older version, no certificate that anybody would
 * believe, no ticket of an earlier connection.
 */
static bool
restrict_to_key(SSL_CTX *ctx)
{
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_psk_use_session_callback(ctx, on_calling);
	SSL_CTX_set_psk_find_session_callback(ctx, on_called);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_num_tickets(ctx, 0) == 1 && SSL_CTX_set_ciphersuites(ctx, SUITE) == 1;
}

int
peer_tls_init(struct peer_tls *t, const uint8_t *key, size_t len)
{
	if (len < PEER_KEY_MIN || len > PEER_KEY_MAX)
		return -EINVAL;
	t->ctx = SSL_CTX_new(TLS_method());
	if (t->ctx == NULL)
		return -ENOMEM;
	SSL_CTX_set_app_data(t->ctx, t);
	if (EVP_Digest(key, len, t->psk, NULL, EVP_sha256(), NULL) != 1 ||
	    !restrict_to_key(t->ctx)) {
		peer_tls_fini(t);
		return -ENOTSUP;
	}
	return 0;
}

void
peer_tls_fini(struct peer_tls *t)
{
	SSL_CTX_free(t->ctx);
	t->ctx = NULL;
	OPENSSL_cleanse(t->psk, sizeof(t->psk));
}

SSL *
peer_tls_session(struct peer_tls *t, bool calling)
{
	SSL *ssl = SSL_new(t->ctx);

	if (ssl != NULL && calling)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	return ssl;
}

bool
peer_tls_proven(SSL *ssl)
{
	return SSL_session_reused(ssl) == 1 && SSL_version(ssl) == TLS1_3_VERSION;
}
