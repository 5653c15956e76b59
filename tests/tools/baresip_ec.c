/*
 * Gives baresip an EC certificate for DTLS-SRTP, as its later versions make one by themselves. That of Debian 12 makes an RSA
 * certificate, which our side does not take. Loaded before the library it calls (LD_PRELOAD).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYTYPE_EC = 1 };

struct tls;
int tls_set_certificate_der(struct tls *tls, int type, const uint8_t *certificate, size_t certificate_length,
			    const uint8_t *key, size_t key_length);

static size_t read_file(const char *variable, uint8_t *bytes, size_t room)
{
	const char *path = getenv(variable);
	FILE *file = path ? fopen(path, "rb") : NULL;
	size_t length = file ? fread(bytes, 1, room, file) : 0;

	if (file)
		fclose(file);
	return length;
}

int tls_set_selfsigned_rsa(struct tls *tls, const char *name, size_t bits)
{
	static uint8_t certificate[4096], key[4096];
	size_t certificate_length = read_file("BARESIP_EC_CERTIFICATE", certificate, sizeof(certificate));
	size_t key_length = read_file("BARESIP_EC_KEY", key, sizeof(key));

	(void)name;
	(void)bits;
	return tls_set_certificate_der(tls, KEYTYPE_EC, certificate, certificate_length, key, key_length);
}
