/* Rubrics: the file that says how to judge, made into a question about one answer.
 *
 *     HN_TRY(hn_judge_rubric_load(path, "graders/helpful.txt", HN_RUBRIC_GRADE, words, n_words, &r, &err));
 *     HN_TRY(hn_judge_rubric_render(r, item, other, &text, &err));
 *     hn_judge_rubric_free(r);
 *
 * A rubric is Jinja, as prompts are, with `input` (all inputs as one text), each input column, `inputs`, `target`, `answer` (of a pair: `a` and `b`) and `grades`.
 * One that does not use the answer is plain instructions: input, answer, target (where there is one) and the grades are put behind it.
 * Ownership: the rubric copies its text; words are borrowed. Threading: read-only once loaded. */
#ifndef HN_LIFECYCLE_JUDGE_RUBRIC_H
#define HN_LIFECYCLE_JUDGE_RUBRIC_H

#include "lifecycle/eval/grader.h"

typedef enum hn_rubric_kind { HN_RUBRIC_GRADE, HN_RUBRIC_PAIR } hn_rubric_kind;
typedef struct hn_judge_rubric hn_judge_rubric;

/* `path` NULL: a short rubric of hone's own. `words`: the grades, or of a pair the two letters. */
hn_status hn_judge_rubric_load(const char *path, const char *name, hn_rubric_kind kind, const char *const *words,
                               size_t n_words, hn_judge_rubric **rubric, hn_error *err) HN_MUST_CHECK;
/* Appends the question. `answer` (and of a pair `other`) are texts of the case. */
hn_status hn_judge_rubric_render(const hn_judge_rubric *rubric, const hn_graded *item, hn_str answer, hn_str other,
                                 hn_buf *out, hn_error *err) HN_MUST_CHECK;
void hn_judge_rubric_free(hn_judge_rubric *rubric);

#endif
