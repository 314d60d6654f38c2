/* The audit of labels and of lengths: spellings, labels that a split lacks, balance, cases that no prompt has room for. */
#include "lifecycle/scope/audit_parts.h"

#include "base/hash.h"
#include "text/same_text.h"

#include <stdlib.h>
#include <string.h>

/* The commonest label may be so many times as frequent as the rarest before it is worth a word. */
static const double IMBALANCE = 20;
enum { SPELLINGS_MAX = 20000 };

/* ---- labels that differ in case or blanks only ---- */

typedef struct spelling {
    uint64_t key;
    const char *target;
    const hn_case *c;
    size_t n;
} spelling;

static int by_target(const void *a, const void *b) {
    const spelling *x = a, *y = b;
    int order = strcmp(x->target, y->target);
    return order ? order : (x->c > y->c) - (x->c < y->c);
}

/* The same key side by side, the commonest spelling first. */
static int by_spelling_key(const void *a, const void *b) {
    const spelling *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    if (x->n != y->n) return x->n < y->n ? 1 : -1;
    return strcmp(x->target, y->target);
}

/* Different targets with their counts and first cases; returns how many. */
static size_t count_targets(const hn_dataset *d, spelling *all) {
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < d->n_cases; i++)
        if (d->cases[i].target) all[n++] = (spelling){0, d->cases[i].target, &d->cases[i], 1};
    qsort(all, n, sizeof *all, by_target);
    for (size_t i = 0; i < n; i++) {
        if (kept && strcmp(all[kept - 1].target, all[i].target) == 0)
            all[kept - 1].n++;
        else
            all[kept++] = all[i];
    }
    return kept;
}

static hn_status find_spellings(const hn_dataset *d, hn_audit *audit, hn_error *err) {
    spelling *all = hn_calloc(d->n_cases + 1, sizeof *all);
    if (!all) return hn_fail_memory(err, d->n_cases * sizeof *all);
    size_t n = count_targets(d, all);
    hn_status st = HN_OK;
    hn_buf form;
    hn_buf_init(&form, 0);
    if (n > SPELLINGS_MAX || n == d->n_cases) n = 0; /* free text, or all different: no labels */
    for (size_t i = 0; i < n && st == HN_OK; i++) {
        hn_buf_clear(&form);
        hn_same_text(hn_str_of(all[i].target), &form);
        st = hn_buf_check(&form, "a target", err);
        all[i].key = hn_hash64(hn_buf_str(&form), form.len, 0);
    }
    qsort(all, n, sizeof *all, by_spelling_key);
    for (size_t i = 1, first = 0; i < n && st == HN_OK; i++) {
        if (all[i].key != all[first].key) {
            first = i;
            continue;
        }
        st = hn_audit_add(audit, HN_AUDIT_LABEL_SPELLING, all[i].c, err,
                          "`%.60s` (%zu case%s) differs from `%.60s` (%zu) in case, blanks or punctuation only",
                          all[i].target, all[i].n, all[i].n == 1 ? "" : "s", all[first].target, all[first].n);
    }
    hn_buf_free(&form);
    hn_free(all);
    return st;
}

/* ---- how labels are spread ---- */

static hn_status find_gaps(const hn_scope *s, const hn_dataset *d, hn_audit *audit, hn_error *err) {
    size_t n_labels = s->contract.n_labels, in_split[HN_SPLIT_COUNT] = {0};
    size_t *counts = hn_calloc(n_labels + 1, HN_SPLIT_COUNT * sizeof *counts);
    if (!counts) return hn_fail_memory(err, n_labels * sizeof *counts);
    for (size_t i = 0; i < d->n_cases; i++) {
        const hn_case *c = &d->cases[i];
        in_split[c->split]++;
        if (c->label >= 0 && (size_t)c->label < n_labels) counts[c->label * HN_SPLIT_COUNT + (int)c->split]++;
    }
    hn_status st = HN_OK;
    size_t most = 0, least = 0, total[2] = {0, SIZE_MAX};
    for (size_t l = 0; l < n_labels && st == HN_OK; l++) {
        const size_t *own = counts + l * HN_SPLIT_COUNT;
        size_t all = own[0] + own[1] + own[2];
        if (all > total[0]) total[0] = all, most = l;
        if (all < total[1]) total[1] = all, least = l;
        if (in_split[HN_SPLIT_TRAIN] && !own[HN_SPLIT_TRAIN])
            st = hn_audit_add(audit, HN_AUDIT_NO_TRAIN, NULL, err, "`%.100s`: %zu cases, none in train",
                              s->contract.labels[l], all);
        if (st == HN_OK && in_split[HN_SPLIT_DEV] && !own[HN_SPLIT_DEV])
            st = hn_audit_add(audit, HN_AUDIT_NO_DEV, NULL, err, "`%.100s`: %zu cases, none in dev",
                              s->contract.labels[l], all);
    }
    if (st == HN_OK && n_labels && total[1] > 0 && (double)total[0] > IMBALANCE * (double)total[1])
        st = hn_audit_add(audit, HN_AUDIT_IMBALANCE, NULL, err, "`%.60s` has %zu cases, `%.60s` has %zu",
                          s->contract.labels[most], total[0], s->contract.labels[least], total[1]);
    hn_free(counts);
    return st;
}

hn_status hn_audit_labels(const hn_audit_setup *setup, hn_audit *audit, hn_error *err) {
    if (setup->scope->contract.kind != HN_CONTRACT_NUMBER && setup->scope->contract.kind != HN_CONTRACT_JSON)
        HN_TRY(find_spellings(setup->dataset, audit, err));
    return setup->scope->contract.kind == HN_CONTRACT_CHOICE ? find_gaps(setup->scope, setup->dataset, audit, err)
                                                             : HN_OK;
}

/* ---- what fits the model ---- */

hn_status hn_audit_lengths(const hn_audit_setup *setup, hn_audit *audit, hn_error *err) {
    if (!setup->tokens || setup->context <= 0) return HN_OK;
    for (size_t i = 0; i < setup->dataset->n_cases; i++) {
        const hn_audit_prompt *worst = NULL;
        int n = setup->tokens[i], over = 0;
        for (size_t p = 0; p < setup->n_prompts; p++) {
            const hn_audit_prompt *prompt = &setup->prompts[p];
            if (n + prompt->overhead + prompt->answer - setup->context <= over) continue;
            over = n + prompt->overhead + prompt->answer - setup->context;
            worst = prompt;
        }
        if (worst)
            HN_TRY(hn_audit_add(audit, HN_AUDIT_TOO_LONG, &setup->dataset->cases[i], err,
                                "%d tokens, and about %d around them in %.80s: %d more than the model's %d", n,
                                worst->overhead + worst->answer, worst->name, over, setup->context));
        else if (!setup->n_prompts && n > setup->context)
            HN_TRY(hn_audit_add(audit, HN_AUDIT_TOO_LONG, &setup->dataset->cases[i], err,
                                "%d tokens alone, the model's window has %d", n, setup->context));
    }
    return HN_OK;
}
