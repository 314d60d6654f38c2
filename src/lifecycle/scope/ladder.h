/* The ladder: ways to do the task, from the cheapest to the dearest, measured on the same dev cases: always the commonest answer, a bag
 * of words, the nearest training case, a linear probe on a model's hidden states, a plain prompt, and a prompt with the nearest examples.
 * What a model must beat before it earns its cost.
 *
 *     hn_ladder ladder;
 *     HN_TRY(hn_ladder_climb(&(hn_ladder_setup){project, dataset, store, .providers = &provider, .n_providers = 1}, &ladder, &err));
 *     printf("%s %.1f %%", ladder.rungs[ladder.marked].name, 100 * ladder.rungs[ladder.marked].accuracy.value);
 *     hn_ladder_free(&ladder);
 *
 * Rungs are in the order of what they cost: those before the first model take no model, a probe takes one pass over the text, a prompt the
 * pass over prompt and labels, examples a longer prompt; remote models, which cost money, come last. Every rung answers the first n cases of
 * dev's fixed random order, so two rungs share the first min(n) of them.
 * "Not worse" (non-inferior) than the best rung: the 95 % interval of the paired difference, rung minus best, lies wholly above minus
 * smallest_difference. The first such rung is marked: cheaper ones are worse, or cannot be told from it yet.
 * Results are kept in the store's cache by all that decides them; times are those of when they were measured.
 * Ownership: the ladder owns its rungs; the setup's parts are borrowed and must outlive it. Threading: one thread. */
#ifndef HN_LIFECYCLE_LADDER_H
#define HN_LIFECYCLE_LADDER_H

#include "lifecycle/scope/learning_curve.h"
#include "lifecycle/scope/narrower_start.h"
#include "lifecycle/scope/recommendation.h"
#include "project/project.h"
#include "provider/provider.h"
#include "stats/verdict.h"
#include "store/store.h"

enum { HN_LADDER_PROMPT_CASES = 400, HN_LADDER_DEV_MAX = 5000, HN_LADDER_EXAMPLES = 6, HN_LADDER_RUNGS_MAX = 32 };

typedef enum hn_rung_kind {
    HN_RUNG_MAJORITY,
    HN_RUNG_BAG_OF_WORDS,
    HN_RUNG_NEAREST,
    HN_RUNG_PROBE,
    HN_RUNG_ZERO_SHOT,
    HN_RUNG_FEW_SHOT
} hn_rung_kind;

typedef struct hn_rung {
    hn_rung_kind kind;
    char name[120];       /* "bag of words", "linear probe, smollm2-135m" */
    char model[96];       /* "": needs none */
    int provider;         /* index of the setup's model; -1: none */
    char detail[96];      /* what was chosen, such as the probe's strength; "" */
    size_t n;             /* dev cases answered: the first n of the ladder's order */
    int32_t *answers;     /* (n) label of each answer, -1 none; NULL unless the contract is a choice */
    unsigned char *right; /* (n) */
    hn_estimate accuracy, macro_f1;
    double latency_ms;                  /* median of one answer, computed by itself */
    double memory_bytes;                /* to give one answer at a time */
    double cost_per_1000;               /* dollars, by the model's prices; 0: local; NaN: no price is known */
    double seconds;                     /* to learn and to answer all n */
    double pair_auc, pair_auc_whitened; /* probe: ROC AUC of cosines of hidden states on dev pairs of one label; NaN */
    double strength;                    /* probe: penalty a training case */
    bool kept;                          /* found in the store */
    hn_verdict against_best; /* this rung minus the best, on the cases of both; of the best itself: no difference */
    bool not_worse;
} hn_rung;

/* A rung that was left out, and why. */
typedef struct hn_rung_left_out {
    char name[120], reason[320];
} hn_rung_left_out;

typedef struct hn_ladder_progress {
    const char *what;        /* "bag of words", "linear probe, smollm2-135m: hidden states" */
    size_t done, total;      /* total 0: unknown */
    const hn_rung *finished; /* a rung that has just been measured, else NULL */
} hn_ladder_progress;
typedef void hn_ladder_on_progress(void *user, const hn_ladder_progress *progress);

typedef struct hn_ladder_setup {
    hn_project *project;
    const hn_dataset *dataset;
    hn_store *store;               /* results are kept there; may be NULL */
    hn_provider *const *providers; /* (n_providers) models whose rungs are wanted */
    size_t n_providers;
    size_t limit; /* dev cases at most for every rung; 0: HN_LADDER_DEV_MAX, and HN_LADDER_PROMPT_CASES for prompts */
    bool fresh;   /* measure again what is kept */
    hn_ladder_on_progress *on_progress;
    void *user;
} hn_ladder_setup;

typedef struct hn_ladder {
    const hn_scope *scope;
    size_t n_train, n_dev;         /* labelled cases learnt from, and there are to answer */
    size_t n_train_all, n_dev_all; /* labelled cases that there are: more where the rungs are measured on a sample */
    hn_rung rungs[HN_LADDER_RUNGS_MAX];
    size_t n_rungs;
    hn_rung_left_out left_out[HN_LADDER_RUNGS_MAX];
    size_t n_left_out;
    size_t best;   /* index; of several with the same accuracy the first */
    size_t marked; /* the cheapest rung that is not worse than the best */
    hn_curve curves[HN_LADDER_RUNGS_MAX];
    size_t n_curves;
    hn_narrow narrow;
    hn_recommendation advice;
} hn_ladder;

/* HN_ERR_INTERRUPTED after Ctrl-C: rungs that were finished are kept. A rung that cannot be measured (its model has no template, a text does
 * not fit) is left out with the reason; n_rungs is 0 without training or dev cases. */
hn_status hn_ladder_climb(const hn_ladder_setup *setup, hn_ladder *out, hn_error *err) HN_MUST_CHECK;
void hn_ladder_free(hn_ladder *ladder);
hn_status hn_ladder_json(const hn_ladder *ladder, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
