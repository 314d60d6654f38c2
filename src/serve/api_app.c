/* POST /v1/apps/NAME: inputs in, the app's answers out: the same app, on the same engine, that evaluation measured. A case is wrong or right on its own; what is wrong
 * with the app as a whole fails the request. */
#include "base/alloc.h"
#include "base/clock.h"
#include "serve/server_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CASES_MAX = 1024 };

struct app_call;

typedef struct app_case {
    struct app_call *call;
    hn_case c;
    uint64_t ticket;
    bool in_app;
    json_t *answer; /* NULL until it is there */
} app_case;

typedef struct app_call {
    hn_call base;
    hn_served_app *app;
    json_t *body;
    bool batch, logprobs;
    app_case *cases; /* (n) */
    size_t n, n_left;
    double deadline;
    hn_api_error failure;
} app_call;

/* ---- answers ---- */

static json_t *text_or_null(const char *text) { return text ? json_stringn_nocheck(text, strlen(text)) : json_null(); }
static json_t *number_or_null(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *by_label(const hn_scope *scope, const double *values, size_t n) {
    json_t *object = values ? json_object() : json_null();
    for (size_t i = 0; values && i < n; i++)
        json_object_set_new_nocheck(object, scope->contract.labels[i], number_or_null(values[i]));
    return object;
}

static json_t *set_json(const hn_scope *scope, const hn_answer *a) {
    json_t *list = a->label_set ? json_array() : json_null();
    for (size_t i = 0; a->label_set && i < a->n_labels; i++)
        if (a->label_set[i]) json_array_append_new(list, text_or_null(scope->contract.labels[i]));
    return list;
}

static json_t *error_of(const hn_error *err) {
    hn_api_error e = {0};
    hn_api_fail_error(&e, err);
    return hn_api_error_json(&e);
}

static json_t *answer_json(const app_call *a, const hn_answer *answer) {
    const hn_scope *scope = a->app->frozen->scope;
    static const char *const finishes[] = {"stop", "length", "cancelled", "error"};
    if (answer->status != HN_OK) return error_of(&answer->error);
    json_t *text = answer->text ? json_stringn_nocheck(answer->text, answer->text_bytes) : json_null();
    json_t *value = json_pack(
        "{s:o, s:b, s:s?, s:o, s:o, s:o, s:o, s:o, s:s, s:{s:i, s:i, s:i}, s:{s:f, s:f, s:f}}", "value",
        text_or_null(answer->value), "abstained", answer->abstained, "guard", answer->guard, "probabilities",
        by_label(scope, answer->probabilities, answer->n_labels), "label_set", set_json(scope, answer), "support",
        number_or_null(answer->support), "text", text, "reasoning", text_or_null(answer->reasoning), "finish_reason",
        finishes[answer->finish], "usage", "prompt_tokens", answer->usage.prompt_tokens, "cached_prompt_tokens",
        answer->usage.cached_prompt_tokens, "completion_tokens", answer->usage.completion_tokens, "timing", "queue_ms",
        answer->timing.queue_ms, "prefill_ms", answer->timing.prefill_ms, "decode_ms", answer->timing.decode_ms);
    if (value && a->logprobs)
        json_object_set_new(value, "logprobs", by_label(scope, answer->raw_logprobs, answer->n_labels));
    return value;
}

static void on_answer(void *user, uint64_t ticket, const hn_answer *answer) {
    app_case *c = user;
    (void)ticket;
    c->in_app = false;
    c->call->n_left--;
    c->answer = answer_json(c->call, answer);
    if (!c->answer) hn_api_fail(&c->call->failure, 503, NULL, "out_of_memory", "memory is used up");
    if (!c->call->batch && answer->status != HN_OK) hn_api_fail_error(&c->call->failure, &answer->error);
}

static void send(app_call *a) {
    if (a->failure.status) {
        hn_api_error_send(a->base.reply, &a->failure);
        return;
    }
    json_t *value = json_pack("{s:s, s:s, s:s, s:s}", "id", hn_reply_id(a->base.reply), "app", a->app->name, "model",
                              a->app->model->id, "numeric_path", a->app->model->info.numeric_path);
    json_t *list = json_array();
    for (size_t i = 0; i < a->n; i++) json_array_append(list, a->cases[i].answer);
    int failed =
        !value || (a->batch ? json_object_set(value, "answers", list) : json_object_update(value, a->cases[0].answer));
    json_decref(list);
    if (failed) {
        json_decref(value);
        value = NULL;
    }
    hn_api_send_json(a->base.reply, 200, value);
}

/* ---- the engine thread ---- */

static void cancel_rest(app_call *a) {
    for (size_t i = 0; i < a->n; i++)
        if (a->cases[i].in_app) hn_app_cancel(a->app->frozen->app, a->cases[i].ticket);
}

static void look(hn_call *call) {
    app_call *a = (app_call *)call;
    if (call->done) return;
    if (a->app->failed != HN_OK) hn_api_fail_error(&a->failure, &a->app->failure);
    if (a->failure.status) cancel_rest(a);
    if (a->n_left > 0) return;
    call->done = true;
    send(a);
}

static void start(hn_call *call) {
    app_call *a = (app_call *)call;
    hn_error err;
    for (size_t i = 0; i < a->n && !a->failure.status; i++) {
        app_case *c = &a->cases[i];
        if (hn_app_submit(a->app->frozen->app, &c->c, a->deadline, on_answer, c, &c->ticket, &err) != HN_OK) {
            hn_api_fail_error(&a->failure, &err);
            break;
        }
        c->in_app = true;
        a->n_left++;
        a->app->pending++;
    }
    look(call);
}

static void cancel(hn_call *call) {
    cancel_rest((app_call *)call);
    call->done = true;
}

static void free_call(hn_call *call) {
    app_call *a = (app_call *)call;
    for (size_t i = 0; a->cases && i < a->n; i++) {
        json_decref(a->cases[i].c.inputs);
        json_decref(a->cases[i].answer);
    }
    hn_free(a->cases);
    json_decref(a->body);
    hn_reply_release(call->reply);
    hn_free(a);
}

/* ---- reading ---- */

/* The inputs in the order, and of the kinds, that the app's data has them. */
static void read_inputs(app_call *a, app_case *out, const json_t *given, const char *where, hn_api_error *e) {
    json_t *like = a->app->frozen->dataset->cases[0].inputs, *value;
    const char *key;
    char field[160];
    hn_error err;
    if (!json_is_object(given)) {
        hn_field_type(e, where, "an object", given);
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)given, key, value) {
        snprintf(field, sizeof field, "%.60s.%.80s", where, key);
        if (!json_object_get(like, key))
            hn_api_fail(e, 400, field, "unknown_parameter", "Unknown parameter: '%s'. The app has no such input.",
                        field);
    }
    out->c.inputs = json_object();
    json_object_foreach(like, key, value) {
        json_t *own = json_object_get(given, key);
        snprintf(field, sizeof field, "%.60s.%.80s", where, key);
        if (e->status) return;
        if (!own)
            hn_api_fail(e, 400, field, "missing_required_parameter", "Missing required parameter: '%s'.", field);
        else if (json_typeof(own) != json_typeof(value))
            hn_field_type(e, field, hn_json_type_text(value), own);
        else if (json_object_set(out->c.inputs, key, own) != 0)
            hn_api_fail(e, 503, NULL, "out_of_memory", "memory is used up");
    }
    if (!e->status && hn_case_hash_inputs(&out->c, &err) != HN_OK) hn_api_fail_error(e, &err);
}

static void read_group(app_call *a, size_t i, hn_api_error *e) {
    const json_t *group = json_object_get(a->body, "group");
    if (a->batch && group && !json_is_array(group))
        hn_field_type(e, "group", "an array, one for each of the inputs", group);
    if (a->batch) group = json_array_get(group, i);
    if (!group || json_is_null(group) || e->status) return;
    if (json_is_string(group))
        a->cases[i].c.group = json_string_value(group);
    else
        hn_field_type(e, "group", "a string", group);
}

static void read_call(app_call *a, hn_api_error *e) {
    static const char *const known[] = {"inputs", "group", "logprobs"};
    const json_t *inputs = json_object_get(a->body, "inputs");
    hn_field_known(e, a->body, known, sizeof known / sizeof *known);
    hn_field_needed(e, a->body, "inputs");
    hn_field_bool(e, a->body, "logprobs", &a->logprobs);
    a->batch = json_is_array(inputs);
    size_t n = a->batch ? json_array_size(inputs) : 1;
    if (n == 0 || n > CASES_MAX)
        hn_api_fail(e, 400, "inputs", n ? "array_above_max_length" : "empty_array",
                    "Invalid 'inputs': expected 1 to %d entries, but got %zu instead.", CASES_MAX, n);
    if (e->status) return;
    a->cases = hn_calloc(n, sizeof *a->cases);
    if (!a->cases) {
        hn_api_fail(e, 503, NULL, "out_of_memory", "memory is used up");
        return;
    }
    a->n = n;
    for (size_t i = 0; i < n && !e->status; i++) {
        char where[48] = "inputs";
        if (a->batch) snprintf(where, sizeof where, "inputs[%zu]", i);
        a->cases[i] = (app_case){
            .call = a, .c = {.id = "request", .split = HN_SPLIT_TEST, .file = "request", .line = 1, .label = -1}};
        read_inputs(a, &a->cases[i], a->batch ? json_array_get(inputs, i) : inputs, where, e);
        read_group(a, i, e);
    }
}

static hn_served_app *find(hn_server *s, const char *name, hn_api_error *e) {
    for (size_t i = 0; i < s->n_apps; i++)
        if (strcmp(s->apps[i].name, name) == 0) return &s->apps[i];
    hn_api_fail(e, 404, NULL, "app_not_found", "The app `%.100s` does not exist or you do not have access to it.",
                name);
    return NULL;
}

void hn_api_app(hn_api_context *c) {
    hn_api_error e = {0};
    hn_served_app *app = find(c->server, c->rest, &e);
    app_call *a = app ? hn_calloc(1, sizeof *a) : NULL;
    if (!a) {
        hn_api_fail(&e, 503, NULL, "out_of_memory", "memory is used up");
        hn_api_error_send(c->reply, &e);
        return;
    }
    *a = (app_call){.base = {.reply = c->reply, .start = start, .look = look, .cancel = cancel, .free = free_call},
                    .app = app,
                    .body = json_incref(c->body),
                    .deadline = hn_clock_seconds() + c->server->options.timeout_seconds};
    read_call(a, &e);
    if (!e.status) {
        hn_api_hand_over(c, &a->base);
        return;
    }
    hn_api_error_send(c->reply, &e);
    c->handed_over = true; /* free_call releases it */
    free_call(&a->base);
}
