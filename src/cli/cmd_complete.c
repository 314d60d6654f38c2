/* hone complete: one completion, streamed as it grows. */
#include "base/interrupt.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/constraint_cli.h"
#include "cli/inference.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct view {
    hn_cli *cli;
    hn_provider *provider;
    bool streams, at_line_start;
    hn_cli_constraint shape;
    json_t *result;
    hn_status status; /* of making the result */
} view;

static const char *finish_name(hn_finish finish) {
    static const char *const names[] = {"stop", "length", "cancelled", "error"};
    return names[finish];
}

static bool on_token(void *user, const hn_output_token *token) {
    view *v = user;
    if (token->n_bytes) {
        v->at_line_start = token->text[token->n_bytes - 1] == '\n';
        if (!hn_output_stream(token->text, token->n_bytes)) return false;
    }
    return !hn_interrupted();
}

static json_t *logprob_json(float logprob) { return isnan(logprob) ? json_null() : json_real((double)logprob); }

static json_t *token_json(const hn_output_token *t, int n_top) {
    json_t *top = json_array();
    for (int i = 0; t->top && i < n_top; i++) {
        if (isnan(t->top[i].logprob)) break; /* the endpoint gave fewer */
        json_t *text = t->top_texts ? hn_cli_text(t->top_texts[i], strlen(t->top_texts[i])) : NULL;
        json_array_append_new(
            top, json_pack("{s:i,s:f,s:o*}", "id", t->top[i].id, "logprob", (double)t->top[i].logprob, "text", text));
    }
    return json_pack("{s:i,s:o,s:o,s:o}", "id", t->id, "text", hn_cli_text(t->text, t->n_bytes), "logprob",
                     logprob_json(t->logprob), "top", top);
}

/* `parsed` is there with a constraint, `tool_calls` where the answer holds some. */
static json_t *result_json(const hn_completion *c, int n_top, const hn_cli_constraint *shape) {
    json_t *tokens = json_array();
    for (size_t i = 0; i < c->n_tokens; i++)
        if (json_array_append_new(tokens, token_json(&c->tokens[i], n_top)) != 0) {
            json_decref(tokens);
            return NULL;
        }
    return json_pack("{s:o,s:o*,s:O*,s:o,s:s,s:o,s:o}", "text", hn_cli_text(c->text, c->text_bytes), "parsed",
                     hn_cli_parsed(shape, c), "tool_calls", c->tool_calls, "tokens", tokens, "finish_reason",
                     finish_name(c->finish), "usage", hn_cli_usage_json(&c->usage), "timing",
                     hn_cli_timing_json(&c->timing));
}

/* Escapes a token so that it stays in its table cell. */
static void shown_token(const char *text, size_t n, hn_buf *out) {
    hn_buf_clear(out);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n')
            hn_buf_append_str(out, "\\n");
        else if (text[i] == '\t')
            hn_buf_append_str(out, "\\t");
        else
            hn_buf_append_char(out, text[i]);
    }
}

static hn_status print_logprobs(hn_cli *cli, const hn_completion *c, const hn_tokenizer *tokenizer, int n_top,
                                hn_error *err) {
    hn_buf text, tops;
    hn_table *table = hn_table_create(cli->out);
    hn_table_column(table, "ID", HN_ALIGN_RIGHT);
    hn_table_column(table, "TOKEN", HN_ALIGN_LEFT);
    hn_table_column(table, "LOGPROB", HN_ALIGN_RIGHT);
    hn_table_column(table, "MOST LIKELY", HN_ALIGN_WRAP);
    hn_buf_init(&text, 0);
    hn_buf_init(&tops, 0);
    for (size_t i = 0; i < c->n_tokens; i++) {
        const hn_output_token *t = &c->tokens[i];
        hn_buf_clear(&tops);
        for (int k = 0; t->top && k < n_top && !isnan(t->top[k].logprob); k++) {
            hn_str piece = t->top_texts ? hn_str_of(t->top_texts[k])
                           : tokenizer  ? hn_tokenizer_piece(tokenizer, t->top[k].id)
                                        : (hn_str){"", 0};
            shown_token(piece.data, piece.len, &text);
            hn_buf_appendf(&tops, "%s\"%s\" %.3f", k ? ", " : "", hn_buf_str(&text), (double)t->top[k].logprob);
        }
        shown_token(t->text, t->n_bytes, &text);
        hn_table_row(table);
        hn_table_cell(table, "%d", t->id);
        hn_table_cell(table, "\"%s\"", hn_buf_str(&text));
        if (isnan(t->logprob))
            hn_table_cell(table, "-");
        else
            hn_table_cell(table, "%.4f", (double)t->logprob);
        hn_table_cell(table, "%s", hn_buf_str(&tops));
    }
    hn_status st = hn_table_print(table, err);
    hn_buf_free(&text);
    hn_buf_free(&tops);
    return st;
}

static void note_speed(hn_cli *cli, const hn_completion *c) {
    if (!cli->out->stderr_terminal) return;
    char prefill[32], decode[32];
    int n = c->usage.completion_tokens;
    hn_format_duration(c->timing.prefill_ms / 1e3, prefill);
    hn_format_duration(c->timing.decode_ms / 1e3, decode);
    hn_output_note(cli->out, "%s%d prompt tokens in %s, %d tokens in %s%s%s", cli->out->stderr_colour ? "\033[2m" : "",
                   c->usage.prompt_tokens, prefill, n, decode,
                   c->finish == HN_FINISH_LENGTH ? ", cut at --max-tokens or the context's end" : "",
                   cli->out->stderr_colour ? "\033[0m" : "");
}

static void on_done(void *user, uint64_t ticket, const hn_completion *c) {
    view *v = user;
    hn_provider_info info = {0};
    hn_error ignored;
    (void)ticket;
    if (c->status != HN_OK) return;
    int n_top = (int)hn_cli_int(v->cli, "logprobs");
    if (v->cli->out->json) {
        v->result = result_json(c, n_top, &v->shape);
        return;
    }
    if (!v->at_line_start) hn_output_print(v->cli->out, "\n");
    if (hn_cli_given(v->cli, "logprobs") && hn_provider_info_get(v->provider, &info, &ignored) == HN_OK)
        v->status = print_logprobs(v->cli, c, info.model ? hn_model_tokenizer(info.model) : NULL, n_top, &ignored);
    note_speed(v->cli, c);
}

/* "ID=BIAS", or "ID=-inf" to forbid a token */
static hn_status parse_biases(hn_cli *cli, hn_sampling *sampling, hn_error *err) {
    size_t n;
    const char *const *list = hn_cli_list(cli, "logit-bias", &n);
    hn_logit_bias *biases = hn_arena_calloc(cli->arena, n + 1, sizeof *biases);
    if (!biases) return hn_fail_memory(err, n * sizeof *biases);
    for (size_t i = 0; i < n; i++) {
        char id_text[24];
        int64_t id = -1;
        double bias = -INFINITY;
        const char *equals = strchr(list[i], '=');
        size_t n_id = equals ? (size_t)(equals - list[i]) : sizeof id_text;
        bool fine = n_id < sizeof id_text;
        if (fine) {
            memcpy(id_text, list[i], n_id);
            id_text[n_id] = 0;
            fine = hn_parse_int64(id_text, &id) && id >= 0 && id <= INT32_MAX &&
                   (strcmp(equals + 1, "-inf") == 0 || (hn_parse_double(equals + 1, &bias) && fabs(bias) <= FLT_MAX));
        }
        if (!fine) return hn_cli_usage(cli, err, "--logit-bias needs ID=NUMBER or ID=-inf, not \"%s\"", list[i]);
        biases[i] = (hn_logit_bias){(int32_t)id, (float)bias};
    }
    sampling->bias = biases;
    sampling->n_bias = n;
    return HN_OK;
}

static hn_status fill_request(hn_cli *cli, hn_request *r, hn_error *err) {
    r->kind = HN_REQUEST_GENERATE;
    r->max_tokens = (int)hn_cli_int(cli, "max-tokens");
    r->sampling = (hn_sampling){.temperature = (float)hn_cli_real(cli, "temperature"),
                                .top_k = (int)hn_cli_int(cli, "top-k"),
                                .top_p = (float)hn_cli_real(cli, "top-p"),
                                .min_p = (float)hn_cli_real(cli, "min-p"),
                                .repetition_penalty = (float)hn_cli_real(cli, "repetition-penalty"),
                                .repetition_window = (int)hn_cli_int(cli, "repetition-window"),
                                .seed = (uint64_t)hn_cli_int(cli, "seed")};
    r->stop = hn_cli_list(cli, "stop", &r->n_stop);
    r->echo = hn_cli_flag(cli, "echo");
    r->n_top = (int)hn_cli_int(cli, "logprobs");
    r->want_logprobs = cli->out->json || hn_cli_given(cli, "logprobs");
    return parse_biases(cli, &r->sampling, err);
}

static hn_status print_echo(hn_cli *cli, hn_provider *provider, const hn_request *request, hn_error *err) {
    hn_provider_info info;
    hn_tokens ids = {0};
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_status st = hn_provider_info_get(provider, &info, err);
    if (st == HN_OK) st = hn_provider_prompt_ids(provider, request, &ids, err);
    if (st == HN_OK && info.model && hn_model_tokenizer(info.model))
        st = hn_tokenizer_decode(hn_model_tokenizer(info.model), ids.ids, ids.n, true, true, &text, err);
    if (st == HN_OK) hn_output_print(cli->out, "%s", hn_buf_str(&text));
    hn_buf_free(&text);
    hn_tokens_free(&ids);
    return st;
}

static hn_status complete(hn_cli *cli, hn_provider *provider, hn_request *request, const hn_cli_constraint *shape,
                          hn_error *err) {
    view v = {.cli = cli, .provider = provider, .shape = *shape};
    if (!cli->out->json) {
        request->on_token = on_token;
        request->token_user = &v;
        if (request->echo) HN_TRY(print_echo(cli, provider, request, err));
    }
    hn_status st = hn_cli_complete(provider, request, on_done, &v, err);
    if (st == HN_OK) st = v.status == HN_OK ? hn_interrupt_check(err) : v.status;
    if (st == HN_OK && cli->out->json) return hn_cli_result(cli, v.result, err);
    json_decref(v.result);
    return st;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_provider *provider;
    hn_cli_prompt prompt;
    hn_request request = {0};
    hn_cli_constraint shape;
    HN_TRY(fill_request(cli, &request, err));
    HN_TRY(hn_cli_read_constraint(cli, &shape, &request, err));
    hn_status st = hn_cli_open_model(cli, &provider, err);
    if (st != HN_OK) {
        hn_cli_constraint_free(&shape);
        return st;
    }
    st = hn_cli_read_prompt(cli, provider, &prompt, &request, err);
    hn_provider_info info;
    if (st == HN_OK) st = hn_provider_info_get(provider, &info, err);
    /* not every endpoint gives log-probabilities: they are asked for only where they are wanted */
    if (st == HN_OK && info.generates_only) request.want_logprobs = hn_cli_given(cli, "logprobs");
    if (st == HN_OK && request.tools && !request.messages)
        st = hn_cli_usage(cli, err, "--tools go through the chat template: use --prompt, --user or --messages");
    if (st == HN_OK) st = complete(cli, provider, &request, &shape, err);
    hn_cli_prompt_free(&prompt);
    hn_cli_note_prefix_cache(cli, provider);
    hn_provider_close(provider);
    hn_cli_constraint_free(&shape);
    return st;
}

static const hn_option options[] = {
    HN_MODEL_OPTIONS,
    HN_PROMPT_OPTIONS,
    HN_CONSTRAINT_OPTIONS,
    {.name = "max-tokens",
     .letter = 'n',
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "256",
     .low = 0,
     .high = 1 << 24,
     .help = "tokens to generate at most"},
    {.name = "temperature",
     .kind = HN_OPTION_REAL,
     .value = "T",
     .otherwise = "0",
     .low = 0,
     .high = 100,
     .help = "0 takes the most likely token"},
    {.name = "top-k",
     .kind = HN_OPTION_INT,
     .value = "K",
     .otherwise = "0",
     .low = 0,
     .high = 1 << 24,
     .help = "sample among the K most likely; 0: off"},
    {.name = "top-p",
     .kind = HN_OPTION_REAL,
     .value = "P",
     .otherwise = "1",
     .low = 0,
     .high = 1,
     .help = "sample among the most likely that make up P"},
    {.name = "min-p",
     .kind = HN_OPTION_REAL,
     .value = "P",
     .otherwise = "0",
     .low = 0,
     .high = 1,
     .help = "drop tokens less likely than P times the most likely"},
    {.name = "repetition-penalty",
     .kind = HN_OPTION_REAL,
     .value = "R",
     .otherwise = "1",
     .low = 0.01,
     .high = 100,
     .help = "above 1 makes recent tokens less likely"},
    {.name = "repetition-window",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "64",
     .low = 1,
     .high = 1 << 24,
     .help = "how many tokens count as recent"},
    {.name = "seed",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "0",
     .help = "the same seed gives the same answer"},
    {.name = "stop", .kind = HN_OPTION_LIST, .value = "TEXT", .help = "end before this text"},
    {.name = "logit-bias",
     .kind = HN_OPTION_LIST,
     .value = "ID=BIAS",
     .help = "add to a token's logit; -inf forbids it"},
    {.name = "echo", .kind = HN_OPTION_FLAG, .help = "the prompt comes first"},
    {.name = "logprobs",
     .kind = HN_OPTION_INT,
     .value = "K",
     .low = 0,
     .high = 20,
     .help = "show each token's log-probability and the K most likely"},
    {0}};

const hn_command hn_cmd_complete = {
    .name = "complete",
    .summary = "let a model go on from a prompt",
    .usage = "[-m MODEL] (--prompt TEXT | --user TEXT | --messages FILE | --ids 1,2,3 | --raw TEXT) [OPTIONS]",
    .description =
        "The answer is streamed to standard output. With --json: text, tokens with log-probabilities, "
        "finish_reason, usage, timing; `parsed` where the answer's shape was given; `tool_calls` where it "
        "holds some.\n"
        "Of --json-schema, --json-object, --regex, --grammar and --choices at most one: every token is chosen "
        "among those that keep the answer in that shape. An answer that --max-tokens cuts has finish_reason "
        "length and no parsed value.",
    .options = options,
    .max_args = 0,
    .examples = "  hone complete --prompt \"What is the capital of France?\"\n"
                "  hone complete --raw \"Once upon a time\" --max-tokens 64 --temperature 0.8 --seed 7\n"
                "  hone complete --messages chat.json --logprobs 3 --json\n"
                "  hone complete --prompt \"A made-up customer:\" --json-schema customer.json --json",
    .run = run};
