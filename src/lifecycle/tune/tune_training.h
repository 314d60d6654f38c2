/* A training at work: what the loop, the methods and the scoring share. Not for other modules; tune.h is the interface.
 *
 *     tune.c         the loop: steps, scoring, keeping the best    tune_setup.c    opening: cases, identity, network, room
 *     tune_step.c    one step: order, gradient, learning rate      tune_result.c   the summary, and finding models again
 *     tune_method.h  what differs between methods                  tune_examples.h rows of tokens
 *     tune_checkpoint.h  the state on disk                         tune_score.h    dev cases through the App; the held-out loss
 *
 * Ownership: hn_training_close frees what a training has. Threading: one thread, which runs the pool. */
#ifndef HN_LIFECYCLE_TUNE_TRAINING_H
#define HN_LIFECYCLE_TUNE_TRAINING_H

#include "lifecycle/tune/tune.h"
#include "lifecycle/tune/tune_checkpoint.h"
#include "lifecycle/tune/tune_examples.h"
#include "train/adamw.h"
#include "train/network.h"

typedef struct hn_tune_method hn_tune_method;

typedef struct hn_training {
    const hn_tune_setup *setup;
    const hn_tune_hooks *hooks;
    const hn_tune_method *method;
    hn_tune_result *result;
    hn_provider_info base;
    uint32_t *train, *dev;           /* (n_train) (n_dev) indices of cases, or of the data's rows */
    hn_tune_examples examples, held; /* held: what is scored by loss; empty with cases */
    size_t n_units;                  /* examples.n / examples.unit */
    uint32_t *order;                 /* (n_units) of the epoch at hand */
    const hn_tune_example **rows;    /* (units of a step * unit) the step at hand */
    int ordered_epoch;               /* -1: none yet */
    int32_t *ids, *targets, *starts; /* (2 * max_rows) room for a piece of a step */
    float *weights;
    double *losses;
    uint64_t *keys; /* (max_rows) of each sequence's dropout */
    int max_rows;
    hn_pool *pool;
    hn_network *network;
    hn_adamw adam;
    hn_tune_state state;
    double *best_scores, *scores; /* (n_dev) */
    char folder[HN_PATH_MAX], checkpoint[HN_PATH_MAX];
    double session_began, seconds_before, saved_at, saving_s; /* saving_s: how long the last checkpoint took */
    void *own;                                                /* the method's */
} hn_training;

/* ---- tune_setup.c ---- */
/* Cases or rows, and the run with its folder; *done: it is finished already. */
hn_status hn_training_begin(hn_training *t, bool *done, hn_error *err) HN_MUST_CHECK;
/* Rows, network, room; ready for the checkpoint. */
hn_status hn_training_open(hn_training *t, hn_error *err) HN_MUST_CHECK;
void hn_training_close(hn_training *t);
int64_t hn_training_steps_of_epoch(const hn_training *t);

/* ---- tune_step.c ---- */
/* HN_ERR_INPUT: the loss is no number, or ran away. */
hn_status hn_training_step(hn_training *t, hn_error *err) HN_MUST_CHECK;

/* ---- tune_result.c ---- */
/* Writes the summary: the run is done. */
hn_status hn_training_finish(hn_training *t, hn_error *err) HN_MUST_CHECK;
/* The result of a run that is done. */
hn_status hn_tune_result_read(hn_tune_result *result, hn_error *err) HN_MUST_CHECK;

#endif
