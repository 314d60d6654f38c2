/* Fine-tuning: a model learns from a project's train split, and is scored on dev as it will be served.
 *
 *     hn_tune_setup setup = {project, dataset, prompt, .store = store, .store_dir = dir, .base = base, .options = hn_tune_defaults(n_cases)};
 *     hn_tune_result result;
 *     HN_TRY(hn_tune_run(&setup, &hooks, &result, &err));
 *     printf("r%lld: %s\n", (long long)result.run->id, result.folder);        // the adapter, in PEFT's form
 *     hn_tune_result_free(&result);
 *
 * Each epoch ends with a scoring: with cases, the dev cases answered through the App by the model as it then is, the very path of `hone eval` and of
 * the server. The best of these is kept. Training stops early once the paired interval against the best leaves no room for a gain of the
 * scope's smallest difference, twice in a row. The order of cases, and so every bit of the result, follows from the seed.
 * What learns, and how, is the method's (tune_method.h: LoRA, ...); the loop around it is the same for all.
 * Killed or interrupted, the same setup goes on from the last checkpoint (at each epoch's end, and every half minute) with the same bits.
 * Files: STORE/models/CONTENT_ID-rN/adapter or .../model (the best), checkpoint.bin (while it runs). Ownership: the setup's parts are borrowed.
 * Threading: one thread, which runs a pool. */
#ifndef HN_LIFECYCLE_TUNE_H
#define HN_LIFECYCLE_TUNE_H

#include "base/file.h"
#include "project/prompt.h"
#include "project/train_data.h"
#include "provider/provider.h"
#include "stats/interval.h"
#include "store/store.h"

typedef enum hn_tune_schedule { HN_TUNE_COSINE, HN_TUNE_LINEAR, HN_TUNE_CONSTANT } hn_tune_schedule;

typedef struct hn_tune_options {
    const char *method; /* a name of tune_method.h's table */
    int rank;
    double alpha;
    bool rank_stabilised, dora;
    double dropout, label_smoothing; /* [0, 1) */
    double beta;                     /* dpo, orpo: see train/preference.h; 0: 0.1 */
    double truth;                    /* distill: share of the case's own label in what is learned, 0 .. 1 */
    unsigned targets;                /* HN_LORA_... */
    double learning_rate, weight_decay, clip, warmup; /* warmup: share of the steps */
    hn_tune_schedule schedule;                        /* after the warm-up; cosine and linear fall to a tenth */
    int epochs, batch;                                /* batch: cases of a step, or of each of its parts: */
    int accumulate;                                   /* a step has batch * accumulate cases */
    int64_t steps;                                    /* steps at most, however many epochs; 0: the epochs decide */
    int max_length;                                   /* tokens of one case; 0: the model's context */
    size_t limit, dev_limit;                          /* the first cases of each split's fixed order; 0: all */
    bool balanced;         /* each label weighs the same in the loss, however many cases it has */
    uint64_t memory_bytes; /* refuse what would take more; 0: no limit */
    uint64_t seed;
    int n_threads; /* 0: one per CPU */
} hn_tune_options;

enum { HN_TUNE_EPOCHS_MAX = 200, HN_TUNE_CURVE = 100 };

/* What suits so many training cases and this method (NULL: lora): small data is seen more often, in smaller batches. */
hn_tune_options hn_tune_defaults(size_t n_cases, const char *method);

/* What an epoch came to. */
typedef struct hn_tune_epoch {
    int epoch;                 /* from 1; 0: the base model before training */
    double train_loss;         /* mean over the epoch's supervised tokens, nats; NaN before training */
    int n_correct;             /* of the dev cases; -1: scored by loss */
    hn_estimate loss;          /* of the held-out answers, nats a token; NaN: scored by right answers */
    hn_estimate bits_per_byte; /* of held-out plain text; NaN: of nothing else */
    hn_estimate reward_accuracy, reward_margin; /* of held-out preference pairs; NaN: none */
    double seconds;                             /* of training and scoring together, so far */
    bool best;
} hn_tune_epoch;

/* The training loss along the way: step `to` and the mean of it and those before, back to the last point. */
typedef struct hn_tune_point {
    int64_t to;
    double loss;
} hn_tune_point;

/* An answer to look at. */
typedef struct hn_tune_sample {
    char name[96];    /* the case or row; "": there is none */
    char *wanted;     /* what it should be */
    char *said;       /* NULL: no valid answer */
    bool still_wrong; /* else just one of the held-out ones */
} hn_tune_sample;
void hn_tune_sample_free(hn_tune_sample *sample);

typedef struct hn_tune_hooks {
    /* The base model with this adapter (NULL: none) beside its weights, or, where `model` is given, the whole model in that folder. */
    hn_status (*open)(void *user, const char *model, const char *adapter, hn_provider **provider, hn_error *err);
    /* After each step; tokens of all kinds a second; may be NULL. */
    void (*on_step)(void *user, int64_t step, int64_t n_steps, double loss, double tokens_per_second);
    /* After each scoring; may be NULL. */
    void (*on_epoch)(void *user, const hn_tune_epoch *e, size_t n_dev, const hn_tune_sample *sample);
    void *user;
    /* While a teacher answers cases; may be NULL. */
    void (*on_teacher)(void *user, size_t n_done, size_t n);
} hn_tune_hooks;

typedef struct hn_tune_setup {
    hn_project *project; /* with dataset and prompt: the project's cases; or NULL, and: */
    const hn_dataset *dataset;
    const hn_prompt *prompt;
    const hn_prompt *teacher_prompt; /* distill: what the teacher is asked with */
    hn_provider *teacher;            /* distill: NULL: the base */
    const hn_train_data *data;       /* conversations and the like */
    double held_out;                 /* share of the data's rows that is not trained on but scored */
    hn_store *store;
    const char *store_dir;
    hn_provider *base;       /* local */
    const char *base_source; /* how it is opened again: a catalogue name, or an absolute path */
    hn_tune_options options;
    bool fresh; /* train again, as a new run */
} hn_tune_setup;

typedef struct hn_tune_result {
    hn_run *run;
    hn_run_start start;       /* DONE: nothing was trained */
    char folder[HN_PATH_MAX]; /* the adapter, or the whole model */
    bool is_whole;
    hn_tune_epoch epochs[HN_TUNE_EPOCHS_MAX + 1];
    size_t n_epochs; /* scored, the base included */
    size_t best;     /* index */
    hn_tune_point curve[HN_TUNE_CURVE];
    size_t n_curve;
    size_t n_train, n_dev, n_tokens, n_supervised; /* tokens of one epoch */
    int64_t n_steps;
    bool stopped_early;
    hn_estimate accuracy;      /* of the best, on dev; NaN: scored by loss */
    hn_estimate loss;          /* of the best, nats a token; NaN: scored by right answers */
    hn_estimate bits_per_byte; /* of the best, on plain text; else NaN */
    double seconds;
} hn_tune_result;

/* HN_ERR_INPUT: see tune_examples.h; a loss that is no number or runs away. HN_ERR_INTERRUPTED: kept, goes on. HN_ERR_UNSUPPORTED: an
 * architecture that does not learn here, a remote model, one with an adapter, a prompt with reasoning. HN_ERR_USAGE: an unknown method.
 * HN_ERR_LIMIT: more memory than `memory_bytes`. */
hn_status hn_tune_run(const hn_tune_setup *setup, const hn_tune_hooks *hooks, hn_tune_result *result,
                      hn_error *err) HN_MUST_CHECK;
void hn_tune_result_free(hn_tune_result *result);
/* [{"epoch","train_loss","n_correct","held_out_loss","seconds","best"}]; new reference, NULL when memory is used up. */
json_t *hn_tune_epochs_json(const hn_tune_epoch *epochs, size_t n, size_t best);

/* What a finished tuning left: the model to open, and the adapter to lay beside it ("": it is a whole model). */
typedef struct hn_tuned_model {
    char model[HN_PATH_MAX], adapter[HN_PATH_MAX];
} hn_tuned_model;
/* `name`: "tune:r12" or "r12". HN_ERR_NOT_FOUND; HN_ERR_INPUT: no tuning, or not finished. */
hn_status hn_tune_find(hn_store *store, const char *store_dir, const char *name, hn_tuned_model *found,
                       hn_error *err) HN_MUST_CHECK;

#endif
