/* Sweeps: settings tried side by side, with successive halving (Jamieson and Talwalkar 2016): all trials get a few steps, the better half twice as many,
 * and so on, until the last ones get all.
 *
 *     hn_tune_axis axis;
 *     HN_TRY(hn_tune_axis_parse("learning_rate=1e-4,3e-4,1e-3", &axis, &err));
 *     HN_TRY(hn_tune_sweep_make(&axis, 1, &options, true, &sweep, &err));
 *     for (int rung = 0; rung < sweep.n_rungs; rung++) {
 *         for (size_t i = 0; i < sweep.n_left; i++) { options of sweep.trials[i] at this rung; train; set its score }
 *         hn_tune_sweep_halve(&sweep);
 *     }
 *     hn_tune_sweep_free(&sweep);
 *
 * Ownership: the sweep's trials. Threading: one thread. */
#ifndef HN_LIFECYCLE_TUNE_SWEEP_H
#define HN_LIFECYCLE_TUNE_SWEEP_H

#include "lifecycle/tune/tune.h"

enum { HN_SWEEP_VALUES = 16, HN_SWEEP_AXES = 4, HN_SWEEP_TRIALS = 64 };

typedef struct hn_tune_axis {
    const char *name; /* "learning_rate" */
    double values[HN_SWEEP_VALUES];
    size_t n;
} hn_tune_axis;

typedef struct hn_tune_trial {
    hn_tune_options options;
    char text[160]; /* "learning_rate 0.0001, rank 8" */
    size_t index;   /* in the grid's order */
    double score;   /* of the last rung, higher is better */
} hn_tune_trial;

typedef struct hn_tune_sweep {
    hn_tune_trial *trials; /* (n) those that are left first, the best of them at the front after each halving */
    size_t n, n_left;
    int n_rungs;
} hn_tune_sweep;

/* HN_ERR_USAGE: no such setting, no number, more than HN_SWEEP_VALUES. */
hn_status hn_tune_axis_parse(const char *text, hn_tune_axis *axis, hn_error *err) HN_MUST_CHECK;
/* Every combination. `follow_rank`: alpha is twice the rank where the rank is swept. HN_ERR_LIMIT: more than HN_SWEEP_TRIALS. */
hn_status hn_tune_sweep_make(const hn_tune_axis *axes, size_t n_axes, const hn_tune_options *options, bool follow_rank,
                             hn_tune_sweep *sweep, hn_error *err) HN_MUST_CHECK;
/* The trial's options with the steps of a rung: each rung has twice those of the one before, the last all that `n_train` cases give. */
hn_tune_options hn_tune_sweep_options(const hn_tune_sweep *sweep, size_t trial, int rung, size_t n_train);
/* Sorts those that are left by score (equal ones as they stood in the grid) and keeps the better half, rounded up. */
void hn_tune_sweep_halve(hn_tune_sweep *sweep);
void hn_tune_sweep_free(hn_tune_sweep *sweep);

#endif
