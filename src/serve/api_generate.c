/* POST /v1/chat/completions and /v1/completions: the request's fields, each checked, into a call for the engine thread. What hone cannot do and what would
 * change the answer is refused by name; what cannot change it (user, metadata, ...) is taken and ignored. */
#include "base/alloc.h"
#include "base/clock.h"
#include "serve/generate_call.h"

#include "base/str.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#define COMMON                                                                                                         \
    "model", "stream", "stream_options", "stop", "seed", "n", "temperature", "top_p", "max_tokens", "logprobs",        \
        "logit_bias", "frequency_penalty", "presence_penalty", "user", "top_k", "min_p", "repetition_penalty"

static const char *const chat_fields[] = {COMMON,
                                          "messages",
                                          "max_completion_tokens",
                                          "top_logprobs",
                                          "response_format",
                                          "tools",
                                          "tool_choice",
                                          "metadata",
                                          "store",
                                          "service_tier",
                                          "parallel_tool_calls",
                                          "modalities",
                                          "prediction",
                                          "verbosity",
                                          "prompt_cache_key",
                                          "safety_identifier",
                                          "reasoning_effort",
                                          "chat_template_kwargs",
                                          "prompt_cache_retention"};
static const char *const completion_fields[] = {COMMON, "prompt", "echo", "best_of", "suffix", "allow_special"};

static void no_memory(hn_api_error *e) { hn_api_fail(e, 503, NULL, "out_of_memory", "memory is used up"); }

static bool is_given(const json_t *body, const char *name) {
    const json_t *v = json_object_get(body, name);
    return v && !json_is_null(v);
}

/* ---- fields of both ---- */

static void read_stops(hn_generate *g, hn_api_error *e) {
    const json_t *stop = json_object_get(g->body, "stop");
    if (!stop || json_is_null(stop) || e->status) return;
    size_t n = json_is_array(stop) ? json_array_size(stop) : 1;
    if (!json_is_array(stop) && !json_is_string(stop))
        hn_field_type(e, "stop", "a string or an array of strings", stop);
    if (n > HN_GENERATE_STOPS_MAX)
        hn_api_fail(e, 400, "stop", "array_above_max_length",
                    "Invalid 'stop': array too long. Expected an array with maximum length %d, but got %zu instead.",
                    HN_GENERATE_STOPS_MAX, n);
    for (size_t i = 0; !e->status && i < n; i++) {
        const json_t *item = json_is_array(stop) ? json_array_get(stop, i) : stop;
        if (!json_is_string(item))
            hn_field_type(e, "stop", "an array of strings", item);
        else if (json_string_length(item) == 0)
            hn_api_fail(e, 400, "stop", "invalid_value",
                        "Invalid 'stop': an empty text would end every answer at once.");
        else
            g->stops[g->n_stops++] = json_string_value(item);
    }
    g->request.stop = g->stops;
    g->request.n_stop = g->n_stops;
}

static void read_biases(hn_generate *g, hn_api_error *e) {
    json_t *object = NULL, *value;
    const char *key;
    size_t n = 0;
    hn_field_object(e, g->body, "logit_bias", &object);
    if (!object || json_object_size(object) == 0) return;
    g->biases = hn_calloc(json_object_size(object), sizeof *g->biases);
    if (!g->biases) no_memory(e);
    json_object_foreach(object, key, value) {
        int64_t id;
        if (e->status) return;
        int64_t top = g->model && g->model->tokenizer ? hn_tokenizer_vocab_size(g->model->tokenizer) : INT32_MAX;
        if (!hn_parse_int64(key, &id) || id < 0 || id >= top)
            hn_api_fail(e, 400, "logit_bias", "invalid_value",
                        "Invalid key in 'logit_bias': %.40s. You should only be submitting token ids of this model.",
                        key);
        else if (!json_is_number(value) || fabs(json_number_value(value)) > 100)
            hn_api_fail(e, 400, "logit_bias", "invalid_value",
                        "Invalid value in 'logit_bias': numbers from -100 to 100.");
        else /* -100 forbids, as the API says that it should */
            g->biases[n++] = (hn_logit_bias){
                (int32_t)id, json_number_value(value) <= -100 ? -INFINITY : (float)json_number_value(value)};
    }
    g->request.sampling.bias = g->biases;
    g->request.sampling.n_bias = n;
}

/* What the sampler does not have. */
static void refuse_penalties(const hn_generate *g, hn_api_error *e) {
    static const char *const names[] = {"frequency_penalty", "presence_penalty"};
    for (size_t i = 0; i < 2; i++) {
        double value = 0;
        hn_field_number(e, g->body, names[i], -2, 2, &value);
        if (value != 0)
            hn_api_fail(
                e, 400, names[i], "unsupported_parameter",
                "Unsupported parameter: '%s' other than 0 is not supported here. Use 'repetition_penalty' instead.",
                names[i]);
    }
}

static void read_sampling(hn_generate *g, hn_api_error *e) {
    const json_t *b = g->body;
    double temperature = 1, top_p = 1, min_p = 0, repetition = 1;
    int64_t top_k = 0, seed = (int64_t)(++g->server->seed * 0x9E3779B97F4A7C15u >> 1);
    hn_field_number(e, b, "temperature", 0, 2, &temperature);
    hn_field_number(e, b, "top_p", 0, 1, &top_p);
    hn_field_number(e, b, "min_p", 0, 1, &min_p);
    hn_field_number(e, b, "repetition_penalty", 0.01, 100, &repetition);
    hn_field_integer(e, b, "top_k", -1, 1 << 24, &top_k);
    hn_field_integer(e, b, "seed", INT64_MIN, INT64_MAX, &seed);
    refuse_penalties(g, e);
    if (top_p == 0) temperature = 0; /* the smallest set that holds a share of 0 is the most likely token */
    g->request.sampling = (hn_sampling){.temperature = (float)temperature,
                                        .top_p = (float)top_p,
                                        .min_p = (float)min_p,
                                        .repetition_penalty = (float)repetition,
                                        .top_k = top_k > 0 ? (int)top_k : 0,
                                        .seed = (uint64_t)seed};
    read_biases(g, e);
}

static void read_stream(hn_generate *g, hn_api_error *e) {
    json_t *options = NULL;
    hn_field_bool(e, g->body, "stream", &g->stream);
    hn_field_object(e, g->body, "stream_options", &options);
    if (options && !g->stream)
        hn_api_fail(e, 400, "stream_options", NULL,
                    "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    if (options) hn_field_bool(e, options, "include_usage", &g->want_usage);
}

static void read_common(hn_generate *g, hn_api_error *e) {
    int64_t n = 1;
    g->model = hn_api_model(g->server, g->body, e);
    read_stream(g, e);
    read_stops(g, e);
    read_sampling(g, e);
    hn_field_integer(e, g->body, "n", 1, HN_GENERATE_ANSWERS_MAX, &n);
    g->n = (int)n;
    g->request.kind = HN_REQUEST_GENERATE;
}

/* ---- chat ---- */

static void read_chat_logprobs(hn_generate *g, hn_api_error *e) {
    int64_t top = 0;
    hn_field_bool(e, g->body, "logprobs", &g->logprobs);
    hn_field_integer(e, g->body, "top_logprobs", 0, 20, &top);
    if (top > 0 && !g->logprobs)
        hn_api_fail(e, 400, "top_logprobs", NULL, "'top_logprobs' is only allowed when 'logprobs' is enabled.");
    g->request.want_logprobs = g->logprobs;
    g->request.n_top = (int)top;
}

static void refuse_audio(const hn_generate *g, hn_api_error *e) {
    const json_t *list = json_object_get(g->body, "modalities");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *what = json_string_value(json_array_get(list, i));
        if (!what || strcmp(what, "text") != 0)
            hn_api_fail(e, 400, "modalities", "unsupported_value", "This model writes text alone.");
    }
}

static void read_shape(hn_generate *g, hn_api_error *e) {
    const json_t *tools = json_object_get(g->body, "tools");
    if (is_given(g->body, "tools") && !(json_is_array(tools) && json_array_size(tools) == 0))
        g->tools = hn_api_tools(tools, e);
    g->tool_choice = hn_api_tool_choice(g->body, g->tools, e);
    g->schema = hn_api_response_format(g->body, e);
    bool demands = g->tool_choice && strcmp(g->tool_choice, "auto") != 0 && strcmp(g->tool_choice, "none") != 0;
    if (g->schema && demands)
        hn_api_fail(e, 400, "response_format", "invalid_value",
                    "'response_format' cannot be used with a 'tool_choice' that demands a call: the tool says what the "
                    "answer is.");
    g->request.tools = g->tools;
    g->request.tool_choice = g->tool_choice;
    if (g->schema)
        g->request.constraint =
            (hn_constraint){.kind = HN_CONSTRAIN_SCHEMA, .schema = g->schema, .name = "response_format"};
}

static void read_chat(hn_generate *g, hn_api_error *e) {
    int64_t max = INT_MAX;
    hn_field_known(e, g->body, chat_fields, sizeof chat_fields / sizeof *chat_fields);
    read_common(g, e);
    hn_field_needed(e, g->body, "messages");
    g->messages = hn_api_messages(json_object_get(g->body, "messages"), e);
    hn_field_integer(e, g->body, "max_tokens", 1, INT_MAX, &max);
    hn_field_integer(e, g->body, "max_completion_tokens", 1, INT_MAX, &max);
    read_chat_logprobs(g, e);
    refuse_audio(g, e);
    read_shape(g, e);
    hn_field_object(e, g->body, "chat_template_kwargs", &g->variables);
    json_incref(g->variables);
    g->request.messages = g->messages;
    g->request.template_variables = g->variables;
    if (g->model && max > g->model->info.context) max = g->model->info.context;
    g->request.max_tokens = (int)max;
    g->n_prompts = 1;
}

/* ---- completions ---- */

static void read_prompt_ids(hn_generate_prompt *p, const json_t *list, hn_api_error *e) {
    for (size_t i = 0; !e->status && i < json_array_size(list); i++) {
        const json_t *id = json_array_get(list, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
            hn_field_type(e, "prompt", "a string, an array of strings, of token ids or of arrays of token ids", id);
        else if (hn_tokens_push(&p->ids, (int32_t)json_integer_value(id)) != HN_OK)
            no_memory(e);
    }
}

static void read_prompt(hn_generate_prompt *p, const json_t *value, hn_api_error *e) {
    if (json_is_string(value)) {
        p->text = json_string_value(value);
        if (!*p->text)
            hn_api_fail(e, 400, "prompt", "invalid_value",
                        "Invalid 'prompt': an empty text has no tokens to go on from.");
    } else if (json_is_array(value) && json_array_size(value) > 0) {
        read_prompt_ids(p, value, e);
    } else {
        hn_field_type(e, "prompt", "a string, an array of strings, of token ids or of arrays of token ids", value);
    }
}

static void read_prompts(hn_generate *g, hn_api_error *e) {
    const json_t *prompt = json_object_get(g->body, "prompt");
    hn_field_needed(e, g->body, "prompt");
    if (e->status) return;
    bool list = json_is_array(prompt) && json_array_size(prompt) > 0 && !json_is_integer(json_array_get(prompt, 0));
    size_t n = list ? json_array_size(prompt) : 1;
    if (n > HN_GENERATE_ANSWERS_MAX || n * (size_t)g->n > HN_GENERATE_ANSWERS_MAX) {
        hn_api_fail(e, 400, "prompt", "array_above_max_length",
                    "%zu prompts with %d answers each are more than the %d answers that a request may ask for.", n,
                    g->n, HN_GENERATE_ANSWERS_MAX);
        return;
    }
    g->prompts = hn_calloc(n, sizeof *g->prompts);
    if (!g->prompts) {
        no_memory(e);
        return;
    }
    g->n_prompts = n;
    for (size_t i = 0; i < n; i++) read_prompt(&g->prompts[i], list ? json_array_get(prompt, i) : prompt, e);
}

static void read_completion(hn_generate *g, hn_api_error *e) {
    int64_t max = 16, top = -1, best_of = 1;
    hn_field_known(e, g->body, completion_fields, sizeof completion_fields / sizeof *completion_fields);
    read_common(g, e);
    read_prompts(g, e);
    hn_field_integer(e, g->body, "max_tokens", 0, INT_MAX, &max);
    hn_field_integer(e, g->body, "logprobs", 0, 20, &top);
    hn_field_bool(e, g->body, "echo", &g->echo);
    hn_field_bool(e, g->body, "allow_special", &g->request.allow_special);
    best_of = g->n;
    hn_field_integer(e, g->body, "best_of", 1, HN_GENERATE_ANSWERS_MAX, &best_of);
    if (best_of != g->n)
        hn_api_fail(e, 400, "best_of", "unsupported_parameter",
                    "Unsupported parameter: 'best_of' other than 'n' is not supported here.");
    if (is_given(g->body, "suffix"))
        hn_api_fail(e, 400, "suffix", "unsupported_parameter",
                    "Unsupported parameter: 'suffix' is not supported with this model.");
    g->logprobs = top >= 0;
    if (g->echo && g->stream && g->logprobs)
        hn_api_fail(e, 400, "echo", "unsupported_parameter", "'echo' with 'logprobs' is not supported in a stream.");
    g->request.echo = g->echo;
    g->request.want_logprobs = g->logprobs;
    g->request.n_top = top > 0 ? (int)top : 0;
    if (g->model && max > g->model->info.context) max = g->model->info.context;
    g->request.max_tokens = (int)max;
}

/* ---- both ---- */

static void make_choices(hn_generate *g, hn_api_error *e) {
    if (e->status) return;
    g->n_choices = g->n_prompts * (size_t)g->n;
    g->choices = hn_calloc(g->n_choices, sizeof *g->choices);
    if (!g->choices) {
        no_memory(e);
        return;
    }
    for (size_t i = 0; i < g->n_choices; i++) g->choices[i] = (hn_generate_choice){.call = g, .index = (int)i};
}

static void handle(hn_api_context *c, bool chat) {
    hn_api_error e = {0};
    hn_generate *g = hn_calloc(1, sizeof *g);
    if (!g) {
        hn_api_send_json(c->reply, 503, NULL);
        return;
    }
    hn_generate_init(g, c, chat);
    if (chat)
        read_chat(g, &e);
    else
        read_completion(g, &e);
    make_choices(g, &e);
    if (!e.status) {
        hn_api_hand_over(c, &g->base);
        return;
    }
    hn_api_error_send(c->reply, &e);
    c->handed_over = true; /* hn_generate_free releases it */
    hn_generate_free(&g->base);
}

void hn_api_chat(hn_api_context *c) { handle(c, true); }
void hn_api_completions(hn_api_context *c) { handle(c, false); }
