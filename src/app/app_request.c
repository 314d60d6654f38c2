/* From a case to the request that a provider understands: examples picked, prompt rendered, parameters set; see app.h. */
#include "app/app_internal.h"

#include "engine/grammar.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What stands between the reasoning and the answer. It ends where a wording may begin: a line end in chat form (wordings there begin with a
 * letter), a colon in raw form (wordings there begin with a space). */
static const char CHAT_BRIDGE[] = "\n\nAnswer:\n";
static const char RAW_BRIDGE[] = "\nAnswer:";

bool hn_app_scores_labels(const hn_app *app) {
    return app->parts.scope->contract.kind == HN_CONTRACT_CHOICE && app->parts.prompt->answer == HN_ANSWER_LIKELIHOOD;
}

/* A JSON number within the range. */
static hn_status number_schema(const hn_contract *contract, json_t **schema, hn_error *err) {
    *schema = json_pack("{s:s}", "type", "number");
    bool fine = *schema != NULL;
    if (fine && isfinite(contract->low)) fine = json_object_set_new(*schema, "minimum", json_real(contract->low)) == 0;
    if (fine && isfinite(contract->high))
        fine = json_object_set_new(*schema, "maximum", json_real(contract->high)) == 0;
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status check_regex(const hn_app *app, hn_error *err) {
    hn_grammar *grammar = NULL;
    hn_status st = hn_grammar_from_regex(app->constraint.text, &grammar, err);
    hn_grammar_free(grammar);
    if (st == HN_OK || st == HN_ERR_MEMORY || !err) return st;
    hn_error_prefix(err, app->constraint.name);
    snprintf(err->hint, sizeof err->hint, "write the pattern without it, or `constrain: false` in %.300s",
             app->parts.prompt->path);
    return st;
}

hn_status hn_app_constraint_make(hn_app *app, hn_error *err) {
    const hn_contract *contract = &app->parts.scope->contract;
    const hn_prompt *prompt = app->parts.prompt;
    app->constraint = (hn_constraint){0};
    if (!prompt->constrain) return HN_OK;
    switch (contract->kind) {
    case HN_CONTRACT_TEXT: break;
    case HN_CONTRACT_CHOICE:
        app->constraint = (hn_constraint){.kind = HN_CONSTRAIN_CHOICES,
                                          .choices = (const char *const *)prompt->wordings,
                                          .n_choices = prompt->n_labels,
                                          .name = "output: choice"};
        break;
    case HN_CONTRACT_NUMBER:
        HN_TRY(number_schema(contract, &app->number_schema, err));
        app->constraint =
            (hn_constraint){.kind = HN_CONSTRAIN_SCHEMA, .schema = app->number_schema, .name = "output: number"};
        break;
    case HN_CONTRACT_REGEX:
        app->constraint = (hn_constraint){.kind = HN_CONSTRAIN_REGEX, .text = contract->regex, .name = "output: regex"};
        return check_regex(app, err);
    case HN_CONTRACT_JSON:
        app->constraint =
            (hn_constraint){.kind = HN_CONSTRAIN_SCHEMA, .schema = contract->schema, .name = "output: json"};
        break;
    }
    return HN_OK;
}

static void set_sampling(const hn_prompt *prompt, int max_tokens, hn_request *r) {
    r->kind = HN_REQUEST_GENERATE;
    r->max_tokens = max_tokens;
    r->sampling = (hn_sampling){.temperature = (float)prompt->temperature,
                                .top_k = prompt->top_k,
                                .top_p = (float)prompt->top_p,
                                .min_p = (float)prompt->min_p,
                                .repetition_penalty = (float)prompt->repetition_penalty,
                                .seed = prompt->seed};
    r->stop = (const char *const *)prompt->stop;
    r->n_stop = prompt->n_stop;
    if (prompt->raw && prompt->n_stop == 0 && prompt->raw_stop) {
        r->stop = (const char *const *)&prompt->raw_stop;
        r->n_stop = 1;
    }
}

static void set_answer(const hn_app *app, hn_app_request *out) {
    const hn_prompt *prompt = app->parts.prompt;
    if (!hn_app_scores_labels(app)) {
        set_sampling(prompt, prompt->max_tokens, &out->request);
        out->request.constraint = app->constraint;
        return;
    }
    out->request.kind = HN_REQUEST_LABELS;
    out->request.max_tokens = 0;
    out->request.stop = NULL;
    out->request.n_stop = 0;
    out->request.labels = out->labels;
    out->request.n_labels = prompt->n_labels;
    out->request.label_stop = prompt->raw ? prompt->raw_stop : NULL;
}

static hn_status set_labels(const hn_prompt *prompt, hn_app_request *out, hn_error *err) {
    out->labels = hn_calloc(prompt->n_labels, sizeof *out->labels);
    if (!out->labels) return hn_fail_memory(err, prompt->n_labels * sizeof *out->labels);
    for (size_t i = 0; i < prompt->n_labels; i++) out->labels[i].text = prompt->wordings[i];
    return HN_OK;
}

static hn_status render(const hn_app *app, const hn_case *c, hn_app_request *out, hn_error *err) {
    const hn_prompt *prompt = app->parts.prompt;
    if (prompt->pick != HN_PICK_NONE && prompt->n_examples > 0) {
        out->examples = hn_calloc((size_t)prompt->n_examples, sizeof *out->examples);
        if (!out->examples) return hn_fail_memory(err, (size_t)prompt->n_examples * sizeof *out->examples);
        HN_TRY(hn_example_pick(app->pool, prompt, c, out->examples, &out->n_examples, err));
    }
    HN_TRY(hn_prompt_render(prompt, c, out->examples, out->n_examples, &out->messages, &out->raw, err));
    out->request.messages = out->messages;
    out->request.raw = out->raw;
    if (hn_app_scores_labels(app)) HN_TRY(set_labels(prompt, out, err));
    if (prompt->reasoning_max_tokens > 0)
        set_sampling(prompt, prompt->reasoning_max_tokens, &out->request);
    else
        set_answer(app, out);
    return HN_OK;
}

hn_status hn_app_request_make(const hn_app *app, const hn_case *c, hn_app_request *out, hn_error *err) {
    *out = (hn_app_request){0};
    hn_status st = render(app, c, out, err);
    if (st != HN_OK) hn_app_request_free(out);
    return st;
}

hn_status hn_app_request_answer(const hn_app *app, hn_app_request *request, const char *reasoning, hn_error *err) {
    hn_buf text;
    hn_buf_init(&text, 0);
    bool raw = request->raw != NULL;
    if (raw) hn_buf_append_str(&text, request->raw);
    hn_buf_append_str(&text, reasoning);
    hn_buf_append_str(&text, raw ? RAW_BRIDGE : CHAT_BRIDGE);
    char *joined = hn_buf_take(&text);
    if (!joined) {
        hn_buf_free(&text);
        return hn_fail_memory(err, strlen(reasoning));
    }
    if (raw) {
        hn_free(request->raw);
        request->raw = joined;
        request->request.raw = joined;
    } else {
        request->prefix = joined;
        request->request.assistant_prefix = joined;
    }
    set_answer(app, request);
    return HN_OK;
}

void hn_app_request_free(hn_app_request *r) {
    json_decref(r->messages);
    hn_free(r->raw);
    hn_free(r->prefix);
    hn_free(r->examples);
    hn_free(r->labels);
    *r = (hn_app_request){0};
}
