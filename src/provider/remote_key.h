/* The key of a remote model: read from the environment or a file, sent in a header, shown nowhere.
 *
 *     hn_remote_key key;
 *     HN_TRY(hn_remote_key_load(model, &key, &err));
 *     hn_remote_key_redact(&key, text);                     // what a server says may repeat it
 *     hn_remote_key_free(&key);                             // wipes it
 *
 * Threading: plain values. */
#ifndef HN_PROVIDER_REMOTE_KEY_H
#define HN_PROVIDER_REMOTE_KEY_H

#include "project/models.h"

typedef struct hn_remote_key {
    char *text; /* NULL: none */
    size_t n;
} hn_remote_key;

/* No key where the model names none. HN_ERR_INPUT: the variable is not set, the file is empty, or what is there can be no key. A file that others
 * may read is warned about. */
hn_status hn_remote_key_load(const hn_remote_model *model, hn_remote_key *key, hn_error *err) HN_MUST_CHECK;
/* Where it comes from and whether it is there, for people: "$NAME", "$NAME, not set", "file, not there", "none". */
void hn_remote_key_describe(const hn_remote_model *model, char *out, size_t size);
/* Overwrites each place where the key, or 8 or more of its first characters, stands in `text`. */
void hn_remote_key_redact(const hn_remote_key *key, char *text);
void hn_remote_key_free(hn_remote_key *key);

#endif
