/* Methods of training: what stands behind `hone tune --method NAME`. The loop (tune.c), the checkpoint, early stopping, the run in the store and the
 * command are the same for all; a method says what differs.
 *
 *     const hn_tune_method hn_tune_method_lora = {
 *         .name = "lora", .result = "adapter", .network = network, .write = write};
 *
 * To add one:
 *   1. src/lifecycle/tune/tune_method_NAME.c with `const hn_tune_method hn_tune_method_NAME = {...};` What is left NULL works as for LoRA:
 *      rows from the project's cases or the data's conversations, the loss of their answers, dev answered through the App.
 *   2. Declare it below and add its line to the table in tune_method.c. `hone tune --method` and its help follow from the table.
 *   3. Settings of its own: a field in hn_tune_options, an option in cmd_tune.c (src/cli/tune_settings.c reads it from the flag or from hone.yaml's
 *      `tune:`), a key in src/project/tune_config.c, and the same value in `parameters` below, so that runs that differ in it are different runs.
 *   4. tests/cli/tune_NAME.sh, and a section in docs/fine-tuning.md.
 *
 * In a method, `t->own` is its own memory (freed by `close`). Everything that decides bits must follow from the setup and the seed, or be in the
 * checkpoint: a training that is killed goes on with the same bits. Ownership: tables are static. Threading: one thread, which runs t->pool. */
#ifndef HN_LIFECYCLE_TUNE_METHOD_H
#define HN_LIFECYCLE_TUNE_METHOD_H

#include "lifecycle/tune/tune_training.h"

struct hn_tune_method {
    const char *name;
    const char *summary; /* for help: "an adapter beside the base's weights" */
    const char *
        result; /* the folder's name under the run's: "adapter" (PEFT's form, the base beside it) or "model" (a whole one) */
    bool takes_pairs, takes_text; /* preference pairs, plain text: refused where not */
    bool takes_unlabelled;        /* training cases without a target */
    bool ties_to_later;           /* of epochs that score the same the last is kept, not the first */
    double learning_rate;         /* the default; 0: 5e-4 */
    int steps, epochs_max;        /* what the default number of epochs aims at, and its limit; 0: 120 and 10 */

    /* Refusals of its own, before a run begins. NULL: none. */
    hn_status (*check)(hn_training *t, hn_error *err);
    /* Its own settings into the run's parameters. NULL: none. */
    hn_status (*parameters)(const hn_training *t, json_t *parameters, hn_error *err);
    /* How rows and targets are made: fills t->examples (and t->held, where scored by loss). `examples.unit` rows belong together (a pair: 2); a
     * step takes whole units. NULL: hn_tune_rows_make. */
    hn_status (*make_rows)(hn_training *t, hn_error *err);
    /* What learns: options of the network that is created from the base model. `seed` is set. */
    void (*network)(const hn_training *t, hn_network_options *options);
    /* After the network is created from the base and before a checkpoint is read: what the base says of the rows (DPO's reference). NULL: nothing. */
    hn_status (*prepare)(hn_training *t, hn_error *err);
    /* Adds the gradient of the mean loss of these rows (n: whole units) to the network's; *loss gets their summed loss, *n_counted what it is
     * divided by to be shown. NULL: hn_tune_gradient_answers, -ln p of the learned tokens. */
    hn_status (*gradient)(hn_training *t, const hn_tune_example *const *rows, size_t n, double *loss,
                          int64_t *n_counted, hn_error *err);
    /* Writes what was learned to `folder`, over what may be there from an earlier try. */
    hn_status (*write)(hn_training *t, const char *folder, hn_error *err);
    /* Scores the network as it is: t->scores (n_dev), higher is better, and *e's n_correct or loss. `folder`: where `write` put it; NULL: the base
     * before training. NULL: hn_tune_score_epoch. */
    hn_status (*score)(hn_training *t, const char *folder, hn_tune_epoch *e, hn_tune_sample *sample, hn_error *err);
    /* Adds to the run's summary. NULL: nothing. */
    hn_status (*summarise)(const hn_training *t, json_t *summary, hn_error *err);
    void (*close)(hn_training *t); /* NULL: nothing is its own */
};

extern const hn_tune_method hn_tune_method_lora, hn_tune_method_full, hn_tune_method_scratch, hn_tune_method_dpo,
    hn_tune_method_orpo, hn_tune_method_distill;

/* All methods, in the order of the help; ended by NULL. */
extern const hn_tune_method *const hn_tune_methods[];
/* NULL: lora. HN_ERR_USAGE names those there are. */
hn_status hn_tune_method_find(const char *name, const hn_tune_method **method, hn_error *err) HN_MUST_CHECK;

/* ---- the parts that methods build on ---- */

/* From the cases of t->train, or the data's rows. */
hn_status hn_tune_rows_make(hn_training *t, hn_error *err) HN_MUST_CHECK;
hn_status hn_tune_gradient_answers(hn_training *t, const hn_tune_example *const *rows, size_t n, double *loss,
                                   int64_t *n_counted, hn_error *err) HN_MUST_CHECK;
/* -ln p of each row's answer (n), summed over its learned tokens, by the network as it is. */
hn_status hn_tune_answer_losses(hn_training *t, const hn_tune_example *const *rows, size_t n, double *losses,
                                hn_error *err) HN_MUST_CHECK;
/* Appends rows to the batch in t's room: each token's target is the next one, where that is learned, with this weight. */
void hn_tune_batch_append(hn_training *t, hn_train_batch *b, const hn_tune_example *row, float weight);
hn_train_batch hn_tune_batch_empty(hn_training *t);
/* Puts what all these rows begin with at the front of an empty batch, once, where the batch drops nothing: rows appended after it hold what is their
 * own. Gradients are those of whole rows, at a fraction of the work. */
void hn_tune_batch_share(hn_training *t, hn_train_batch *b, const hn_tune_example *const *rows, size_t n);
hn_train_batch
hn_tune_batch_learning(hn_training *t); /* the same with the settings' dropout: for gradients, not for scores */
/* With cases: dev through the App; with data: the loss of t->held. */
hn_status hn_tune_score_epoch(hn_training *t, const char *folder, hn_tune_epoch *e, hn_tune_sample *sample,
                              hn_error *err) HN_MUST_CHECK;
/* LoRA's settings into the network's, and into the run's parameters: for methods that train an adapter. */
void hn_tune_network_lora(const hn_training *t, hn_network_options *options);
hn_status hn_tune_parameters_lora(const hn_training *t, json_t *parameters, hn_error *err) HN_MUST_CHECK;
/* All tensors that learn as a PEFT folder; as a whole model folder. */
hn_status hn_tune_write_adapter(hn_training *t, const char *folder, hn_error *err) HN_MUST_CHECK;
hn_status hn_tune_write_model(hn_training *t, const char *folder, hn_error *err) HN_MUST_CHECK;

#endif
