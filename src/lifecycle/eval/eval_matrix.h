/* A matrix of evaluations: prompts x models x parameters, each perhaps several times, on the same cases.
 *
 *     hn_eval_matrix_plan plan = {.setup = {project, dataset, store, .split = HN_SPLIT_DEV}, .prompts = paths, .n_prompts = 3, ...};
 *     hn_eval_matrix *m;
 *     HN_TRY(hn_eval_matrix_create(&plan, &m, &err));            // every prompt is read and checked, every model opened once
 *     HN_TRY(hn_eval_matrix_run(m, on_progress, user, &err));
 *     for (size_t i = 0; i < m->n_candidates; i++) ... m->cells[m->candidates[i].first].result
 *     hn_eval_matrix_free(m);
 *
 * A cell is one run (eval.h): found again by its content, so unchanged cells cost nothing and an interrupted matrix goes on with the
 * same command. A candidate is a cell with its repetitions. Cells of local models are computed one after the other (each fills the
 * machine by itself); those of remote models run beside them, one cell a model, as many requests at once as its provider allows.
 * Repetitions are runs of their own with another seed, computed without the cache; where a model gives the same answer each time by
 * construction (labels compared, or temperature 0 on a reproducible model) there is one.
 * Ownership: the matrix owns prompts, providers and results; the plan's texts must outlive it. Threading: one thread. */
#ifndef HN_LIFECYCLE_EVAL_MATRIX_H
#define HN_LIFECYCLE_EVAL_MATRIX_H

#include "lifecycle/eval/eval.h"
#include "lifecycle/eval/parameter_grid.h"

enum { HN_MATRIX_CELLS_MAX = 10000 };

/* Opens the model called `name` (NULL: the project's own). */
typedef hn_status hn_eval_matrix_open(void *user, const char *name, hn_provider **provider, hn_error *err);

typedef struct hn_eval_matrix_plan {
    hn_eval_setup setup;        /* its provider, set and repeat are the matrix's business */
    const char *const *prompts; /* (n_prompts) files */
    size_t n_prompts;
    const char *const *models; /* (n_models) names; NULL or 0: the project's own */
    size_t n_models;
    const char *const *parameters; /* (n_parameters) as hn_grid_parse */
    size_t n_parameters;
    int repeats; /* 0 and 1: once */
    hn_eval_matrix_open *open;
    void *open_user;
} hn_eval_matrix_plan;

typedef struct hn_cell {
    size_t prompt, model; /* indices into the plan's */
    int repeat;           /* from 1 */
    json_t *set;          /* the parameters given, perhaps {} */
    hn_prompt *loaded;    /* with the parameters set */
    bool done;
    hn_eval_result result; /* where done */
} hn_cell;

typedef struct hn_candidate {
    size_t first, n_cells; /* cells first ... first + n_cells - 1 are its repetitions */
    bool identical;        /* more were asked for, and would be the same by construction */
    char *name;            /* "6-nearest", "6-nearest, temperature 0.7, other-model": what tells it from the others */
    char *parameters;      /* "temperature 0.7", or "" */
} hn_candidate;

typedef struct hn_eval_matrix_model {
    const char *name; /* as the plan has it, perhaps NULL */
    char *shown;      /* as its provider says */
    bool local, reproducible;
    bool generates_only;   /* remote: labels are generated, not scored */
    hn_provider *provider; /* NULL: closed for now */
} hn_eval_matrix_model;

typedef struct hn_eval_matrix {
    hn_eval_matrix_plan plan;
    hn_grid grid;
    hn_eval_matrix_model *models; /* (n_models) */
    size_t n_models;
    hn_cell *cells; /* (n_cells) */
    size_t n_cells, n_done;
    hn_candidate *candidates; /* (n_candidates) */
    size_t n_candidates;
} hn_eval_matrix;

typedef struct hn_eval_matrix_progress {
    const hn_eval_matrix *matrix;
    const hn_cell *cell; /* the one that has news */
    hn_eval_progress eval;
    size_t n_running; /* cells at work at this moment */
} hn_eval_matrix_progress;
typedef void hn_eval_matrix_on_progress(void *user, const hn_eval_matrix_progress *progress);

/* HN_ERR_USAGE: a parameter that no prompt has a use for; HN_ERR_LIMIT: too many cells; what is wrong with a prompt or a model. */
hn_status hn_eval_matrix_create(const hn_eval_matrix_plan *plan, hn_eval_matrix **matrix, hn_error *err) HN_MUST_CHECK;
/* After an error (also HN_ERR_INTERRUPTED) cells that are done have their results. */
hn_status hn_eval_matrix_run(hn_eval_matrix *m, hn_eval_matrix_on_progress *on_progress, void *user,
                             hn_error *err) HN_MUST_CHECK;
void hn_eval_matrix_free(hn_eval_matrix *m);

/* The candidate's first run. */
const hn_eval_result *hn_eval_matrix_result(const hn_eval_matrix *m, size_t candidate);
/* All its cells are done. */
bool hn_eval_matrix_is_done(const hn_eval_matrix *m, size_t candidate);

#endif
