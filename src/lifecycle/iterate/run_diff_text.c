/* Texts side by side as JSON, and a run's files as flat settings; see run_diff.h. */
#include "lifecycle/iterate/run_diff.h"

#include "text/sequence_diff.h"

#include <stdio.h>
#include <string.h>

static const char *const ops[] = {"same", "removed", "added"};

/* Invalid UTF-8 (half a character in a token) becomes U+FFFD when it is written. */
static bool add_piece(json_t *list, hn_diff_kind kind, const char *text, size_t n) {
    json_t *piece = json_pack("{s:s, s:o}", "op", ops[kind], "text", json_stringn_nocheck(text, n));
    return piece && json_array_append_new(list, piece) == 0;
}

hn_status hn_diff_words_json(const char *a, const char *b, json_t **pieces, hn_error *err) {
    hn_diff_runs runs;
    *pieces = NULL;
    HN_TRY(hn_diff_words(a, b, &runs, err));
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < runs.n; i++) {
        const hn_diff_run *r = &runs.rows[i];
        fine = add_piece(list, r->kind, r->kind == HN_DIFF_ADDED ? b + r->b : a + r->a, r->n);
    }
    hn_free(runs.rows);
    if (!fine) {
        json_decref(list);
        return hn_fail_memory(err, strlen(a));
    }
    *pieces = list;
    return HN_OK;
}

static hn_status tokens_of(const hn_tokenizer *t, const char *text, hn_tokens *ids, uint64_t **units, hn_error *err) {
    HN_TRY(hn_tokenizer_encode(t, text, strlen(text), 0, ids, err));
    *units = hn_alloc((ids->n + 1) * sizeof **units);
    if (!*units) return hn_fail_memory(err, ids->n * sizeof **units);
    for (size_t i = 0; i < ids->n; i++) (*units)[i] = (uint64_t)(uint32_t)ids->ids[i];
    return HN_OK;
}

static bool add_token_run(json_t *list, const hn_tokenizer *t, const hn_diff_run *r, const hn_tokens *a,
                          const hn_tokens *b) {
    const int32_t *ids = r->kind == HN_DIFF_ADDED ? b->ids + r->b : a->ids + r->a;
    json_t *texts = json_array();
    bool fine = texts != NULL;
    for (size_t i = 0; fine && i < r->n; i++) {
        hn_str piece = hn_tokenizer_piece(t, ids[i]);
        fine = json_array_append_new(texts, json_stringn_nocheck(piece.data ? piece.data : "", piece.len)) == 0;
    }
    json_t *run = fine ? json_pack("{s:s, s:O}", "op", ops[r->kind], "tokens", texts) : NULL;
    json_decref(texts);
    return run && json_array_append_new(list, run) == 0;
}

hn_status hn_diff_tokens_json(const hn_tokenizer *t, const char *a, const char *b, json_t **tokens, hn_error *err) {
    hn_tokens ids_a = {0}, ids_b = {0};
    uint64_t *units_a = NULL, *units_b = NULL;
    hn_diff_runs runs = {0};
    json_t *list = json_array();
    *tokens = NULL;
    hn_status st = list ? tokens_of(t, a, &ids_a, &units_a, err) : hn_fail_memory(err, 0);
    if (st == HN_OK) st = tokens_of(t, b, &ids_b, &units_b, err);
    if (st == HN_OK) st = hn_diff_units(units_a, ids_a.n, units_b, ids_b.n, NULL, &runs, err);
    bool fine = st == HN_OK;
    for (size_t i = 0; fine && i < runs.n; i++) fine = add_token_run(list, t, &runs.rows[i], &ids_a, &ids_b);
    if (fine)
        *tokens = json_pack("{s:I, s:I, s:O}", "a", (json_int_t)ids_a.n, "b", (json_int_t)ids_b.n, "pieces", list);
    if (st == HN_OK && !*tokens) st = hn_fail_memory(err, 0);
    json_decref(list);
    hn_free(runs.rows);
    hn_free(units_a);
    hn_free(units_b);
    hn_tokens_free(&ids_a);
    hn_tokens_free(&ids_b);
    return st;
}

static hn_status flat_object(hn_store *store, const char *object, const char *name, hn_flat *out, hn_error *err) {
    char *text;
    size_t n;
    if (!object || !*object) return hn_flat_json(name, "", out, err);
    hn_status st = hn_object_get(store, object, &text, &n, err);
    if (st == HN_ERR_NOT_FOUND) return hn_flat_json(name, "", out, err);
    HN_TRY(st);
    st = hn_flat_yaml(name, text, n, out, err);
    hn_free(text);
    return st;
}

/* "messages[1].user" becomes "user message", the second of its kind "user message 2": a message put in front moves no other. */
static hn_status name_messages(hn_flat *flat, hn_error *err) {
    for (size_t i = 0; i < flat->n; i++) {
        const char *path = flat->rows[i].path, *role = strstr(path, "].");
        if (strncmp(path, "messages[", 9) != 0 || !role || strpbrk(role + 2, ".[")) continue;
        char name[160];
        for (size_t seen = 1;; seen++) {
            if (seen == 1)
                snprintf(name, sizeof name, "%.100s message", role + 2);
            else
                snprintf(name, sizeof name, "%.100s message %zu", role + 2, seen);
            if (!hn_flat_find(flat, name)) break;
        }
        flat->rows[i].path = hn_arena_strdup(flat->arena, name);
        if (!flat->rows[i].path) return hn_fail_memory(err, sizeof name);
    }
    return HN_OK;
}

hn_status hn_run_prompt_flat(hn_store *store, const hn_run *run, hn_flat *out, hn_error *err) {
    const char *name = run->spec.prompt_name ? run->spec.prompt_name : "prompt";
    HN_TRY(flat_object(store, run->spec.prompt_object, name, out, err));
    hn_status st = name_messages(out, err);
    if (st != HN_OK) hn_flat_free(out);
    return st;
}

hn_status hn_run_scope_flat(hn_store *store, const hn_run *run, hn_flat *out, hn_error *err) {
    return flat_object(store, run->spec.scope_object, "hone.yaml", out, err);
}
