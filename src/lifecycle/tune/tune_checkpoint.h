/* The state of a training that goes on, in one file: weights that learn, the optimizer's moments, and where it is.
 *
 *     HN_TRY(hn_tune_checkpoint_write(path, key, &state, scores, n, tensors, n_tensors, &adam, &err));
 *     HN_TRY(hn_tune_checkpoint_read(path, key, &state, scores, n, tensors, n_tensors, &adam, &found, &err));
 *
 * The file is this machine's own (its byte order, this version of hone), and ends with its SHA-256: one that is damaged or of another run counts as
 * none. It is written past the memory that training takes (a full fine-tuning's state is three times its weights): in pieces, into a file beside
 * it that then takes its place. Threading: one thread. */
#ifndef HN_LIFECYCLE_TUNE_CHECKPOINT_H
#define HN_LIFECYCLE_TUNE_CHECKPOINT_H

#include "lifecycle/tune/tune.h"
#include "train/adamw.h"

typedef struct hn_tune_state {
    int64_t step;                    /* taken */
    double loss_sum;                 /* of the epoch at hand */
    int64_t loss_tokens;             /* its supervised tokens so far */
    double seconds;                  /* of all sessions */
    int n_hopeless;                  /* scorings in a row without room for a gain */
    int n_epochs, best;              /* of `epochs` */
    double first_loss;               /* of the first step: what a runaway loss is held against */
    double curve_sum[HN_TUNE_CURVE]; /* of the loss, in equal shares of all steps */
    int64_t curve_n[HN_TUNE_CURVE];
    hn_tune_epoch epochs[HN_TUNE_EPOCHS_MAX + 1];
} hn_tune_state;

/* `scores` (n): of each dev case, by the best. */
hn_status hn_tune_checkpoint_write(const char *path, const char *key, const hn_tune_state *state, const double *scores,
                                   size_t n, const hn_tensor *tensors, size_t n_tensors, const hn_adamw *adam,
                                   hn_error *err) HN_MUST_CHECK;
/* *found false: none, or none that fits; nothing was changed then. */
hn_status hn_tune_checkpoint_read(const char *path, const char *key, hn_tune_state *state, double *scores, size_t n,
                                  hn_tensor *tensors, size_t n_tensors, hn_adamw *adam, bool *found,
                                  hn_error *err) HN_MUST_CHECK;

#endif
