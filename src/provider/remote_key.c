/* Keys; see remote_key.h. A key must be printable ASCII without blanks: anything else could end the header that it is sent in. */
#include "provider/remote_key.h"

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { KEY_BYTES_MAX = 8192, PREFIX_MIN = 8 };

static void wipe(char *text, size_t n) {
    if (text) explicit_bzero(text, n);
    hn_free(text);
}

static hn_status take(const char *where, hn_str text, hn_remote_key *key, hn_error *err) {
    text = hn_str_trim(text);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7F)
            return hn_fail(err, HN_ERR_INPUT, where, "put the key alone there, on one line",
                           "what is there can be no key: it has blanks or other characters that no key has");
    if (text.len == 0 || text.len > KEY_BYTES_MAX)
        return hn_fail(err, HN_ERR_INPUT, where, "put the key there", "there is no key of 1 to %d characters",
                       KEY_BYTES_MAX);
    key->text = hn_strndup(text.data, text.len);
    key->n = text.len;
    return key->text ? HN_OK : hn_fail_memory(err, text.len);
}

static hn_status read_file(const char *path, hn_remote_key *key, hn_error *err) {
    struct stat info;
    char *bytes;
    size_t n;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 077))
        hn_log(HN_LOG_WARN, "key", "%s can be read by others: chmod 600 %s", path, path);
    hn_status st = hn_file_read(path, KEY_BYTES_MAX + 64, &bytes, &n, err);
    if (st == HN_ERR_NOT_FOUND)
        return hn_fail(err, st, path, "write the key there (chmod 600), or name another file under `key_file`",
                       "there is no such key file");
    if (st != HN_OK) return st;
    st = take(path, (hn_str){bytes, n}, key, err);
    wipe(bytes, n);
    return st;
}

hn_status hn_remote_key_load(const hn_remote_model *m, hn_remote_key *key, hn_error *err) {
    *key = (hn_remote_key){0};
    if (m->key_file) return read_file(m->key_file, key, err);
    if (!m->key_env) return HN_OK;
    const char *value = getenv(m->key_env);
    if (value && *value) return take(m->key_env, hn_str_of(value), key, err);
    if (m->key_optional) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, m->name, "set it in the environment of this command; hone keeps no keys",
                   "the model's key is expected in the environment variable %s, which is not set", m->key_env);
}

void hn_remote_key_describe(const hn_remote_model *m, char *out, size_t size) {
    if (m->key_file)
        snprintf(out, size, "file%s", hn_file_exists(m->key_file) ? "" : ", not there");
    else if (m->key_env)
        snprintf(out, size, "$%s%s", m->key_env, getenv(m->key_env) && *getenv(m->key_env) ? "" : ", not set");
    else
        snprintf(out, size, "none");
}

void hn_remote_key_redact(const hn_remote_key *key, char *text) {
    if (!key->text || key->n < PREFIX_MIN) return;
    for (char *at = text; *at; at++) {
        size_t n = 0;
        while (n < key->n && at[n] == key->text[n]) n++;
        if (n < PREFIX_MIN) continue;
        memset(at, '*', n);
        at += n - 1;
    }
}

void hn_remote_key_free(hn_remote_key *key) {
    wipe(key->text, key->n);
    *key = (hn_remote_key){0};
}
