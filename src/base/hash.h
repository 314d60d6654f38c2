/* Hashes: SHA-256 for what must not be forged (files, content ids), XXH3 for tables and cache keys in memory.
 *
 *     hn_sha256 *h = hn_sha256_create();
 *     hn_sha256_update(h, bytes, n);
 *     char hex[HN_SHA256_HEX];
 *     hn_sha256_finish(h, hex);                            // 64 lower-case digits; frees h
 *
 * Content ids of structures: feed each field with hn_sha256_field, which writes its length first, so that
 * ("ab","c") and ("a","bc") differ. Threading: one hash object, one thread. */
#ifndef HN_BASE_HASH_H
#define HN_BASE_HASH_H

#include "base/status.h"

#include <stdint.h>

enum { HN_SHA256_HEX = 65 };

typedef struct hn_sha256 hn_sha256;

hn_sha256 *hn_sha256_create(void); /* NULL: memory is used up */
void hn_sha256_update(hn_sha256 *h, const void *bytes, size_t n);
void hn_sha256_field(hn_sha256 *h, const void *bytes, size_t n);
void hn_sha256_field_str(hn_sha256 *h, const char *text); /* NULL counts as its own value */
void hn_sha256_field_i64(hn_sha256 *h, int64_t value);
void hn_sha256_field_f64(hn_sha256 *h, double value);
void hn_sha256_finish(hn_sha256 *h, char hex[HN_SHA256_HEX]);

/* One call for bytes in memory, and for a file (read in pieces). */
hn_status hn_sha256_bytes(const void *bytes, size_t n, char hex[HN_SHA256_HEX]) HN_MUST_CHECK;
hn_status hn_sha256_file(const char *path, char hex[HN_SHA256_HEX], hn_error *err) HN_MUST_CHECK;

uint64_t hn_hash64(const void *bytes, size_t n, uint64_t seed);

#endif
