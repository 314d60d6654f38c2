/* Scores: what graders said of a run's answers, one row an answer and grader; beside correctness, which is in the prediction itself.
 *
 *     HN_TRY(hn_score_add(store, run->id, rows, n, &err));             // one short transaction
 *     HN_TRY(hn_score_load(store, run->id, "bleu", &list, &err));
 *     hn_score_list_free(&list);
 *
 * Ownership: a list owns its texts. Threading: as the store. */
#ifndef HN_STORE_SCORE_H
#define HN_STORE_SCORE_H

#include "store/store.h"

typedef struct hn_score {
    int64_t position;
    const char *grader;
    double value;             /* NaN: this grader has nothing to say of this answer */
    const char *details_json; /* or NULL */
} hn_score;

typedef struct hn_score_list {
    hn_score *rows; /* by grader, then position */
    size_t n;
    hn_arena *arena;
} hn_score_list;

/* A score that is there already stays as it is: resuming adds what is missing. */
hn_status hn_score_add(hn_store *store, int64_t run_id, const hn_score *rows, size_t n, hn_error *err) HN_MUST_CHECK;
/* Those of one grader, or (NULL) of all. */
hn_status hn_score_load(hn_store *store, int64_t run_id, const char *grader, hn_score_list *list,
                        hn_error *err) HN_MUST_CHECK;
void hn_score_list_free(hn_score_list *list);

#endif
