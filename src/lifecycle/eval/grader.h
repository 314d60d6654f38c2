/* Graders: what marks an answer besides its being right or wrong - overlap with the target, a schema, a user's program, a judge.
 *
 *     hn_grading g = {.scope = scope, .dataset = dataset};
 *     hn_grader *grader; hn_grade grade;
 *     HN_TRY(hn_grader_open(&g, &scope->graders[0], &grader, &err));
 *     HN_TRY(hn_grader_grade(grader, &(hn_graded){row, c}, &grade, &err));       // grade.value; NaN: nothing to say
 *     hn_grade_clear(&grade); hn_grader_free(grader);
 *
 * A grader reads the text that the model wrote (of an answer by likelihood the label); an answer that failed reads as "". What each kind
 * does: docs/graders.md. Grading a whole run, kept in the store: grade_run.h.
 * Ownership: graders borrow what hn_grading points to, which must outlive them. Threading: one thread. */
#ifndef HN_LIFECYCLE_GRADER_H
#define HN_LIFECYCLE_GRADER_H

#include "base/buf.h"
#include "project/project.h"
#include "provider/provider.h"
#include "store/store.h"

/* Opens the model that a judge names (NULL: the project's); the caller closes it. */
typedef hn_status hn_open_model(void *user, const char *name, hn_provider **provider, hn_error *err);

typedef struct hn_grading {
    const hn_scope *scope;
    const hn_dataset *dataset; /* NULL: inputs and train split are not known */
    hn_store *store;           /* cache of judges' answers; NULL: none */
    hn_provider *provider;     /* a model that is open anyway: used by judges that name it; NULL: none */
    hn_open_model *open_model; /* NULL: catalogue names and paths of local models */
    void *user;
    bool no_cache;
    void (*on_progress)(void *user, const char *grader, size_t n_done, size_t n); /* may be NULL */
} hn_grading;

typedef struct hn_graded {
    const hn_prediction *row;
    const hn_case *c; /* NULL: not in the data */
} hn_graded;

typedef struct hn_grade {
    double value;   /* NaN: nothing to say of this case */
    bool failed;    /* the grader could not do its work here; details say why */
    hn_buf details; /* a JSON object, or empty */
} hn_grade;
void hn_grade_clear(hn_grade *grade);

/* How a grader's numbers are to be read. */
typedef struct hn_grader_traits {
    bool lower_is_better;
    double range;       /* the largest difference two values can have: 1, 100; NaN: unbounded */
    const char *unit;   /* "", "ms", "nats", ... */
    const char *corpus; /* what the value over the whole run is ("BLEU of the run"); NULL: there is none */
    bool geometric;     /* the mean is of logarithms: perplexity */
} hn_grader_traits;

typedef struct hn_grader hn_grader;

/* HN_ERR_INPUT and HN_ERR_NOT_FOUND name the grader and its place in hone.yaml. */
hn_status hn_grader_open(const hn_grading *grading, const hn_grader_config *config, hn_grader **grader,
                         hn_error *err) HN_MUST_CHECK;
void hn_grader_free(hn_grader *grader);
const hn_grader_config *hn_grader_config_of(const hn_grader *grader);
hn_grader_traits hn_grader_traits_of(const hn_grader *grader);

/* The model called `name` for a grader's own use (NULL: the grading's provider where there is one, else the model of hone.yaml, else smollm2): the
 * grading's provider where that is the one, else opened, and then *own says that the caller closes it. `place` stands in front of errors. */
hn_status hn_grading_model(const hn_grading *grading, const char *name, const char *place, hn_provider **provider,
                           bool *own, hn_error *err) HN_MUST_CHECK;

/* One case. *grade is filled in any case: clear it. Errors: HN_ERR_INPUT where a user's grader failed (and `on_error: stop`), or a target
 * cannot be what the grader needs. */
hn_status hn_grader_grade(hn_grader *grader, const hn_graded *item, hn_grade *grade, hn_error *err) HN_MUST_CHECK;
/* Many: `keep` gets each grade as it comes (any order, index into items). Graders that work in batches do so. */
typedef hn_status hn_grade_keep(void *user, size_t index, const hn_grade *grade, hn_error *err);
hn_status hn_grader_grade_all(hn_grader *grader, const hn_graded *items, size_t n, hn_grade_keep *keep, void *user,
                              hn_error *err) HN_MUST_CHECK;
/* The value over all answers at once, where the traits name one; else NaN. `values` (n): the cases' own. */
hn_status hn_grader_corpus(hn_grader *grader, const hn_graded *items, const double *values, size_t n, double *value,
                           hn_error *err) HN_MUST_CHECK;
/* What a report adds beside the mean (a similarity's AUC, a judge's agreement with people): an object, or NULL. New reference.
 * `details` (n): what was kept with each value, or NULL; `groups` (n) ids or NULL. */
hn_status hn_grader_remarks(hn_grader *grader, const hn_graded *items, const double *values, const char *const *details,
                            const uint32_t *groups, size_t n, json_t **remarks, hn_error *err) HN_MUST_CHECK;

#endif
