/* One request's answer; see local_parts.h. Log-probabilities of generated tokens are computed here from the engine's logits, in double
 * precision and only where they were asked for; those of an echoed prompt come from the engine. */
#include "base/clock.h"
#include "provider/local_parts.h"

#include <math.h>
#include <string.h>

hn_status hn_local_answer_prepare(hn_local *p, hn_local_request *r, const hn_request *request, hn_error *err) {
    int32_t n_vocab = hn_model_shape(p->model)->n_vocab;
    r->max_tokens = request->max_tokens;
    r->n_top = request->n_top;
    r->finish = HN_FINISH_LENGTH; /* until something else ends it */
    r->echo = request->echo;
    r->want_logprobs = request->want_logprobs || request->n_top > 0;
    r->on_token = request->on_token;
    r->token_user = request->token_user;
    HN_TRY(hn_stop_text_init(&r->text, request->stop, request->n_stop, err));
    HN_TRY(hn_sampler_create(&request->sampling, n_vocab, &r->sampler, err));
    r->reads_calls = request->tools && !(request->tool_choice && strcmp(request->tool_choice, "none") == 0);
    if (r->max_tokens > 0) HN_TRY(hn_local_constraint_start(p, r, request, err));
    r->logits = hn_alloc((size_t)n_vocab * sizeof *r->logits);
    if (!r->logits) return hn_fail_memory(err, (size_t)n_vocab * sizeof *r->logits);
    if (!r->echo || !r->want_logprobs || r->prompt.n < 2) return HN_OK;
    size_t n = r->prompt.n - 1;
    r->echo_targets = r->prompt.ids + 1; /* the prompt never changes from here on */
    r->echo_logprobs = hn_calloc(n, sizeof *r->echo_logprobs);
    bool enough = r->echo_logprobs != NULL;
    if (enough && r->n_top)
        enough = hn_grow((void **)&r->tops, &r->tops_capacity, (r->prompt.n + 1) * (size_t)r->n_top, sizeof *r->tops);
    return enough ? HN_OK : hn_fail_memory(err, n * sizeof *r->echo_logprobs);
}

static hn_status push_token(hn_local_request *r, int32_t id, float logprob, hn_error *err) {
    if (!hn_grow((void **)&r->tokens, &r->tokens_capacity, r->n_tokens + 1, sizeof *r->tokens) ||
        !hn_grow((void **)&r->tops, &r->tops_capacity, (r->n_tokens + 1) * (size_t)r->n_top, sizeof *r->tops))
        return hn_fail_memory(err, (r->n_tokens + 1) * sizeof *r->tokens);
    r->tokens[r->n_tokens++] = (hn_local_token){id, logprob};
    return HN_OK;
}

/* The engine wrote the tops of token t + 1 to row t + 1 of r->tops (see local.c), so only ids and log-probabilities are added. */
hn_status hn_local_answer_echo(hn_local *p, hn_local_request *r, hn_error *err) {
    (void)p;
    if (!r->echo) return HN_OK;
    for (size_t i = 0; i < r->prompt.n; i++)
        HN_TRY(push_token(r, r->prompt.ids[i], i == 0 || !r->echo_logprobs ? NAN : r->echo_logprobs[i - 1], err));
    r->n_echo = (int)r->prompt.n;
    return HN_OK;
}

static double log_sum_exp(const float *x, int32_t n) {
    float max = x[0];
    double sum = 0;
    for (int32_t i = 1; i < n; i++)
        if (x[i] > max) max = x[i];
    for (int32_t i = 0; i < n; i++) sum += exp((double)x[i] - (double)max);
    return (double)max + log(sum);
}

/* The K largest logits, most likely first, ties to the lower id: an insertion into a short sorted row. */
static void find_top(const float *logits, int32_t n, double lse, int k, hn_token_logprob *top) {
    int have = 0;
    for (int32_t id = 0; id < n; id++) {
        if (have == k && logits[id] <= top[k - 1].logprob) continue;
        int at = have < k ? have++ : k - 1;
        for (; at > 0 && top[at - 1].logprob < logits[id]; at--) top[at] = top[at - 1];
        top[at] = (hn_token_logprob){id, logits[id]};
    }
    for (int i = 0; i < have; i++) top[i].logprob = (float)((double)top[i].logprob - lse);
}

static hn_output_token output_token(const hn_local_request *r, size_t i, hn_str text) {
    return (hn_output_token){.id = r->tokens[i].id,
                             .text = text.data ? text.data : "",
                             .n_bytes = text.len,
                             .logprob = r->tokens[i].logprob,
                             .top = r->n_top && !isnan(r->tokens[i].logprob) ? r->tops + i * (size_t)r->n_top : NULL};
}

/* Streams what a token added; false: the receiver wants no more. */
static bool give(hn_local_request *r, size_t i, hn_str text) {
    if (!r->on_token) return true;
    hn_output_token token = output_token(r, i, text);
    return r->on_token(r->token_user, &token);
}

hn_status hn_local_answer_next(hn_local *p, hn_local_request *r, bool *done, hn_error *err) {
    const hn_tokenizer *tokenizer = hn_model_tokenizer(p->model);
    int32_t n_vocab = hn_model_shape(p->model)->n_vocab;
    float logprob = NAN;
    const uint64_t *allowed = NULL;
    bool complete = false;
    *done = true;
    if (r->constraint) HN_TRY(hn_local_constraint_mask(p, r, &allowed, err));
    int32_t id;
    HN_TRY(hn_local_constraint_pick(p, r, allowed, &id, err));
    if (id < 0) return hn_local_constraint_fail(r, err);
    if (r->constraint) HN_TRY(hn_local_constraint_accept(p, r, id, &complete, err));
    double lse = r->want_logprobs ? log_sum_exp(r->logits, n_vocab) : 0;
    if (r->want_logprobs) logprob = (float)((double)r->logits[id] - lse);
    HN_TRY(push_token(r, id, logprob, err));
    if (r->n_top) find_top(r->logits, n_vocab, lse, r->n_top, r->tops + (r->n_tokens - 1) * (size_t)r->n_top);
    hn_str piece = {NULL, 0}, given;
    bool stopped, end = tokenizer && hn_tokenizer_is_end(tokenizer, id);
    bool control = !tokenizer || hn_tokenizer_kind(tokenizer, id) == HN_TOKEN_CONTROL;
    if (!control || (r->reads_calls && tokenizer && !end)) piece = hn_tokenizer_piece(tokenizer, id);
    HN_TRY(hn_stop_text_add(&r->text, piece.data, piece.len, &given, &stopped, err));
    bool full = (int)r->n_tokens - r->n_echo >= r->max_tokens ||
                hn_sequence_length(r->sequence) + 1 >= hn_engine_context(p->engine);
    bool whole =
        true; /* a stop text may also cut inside what the constraint demands: such an answer did not end by itself */
    if (stopped && r->constraint) HN_TRY(hn_local_constraint_holds(p, r, &whole, err));
    r->finish = (stopped ? whole : end || complete) ? HN_FINISH_STOP : HN_FINISH_LENGTH;
    if (!give(r, r->n_tokens - 1, given)) r->finish = HN_FINISH_CANCELLED;
    *done = end || stopped || complete || full || r->finish == HN_FINISH_CANCELLED;
    return HN_OK;
}

/* What was held back goes out under id -1. */
static hn_status give_rest(hn_local_request *r, hn_error *err) {
    hn_str rest;
    HN_TRY(hn_stop_text_end(&r->text, &rest, err));
    if (!rest.len || !r->on_token || r->finish == HN_FINISH_CANCELLED) return HN_OK;
    hn_output_token token = {.id = -1, .text = rest.data, .n_bytes = rest.len, .logprob = NAN};
    (void)r->on_token(r->token_user, &token);
    return HN_OK;
}

static hn_output_token *collect_tokens(const hn_local *p, const hn_local_request *r) {
    const hn_tokenizer *tokenizer = hn_model_tokenizer(p->model);
    hn_output_token *tokens = hn_calloc(r->n_tokens + 1, sizeof *tokens);
    for (size_t i = 0; tokens && i < r->n_tokens; i++)
        tokens[i] = output_token(r, i, tokenizer ? hn_tokenizer_piece(tokenizer, r->tokens[i].id) : (hn_str){NULL, 0});
    return tokens;
}

static hn_timing timing_of(const hn_local_request *r) {
    double waited = hn_clock_seconds() - r->submitted - r->prefill_seconds - r->decode_seconds;
    return (hn_timing){(waited > 0 ? waited : 0) * 1e3, r->prefill_seconds * 1e3, r->decode_seconds * 1e3};
}

/* Tool calls in the whole text, into `c`: a new reference. */
static hn_status read_calls(const hn_local *p, const hn_local_request *r, hn_completion *c) {
    c->content_bytes = r->text.text.len;
    if (!r->reads_calls) return HN_OK;
    return hn_tool_calls_parse(hn_local_tool_format(p), hn_buf_str(&r->text.text), r->text.text.len, &c->tool_calls,
                               &c->content_bytes, &c->error);
}

void hn_local_finish(hn_local *p, hn_local_request *r, hn_status st, const hn_error *err) {
    hn_completion c = {.status = st, .finish = r->finish, .timing = timing_of(r)};
    hn_output_token *tokens = NULL;
    if (r->state == HN_LOCAL_DONE) return;
    if (r->kind == HN_REQUEST_GENERATE && c.status == HN_OK) c.status = give_rest(r, &c.error);
    if (r->state == HN_LOCAL_DONE) return; /* cancelled from the callback */
    r->state = HN_LOCAL_DONE;
    p->n_finished++;
    if (r->kind == HN_REQUEST_GENERATE) {
        c.tokens = tokens = collect_tokens(p, r);
        if (!tokens && c.status == HN_OK) c.status = hn_fail_memory(&c.error, r->n_tokens * sizeof *tokens);
        c.n_tokens = tokens ? r->n_tokens : 0;
        if (c.status == HN_OK) c.status = read_calls(p, r, &c);
    }
    if (st != HN_OK && err) c.error = *err;
    c.error.code = c.status;
    if (c.status != HN_OK) c.finish = c.status == HN_ERR_INTERRUPTED ? HN_FINISH_CANCELLED : HN_FINISH_ERROR;
    c.text = hn_buf_str(&r->text.text);
    c.text_bytes = r->text.text.len;
    c.label_logprobs = c.status == HN_OK ? r->label_logprobs : NULL;
    c.n_labels = r->labels && c.label_logprobs ? (size_t)r->labels->n_labels : 0;
    c.label_is_bound = c.label_logprobs ? r->label_is_bound : NULL;
    c.label_open_share = c.label_is_bound ? r->label_open_share : 0;
    c.pooled = c.status == HN_OK ? r->pooled : NULL;
    c.n_pooled = c.pooled ? (size_t)hn_model_shape(p->model)->n_embd : 0;
    c.usage = (hn_usage){(int)r->prompt.n, r->cached, (int)r->n_tokens - r->n_echo, 0};
    r->on_done(r->user, r->ticket, &c);
    hn_free(tokens);
    json_decref(c.tool_calls);
    hn_local_constraint_end(r);
    if (r->sequence && st == HN_OK)
        hn_local_prefix_keep(p, r->sequence);
    else
        hn_sequence_free(r->sequence);
    r->sequence = NULL;
}

void hn_local_request_free(hn_local_request *r) {
    if (!r) return;
    hn_sequence_free(r->sequence);
    hn_tokens_free(&r->prompt);
    hn_label_trie_free(r->labels);
    hn_free(r->label_logprobs);
    hn_free(r->pooled);
    hn_free(r->label_log_priors);
    hn_free(r->label_is_bound);
    hn_sampler_free(r->sampler);
    hn_local_constraint_end(r);
    hn_stop_text_free(&r->text);
    hn_free(r->logits);
    hn_free(r->tokens);
    hn_free(r->tops);
    hn_free(r->echo_logprobs);
    hn_free(r);
}
