/* Hashes; see hash.h. SHA-256 is OpenSSL's (SHA-NI where the CPU has it), the fast hash is xxHash's XXH3. */
#include "base/hash.h"

#include "base/alloc.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct hn_sha256 {
    EVP_MD_CTX *context;
};

hn_sha256 *hn_sha256_create(void) {
    hn_sha256 *h = hn_calloc(1, sizeof *h);
    if (!h) return NULL;
    h->context = EVP_MD_CTX_new();
    if (h->context && EVP_DigestInit_ex(h->context, EVP_sha256(), NULL) == 1) return h;
    EVP_MD_CTX_free(h->context);
    hn_free(h);
    return NULL;
}

void hn_sha256_update(hn_sha256 *h, const void *bytes, size_t n) {
    if (n) EVP_DigestUpdate(h->context, bytes, n);
}

void hn_sha256_field(hn_sha256 *h, const void *bytes, size_t n) {
    uint64_t length = n;
    hn_sha256_update(h, &length, sizeof length);
    hn_sha256_update(h, bytes, n);
}

void hn_sha256_field_str(hn_sha256 *h, const char *text) {
    if (text)
        hn_sha256_field(h, text, strlen(text));
    else
        hn_sha256_update(h, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
}

void hn_sha256_field_i64(hn_sha256 *h, int64_t value) { hn_sha256_field(h, &value, sizeof value); }
void hn_sha256_field_f64(hn_sha256 *h, double value) { hn_sha256_field(h, &value, sizeof value); }

void hn_sha256_finish(hn_sha256 *h, char hex[HN_SHA256_HEX]) {
    unsigned char digest[32] = {0};
    EVP_DigestFinal_ex(h->context, digest, NULL);
    EVP_MD_CTX_free(h->context);
    hn_free(h);
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[64] = 0;
}

hn_status hn_sha256_bytes(const void *bytes, size_t n, char hex[HN_SHA256_HEX]) {
    hn_sha256 *h = hn_sha256_create();
    if (!h) return HN_ERR_MEMORY;
    hn_sha256_update(h, bytes, n);
    hn_sha256_finish(h, hex);
    return HN_OK;
}

hn_status hn_sha256_file(const char *path, char hex[HN_SHA256_HEX], hn_error *err) {
    enum { PIECE = 1 << 20 };
    FILE *f = fopen(path, "rb");
    if (!f) return hn_fail_errno(err, errno, path, "opening");
    hn_sha256 *h = hn_sha256_create();
    char *piece = hn_alloc(PIECE);
    hn_status st = h && piece ? HN_OK : hn_fail_memory(err, PIECE);
    for (size_t n; st == HN_OK && (n = fread(piece, 1, PIECE, f)) > 0;) hn_sha256_update(h, piece, n);
    if (st == HN_OK && ferror(f)) st = hn_fail_errno(err, errno, path, "reading");
    char unused[HN_SHA256_HEX];
    if (h) hn_sha256_finish(h, st == HN_OK ? hex : unused);
    hn_free(piece);
    fclose(f);
    return st;
}

uint64_t hn_hash64(const void *bytes, size_t n, uint64_t seed) { return XXH3_64bits_withSeed(bytes, n, seed); }
