/* Fine-tuning: an adapter is trained on a project's train split, and scored on dev as it will be served.
 *
 *     hn_tune_setup setup = {project, dataset, store, base, prompt, .options = hn_tune_defaults(n_cases)};
 *     hn_tune_result result;
 *     HN_TRY(hn_tune_run(&setup, &hooks, &result, &err));
 *     printf("r%lld: %s\n", (long long)result.run->id, result.folder);        // the adapter, in PEFT's form
 *     hn_tune_result_free(&result);
 *
 * Each epoch ends with the dev cases answered through the App by a model with the adapter beside its weights: the very path of `hone eval` and
 * of the server. The best of these is kept. Training stops early once the paired interval against the best leaves no room for a gain of the
 * scope's smallest difference, twice in a row. The order of cases, and so every bit of the result, follows from the seed.
 * Killed or interrupted, the same setup goes on from the last checkpoint (at each epoch's end, and every half minute) with the same bits.
 * Files: STORE/models/CONTENT_ID/adapter (the best), checkpoint.bin (while it runs). Ownership: the setup's parts are borrowed. Threading: one
 * thread, which runs a pool. */
#ifndef HN_LIFECYCLE_TUNE_H
#define HN_LIFECYCLE_TUNE_H

#include "base/file.h"
#include "project/prompt.h"
#include "provider/provider.h"
#include "stats/interval.h"
#include "store/store.h"

typedef struct hn_tune_options {
    int rank;
    double alpha;
    bool rank_stabilised;
    unsigned targets;                                 /* HN_LORA_... */
    double learning_rate, weight_decay, clip, warmup; /* warmup: share of the steps */
    int epochs, batch;                                /* batch: cases a step */
    int max_length;                                   /* tokens of one case; 0: the model's context */
    size_t limit, dev_limit;                          /* the first cases of each split's fixed order; 0: all */
    uint64_t seed;
    int n_threads; /* 0: one per CPU */
} hn_tune_options;

enum { HN_TUNE_EPOCHS_MAX = 200 };

/* What suits so many training cases: small data is seen more often, in smaller batches. */
hn_tune_options hn_tune_defaults(size_t n_cases);

/* What an epoch came to. */
typedef struct hn_tune_epoch {
    int epoch;         /* from 1; 0: the base model before training */
    double train_loss; /* mean over the epoch's supervised tokens, nats; NaN before training */
    int n_correct;     /* of the dev cases */
    double seconds;    /* of training and scoring together, so far */
    bool best;
} hn_tune_epoch;

typedef struct hn_tune_hooks {
    /* A model with this adapter (NULL: none) beside the base's weights. */
    hn_status (*open)(void *user, const char *adapter, hn_provider **provider, hn_error *err);
    /* After each step; tokens of all kinds a second; may be NULL. */
    void (*on_step)(void *user, int64_t step, int64_t n_steps, double loss, double tokens_per_second);
    /* After each scoring; `wrong` (may be NULL): a dev case that is still wrong, with what was said. */
    void (*on_epoch)(void *user, const hn_tune_epoch *e, size_t n_dev, const hn_case *wrong, const char *said);
    void *user;
} hn_tune_hooks;

typedef struct hn_tune_setup {
    hn_project *project;
    const hn_dataset *dataset;
    hn_store *store;
    hn_provider *base;       /* local */
    const char *base_source; /* how it is opened again: a catalogue name, or an absolute path */
    const hn_prompt *prompt;
    hn_tune_options options;
    bool fresh; /* train again, as a new run */
} hn_tune_setup;

typedef struct hn_tune_result {
    hn_run *run;
    hn_run_start start;       /* DONE: nothing was trained */
    char folder[HN_PATH_MAX]; /* the adapter */
    hn_tune_epoch epochs[HN_TUNE_EPOCHS_MAX + 1];
    size_t n_epochs;                               /* scored, the base included */
    size_t best;                                   /* index */
    size_t n_train, n_dev, n_tokens, n_supervised; /* tokens of one epoch */
    int64_t n_steps;
    bool stopped_early;
    hn_estimate accuracy; /* of the best, on dev */
    double seconds;
} hn_tune_result;

/* HN_ERR_INPUT: see tune_examples.h; a loss that is no number or runs away. HN_ERR_INTERRUPTED: kept, goes on. HN_ERR_UNSUPPORTED: an
 * architecture that does not learn here, a remote model, one with an adapter, a prompt with reasoning. */
hn_status hn_tune_run(const hn_tune_setup *setup, const hn_tune_hooks *hooks, hn_tune_result *result,
                      hn_error *err) HN_MUST_CHECK;
void hn_tune_result_free(hn_tune_result *result);
/* [{"epoch","train_loss","n_correct","seconds","best"}]; new reference, NULL when memory is used up. */
json_t *hn_tune_epochs_json(const hn_tune_epoch *epochs, size_t n, size_t best);

/* The folder of a finished tuning's adapter, and the model that it belongs to ("tune:r12" or "r12"). HN_ERR_NOT_FOUND; HN_ERR_INPUT: no tuning, or not finished. */
hn_status hn_tune_find(hn_store *store, const char *store_dir, const char *name, char folder[HN_PATH_MAX],
                       char base[HN_PATH_MAX], hn_error *err) HN_MUST_CHECK;

#endif
