/* Cases of two runs side by side: which are in the data of one only, or changed, or moved to another split; and whose answers differ. Texts come from the
 * data as it was (kept_project.h), or as it is now where that is the same. */
#include "lifecycle/iterate/run_diff_parts.h"

#include "lifecycle/iterate/kept_project.h"

#include <stdlib.h>
#include <string.h>

typedef struct sides {
    hn_kept_project kept_a, kept_b;
    const hn_dataset *data_a, *data_b; /* NULL: no longer known */
    hn_prediction_list list_a, list_b;
} sides;

static bool same(const char *a, const char *b) { return strcmp(a ? a : "", b ? b : "") == 0; }

/* ---- data ---- */

static const char *const how_names[] = {"added", "removed", "changed", "moved"};
enum { ADDED, REMOVED, CHANGED, MOVED, N_HOW };

typedef struct data_diff {
    json_t *cases;
    json_int_t n[N_HOW];
} data_diff;

static json_t *case_text_json(const hn_case *c, hn_error *err) {
    hn_buf text;
    if (!c) return json_null();
    hn_buf_init(&text, 0);
    json_t *made = NULL;
    if (hn_case_text(c, &text, err) == HN_OK && hn_buf_check(&text, "a case's text", err) == HN_OK)
        made = json_stringn_nocheck(hn_buf_str(&text), text.len);
    hn_buf_free(&text);
    return made;
}

/* One side of a case: {"text","target","split"}; null where it is not there. */
static json_t *side_json(const hn_case *c, hn_error *err) {
    if (!c) return json_null();
    json_t *text = case_text_json(c, err);
    return text ? json_pack("{s:o, s:s?, s:s}", "text", text, "target", c->target, "split", hn_split_name(c->split))
                : NULL;
}

static hn_status add_case(data_diff *d, int how, const hn_case *a, const hn_case *b, hn_error *err) {
    d->n[how]++;
    json_t *row = json_pack("{s:s, s:s, s:o, s:o}", "case", a ? a->id : b->id, "how", how_names[how], "a",
                            side_json(a, err), "b", side_json(b, err));
    return row && json_array_append_new(d->cases, row) == 0 ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status diff_datasets(const hn_dataset *x, const hn_dataset *y, data_diff *d, hn_error *err) {
    for (size_t i = 0; i < x->n_cases; i++) {
        const hn_case *a = &x->cases[i], *b = hn_dataset_find(y, a->id);
        if (!b)
            HN_TRY(add_case(d, REMOVED, a, NULL, err));
        else if (a->input_hash != b->input_hash || !same(a->target, b->target) || !same(a->group, b->group))
            HN_TRY(add_case(d, CHANGED, a, b, err));
        else if (a->split != b->split)
            HN_TRY(add_case(d, MOVED, a, b, err));
    }
    for (size_t i = 0; i < y->n_cases; i++)
        if (!hn_dataset_find(x, y->cases[i].id)) HN_TRY(add_case(d, ADDED, NULL, &y->cases[i], err));
    return HN_OK;
}

static hn_status diff_data(const hn_diff_runs_pair *p, const sides *s, json_t *diff, hn_error *err) {
    bool equal = same(p->run_a->spec.dataset_hash, p->run_b->spec.dataset_hash) &&
                 same(p->run_a->spec.scope_hash, p->run_b->spec.scope_hash);
    bool known = equal || (s->data_a && s->data_b);
    data_diff d = {.cases = json_array()};
    hn_status st = d.cases ? HN_OK : hn_fail_memory(err, 0);
    if (st == HN_OK && known && !equal) st = diff_datasets(s->data_a, s->data_b, &d, err);
    if (st == HN_OK) {
        json_t *data =
            json_pack("{s:b, s:b, s:I, s:I, s:I, s:I, s:O}", "same", equal, "known", known, "added", d.n[ADDED],
                      "removed", d.n[REMOVED], "changed", d.n[CHANGED], "moved", d.n[MOVED], "cases", d.cases);
        if (!data || json_object_set_new(diff, "data", data) != 0) st = hn_fail_memory(err, 0);
    }
    json_decref(d.cases);
    return st;
}

/* ---- answers ---- */

typedef struct pairing {
    const hn_prediction **index; /* A's rows by case */
    size_t n;
    double tokens_a, tokens_b; /* of the prompts, summed over the shared cases */
    json_int_t n_shared, n_won, n_lost, n_other;
} pairing;

static int by_case(const void *a, const void *b) {
    const hn_prediction *const *x = a, *const *y = b;
    return strcmp((*x)->case_id, (*y)->case_id);
}

/* Also of bytes that are no UTF-8, as a model may write them: they are shown as U+FFFD. */
static json_t *text_or_null(const char *text) { return text ? json_stringn_nocheck(text, strlen(text)) : json_null(); }

static json_t *answer_json(const hn_prediction *p) {
    double best = -1;
    for (size_t i = 0; p->probabilities && i < p->n_probabilities; i++)
        if (p->probabilities[i] > best) best = p->probabilities[i];
    return json_pack("{s:o, s:b, s:o, s:o}", "answer", text_or_null(p->value), "right", p->correct, "probability",
                     best >= 0 ? json_real(best) : json_null(), "error", text_or_null(p->error));
}

static hn_status add_answer(const hn_dataset *data, const hn_prediction *a, const hn_prediction *b, json_t *list,
                            hn_error *err) {
    const hn_case *c = data ? hn_dataset_find(data, b->case_id) : NULL;
    json_t *text = case_text_json(c, err);
    json_t *row = text ? json_pack("{s:s, s:o, s:s?, s:o, s:o}", "case", b->case_id, "text", text, "target", b->target,
                                   "a", answer_json(a), "b", answer_json(b))
                       : NULL;
    return row && json_array_append_new(list, row) == 0 ? HN_OK : hn_fail_memory(err, 0);
}

/* Cases that became right or wrong come first, those whose wrong answer is another now after them. */
static hn_status add_answers(const sides *s, const pairing *p, bool sides_changed, json_t *list, hn_error *err) {
    for (size_t i = 0; i < s->list_b.n; i++) {
        const hn_prediction *b = &s->list_b.rows[i];
        const hn_prediction **a = bsearch(&b, p->index, s->list_a.n, sizeof *p->index, by_case);
        bool changed = a && ((*a)->correct != b->correct || !same((*a)->value, b->value));
        if (!changed || sides_changed != ((*a)->correct != b->correct)) continue;
        HN_TRY(add_answer(s->data_b ? s->data_b : s->data_a, *a, b, list, err));
    }
    return HN_OK;
}

static hn_status diff_rows(const sides *s, pairing *p, json_t *list, hn_error *err) {
    for (size_t i = 0; i < s->list_a.n; i++) p->index[i] = &s->list_a.rows[i];
    qsort(p->index, s->list_a.n, sizeof *p->index, by_case);
    for (size_t i = 0; i < s->list_b.n; i++) {
        const hn_prediction *b = &s->list_b.rows[i];
        const hn_prediction **a = bsearch(&b, p->index, s->list_a.n, sizeof *p->index, by_case);
        if (!a) continue;
        p->n_shared++;
        p->tokens_a += (double)(*a)->prompt_tokens;
        p->tokens_b += (double)b->prompt_tokens;
        if (same((*a)->value, b->value) && (*a)->correct == b->correct) continue;
        p->n_won += b->correct && !(*a)->correct;
        p->n_lost += !b->correct && (*a)->correct;
        p->n_other += b->correct == (*a)->correct;
    }
    HN_TRY(add_answers(s, p, true, list, err));
    return add_answers(s, p, false, list, err);
}

static hn_status diff_answers(const sides *s, json_t *diff, hn_error *err) {
    json_t *list = json_array();
    pairing p = {.index = hn_alloc((s->list_a.n + 1) * sizeof *p.index)};
    hn_status st = list && p.index ? diff_rows(s, &p, list, err) : hn_fail_memory(err, s->list_a.n * sizeof *p.index);
    double n = p.n_shared ? (double)p.n_shared : 1;
    if (st == HN_OK) {
        json_t *answers = json_pack("{s:I, s:I, s:I, s:I, s:O}", "shared", p.n_shared, "won", p.n_won, "lost", p.n_lost,
                                    "other", p.n_other, "cases", list);
        json_t *length = p.n_shared ? json_pack("{s:f, s:f}", "a", p.tokens_a / n, "b", p.tokens_b / n) : json_null();
        if (!answers || !length || json_object_set(diff, "answers", answers) != 0 ||
            json_object_set(diff, "prompt_tokens_per_case", length) != 0)
            st = hn_fail_memory(err, 0);
        json_decref(answers);
        json_decref(length);
    }
    hn_free(p.index);
    json_decref(list);
    return st;
}

static hn_status load(const hn_diff_setup *setup, const hn_diff_runs_pair *p, sides *s, hn_error *err) {
    HN_TRY(hn_prediction_load(p->store, p->run_a->id, &s->list_a, err));
    HN_TRY(hn_prediction_load(p->store, p->run_b->id, &s->list_b, err));
    HN_TRY(hn_kept_dataset(p->store, p->run_b, setup->today, setup->today_scope_hash, &s->kept_b, &s->data_b, err));
    return hn_kept_dataset(p->store, p->run_a, s->data_b ? s->data_b : setup->today,
                           s->data_b ? p->run_b->spec.scope_hash : setup->today_scope_hash, &s->kept_a, &s->data_a,
                           err);
}

hn_status hn_run_diff_cases(const hn_diff_setup *setup, const hn_diff_runs_pair *pair, json_t *diff, hn_error *err) {
    sides s = {0};
    hn_status st = load(setup, pair, &s, err);
    if (st == HN_OK) st = diff_data(pair, &s, diff, err);
    if (st == HN_OK) st = diff_answers(&s, diff, err);
    hn_prediction_list_free(&s.list_a);
    hn_prediction_list_free(&s.list_b);
    hn_kept_close(&s.kept_a);
    hn_kept_close(&s.kept_b);
    return st;
}
