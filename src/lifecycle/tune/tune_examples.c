/* Cases as training examples; see tune_examples.h. */
#include "lifecycle/tune/tune_examples.h"

#include "base/interrupt.h"

#include <stdio.h>
#include <string.h>

enum { NAMED_MAX = 5 };

/* The request that scores this case's right answer and nothing else. */
static hn_status answer_request(const hn_prompt *prompt, const hn_case *c, const hn_request *from, hn_request *request,
                                hn_request_label *label, hn_error *err) {
    *request = *from;
    *label = (hn_request_label){.text = c->target};
    if (c->label >= 0 && prompt->wordings && (size_t)c->label < prompt->n_labels)
        label->text = prompt->wordings[c->label];
    request->kind = HN_REQUEST_LABELS;
    request->labels = label;
    request->n_labels = 1;
    request->label_log_priors = NULL;
    request->constraint = (hn_constraint){0};
    if (prompt->raw && !request->label_stop) request->label_stop = prompt->raw_stop;
    if (*label->text) return HN_OK;
    return hn_case_fail(c, "give it an answer, or leave the row out", "there is nothing to learn: its target is empty",
                        err);
}

static hn_status add_example(hn_tune_examples *e, const hn_case *c, const hn_tokens *prompt, const hn_tokens *answer,
                             hn_error *err) {
    hn_tune_example *x = &e->items[e->n];
    size_t n = prompt->n + answer->n;
    if (prompt->n == 0)
        return hn_case_fail(c, "give the prompt some text", "an empty prompt leaves nothing to answer to", err);
    if (n > INT32_MAX) return hn_fail_memory(err, n);
    *x = (hn_tune_example){.c = c, .n = (int)n, .n_prompt = (int)prompt->n};
    x->ids = hn_arena_alloc(e->arena, n * sizeof *x->ids);
    if (!x->ids) return hn_fail_memory(err, n * sizeof *x->ids);
    memcpy(x->ids, prompt->ids, prompt->n * sizeof *x->ids);
    memcpy(x->ids + prompt->n, answer->ids, answer->n * sizeof *x->ids);
    e->n_tokens += n;
    e->n_supervised += answer->n;
    if (x->n > e->longest) e->longest = x->n;
    e->n++;
    return HN_OK;
}

static hn_status make_example(const hn_app *app, hn_provider *provider, const hn_prompt *prompt, const hn_case *c,
                              hn_tune_examples *examples, hn_error *err) {
    hn_app_request made;
    hn_request request;
    hn_request_label label;
    hn_tokens before = {0}, answer = {0};
    HN_TRY(hn_app_request_make(app, c, &made, err));
    hn_status st = answer_request(prompt, c, &made.request, &request, &label, err);
    if (st == HN_OK) st = hn_provider_prompt_ids(provider, &request, &before, err);
    if (st == HN_OK) st = hn_provider_label_ids(provider, &request, &answer, err);
    if (st == HN_OK) st = add_example(examples, c, &before, &answer, err);
    hn_tokens_free(&before);
    hn_tokens_free(&answer);
    hn_app_request_free(&made);
    return st;
}

/* An answer cut off teaches the model to stop anywhere. */
static hn_status check_lengths(const hn_tune_examples *e, int max_tokens, hn_error *err) {
    char rows[256] = "";
    size_t n_long = 0;
    for (size_t i = 0; i < e->n; i++) {
        const hn_tune_example *x = &e->items[i];
        if (x->n <= max_tokens) continue;
        size_t at = strlen(rows);
        if (n_long++ < NAMED_MAX)
            snprintf(rows + at, sizeof rows - at, "%s%d (%d tokens)", at ? ", " : "", x->c->line, x->n);
    }
    if (n_long == 0) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, e->items[0].c->file,
                   "raise --max-length up to the model's context, shorten the prompt, or leave these rows out",
                   "%zu of %zu cases are longer than %d tokens, and their answers would be cut off: line %s%s", n_long,
                   e->n, max_tokens, rows, n_long > NAMED_MAX ? ", ..." : "");
}

hn_status hn_tune_examples_make(const hn_app *app, hn_provider *provider, const hn_prompt *prompt,
                                const hn_dataset *dataset, const uint32_t *cases, size_t n, int max_tokens,
                                hn_tune_examples *examples, hn_error *err) {
    *examples = (hn_tune_examples){.arena = hn_arena_create(0)};
    hn_status st = examples->arena ? HN_OK : hn_fail_memory(err, 0);
    if (st == HN_OK) {
        examples->items = hn_arena_alloc(examples->arena, (n ? n : 1) * sizeof *examples->items);
        if (!examples->items) st = hn_fail_memory(err, n * sizeof *examples->items);
    }
    for (size_t i = 0; i < n && st == HN_OK; i++) {
        st = hn_interrupt_check(err);
        if (st == HN_OK) st = make_example(app, provider, prompt, &dataset->cases[cases[i]], examples, err);
    }
    if (st == HN_OK) st = check_lengths(examples, max_tokens, err);
    if (st != HN_OK) hn_tune_examples_free(examples);
    return st;
}

void hn_tune_examples_free(hn_tune_examples *examples) {
    hn_arena_free(examples->arena);
    *examples = (hn_tune_examples){0};
}

hn_status hn_tune_check_labels(const hn_scope *scope, const hn_dataset *dataset, const uint32_t *cases, size_t n,
                               hn_error *err) {
    char missing[256] = "";
    size_t n_missing = 0;
    for (size_t k = 0; k < scope->contract.n_labels && scope->contract.kind == HN_CONTRACT_CHOICE; k++) {
        bool seen = false;
        for (size_t i = 0; i < n && !seen; i++) seen = dataset->cases[cases[i]].label == (int)k;
        if (seen) continue;
        size_t at = strlen(missing);
        if (n_missing++ < NAMED_MAX)
            snprintf(missing + at, sizeof missing - at, "%s%.40s", at ? ", " : "", scope->contract.labels[k]);
    }
    if (n_missing == 0) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, "train split",
                   "label cases of these, give the train split a larger share, or go on with --allow-unseen-labels",
                   "%zu of %zu labels have no training case, so the model would learn never to say them: %s%s",
                   n_missing, scope->contract.n_labels, missing, n_missing > NAMED_MAX ? ", ..." : "");
}
