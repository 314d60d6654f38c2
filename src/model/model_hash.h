/* SHA-256 of big files, remembered: a file that has not changed is not read again.
 *
 *     char hex[65];
 *     HN_TRY(hn_model_hash_file("SmolLM2-135M-Instruct.Q4_1.gguf", hex, &err));
 *
 * What is remembered stands in <models>/.hashes, one small file for each path, and counts only where size, inode,
 * modification and change time are the same. A folder that cannot be written is fine: the hash is computed again.
 * Threading: safe. */
#ifndef HN_MODEL_MODEL_HASH_H
#define HN_MODEL_MODEL_HASH_H

#include "base/hash.h"

hn_status hn_model_hash_file(const char *path, char hex[HN_SHA256_HEX], hn_error *err) HN_MUST_CHECK;

#endif
