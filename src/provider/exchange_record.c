/* Exchanges in a folder; see exchange_record.h. What was asked how often is counted in memory, so a replay starts anew with each program. */
#include "provider/exchange_record.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "format/json.h"

#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 64 << 20, ANSWERS_MAX = 1000 };

typedef struct seen {
    char hash[HN_SHA256_HEX];
    size_t n;
} seen;

struct hn_exchange {
    char *dir;
    bool replays;
    seen *seen;
    size_t n_seen, seen_capacity;
};

bool hn_exchange_replays(const hn_exchange *e) { return e && e->replays; }

hn_status hn_exchange_open(const char *record_dir, const char *replay_dir, hn_exchange **out, hn_error *err) {
    *out = NULL;
    if (!record_dir && !replay_dir) return HN_OK;
    if (replay_dir && !hn_file_is_dir(replay_dir))
        return hn_fail(err, HN_ERR_NOT_FOUND, replay_dir, "record one first: HONE_RECORD=DIR",
                       "there is no folder to replay");
    if (!replay_dir) HN_TRY(hn_dir_create(record_dir, err));
    hn_exchange *e = hn_calloc(1, sizeof *e);
    if (e) e->dir = hn_strdup(replay_dir ? replay_dir : record_dir);
    if (!e || !e->dir) {
        hn_free(e);
        return hn_fail_memory(err, 0);
    }
    e->replays = replay_dir != NULL;
    *out = e;
    return HN_OK;
}

void hn_exchange_close(hn_exchange *e) {
    if (!e) return;
    hn_free(e->dir);
    hn_free(e->seen);
    hn_free(e);
}

static hn_status file_of(const hn_exchange *e, const char *path, const char *body, size_t n, char hash[HN_SHA256_HEX],
                         char file[HN_PATH_MAX], hn_error *err) {
    char name[64];
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 0);
    hn_sha256_field_str(h, path);
    hn_sha256_field(h, body, n);
    hn_sha256_finish(h, hash);
    snprintf(name, sizeof name, "%.24s.json", hash);
    return hn_path_join(file, e->dir, name, err);
}

/* How often the request was made before. */
static hn_status count(hn_exchange *e, const char *hash, size_t *n, hn_error *err) {
    for (size_t i = 0; i < e->n_seen; i++) {
        if (strcmp(e->seen[i].hash, hash) != 0) continue;
        *n = e->seen[i].n++;
        return HN_OK;
    }
    if (!hn_grow((void **)&e->seen, &e->seen_capacity, e->n_seen + 1, sizeof *e->seen)) return hn_fail_memory(err, 64);
    e->seen[e->n_seen] = (seen){.n = 1};
    memcpy(e->seen[e->n_seen++].hash, hash, HN_SHA256_HEX);
    *n = 0;
    return HN_OK;
}

static hn_status read_answer(const json_t *value, const char *file, hn_exchange_answer *a, hn_error *err) {
    const json_t *status = json_object_get(value, "status"), *after = json_object_get(value, "retry_after_s"),
                 *body = json_object_get(value, "body");
    if (!json_is_integer(status) || !json_is_string(body))
        return hn_fail(err, HN_ERR_INPUT, file, "record it again", "an answer needs `status` and `body`");
    *a = (hn_exchange_answer){.status = (long)json_integer_value(status),
                              .retry_after_s = json_is_number(after) ? json_number_value(after) : -1,
                              .n = json_string_length(body)};
    a->body = hn_strndup(json_string_value(body), a->n);
    return a->body ? HN_OK : hn_fail_memory(err, a->n);
}

hn_status hn_exchange_find(hn_exchange *e, const char *path, const char *body, size_t n, hn_exchange_answer *answer,
                           hn_error *err) {
    char hash[HN_SHA256_HEX], file[HN_PATH_MAX];
    json_t *value;
    size_t k;
    *answer = (hn_exchange_answer){0};
    HN_TRY(file_of(e, path, body, n, hash, file, err));
    if (!hn_file_exists(file))
        return hn_fail(err, HN_ERR_NOT_FOUND, file, "record it: HONE_RECORD=DIR with the endpoint at hand",
                       "there is no recorded answer to this request to %s", path);
    HN_TRY(hn_json_read(file, FILE_BYTES_MAX, HN_JSON_NUL, &value, err));
    const json_t *answers = json_object_get(value, "answers");
    size_t n_answers = json_array_size(answers);
    hn_status st = n_answers ? count(e, hash, &k, err)
                             : hn_fail(err, HN_ERR_INPUT, file, "record it again", "it holds no answers");
    if (st == HN_OK) st = read_answer(json_array_get(answers, k < n_answers ? k : n_answers - 1), file, answer, err);
    json_decref(value);
    return st;
}

static json_t *answer_json(const hn_exchange_answer *a) {
    json_t *value = json_pack("{s:I}", "status", (json_int_t)a->status);
    bool fine = value != NULL;
    if (fine && a->retry_after_s >= 0)
        fine = json_object_set_new(value, "retry_after_s", json_real(a->retry_after_s)) == 0;
    /* bytes that are no UTF-8 become U+FFFD when it is written */
    if (fine) fine = json_object_set_new(value, "body", json_stringn_nocheck(a->body ? a->body : "", a->n)) == 0;
    if (fine) return value;
    json_decref(value);
    return NULL;
}

hn_status hn_exchange_add(hn_exchange *e, const char *path, const char *body, size_t n,
                          const hn_exchange_answer *answer, hn_error *err) {
    char hash[HN_SHA256_HEX], file[HN_PATH_MAX];
    json_t *value = NULL, *request = NULL;
    size_t k;
    HN_TRY(file_of(e, path, body, n, hash, file, err));
    HN_TRY(count(e, hash, &k, err));
    if (k > 0 && hn_file_exists(file)) HN_TRY(hn_json_read(file, FILE_BYTES_MAX, HN_JSON_NUL, &value, err));
    if (!value) {
        if (hn_json_parse(body, n, "request", HN_JSON_NUL, &request, NULL) != HN_OK) request = json_null();
        value = json_pack("{s:s, s:o, s:[]}", "path", path, "request", request, "answers");
    }
    json_t *answers = json_object_get(value, "answers");
    bool fine =
        value && json_array_size(answers) < ANSWERS_MAX && json_array_append_new(answers, answer_json(answer)) == 0;
    hn_status st =
        fine ? hn_json_save(file, value, &(hn_json_style){.indent = 2}, err) : hn_fail_memory(err, answer->n);
    json_decref(value);
    return st;
}
