/* The data audit, put together; see audit.h. What each finding means stands in one table here. */
#include "lifecycle/scope/audit_parts.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct meaning {
    hn_audit_level level;
    const char *name, *title, *why, *fix;
} meaning;

static const meaning meanings[HN_AUDIT_KINDS] = {
    [HN_AUDIT_LEAK_EXACT] =
        {HN_AUDIT_STOP, "leak_exact", "cases of dev or test that stand in an earlier split, too",
         "what was trained on, or shown as an example, is no test: results look better than they are",
         "`hone scope --fix` leaves out the copy in the earlier split"},
    [HN_AUDIT_LEAK_NEAR] = {HN_AUDIT_STOP, "leak_near", "cases of dev or test that nearly stand in an earlier split",
                            "the same case in slightly other words is no test either",
                            "`hone scope --fix` leaves out the copy in the earlier split"},
    [HN_AUDIT_LEAK_GROUP] =
        {HN_AUDIT_STOP, "leak_group", "cases whose group stands in an earlier split, too",
         "cases of one group know of each other: results look better than they are",
         "`hone scope --fix` leaves out the group's cases in the earlier split; or give all cases as one `file`"},
    [HN_AUDIT_CONTRADICTION] =
        {HN_AUDIT_WARN, "contradiction", "cases with the same text and different targets",
         "at least one of the targets is wrong, or the inputs lack what decides: no model can get both right",
         "correct the targets, or add the column that makes the difference to `input`"},
    [HN_AUDIT_NEAR_CONTRADICTION] = {HN_AUDIT_WARN, "near_contradiction",
                                     "cases with nearly the same text and different targets",
                                     "one of the targets may be wrong",
                                     "read them side by side; correct the targets where they are wrong"},
    [HN_AUDIT_LABEL_SPELLING] = {HN_AUDIT_WARN, "label_spelling", "targets that differ in spelling only",
                                 "one class counts as two, and answers in the other spelling as wrong",
                                 "write it one way, in the data and in hone.yaml"},
    [HN_AUDIT_LABEL_ERROR] = {HN_AUDIT_WARN, "label_error", "targets that the other cases speak against",
                              "a classifier that learnt from the other cases is sure of another label; wrong targets "
                              "cap what any model can reach",
                              "read them, and correct those that are wrong; the others are the hard cases"},
    [HN_AUDIT_NO_TRAIN] = {HN_AUDIT_WARN, "no_train", "labels without a training case",
                           "examples can never show them, and training cannot learn them",
                           "label more cases, or join the label with another"},
    [HN_AUDIT_NO_DEV] = {HN_AUDIT_WARN, "no_dev", "labels without a dev case", "dev says nothing about them",
                         "label more cases, or join the label with another"},
    [HN_AUDIT_IMBALANCE] = {HN_AUDIT_NOTE, "imbalance", "labels far apart in number",
                            "accuracy is about the common labels then",
                            "look at macro F1, too, or make it the `metric`"},
    [HN_AUDIT_DUPLICATE] = {HN_AUDIT_NOTE, "duplicate", "cases that repeat another of their split",
                            "they count twice: intervals are narrower than they should be",
                            "keep one of each, unless they come as often in life"},
    [HN_AUDIT_NEAR_DUPLICATE] = {HN_AUDIT_NOTE, "near_duplicate", "cases that nearly repeat another",
                                 "they are fewer cases than it seems",
                                 "give them a `group` where they are of one origin"},
    [HN_AUDIT_EMPTY] = {HN_AUDIT_WARN, "empty", "cases without any input", "there is nothing to answer",
                        "take them out"},
    [HN_AUDIT_TOO_LONG] =
        {HN_AUDIT_WARN, "too_long", "cases that the model has no room for",
         "hone never cuts: they are not answered and count as wrong",
         "shorten the prompt or the inputs, show fewer examples, or take a model with a larger window"},
    [HN_AUDIT_REPLACEMENT] = {HN_AUDIT_WARN, "replacement", "cases with lost characters",
                              "the text was decoded wrongly before it came here: what stood there is gone",
                              "export the data again as UTF-8"},
    [HN_AUDIT_MOJIBAKE] = {HN_AUDIT_WARN, "mojibake", "cases with garbled characters",
                           "the text was read in the wrong encoding; the model sees rare fragments instead of words",
                           "export the data again as UTF-8"},
    [HN_AUDIT_CONTROL] = {HN_AUDIT_WARN, "control", "cases with control characters",
                          "they are invisible to people and not to the model",
                          "take them out where the data are exported"},
    [HN_AUDIT_MIXED_FORMS] = {HN_AUDIT_NOTE, "mixed_forms",
                              "cases with accents apart from their letters, while others have them joined",
                              "the same word has two spellings that look alike",
                              "bring all text to NFC where the data are exported"},
    [HN_AUDIT_TEMPLATE] = {HN_AUDIT_NOTE, "template", "cases that are mostly one form",
                           "many rows say little more than one",
                           "split by form (a `group` column), so that dev has forms that train has not"},
    [HN_AUDIT_EMAIL] = {HN_AUDIT_NOTE, "email", "cases with e-mail addresses",
                        "personal data goes wherever the data goes: into prompts, stores, remote models",
                        "replace them where they decide nothing"},
    [HN_AUDIT_PHONE] = {HN_AUDIT_NOTE, "phone", "cases with telephone numbers",
                        "personal data goes wherever the data goes: into prompts, stores, remote models",
                        "replace them where they decide nothing"},
    [HN_AUDIT_IBAN] = {HN_AUDIT_WARN, "iban", "cases with bank account numbers (IBAN)",
                       "account numbers belong into no prompt, store or remote model", "replace them"},
    [HN_AUDIT_CARD] = {HN_AUDIT_WARN, "card", "cases with payment card numbers",
                       "card numbers may not be kept in the clear (PCI DSS)", "replace them"},
    [HN_AUDIT_IP] = {HN_AUDIT_NOTE, "ip", "cases with public IP addresses", "an address can identify a person",
                     "replace them where they decide nothing"},
};

/* ---- rows ---- */

static hn_status keep_text(hn_audit *audit, char **out, hn_error *err, const char *fmt, va_list args) {
    char text[400];
    vsnprintf(text, sizeof text, fmt, args);
    *out = hn_arena_strdup(audit->arena, text);
    return *out ? HN_OK : hn_fail_memory(err, sizeof text);
}

/* While the audit runs, findings stand at the index of their kind. */
hn_status hn_audit_add(hn_audit *audit, hn_audit_kind kind, const hn_case *c, hn_error *err, const char *fmt, ...) {
    hn_audit_finding *f = &audit->findings[kind];
    f->n++;
    if (f->n_rows == HN_AUDIT_ROWS_MAX) return HN_OK;
    if (!hn_grow((void **)&f->rows, &f->rows_capacity, f->n_rows + 1, sizeof *f->rows))
        return hn_fail_memory(err, f->n_rows * sizeof *f->rows);
    va_list args;
    va_start(args, fmt);
    hn_status st = keep_text(audit, &f->rows[f->n_rows].what, err, fmt, args);
    va_end(args);
    f->rows[f->n_rows].c = c;
    f->n_rows += st == HN_OK;
    return st;
}

hn_status hn_audit_add_limit(hn_audit *audit, hn_error *err, const char *fmt, ...) {
    if (audit->n_limits == HN_AUDIT_LIMITS_MAX) return HN_OK;
    va_list args;
    va_start(args, fmt);
    hn_status st = keep_text(audit, &audit->limits[audit->n_limits], err, fmt, args);
    va_end(args);
    audit->n_limits += st == HN_OK;
    return st;
}

/* ---- copies ---- */

/* One line a case that repeats an earlier one, or contradicts another: the first of the run, or the first that differs from it. */
static hn_status report_run(const hn_dataset *d, const uint32_t *rows, size_t n, bool targets_matter, hn_audit *audit,
                            hn_error *err) {
    const hn_case *first[HN_SPLIT_COUNT] = {0}, *one = &d->cases[rows[0]], *another = NULL;
    for (size_t i = 1; targets_matter && i < n && !another; i++)
        if (!hn_audit_same_target(one, &d->cases[rows[i]])) another = &d->cases[rows[i]];
    for (size_t i = 0; i < n; i++) {
        const hn_case *c = &d->cases[rows[i]], *before = first[c->split];
        if (!before) first[c->split] = c;
        if (before)
            HN_TRY(hn_audit_add(audit, HN_AUDIT_DUPLICATE, c, err, "repeats %.80s:%d", before->file, before->line));
        if (!another) continue;
        const hn_case *against = hn_audit_same_target(one, c) ? another : one;
        HN_TRY(hn_audit_add(audit, HN_AUDIT_CONTRADICTION, c, err, "`%.60s`, but `%.60s` at %.80s:%d", c->target,
                            against->target, against->file, against->line));
    }
    return HN_OK;
}

/* Of each row its first near neighbour before it, with the same target and with another. */
static hn_status report_near(const hn_dataset *d, const hn_near_list *near, bool targets_matter, hn_audit *audit,
                             hn_error *err) {
    unsigned char *told = hn_calloc(d->n_cases + 1, 1);
    if (!told) return hn_fail_memory(err, d->n_cases);
    hn_status st = HN_OK;
    for (size_t i = 0; i < near->n && st == HN_OK; i++) {
        const hn_case *a = &d->cases[near->pairs[i].a], *b = &d->cases[near->pairs[i].b];
        bool differ = targets_matter && !hn_audit_same_target(a, b);
        unsigned char bit = differ ? 2 : 1;
        int percent = (int)(100 * near->pairs[i].similarity);
        bool leak = !differ && a->split != b->split && near->pairs[i].similarity >= HN_LEAK_SIMILARITY;
        if (leak) continue;
        if (told[near->pairs[i].b] & bit || (differ && near->pairs[i].similarity < HN_LEAK_SIMILARITY)) continue;
        told[near->pairs[i].b] |= bit;
        if (differ)
            st = hn_audit_add(audit, HN_AUDIT_NEAR_CONTRADICTION, b, err,
                              "`%.60s`, but `%.60s` at %.80s:%d, which is %d %% the same", b->target, a->target,
                              a->file, a->line, percent);
        else
            st = hn_audit_add(audit, HN_AUDIT_NEAR_DUPLICATE, b, err, "is %d %% the same as %.80s:%d (%s)", percent,
                              a->file, a->line, hn_split_name(a->split));
    }
    hn_free(told);
    return st;
}

static hn_status report_leaks(hn_audit *audit, hn_error *err) {
    static const hn_audit_kind kinds[] = {HN_AUDIT_LEAK_EXACT, HN_AUDIT_LEAK_NEAR, HN_AUDIT_LEAK_GROUP};
    for (size_t i = 0; i < audit->leaks.n; i++) {
        const hn_leak *l = &audit->leaks.items[i];
        const char *own = hn_split_name(l->c->split), *theirs = hn_split_name(l->other->split);
        if (l->kind == HN_LEAK_NEAR)
            HN_TRY(hn_audit_add(audit, kinds[l->kind], l->c, err, "in %s, is %d %% the same as %.80s:%d in %s", own,
                                (int)(100 * l->similarity), l->other->file, l->other->line, theirs));
        else if (l->kind == HN_LEAK_GROUP)
            HN_TRY(hn_audit_add(audit, kinds[l->kind], l->c, err, "in %s, has the group `%.60s` of %.80s:%d in %s", own,
                                l->c->group, l->other->file, l->other->line, theirs));
        else
            HN_TRY(hn_audit_add(audit, kinds[l->kind], l->c, err, "in %s, is %.80s:%d in %s", own, l->other->file,
                                l->other->line, theirs));
    }
    return HN_OK;
}

hn_status hn_audit_copies(const hn_audit_setup *setup, const hn_audit_texts *texts, hn_audit *audit, hn_error *err) {
    const hn_dataset *d = setup->dataset;
    hn_contract_kind kind = setup->scope->contract.kind;
    bool targets_matter = kind == HN_CONTRACT_CHOICE || kind == HN_CONTRACT_NUMBER || kind == HN_CONTRACT_REGEX;
    bool with_near = texts->n <= HN_LEAK_NEAR_MAX;
    hn_copies exact = {0};
    hn_near_list near = {0};
    hn_status st = hn_copies_exact(texts, NULL, &exact, err);
    for (size_t r = 0; st == HN_OK && r < exact.n_runs; r++)
        st = report_run(d, exact.rows + exact.starts[r], exact.starts[r + 1] - exact.starts[r], targets_matter, audit,
                        err);
    if (st == HN_OK && with_near) st = hn_copies_near(texts, NULL, 0.8, &near, err);
    if (st == HN_OK) st = report_near(d, &near, targets_matter, audit, err);
    hn_near_list_free(&near);
    /* Searched anew at its own threshold: what eval refuses and what is told here must be the same. */
    if (st == HN_OK && with_near) st = hn_copies_near(texts, NULL, HN_LEAK_SIMILARITY, &near, err);
    if (st == HN_OK) st = hn_leaks_collect(d, NULL, &exact, with_near ? &near : NULL, &audit->leaks, err);
    if (st == HN_OK) st = report_leaks(audit, err);
    if (st == HN_OK && !with_near)
        st = hn_audit_add_limit(audit, err, "near copies were not looked for: %zu cases, the limit is %d", texts->n,
                                HN_LEAK_NEAR_MAX);
    hn_copies_free(&exact);
    hn_near_list_free(&near);
    return st;
}

/* ---- putting it together ---- */

static int by_place(const void *a, const void *b) {
    const hn_audit_row *x = a, *y = b;
    if (!x->c || !y->c) return (x->c != NULL) - (y->c != NULL);
    return (x->c > y->c) - (x->c < y->c);
}

static int by_level(const void *a, const void *b) {
    const hn_audit_finding *x = a, *y = b;
    if (x->level != y->level) return x->level < y->level ? -1 : 1;
    return (x->kind > y->kind) - (x->kind < y->kind);
}

static size_t looked_at(const hn_audit_setup *setup, hn_audit_kind kind) {
    if (kind == HN_AUDIT_NO_TRAIN || kind == HN_AUDIT_NO_DEV || kind == HN_AUDIT_IMBALANCE)
        return setup->scope->contract.n_labels;
    if (kind > HN_AUDIT_LEAK_GROUP) return setup->dataset->n_cases;
    size_t n = 0;
    for (size_t i = 0; i < setup->dataset->n_cases; i++) n += setup->dataset->cases[i].split != HN_SPLIT_TRAIN;
    return n;
}

static void finish(const hn_audit_setup *setup, hn_audit *audit) {
    for (int k = 0; k < HN_AUDIT_KINDS; k++) {
        hn_audit_finding *f = &audit->findings[k];
        const meaning *m = &meanings[k];
        f->kind = (hn_audit_kind)k;
        f->level = m->level;
        f->name = m->name;
        f->title = m->title;
        f->why = m->why;
        f->fix = m->fix;
        if (!f->of) f->of = looked_at(setup, f->kind);
        if (f->n_rows && k != HN_AUDIT_LABEL_ERROR) qsort(f->rows, f->n_rows, sizeof *f->rows, by_place);
        if (!f->n) f->level = (hn_audit_level)(HN_AUDIT_NOTE + 1); /* behind all others */
    }
    qsort(audit->findings, HN_AUDIT_KINDS, sizeof *audit->findings, by_level);
    for (audit->n = 0; audit->n < HN_AUDIT_KINDS && audit->findings[audit->n].n;) audit->n++;
    audit->stops = audit->leaks.n > 0;
}

static hn_status run_all(const hn_audit_setup *setup, const hn_audit_texts *texts, hn_audit *audit, hn_error *err) {
    HN_TRY(hn_audit_copies(setup, texts, audit, err));
    HN_TRY(hn_audit_cells(setup, texts, audit, err));
    HN_TRY(hn_audit_labels(setup, audit, err));
    HN_TRY(hn_audit_lengths(setup, audit, err));
    HN_TRY(hn_audit_templates(texts, setup->dataset, audit, err));
    return hn_audit_label_errors(setup, texts, audit, err);
}

hn_status hn_audit_run(const hn_audit_setup *setup, hn_audit *audit, hn_error *err) {
    hn_audit_texts texts = {0};
    double started = hn_clock_seconds();
    *audit = (hn_audit){.n_cases = setup->dataset->n_cases};
    audit->arena = hn_arena_create(0);
    hn_status st = audit->arena ? hn_audit_texts_make(setup->dataset, &texts, err) : hn_fail_memory(err, 0);
    if (st == HN_OK) st = run_all(setup, &texts, audit, err);
    hn_audit_texts_free(&texts);
    finish(setup, audit);
    audit->seconds = hn_clock_seconds() - started;
    if (st != HN_OK) hn_audit_free(audit);
    return st;
}

void hn_audit_free(hn_audit *audit) {
    for (int k = 0; k < HN_AUDIT_KINDS; k++) hn_free(audit->findings[k].rows);
    hn_leaks_free(&audit->leaks);
    hn_arena_free(audit->arena);
    *audit = (hn_audit){0};
}

const hn_audit_finding *hn_audit_find(const hn_audit *audit, hn_audit_kind kind) {
    for (size_t i = 0; i < audit->n; i++)
        if (audit->findings[i].kind == kind) return &audit->findings[i];
    return NULL;
}

/* ---- JSON ---- */

static json_t *row_json(const hn_audit_row *r) {
    if (!r->c) return json_pack("{s:s}", "what", r->what);
    return json_pack("{s:s, s:s, s:i, s:s, s:s}", "case", r->c->id, "file", r->c->file, "line", r->c->line, "split",
                     hn_split_name(r->c->split), "what", r->what);
}

static json_t *finding_json(const hn_audit_finding *f) {
    static const char *const levels[] = {"stop", "warn", "note"};
    json_t *rows = json_array();
    for (size_t i = 0; rows && i < f->n_rows; i++) {
        if (json_array_append_new(rows, row_json(&f->rows[i])) == 0) continue;
        json_decref(rows);
        rows = NULL;
    }
    if (!rows) return NULL;
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:s, s:s, s:o}", "name", f->name, "level", levels[f->level],
                     "title", f->title, "n", (json_int_t)f->n, "of", (json_int_t)f->of, "share",
                     f->of ? (double)f->n / (double)f->of : 0.0, "why", f->why, "fix", f->fix, "rows", rows);
}

hn_status hn_audit_json(const hn_audit *audit, json_t **value, hn_error *err) {
    json_t *findings = json_array(), *limits = json_array();
    bool fine = findings && limits;
    for (size_t i = 0; fine && i < audit->n; i++)
        fine = json_array_append_new(findings, finding_json(&audit->findings[i])) == 0;
    for (size_t i = 0; fine && i < audit->n_limits; i++)
        fine = json_array_append_new(limits, json_string(audit->limits[i])) == 0;
    *value = !fine ? NULL
                   : json_pack("{s:b, s:I, s:f, s:O, s:O}", "stops", audit->stops, "cases", (json_int_t)audit->n_cases,
                               "seconds", audit->seconds, "not_checked", limits, "findings", findings);
    json_decref(findings);
    json_decref(limits);
    return *value ? HN_OK : hn_fail_memory(err, 0);
}
