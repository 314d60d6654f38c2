/* The new model of a training from scratch; see tune_scratch.h. */
#include "cli/tune_scratch.h"

#include "lifecycle/tune/tune_method.h"
#include "lifecycle/tune/tune_rows.h"

#include <string.h>

enum { STEP_ROWS = 1024 };

static hn_status make(const char *store_dir, const hn_text_corpus *texts, hn_cli_scratch *s, hn_error *err) {
    hn_scratch_setup setup = {.store_dir = store_dir,
                              .tokenizer = s->tokenizer,
                              .texts = texts,
                              .n_vocab = (uint32_t)s->n_vocab,
                              .shape = s->shape,
                              .seed = s->seed};
    return hn_scratch_base_make(&setup, &s->base, err);
}

static hn_status add_labels(const hn_cli_project *p, const hn_prompt *prompt, hn_text_corpus *c, hn_error *err) {
    const hn_contract *contract = &p->scope->contract;
    for (size_t i = 0; i < contract->n_labels; i++) {
        const char *text = contract->labels[i];
        if (prompt->wordings && i < prompt->n_labels) text = prompt->wordings[i];
        HN_TRY(hn_text_corpus_add(c, text, strlen(text), err));
    }
    return HN_OK;
}

hn_status hn_cli_scratch_cases(const hn_cli_project *p, const hn_prompt *prompt, hn_cli_scratch *s, hn_error *err) {
    hn_text_corpus *c;
    HN_TRY(hn_text_corpus_of_cases(p->dataset, HN_SPLIT_TRAIN, &c, err));
    hn_status st = add_labels(p, prompt, c, err);
    if (st == HN_OK) st = make(hn_project_store_dir(p->project), c, s, err);
    hn_text_corpus_free(c);
    return st;
}

/* The training's own choice of rows, made before there is a model. */
static hn_status choose_rows(const hn_tune_setup *setup, hn_text_corpus *c, hn_error *err) {
    hn_tune_result result = {0};
    hn_training t = {.setup = setup, .result = &result, .method = &hn_tune_method_scratch};
    hn_status st = hn_tune_rows_select(&t, err);
    for (size_t i = 0; st == HN_OK && i < result.n_train; i++) {
        const hn_train_row *row = &setup->data->rows[t.train[i]];
        st = hn_text_corpus_add(c, row->text, row->n_text, err);
    }
    hn_free(t.train);
    hn_free(t.dev);
    return st;
}

hn_status hn_cli_scratch_data(const hn_tune_setup *setup, hn_cli_scratch *s, hn_error *err) {
    hn_text_corpus *c = hn_text_corpus_create();
    if (!c) return hn_fail_memory(err, sizeof *c);
    hn_status st = choose_rows(setup, c, err);
    if (st == HN_OK) st = make(setup->store_dir, c, s, err);
    hn_text_corpus_free(c);
    return st;
}

void hn_cli_scratch_print(hn_cli *cli, const hn_cli_scratch *s) {
    char shape[160], weights[32], bytes[32], vocab[32];
    hn_output_print(cli->out, "a new model: %s; %s weights; %s tokens%s; about %s to train\n",
                    hn_model_plan_text(&s->base.plan, shape),
                    hn_format_count(hn_model_plan_parameters(&s->base.plan), weights),
                    hn_format_count(s->base.plan.n_vocab, vocab), s->base.learned_tokenizer ? ", learned here" : "",
                    hn_format_bytes(hn_model_plan_training_bytes(&s->base.plan, STEP_ROWS), bytes));
}

static hn_status as_documents(const char *path, const char *const *fields, size_t n_fields, hn_train_data **data,
                              hn_error *err) {
    hn_text_corpus *c;
    HN_TRY(hn_text_corpus_read(&path, 1, fields, n_fields, &c, err));
    hn_status st = hn_text_corpus_as_data(c, path, data, err);
    hn_text_corpus_free(c);
    return st;
}

hn_status hn_cli_train_data(const char *path, const char *const *fields, size_t n_fields, hn_train_data **data,
                            hn_error *err) {
    if (n_fields) return as_documents(path, fields, n_fields, data, err);
    HN_TRY(hn_train_data_read(path, data, err));
    if ((*data)->format != HN_TRAIN_TEXT) return HN_OK;
    hn_train_data_free(*data);
    return as_documents(path, NULL, 0, data, err);
}
