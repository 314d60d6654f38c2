/* Which smaller number format still does the job: a run's model in several formats, each measured on the run's own cases with the run's own prompt, and
 * tested for being not worse than the run by the smallest difference that matters.
 *
 *     hn_format_setup setup = {store, run, scope, model, ".hone/quantized", formats, n, margin, n_threads, hooks};
 *     hn_format_trials t;
 *     HN_TRY(hn_format_trials_run(&setup, &t, &err));
 *     if (t.best < t.n) puts(t.trials[t.best].path);             // the smallest that is shown to be not worse
 *     hn_format_trials_free(&t);
 *
 * Each measurement is an ordinary evaluation in the store, linked to the run as "quantized". The test is paired (stats/noninferior.h): one-sided at 2.5 %,
 * the same as the 95 % interval of the difference in accuracy lying above minus the margin, with p adjusted by Holm for the number of formats. A file that
 * is there from an earlier time is used as it is: its name has the hash of the weights that it was made from, and the same weights give the same bytes.
 * Ownership: the trials own all they point to. Threading: one thread, which runs pools. */
#ifndef HN_LIFECYCLE_FORMAT_TRIALS_H
#define HN_LIFECYCLE_FORMAT_TRIALS_H

#include "base/file.h"
#include "lifecycle/eval/eval.h"
#include "model/quantize_file.h"
#include "stats/verdict.h"

enum { HN_FORMAT_TRIALS_MAX = 16 };

typedef struct hn_format_hooks {
    /* The model in `path`, called `name`. */
    hn_status (*open)(void *user, const char *path, hn_provider **provider, hn_error *err);
    void (*on_weights)(void *user, hn_dtype format, uint64_t done, uint64_t total); /* may be NULL, as the next */
    void (*on_cases)(void *user, hn_dtype format, const hn_eval_progress *progress);
    void *user;
} hn_format_hooks;

typedef struct hn_format_setup {
    hn_store *store;
    const hn_run *run; /* finished, on dev or train */
    const hn_scope *scope;
    hn_model *model;    /* of the run, its adapter beside it */
    const char *folder; /* where the files go; made where it is not there */
    const hn_dtype *formats;
    size_t n;
    double margin; /* above 0 */
    int n_threads; /* of the quantiser; 0: one per CPU */
    hn_format_hooks hooks;
} hn_format_setup;

typedef enum hn_format_verdict {
    HN_FORMAT_CANNOT_TELL, /* not shown to be not worse, and not certainly worse */
    HN_FORMAT_NOT_WORSE,
    HN_FORMAT_WORSE, /* the interval lies below 0 */
} hn_format_verdict;

/* "cannot_tell", "not_worse", "worse" */
const char *hn_format_verdict_name(hn_format_verdict kind);

typedef struct hn_format_trial {
    hn_dtype format;
    char path[HN_PATH_MAX];
    uint64_t bytes;
    size_t
        n_fallbacks; /* matrices in another format, since their rows are no whole blocks of this one; 0 where the file was there */
    bool was_there;
    hn_eval_result result;
    hn_verdict difference; /* in accuracy, format minus run, on the shared cases */
    double p, p_adjusted;  /* that it is not worse */
    hn_format_verdict kind;
    double tokens_per_second; /* of computing its answers; NaN: not measured */
} hn_format_trial;

typedef struct hn_format_trials {
    hn_format_trial *trials; /* (n) in the order asked for */
    size_t n, best;          /* best = n: none is shown to be not worse */
    double margin;
    hn_estimate accuracy;   /* of the run */
    hn_dtype source_format; /* of most of its weights */
    bool quantised;         /* they are of a format that has lost something already */
    double tokens_per_second;
} hn_format_trials;

/* HN_ERR_INPUT: a run that is no finished evaluation, or of the test split (which is for the last look, not for choosing); a model that is not the run's. Else as
 * hn_export_gguf and hn_eval_run. Interrupted, the same setup goes on: files and answers that are there are kept. */
hn_status hn_format_trials_run(const hn_format_setup *setup, hn_format_trials *out, hn_error *err) HN_MUST_CHECK;
/* What of this is wrong with the run alone, before its model is opened. */
hn_status hn_format_trials_check(const hn_run *run, hn_error *err) HN_MUST_CHECK;
void hn_format_trials_free(hn_format_trials *t);
/* {"run","margin","source_format","starts_quantised","accuracy":{..},"formats":[{"format","run","path","bytes","accuracy":{..},"difference":{..},"p","p_adjusted",
 * "verdict",...}],"smallest"}; new reference. */
hn_status hn_format_trials_json(const hn_format_trials *t, const hn_run *run, json_t **value,
                                hn_error *err) HN_MUST_CHECK;

#endif
