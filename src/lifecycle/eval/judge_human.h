/* Judges against people: how far they agree, and what few human and many judge's grades say together.
 *
 *     HN_TRY(hn_judge_human_load(path, "case", "grade", words, n_words, items, n, human, &err));     // human[i]: a word's index, or -1
 *     HN_TRY(hn_judge_human_compare(&data, &remarks, &err));                                         // JSON: figures and sentences
 *
 * The file is a table (CSV, TSV, JSON Lines) with a column of case ids and one of grades. Where it has a column `answer`, a grade counts only for that very
 * answer (a grade is of an answer, not of a case). Ownership: as said. Threading: pure. */
#ifndef HN_LIFECYCLE_JUDGE_HUMAN_H
#define HN_LIFECYCLE_JUDGE_HUMAN_H

#include "lifecycle/eval/grader.h"

/* `human` (n). HN_ERR_INPUT with file and line for a grade that is no word, or a missing column. */
hn_status hn_judge_human_load(const char *path, const char *case_column, const char *grade_column,
                              const char *const *words, size_t n_words, const hn_graded *items, size_t n,
                              int32_t *human, hn_error *err) HN_MUST_CHECK;

typedef struct hn_judge_human_data {
    const int32_t *human, *judge; /* (n) indices of words, -1: none */
    const double *judge_values;   /* (n) the judge's numbers, NaN: none */
    const double *word_values;    /* (n_words) */
    const uint32_t *groups;       /* (n) ids of related cases, or NULL */
    size_t n, n_words;
} hn_judge_human_data;

/* {"human_grades","agreement":{"n","same","kappa":{..},"alpha":{..}},"prediction_powered":{"value","low","high","human_only":{..},"judge_only","worth"},
 * "sentences":[..]}; without human grades the sentence says so. New reference. */
hn_status hn_judge_human_compare(const hn_judge_human_data *data, json_t **remarks, hn_error *err) HN_MUST_CHECK;

#endif
