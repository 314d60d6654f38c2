/* Leakage; see audit_leaks.h. */
#include "lifecycle/scope/audit_leaks.h"

#include "base/hash.h"
#include "lifecycle/scope/audit_parts.h"
#include "text/same_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Raised when what counts as a leak changes, so that kept answers are not taken for new ones. */
static const char LEAKS_VERSION[] = "leaks-1";
enum { FREE_TEXT_BYTES = 40, FIX_ROUNDS_MAX = 50 };

bool hn_audit_same_target(const hn_case *a, const hn_case *b) {
    if (!a->target || !b->target) return true;
    if (strcmp(a->target, b->target) == 0) return true;
    if (a->label >= 0 && b->label >= 0) return a->label == b->label;
    hn_str x = hn_str_of(a->target), y = hn_str_of(b->target);
    if (x.len > FREE_TEXT_BYTES || y.len > FREE_TEXT_BYTES) return true; /* free text: no two are worded alike */
    hn_buf p, q;
    hn_buf_init(&p, 0);
    hn_buf_init(&q, 0);
    hn_same_text(x, &p);
    hn_same_text(y, &q);
    bool same = p.len == q.len && memcmp(hn_buf_str(&p), hn_buf_str(&q), p.len) == 0;
    hn_buf_free(&p);
    hn_buf_free(&q);
    return same;
}

/* ---- finding ---- */

typedef struct leak_work {
    const hn_dataset *d;
    const unsigned char *left_out;
    hn_leak *by_case; /* (n_cases) c NULL: none */
    unsigned char *drop;
} leak_work;

static void put(leak_work *w, hn_leak_kind kind, const hn_case *c, const hn_case *other, double similarity) {
    hn_leak *leak = &w->by_case[c - w->d->cases];
    if (!leak->c) *leak = (hn_leak){kind, c, other, similarity};
}

/* Cases that belong together (`rows`): those behind the earliest split leak, all before the latest are to go. */
static void put_run(leak_work *w, hn_leak_kind kind, const uint32_t *rows, size_t n) {
    const hn_case *first[HN_SPLIT_COUNT] = {0};
    hn_split last = HN_SPLIT_TRAIN;
    for (size_t i = 0; i < n; i++) {
        const hn_case *c = &w->d->cases[rows[i]];
        if (!first[c->split]) first[c->split] = c;
        if (c->split > last) last = c->split;
    }
    for (size_t i = 0; i < n; i++) {
        const hn_case *c = &w->d->cases[rows[i]], *other = NULL;
        for (hn_split s = HN_SPLIT_TRAIN; s < c->split && !other; s++) other = first[s];
        if (other) put(w, kind, c, other, 1);
        if (c->split < last) w->drop[rows[i]] = 1;
    }
}

static void put_near(leak_work *w, const hn_near_list *near) {
    for (size_t i = 0; i < near->n; i++) {
        const hn_case *a = &w->d->cases[near->pairs[i].a], *b = &w->d->cases[near->pairs[i].b];
        if (near->pairs[i].similarity < HN_LEAK_SIMILARITY || a->split == b->split || !hn_audit_same_target(a, b))
            continue;
        const hn_case *later = a->split > b->split ? a : b, *earlier = later == a ? b : a;
        put(w, HN_LEAK_NEAR, later, earlier, near->pairs[i].similarity);
        w->drop[earlier - w->d->cases] = 1;
    }
}

typedef struct grouped {
    const char *group;
    uint32_t row;
} grouped;

static int by_group(const void *a, const void *b) {
    const grouped *x = a, *y = b;
    int order = strcmp(x->group, y->group);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

static hn_status put_groups(leak_work *w, hn_error *err) {
    grouped *rows = hn_calloc(w->d->n_cases + 1, sizeof *rows);
    uint32_t *run = hn_calloc(w->d->n_cases + 1, sizeof *run);
    size_t n = 0;
    for (size_t i = 0; rows && i < w->d->n_cases; i++)
        if (w->d->cases[i].group && !(w->left_out && w->left_out[i]))
            rows[n++] = (grouped){w->d->cases[i].group, (uint32_t)i};
    if (rows) qsort(rows, n, sizeof *rows, by_group);
    for (size_t i = 0, end; rows && run && i < n; i = end) {
        for (end = i + 1; end < n && strcmp(rows[end].group, rows[i].group) == 0;) end++;
        for (size_t k = i; k < end; k++) run[k - i] = rows[k].row;
        if (end - i > 1) put_run(w, HN_LEAK_GROUP, run, end - i);
    }
    bool fine = rows && run;
    hn_free(rows);
    hn_free(run);
    return fine ? HN_OK : hn_fail_memory(err, w->d->n_cases * sizeof *rows);
}

hn_status hn_leaks_collect(const hn_dataset *d, const unsigned char *left_out, const hn_copies *exact,
                           const hn_near_list *near, hn_leaks *leaks, hn_error *err) {
    leak_work w = {d, left_out, hn_calloc(d->n_cases + 1, sizeof *w.by_case), hn_calloc(d->n_cases + 1, 1)};
    *leaks = (hn_leaks){.near_searched = near != NULL};
    hn_status st = w.by_case && w.drop ? HN_OK : hn_fail_memory(err, d->n_cases * sizeof *w.by_case);
    for (size_t r = 0; st == HN_OK && r < exact->n_runs; r++)
        put_run(&w, HN_LEAK_EXACT, exact->rows + exact->starts[r], exact->starts[r + 1] - exact->starts[r]);
    if (st == HN_OK && near) put_near(&w, near);
    if (st == HN_OK) st = put_groups(&w, err);
    for (size_t i = 0; st == HN_OK && i < d->n_cases; i++) {
        if (!w.by_case[i].c) continue;
        leaks->count[w.by_case[i].kind]++;
        w.by_case[leaks->n++] = w.by_case[i];
    }
    leaks->items = w.by_case;
    leaks->drop = w.drop;
    if (st != HN_OK) hn_leaks_free(leaks);
    return st;
}

static hn_status find_in(const hn_audit_texts *texts, const unsigned char *left_out, hn_leaks *leaks, hn_error *err) {
    hn_copies exact = {0};
    hn_near_list near = {0};
    bool with_near = texts->n <= HN_LEAK_NEAR_MAX;
    hn_status st = hn_copies_exact(texts, left_out, &exact, err);
    if (st == HN_OK && with_near) st = hn_copies_near(texts, left_out, HN_LEAK_SIMILARITY, &near, err);
    if (st == HN_OK) st = hn_leaks_collect(texts->dataset, left_out, &exact, with_near ? &near : NULL, leaks, err);
    hn_copies_free(&exact);
    hn_near_list_free(&near);
    return st;
}

hn_status hn_leaks_find(const hn_dataset *dataset, const unsigned char *left_out, hn_leaks *leaks, hn_error *err) {
    hn_audit_texts texts;
    *leaks = (hn_leaks){0};
    HN_TRY(hn_audit_texts_make(dataset, &texts, err));
    hn_status st = find_in(&texts, left_out, leaks, err);
    hn_audit_texts_free(&texts);
    return st;
}

void hn_leaks_free(hn_leaks *leaks) {
    hn_free(leaks->items);
    hn_free(leaks->drop);
    *leaks = (hn_leaks){0};
}

/* ---- saying it ---- */

hn_status hn_leaks_fail(const hn_leaks *leaks, hn_status code, hn_error *err) {
    static const char *const how[] = {"is", "is nearly", "has the group of"};
    char rows[440] = "";
    size_t at = 0;
    for (size_t i = 0; i < leaks->n && i < 3; i++) {
        const hn_leak *l = &leaks->items[i];
        int n = snprintf(rows + at, sizeof rows - at, "%s%.60s:%d (%s) %s %.60s:%d (%s)", i ? "; " : "", l->c->file,
                         l->c->line, hn_split_name(l->c->split), how[l->kind], l->other->file, l->other->line,
                         hn_split_name(l->other->split));
        if (n > 0 && at + (size_t)n < sizeof rows) at += (size_t)n;
    }
    return hn_fail(
        err, code, "data",
        "`hone scope --fix` leaves out the copies in the earlier split (listed in excluded.csv; your data stay as they "
        "are); to measure all the same: --allow-leakage",
        "%zu case%s of dev or test also stand%s in an earlier split: %s%s", leaks->n, leaks->n == 1 ? "" : "s",
        leaks->n == 1 ? "s" : "", rows, leaks->n > 3 ? "; ..." : "");
}

/* ---- kept in the store ---- */

static hn_status make_key(const hn_dataset *d, char key[HN_SHA256_HEX], hn_error *err) {
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 0);
    hn_sha256_field_str(h, LEAKS_VERSION);
    hn_sha256_field_str(h, d->hash);
    for (size_t i = 0; i < d->n_cases; i++) {
        const hn_case *c = &d->cases[i];
        hn_sha256_field(h, &c->input_hash, sizeof c->input_hash);
        hn_sha256_field_i64(h, c->split);
        hn_sha256_field_str(h, c->group);
        hn_sha256_field_str(h, c->target);
        hn_sha256_field_str(h, c->file);
        hn_sha256_field_i64(h, c->line);
    }
    hn_sha256_finish(h, key);
    return HN_OK;
}

/* False: nothing usable is kept. */
static bool read_kept(const json_t *kept, size_t *n, hn_error *err) {
    json_int_t count;
    const char *message, *hint;
    if (json_unpack((json_t *)kept, "{s:I, s:s, s:s}", "n", &count, "message", &message, "hint", &hint) != 0 ||
        count < 0)
        return false;
    *n = (size_t)count;
    if (count > 0) hn_fail(err, HN_ERR_INPUT, "data", hint, "%s", message);
    return true;
}

hn_status hn_leaks_check(const hn_dataset *dataset, hn_store *store, size_t *n, hn_error *err) {
    char key[HN_SHA256_HEX];
    json_t *kept = NULL;
    hn_leaks leaks;
    hn_error said = {0};
    HN_TRY(make_key(dataset, key, err));
    if (store) HN_TRY(hn_cache_get(store, key, &kept, err));
    bool known = kept && read_kept(kept, n, err);
    json_decref(kept);
    if (known) return HN_OK;
    HN_TRY(hn_leaks_find(dataset, NULL, &leaks, err));
    *n = leaks.n;
    if (leaks.n) hn_leaks_fail(&leaks, HN_ERR_INPUT, &said);
    hn_leaks_free(&leaks);
    hn_status st = HN_OK;
    if (store && !hn_store_is_read_only(store)) {
        json_t *value = json_pack("{s:I, s:s, s:s}", "n", (json_int_t)*n, "message", said.message, "hint", said.hint);
        const char *keys = key;
        st = value ? hn_cache_put(store, &keys, &value, 1, err) : hn_fail_memory(err, 0);
        json_decref(value);
    }
    if (st == HN_OK && *n && err) *err = said;
    return st;
}

/* ---- the remedy ---- */

static size_t mark(const hn_dataset *d, const hn_leaks *leaks, unsigned char *left_out, hn_leak *why) {
    size_t n = 0;
    for (size_t i = 0; i < d->n_cases; i++) {
        if (!leaks->drop[i] || left_out[i]) continue;
        left_out[i] = 1;
        n++;
    }
    for (size_t i = 0; why && i < leaks->n; i++) {
        const hn_leak *l = &leaks->items[i];
        hn_leak *entry = &why[l->other - d->cases];
        if (!entry->c) *entry = (hn_leak){l->kind, l->other, l->c, l->similarity};
    }
    return n;
}

hn_status hn_leaks_fix(const hn_dataset *dataset, unsigned char *left_out, hn_leak *why, size_t *n_added,
                       hn_error *err) {
    hn_audit_texts texts;
    *n_added = 0;
    HN_TRY(hn_audit_texts_make(dataset, &texts, err));
    hn_status st = HN_OK;
    for (int round = 0; st == HN_OK && round < FIX_ROUNDS_MAX; round++) {
        hn_leaks leaks;
        st = find_in(&texts, left_out, &leaks, err);
        if (st != HN_OK) break;
        size_t added = mark(dataset, &leaks, left_out, why);
        hn_leaks_free(&leaks);
        *n_added += added;
        if (!added) break;
    }
    hn_audit_texts_free(&texts);
    return st;
}
