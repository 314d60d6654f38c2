/* What guards did in a run, and how far its answers rest on their contexts; from the details that each prediction keeps.
 *
 *     hn_guard_report g;
 *     HN_TRY(hn_guard_report_build(scope, &predictions, &g, &err));
 *     if (g.n_guarded) printf("%zu cases were refused by a guard", g.n_guarded);
 *     hn_guard_report_free(&g);
 *
 * Ownership: free it; texts of sentences are the report's own. Threading: pure. */
#ifndef HN_LIFECYCLE_GUARD_REPORT_H
#define HN_LIFECYCLE_GUARD_REPORT_H

#include "app/app.h"
#include "stats/interval.h"

/* Below it a sentence counts as unsupported, where no guard says otherwise. */
#define HN_SUPPORT_THRESHOLD 0.5
enum { HN_GUARD_RULES_MAX = 12, HN_UNSUPPORTED_MAX = 200 };

typedef struct hn_unsupported {
    const char *case_id; /* the prediction's */
    char *text;          /* the sentence */
} hn_unsupported;

typedef struct hn_guard_report {
    size_t n_guarded, n_left; /* cases that a guard refused; of these left to a person */
    struct {
        char name[32];
        size_t n;
    } rules[HN_GUARD_RULES_MAX]; /* (n_rules) */
    size_t n_rules;
    double threshold;
    size_t n_measured, n_below,
        n_sentences;             /* answers with a support; of these below the threshold; sentences without support */
    hn_estimate support, below;  /* mean; share below */
    hn_unsupported *unsupported; /* (n_unsupported) */
    size_t n_unsupported;
    hn_arena *arena;
} hn_guard_report;

/* Appends what guards have to say of an answer to its details: "guard":"...","support":0.4,"unsupported":[...], (with the comma). */
hn_status hn_guard_details(const hn_scope *scope, const hn_case *c, const hn_answer *a, hn_buf *out,
                           hn_error *err) HN_MUST_CHECK;
hn_status hn_guard_report_build(const hn_scope *scope, const hn_prediction_list *list, hn_guard_report *out,
                                hn_error *err) HN_MUST_CHECK;
void hn_guard_report_free(hn_guard_report *g);
/* {"refused","left","rules":{...}} and, with a context, {"groundedness":{...}}, added to `object` as "guards" and "groundedness". */
hn_status hn_guard_report_add_json(const hn_guard_report *g, json_t *object, hn_error *err) HN_MUST_CHECK;

#endif
