/* Cases and conversations as training examples; see tune_examples.h. */
#include "lifecycle/tune/tune_examples.h"

#include <stdio.h>
#include <string.h>

enum { NAMED_MAX = 5 };

hn_status hn_tune_examples_begin(hn_tune_examples *e, int max_tokens, hn_error *err) {
    *e = (hn_tune_examples){.unit = 1, .arena = hn_arena_create(0)};
    e->check = (hn_loss_check){.max_tokens = (size_t)max_tokens, .limit_option = "--max-length"};
    return e->arena ? HN_OK : hn_fail_memory(err, 0);
}

void hn_tune_examples_free(hn_tune_examples *e) {
    hn_arena_free(e->arena);
    hn_free(e->items);
    *e = (hn_tune_examples){0};
}

hn_status hn_tune_examples_check(const hn_tune_examples *e, const char *name, hn_error *err) {
    return hn_loss_check_refuse(&e->check, name, err);
}

static hn_status add(hn_tune_examples *e, const hn_tune_example *like, const hn_loss_mask *mask, int line,
                     hn_error *err) {
    size_t n = mask->ids.n;
    if (n > INT32_MAX) return hn_fail_memory(err, n);
    if (!hn_grow((void **)&e->items, &e->capacity, e->n + 1, sizeof *e->items))
        return hn_fail_memory(err, (e->n + 1) * sizeof *e->items);
    hn_tune_example *x = &e->items[e->n];
    *x = *like;
    x->n = x->n_prompt = (int)n;
    x->weight = 1;
    x->ids = hn_arena_alloc(e->arena, n * sizeof *x->ids + 1);
    x->learned = hn_arena_alloc(e->arena, n + 1);
    if (!x->ids || !x->learned) return hn_fail_memory(err, n * sizeof *x->ids);
    if (n) memcpy(x->ids, mask->ids.ids, n * sizeof *x->ids);
    for (size_t i = n; i-- > 1;) { /* the first token has nothing before it */
        x->learned[i] = mask->learned[i];
        x->n_learned += mask->learned[i];
        if (mask->learned[i]) x->n_prompt = (int)i;
    }
    hn_loss_check_add(&e->check, mask, (size_t)like->row + 1, line);
    e->n_tokens += n;
    e->n_supervised += (size_t)x->n_learned;
    if (x->n > e->longest) e->longest = x->n;
    e->n++;
    return HN_OK;
}

hn_status hn_tune_examples_add_mask(hn_tune_examples *e, const hn_loss_mask *mask, uint32_t row, int line,
                                    hn_error *err) {
    return add(e, &(hn_tune_example){.row = row}, mask, line, err);
}

/* ---- cases ---- */

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

/* Prompt and answer as one mask. */
static hn_status join(const hn_case *c, const hn_tokens *prompt, const hn_tokens *answer, bool has_end,
                      hn_loss_mask *mask, hn_error *err) {
    size_t n = prompt->n + answer->n;
    if (prompt->n == 0)
        return hn_case_fail(c, "give the prompt some text", "an empty prompt leaves nothing to answer to", err);
    mask->ids.ids = hn_calloc(n, sizeof *mask->ids.ids);
    mask->learned = hn_calloc(n, 1);
    mask->answers = hn_calloc(1, sizeof *mask->answers);
    if (!mask->ids.ids || !mask->learned || !mask->answers) return hn_fail_memory(err, n * sizeof *mask->ids.ids);
    mask->ids.n = n;
    memcpy(mask->ids.ids, prompt->ids, prompt->n * sizeof *prompt->ids);
    if (answer->n) memcpy(mask->ids.ids + prompt->n, answer->ids, answer->n * sizeof *answer->ids);
    memset(mask->learned + prompt->n, 1, answer->n);
    mask->answers[0] = (hn_loss_answer){.start = prompt->n, .end = n, .message = -1, .has_end = has_end};
    mask->n_answers = 1;
    mask->n_learned = answer->n;
    return HN_OK;
}

hn_status hn_tune_examples_add_case(hn_tune_examples *e, const hn_app *app, hn_provider *provider,
                                    const hn_prompt *prompt, const hn_case *c, uint32_t row, hn_error *err) {
    hn_app_request made;
    hn_request request;
    hn_request_label label;
    hn_tokens before = {0}, answer = {0};
    hn_loss_mask mask = {0};
    HN_TRY(hn_app_request_make(app, c, &made, err));
    hn_status st = answer_request(prompt, c, &made.request, &request, &label, err);
    if (st == HN_OK) st = hn_provider_prompt_ids(provider, &request, &before, err);
    if (st == HN_OK) st = hn_provider_label_ids(provider, &request, &answer, err);
    if (st == HN_OK) {
        bool has_end = !prompt->raw || (request.label_stop && *request.label_stop);
        st = join(c, &before, &answer, has_end, &mask, err);
    }
    if (st == HN_OK) st = add(e, &(hn_tune_example){.c = c, .row = row}, &mask, c->line, err);
    hn_loss_mask_free(&mask);
    hn_tokens_free(&before);
    hn_tokens_free(&answer);
    hn_app_request_free(&made);
    return st;
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
