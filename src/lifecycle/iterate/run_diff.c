/* Two runs side by side; see run_diff.h. The parts that compare cases are in run_diff_cases.c. */
#include "lifecycle/iterate/run_diff.h"

#include "lifecycle/iterate/run_diff_parts.h"

#include <stdio.h>
#include <string.h>

/* ---- settings ---- */

typedef struct changes {
    json_t *list;
    const hn_tokenizer *tokenizer;
    bool pieces; /* words and tokens too, where both sides have a text */
} changes;

static bool is_text(const char *text) { return text && (strlen(text) > 24 || strchr(text, ' ') || strchr(text, '\n')); }

static hn_status add_pieces(changes *c, json_t *change, const char *a, const char *b, hn_error *err) {
    json_t *pieces = NULL, *tokens = NULL;
    HN_TRY(hn_diff_words_json(a ? a : "", b ? b : "", &pieces, err));
    if (json_object_set_new(change, "pieces", pieces) != 0) return hn_fail_memory(err, 0);
    if (!c->tokenizer) return HN_OK;
    HN_TRY(hn_diff_tokens_json(c->tokenizer, a ? a : "", b ? b : "", &tokens, err));
    return json_object_set_new(change, "tokens", tokens) == 0 ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status add_change(void *user, const char *path, const char *a, const char *b, hn_error *err) {
    changes *c = user;
    json_t *change = json_pack("{s:s, s:s?, s:s?}", "what", path, "a", a, "b", b);
    if (!change) return hn_fail_memory(err, 0);
    hn_status st = c->pieces && (is_text(a) || is_text(b)) ? add_pieces(c, change, a, b, err) : HN_OK;
    if (st == HN_OK && json_array_append(c->list, change) != 0) st = hn_fail_memory(err, 0);
    json_decref(change);
    return st;
}

static hn_status flat_diff(const hn_flat *a, const hn_flat *b, const hn_tokenizer *tokenizer, bool pieces,
                           json_t **list, hn_error *err) {
    changes c = {.list = json_array(), .tokenizer = tokenizer, .pieces = pieces};
    *list = NULL;
    if (!c.list) return hn_fail_memory(err, 0);
    hn_status st = hn_flat_compare(a, b, add_change, &c, err);
    if (st == HN_OK)
        *list = c.list;
    else
        json_decref(c.list);
    return st;
}

typedef hn_status flat_loader(hn_store *store, const hn_run *run, hn_flat *out, hn_error *err);

static hn_status parameters_flat(hn_store *store, const hn_run *run, hn_flat *out, hn_error *err) {
    (void)store;
    return hn_flat_json("parameters", run->spec.parameters_json, out, err);
}

/* One of prompt, scope and parameters, under `key`. */
static hn_status diff_settings(const hn_diff_runs_pair *p, const char *key, flat_loader *load,
                               const hn_tokenizer *tokenizer, bool pieces, json_t *diff, hn_error *err) {
    hn_flat a, b = {0};
    json_t *list = NULL;
    HN_TRY(load(p->store, p->run_a, &a, err));
    hn_status st = load(p->store, p->run_b, &b, err);
    if (st == HN_OK) st = flat_diff(&a, &b, tokenizer, pieces, &list, err);
    if (st == HN_OK && json_object_set_new(diff, key, list) != 0) st = hn_fail_memory(err, 0);
    hn_flat_free(&a);
    hn_flat_free(&b);
    return st;
}

/* What decides answers beside the settings. */
static hn_status diff_identity(const hn_diff_runs_pair *p, json_t *diff, hn_error *err) {
    const hn_run_spec *a = &p->run_a->spec, *b = &p->run_b->spec;
    const struct {
        const char *what, *a, *b;
    } facts[] = {{"prompt", a->prompt_name, b->prompt_name},
                 {"model", a->model_name, b->model_name},
                 {"weights", a->model_hash, b->model_hash},
                 {"template", a->template_hash, b->template_hash},
                 {"numeric path", a->numeric_path, b->numeric_path},
                 {"code version", a->code_version, b->code_version},
                 {"metric", a->metric, b->metric},
                 {"split", a->split, b->split},
                 {"data", a->dataset_hash, b->dataset_hash},
                 {"cases", a->case_set_hash, b->case_set_hash}};
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < sizeof facts / sizeof *facts; i++) {
        if (strcmp(facts[i].a ? facts[i].a : "", facts[i].b ? facts[i].b : "") == 0) continue;
        fine = json_array_append_new(
                   list, json_pack("{s:s, s:s?, s:s?}", "what", facts[i].what, "a", facts[i].a, "b", facts[i].b)) == 0;
    }
    fine = fine && json_object_set(diff, "identity", list) == 0;
    json_decref(list);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

static json_t *run_json(const hn_run *run) {
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)run->id);
    return json_pack("{s:s, s:s?, s:s?, s:s?, s:s, s:I}", "run", name, "prompt", run->spec.prompt_name, "model",
                     run->spec.model_name, "split", run->spec.split, "state", run->state, "n",
                     (json_int_t)run->spec.n_cases);
}

static hn_status make(const hn_diff_setup *s, hn_diff_runs_pair *p, json_t **out, hn_error *err) {
    HN_TRY(hn_run_find(s->store, s->a, &p->run_a, err));
    HN_TRY(hn_run_find(s->store, s->b, &p->run_b, err));
    json_t *diff = json_pack("{s:o, s:o}", "a", run_json(p->run_a), "b", run_json(p->run_b));
    hn_status st = diff ? diff_identity(p, diff, err) : hn_fail_memory(err, 0);
    if (st == HN_OK) st = diff_settings(p, "prompt", hn_run_prompt_flat, s->tokenizer, true, diff, err);
    if (st == HN_OK) st = diff_settings(p, "parameters", parameters_flat, NULL, false, diff, err);
    if (st == HN_OK) st = diff_settings(p, "scope", hn_run_scope_flat, NULL, false, diff, err);
    if (st == HN_OK) st = hn_run_diff_cases(s, p, diff, err);
    if (st == HN_OK)
        *out = diff;
    else
        json_decref(diff);
    return st;
}

hn_status hn_run_diff(const hn_diff_setup *setup, json_t **diff, hn_error *err) {
    hn_diff_runs_pair p = {.store = setup->store};
    *diff = NULL;
    hn_status st = make(setup, &p, diff, err);
    hn_run_free(p.run_a);
    hn_run_free(p.run_b);
    return st;
}
