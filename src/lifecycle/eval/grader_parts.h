/* Inside graders: the table of functions behind each kind, and what they share; see grader.h for what others use.
 *
 *     static hn_status grade(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
 *         out->value = hn_str_equal(hn_grader_answer(item), hn_str_of(item->row->target));
 *         return HN_OK;
 *     }
 *     const hn_grader_kind hn_grader_exact = {"exact", .grade = grade, .range = 1};
 *
 * Ownership: `state` is the kind's own. Threading: as grader.h. */
#ifndef HN_LIFECYCLE_GRADER_PARTS_H
#define HN_LIFECYCLE_GRADER_PARTS_H

#include "base/alloc.h"
#include "base/str.h"
#include "lifecycle/eval/grader.h"

typedef struct hn_grader_kind {
    const char *name;
    hn_status (*open)(hn_grader *g, hn_error *err); /* NULL: nothing to prepare */
    hn_status (*grade)(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err);
    /* instead of one by one; NULL: `grade` each */
    hn_status (*grade_all)(hn_grader *g, const hn_graded *items, size_t n, hn_grade_keep *keep, void *user,
                           hn_error *err);
    hn_status (*corpus)(hn_grader *g, const hn_graded *items, const double *values, size_t n, double *value,
                        hn_error *err);
    hn_status (*remarks)(hn_grader *g, const hn_graded *items, const double *values, const char *const *details,
                         const uint32_t *groups, size_t n, json_t **remarks, hn_error *err);
    void (*close)(hn_grader *g);
    double range; /* 0: unbounded */
    bool lower_is_better;
    const char *unit, *corpus_name;
    bool needs_target; /* without one there is nothing to say */
} hn_grader_kind;

struct hn_grader {
    const hn_grader_kind *kind;
    const hn_grader_config *config;
    hn_grading grading;
    void *state;
};

extern const hn_grader_kind hn_grader_exact, hn_grader_contains, hn_grader_starts_with, hn_grader_regex,
    hn_grader_token_f1, hn_grader_edit_distance, hn_grader_jaccard; /* grader_text.c */
extern const hn_grader_kind hn_grader_bleu, hn_grader_gleu, hn_grader_chrf, hn_grader_ter,
    hn_grader_rouge; /* grader_ngram.c */
extern const hn_grader_kind hn_grader_json, hn_grader_numeric, hn_grader_choice, hn_grader_labels, hn_grader_set,
    hn_grader_list, hn_grader_tool_call; /* grader_value.c, grader_list.c */
extern const hn_grader_kind hn_grader_log_loss, hn_grader_perplexity, hn_grader_latency, hn_grader_cost,
    hn_grader_tokens, hn_grader_refusal; /* grader_measure.c */
extern const hn_grader_kind hn_grader_similarity, hn_grader_lua, hn_grader_program, hn_grader_judge;

/* Options of the entry in hone.yaml; all are there (absent ones null). */
bool hn_grader_flag(const hn_grader *g, const char *option);
double hn_grader_number(const hn_grader *g, const char *option);
const char *hn_grader_option(const hn_grader *g, const char *option); /* text; NULL: not set */
bool hn_grader_is(const hn_grader *g, const char *option, const char *text);

/* The answer's text, trimmed: what the model wrote, else the parsed value, else "". */
hn_str hn_grader_answer(const hn_graded *item);
/* HN_ERR_INPUT at the grader's place, with the case. */
hn_status hn_grader_fail(const hn_grader *g, const hn_graded *item, const char *hint, hn_error *err, const char *fmt,
                         ...) HN_PRINTF(5, 6);

/* The right answers of a case: its target, or with `several: true` the texts of the JSON list that it holds. */
typedef struct hn_references {
    size_t n; /* at least 1 */
    hn_str one;
    hn_str *items; /* (n), trimmed; NULL: `one` */
    json_t *list;
} hn_references;
static inline const hn_str *hn_references_items(const hn_references *r) { return r->items ? r->items : &r->one; }
hn_status hn_references_of(const hn_grader *g, const hn_graded *item, hn_references *out, hn_error *err) HN_MUST_CHECK;
void hn_references_free(hn_references *r);

#endif
