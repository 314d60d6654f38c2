/* Two runs judged against each other, answer by answer, by a model that sees both - in both orders, because judges like the first or the second.
 *
 *     hn_judge_pairs_setup setup = {.grading = &grading, .a = "r1", .b = "r2", .rubric = path};
 *     HN_TRY(hn_judge_pairs_run(&setup, &p, &err));
 *     printf("B is preferred in %.1f %%", 100 * p.preferred.value);
 *     hn_judge_pairs_free(&p);
 *
 * A pair's value is the probability that B is better, averaged over the two orders; equal answers count one half and are not asked. The verdict is the
 * paired test of stats/verdict.h of that against one half, groups kept together.
 * Ownership: the result owns its parts. Threading: one thread. */
#ifndef HN_LIFECYCLE_JUDGE_PAIRS_H
#define HN_LIFECYCLE_JUDGE_PAIRS_H

#include "lifecycle/eval/judge_model.h"
#include "lifecycle/iterate/compare.h"

typedef struct hn_judge_pairs_setup {
    const hn_grading *grading;
    const char *a, *b;
    const char *rubric, *rubric_name; /* a file, and how errors call it; NULL: hone's own few words */
    const char *model;                /* NULL: the project's */
    const char *human;                /* a table with the columns `case` and `better` (A or B); NULL: none */
} hn_judge_pairs_setup;

typedef struct hn_judge_pairs {
    hn_comparison c;
    double *b_better; /* (n) NaN: not judged */
    double *first;    /* (n) mean probability of the answer shown first; NaN: not asked */
    size_t n, n_same, n_failed;
    size_t n_turned;       /* pairs whose winner depends on the order */
    double first_share;    /* mean of `first`: 0.5 is no bias */
    hn_estimate preferred; /* mean of b_better */
    hn_verdict verdict;
    char *judge;     /* the model's name */
    json_t *remarks; /* against people: judge_human.h */
} hn_judge_pairs;

hn_status hn_judge_pairs_run(const hn_judge_pairs_setup *setup, hn_judge_pairs *out, hn_error *err) HN_MUST_CHECK;
void hn_judge_pairs_free(hn_judge_pairs *p);
/* {"a","b","judge","n","same","failed","preferred":{..},"verdict","p","test","position_bias":{"first","turned"},"agreement",...} */
hn_status hn_judge_pairs_json(const hn_judge_pairs *p, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
