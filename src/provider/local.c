/* The local provider: a queue of requests in front of the engine; see local_parts.h.
 *
 * Each engine step holds one token for every answer being generated, then as many prompt tokens (and label nodes) of other requests as
 * the budget allows: small while answers wait, large otherwise. Requests join and leave between steps.
 * A request whose prompt begins like one that is about to be computed waits for it and starts behind the common part. The engine gives
 * the same bits in any company, so none of this order can be seen in an answer.
 * Surprise: callbacks run inside step and may submit and cancel; requests that are done stay in the list until the outermost call
 * sweeps them. */
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "provider/local_parts.h"

#include <string.h>
#include <unistd.h>

enum { LOOK_AHEAD = 256 };

static hn_local *local_of(hn_provider *base) { return (hn_local *)base; }

static void sweep(hn_local *p) {
    size_t kept = 0;
    if (p->depth > 0) return;
    for (size_t i = 0; i < p->n_requests; i++) {
        if (p->requests[i]->state == HN_LOCAL_DONE)
            hn_local_request_free(p->requests[i]);
        else
            p->requests[kept++] = p->requests[i];
    }
    p->n_requests = kept;
}

/* ---- submit and cancel ---- */

static hn_status check_length(const hn_local *p, const hn_local_request *r, hn_error *err) {
    int context = hn_engine_context(p->engine);
    size_t room_for = r->kind == HN_REQUEST_LABELS && r->labels ? (size_t)r->labels->max_depth
                      : r->max_tokens > 0                       ? 1
                                                                : 0;
    if (r->prompt.n == 0) return hn_fail(err, HN_ERR_INPUT, "prompt", "give some text", "the prompt has no tokens");
    if (r->prompt.n + room_for <= (size_t)context) return HN_OK;
    return hn_fail(
        err, HN_ERR_CONTEXT, "prompt",
        "shorten the prompt (`hone tokens` shows where the tokens are), or use a model with a longer context",
        "the prompt has %zu tokens and the context window holds %d, with the answer", r->prompt.n, context);
}

/* What a search of the labels needs beyond scoring them all. */
static hn_status fill_search(hn_local_request *r, const hn_request *request, hn_error *err) {
    size_t n = (size_t)r->labels->n_labels;
    r->label_mode = request->label_mode;
    if (r->label_mode == HN_LABELS_ALL) return HN_OK;
    r->label_is_bound = hn_calloc(n, sizeof *r->label_is_bound);
    if (request->label_log_priors) r->label_log_priors = hn_alloc(n * sizeof *r->label_log_priors);
    if (!r->label_is_bound || (request->label_log_priors && !r->label_log_priors))
        return hn_fail_memory(err, n * sizeof *r->label_log_priors);
    if (r->label_log_priors) memcpy(r->label_log_priors, request->label_log_priors, n * sizeof *r->label_log_priors);
    return HN_OK;
}

static hn_status fill_request(hn_local *p, hn_local_request *r, const hn_request *request, hn_error *err) {
    int32_t n_vocab = hn_model_shape(p->model)->n_vocab;
    HN_TRY(hn_local_prompt_ids(p, request, &r->prompt, err));
    for (size_t i = 0; i < r->prompt.n; i++)
        if (r->prompt.ids[i] < 0 || r->prompt.ids[i] >= n_vocab)
            return hn_fail(err, HN_ERR_INPUT, "ids", "use ids of this model's vocabulary",
                           "token %zu has the id %d, the vocabulary has %d", i, r->prompt.ids[i], n_vocab);
    r->max_tokens = request->max_tokens;
    if (r->kind == HN_REQUEST_LABELS) {
        HN_TRY(hn_local_labels(p, request, &r->prompt, &r->labels, err));
        r->label_logprobs = hn_calloc((size_t)r->labels->n_labels, sizeof *r->label_logprobs);
        if (!r->label_logprobs) return hn_fail_memory(err, (size_t)r->labels->n_labels * sizeof *r->label_logprobs);
        HN_TRY(fill_search(r, request, err));
    }
    if (r->kind == HN_REQUEST_POOLED) {
        size_t n_bytes = (size_t)hn_model_shape(p->model)->n_embd * sizeof *r->pooled;
        r->max_tokens = 0;
        r->pooled = hn_alloc(n_bytes);
        if (!r->pooled) return hn_fail_memory(err, n_bytes);
    }
    HN_TRY(check_length(p, r, err));
    return r->kind == HN_REQUEST_GENERATE ? hn_local_answer_prepare(p, r, request, err) : HN_OK;
}

static hn_status submit(hn_provider *base, const hn_request *request, double deadline, hn_on_completion *on_done,
                        void *user, uint64_t *ticket, hn_error *err) {
    hn_local *p = local_of(base);
    hn_local_request *r = hn_calloc(1, sizeof *r);
    if (!r || !hn_grow((void **)&p->requests, &p->requests_capacity, p->n_requests + 1, sizeof(hn_local_request *))) {
        hn_free(r);
        return hn_fail_memory(err, sizeof *r);
    }
    *r = (hn_local_request){
        .deadline = deadline, .submitted = hn_clock_seconds(), .on_done = on_done, .user = user, .kind = request->kind};
    hn_status st = fill_request(p, r, request, err);
    if (st != HN_OK) {
        hn_local_request_free(r);
        return st;
    }
    r->ticket = ++p->next_ticket;
    if (ticket) *ticket = r->ticket;
    p->requests[p->n_requests++] = r;
    return HN_OK;
}

static void cancel(hn_provider *base, uint64_t ticket) {
    hn_local *p = local_of(base);
    for (size_t i = 0; i < p->n_requests; i++) {
        hn_error err = {0};
        if (p->requests[i]->ticket != ticket || p->requests[i]->state == HN_LOCAL_DONE) continue;
        hn_local_finish(p, p->requests[i], hn_fail(&err, HN_ERR_INTERRUPTED, NULL, NULL, "the request was cancelled"),
                        &err);
        break;
    }
    sweep(p);
}

/* ---- who takes part in the next step ---- */

static size_t left_to_compute(const hn_local_request *r) {
    return r->prompt.n - (r->sequence ? (size_t)hn_sequence_length(r->sequence) : 0) +
           (size_t)(r->max_tokens > 0 ? r->max_tokens : 0);
}

/* Cache bytes that the requests in flight may still ask for, so that none of them runs into a full cache half-way. */
static size_t bytes_promised(const hn_local *p) {
    size_t tokens = 0, context = (size_t)hn_engine_context(p->engine);
    for (size_t i = 0; i < p->n_requests; i++) {
        const hn_local_request *r = p->requests[i];
        if (r->state != HN_LOCAL_PREFILL && r->state != HN_LOCAL_DECODE) continue;
        size_t left = left_to_compute(r);
        if (r->state == HN_LOCAL_DECODE)
            left -= r->n_tokens - (size_t)r->n_echo < left ? r->n_tokens - (size_t)r->n_echo : left;
        tokens += left < context ? left : context;
    }
    return tokens * p->kv_bytes_per_token;
}

static bool has_room(hn_local *p, const hn_local_request *r) {
    size_t context = (size_t)hn_engine_context(p->engine), mine = left_to_compute(r);
    size_t wanted = bytes_promised(p) + ((mine < context ? mine : context) + HN_KV_BLOCK) * p->kv_bytes_per_token;
    while (hn_engine_memory_now(p->engine).kv_bytes + wanted > p->kv_max_bytes)
        if (!hn_local_prefix_drop(p)) return false;
    return true;
}

/* Whether a request that is being computed has more in common with `r` than anything that is there. It then stops where
 * both part, so that they go on together: alone, the rest of one prompt and its labels would be small products. */
static bool better_soon(hn_local *p, const hn_local_request *r, size_t shared) {
    for (size_t i = 0; i < p->n_requests; i++) {
        hn_local_request *other = p->requests[i];
        if (other->state != HN_LOCAL_PREFILL || other == r) continue;
        size_t common = hn_local_common(other->prompt.ids, other->prompt.n, r->prompt.ids, r->prompt.n);
        if (common < shared + HN_LOCAL_SHARE_MIN || common <= (size_t)hn_sequence_length(other->sequence)) continue;
        if (other->hold_at == 0 || common < other->hold_at) other->hold_at = common;
        return true;
    }
    return false;
}

/* Gives a waiting request its sequence, forked from whatever shares most with it. *waits: it is better to wait for a step. */
static hn_status admit(hn_local *p, hn_local_request *r, bool *waits, hn_error *err) {
    size_t shared = 0, most = r->prompt.n - 1; /* the last token is computed here: its output is what is wanted */
    bool computes_all =
        r->kind == HN_REQUEST_POOLED || (r->echo && r->want_logprobs); /* each token's state is wanted */
    const hn_sequence *from = computes_all ? NULL : hn_local_prefix_find(p, r->prompt.ids, r->prompt.n, &shared);
    if (!computes_all && hn_local_store_fetch(p, r->prompt.ids, r->prompt.n, shared))
        from = hn_local_prefix_find(p, r->prompt.ids, r->prompt.n, &shared);
    *waits = !computes_all && better_soon(p, r, shared);
    if (*waits) return HN_OK;
    if (shared > most) shared = most;
    if (from) hn_local_store_save(p, from, shared);
    if (from && shared > 0)
        HN_TRY(hn_sequence_fork(from, (int)shared, &r->sequence, err));
    else
        HN_TRY(hn_sequence_create(p->engine, &r->sequence, err));
    r->cached = from ? (int)shared : 0;
    r->state = HN_LOCAL_PREFILL;
    return HN_OK;
}

static size_t count_in_flight(const hn_local *p) {
    size_t n = 0;
    for (size_t i = 0; i < p->n_requests; i++)
        n += p->requests[i]->state == HN_LOCAL_PREFILL || p->requests[i]->state == HN_LOCAL_DECODE;
    return n;
}

/* The waiting requests in the order in which they should start: the first that came, then those with the longest beginning in common
 * with it, so that what shares a prefix runs together. */
static size_t order_waiting(const hn_local *p, hn_local_request *waiting[LOOK_AHEAD]) {
    size_t common[LOOK_AHEAD], n = 0;
    for (size_t i = 0; i < p->n_requests && n < LOOK_AHEAD; i++) {
        hn_local_request *r = p->requests[i];
        if (r->state != HN_LOCAL_WAITING) continue;
        size_t mine = n == 0
                          ? SIZE_MAX
                          : hn_local_common(waiting[0]->prompt.ids, waiting[0]->prompt.n, r->prompt.ids, r->prompt.n);
        size_t at = n++;
        for (; at > 0 && common[at - 1] < mine; at--) {
            waiting[at] = waiting[at - 1];
            common[at] = common[at - 1];
        }
        waiting[at] = r;
        common[at] = mine;
    }
    return n;
}

static void admit_waiting(hn_local *p) {
    hn_local_request *waiting[LOOK_AHEAD];
    size_t in_flight = count_in_flight(p);
    for (size_t i = 0; i < p->n_requests; i++) p->requests[i]->hold_at = 0;
    if (in_flight >= (size_t)p->max_batch) return;
    size_t n = order_waiting(p, waiting);
    for (size_t i = 0; i < n && in_flight < (size_t)p->max_batch; i++) {
        hn_error err = {0};
        bool waits = false;
        if (waiting[i]->state != HN_LOCAL_WAITING) continue;   /* a callback cancelled it */
        if (!has_room(p, waiting[i]) && in_flight > 0) return; /* alone it may try: the engine says what is missing */
        hn_status st = admit(p, waiting[i], &waits, &err);
        if (st != HN_OK)
            hn_local_finish(p, waiting[i], st, &err);
        else
            in_flight += !waits;
    }
}

/* ---- one engine step ---- */

/* Rows that an item takes, for sharing out steps and their time; of a search, what is usual. */
static size_t rows_of(const hn_step_item *item) {
    static const size_t most[] = {SIZE_MAX, HN_LOCAL_NODES_BOUNDED, HN_LOCAL_NODES_BEST};
    size_t nodes = item->want == HN_WANT_LABELS ? (size_t)item->labels->n_nodes : 0;
    return (size_t)item->n_tokens + (nodes < most[item->label_mode] ? nodes : most[item->label_mode]);
}

static hn_status add_item(hn_local *p, hn_local_request *r, hn_step_item item) {
    if (!hn_grow((void **)&p->items, &p->items_capacity, p->n_items + 1, sizeof *p->items) ||
        !hn_grow((void **)&p->item_requests, &p->item_requests_capacity, p->n_items + 1, sizeof(hn_local_request *)))
        return HN_ERR_MEMORY;
    p->item_requests[p->n_items] = r;
    p->items[p->n_items++] = item;
    return HN_OK;
}

static hn_status add_decoding(hn_local *p, hn_local_request *r) {
    return add_item(p, r,
                    (hn_step_item){.sequence = r->sequence,
                                   .tokens = &r->tokens[r->n_tokens - 1].id,
                                   .n_tokens = 1,
                                   .want = HN_WANT_LOGITS,
                                   .logits = r->logits});
}

/* The part of the prompt that fits `budget`. Labels and logits come with the prompt's last token; an echo's log-probabilities with all
 * before it. */
static hn_status add_prefill(hn_local *p, hn_local_request *r, size_t budget, size_t *used) {
    size_t done = (size_t)hn_sequence_length(r->sequence), left = r->prompt.n - done;
    bool holds = r->hold_at > done && r->hold_at < r->prompt.n && !r->echo_logprobs;
    if (holds && r->hold_at - done < budget) budget = r->hold_at - done;
    hn_step_item item = {.sequence = r->sequence, .tokens = r->prompt.ids + done};
    if (r->kind ==
        HN_REQUEST_POOLED) { /* whole, whatever the budget: a mean of parts would depend on where they were cut */
        item.n_tokens = (int)left;
        item.want = HN_WANT_POOLED;
        item.pooled = r->pooled;
    } else if (r->echo_logprobs && left > 1) {
        left--;
        size_t n = left < budget ? left : budget;
        item.want = HN_WANT_LOGPROBS;
        item.targets = r->echo_targets + done;
        item.target_logprobs = r->echo_logprobs + done;
        item.n_top = r->n_top;
        item.top = r->n_top ? r->tops + (done + 1) * (size_t)r->n_top : NULL;
        item.n_tokens = (int)n;
    } else if (left <= budget) {
        item.n_tokens = (int)left;
        item.want = r->kind == HN_REQUEST_LABELS ? HN_WANT_LABELS : HN_WANT_LOGITS;
        item.logits = r->logits;
        item.labels = r->labels;
        item.label_logprobs = r->label_logprobs;
        item.label_mode = r->label_mode;
        item.label_log_priors = r->label_log_priors;
        item.label_is_bound = r->label_is_bound;
    } else {
        item.n_tokens = (int)budget;
        item.want = HN_WANT_NOTHING;
    }
    *used = rows_of(&item);
    return add_item(p, r, item);
}

static hn_status collect_items(hn_local *p) {
    size_t budget = HN_LOCAL_ROWS;
    p->n_items = 0;
    for (size_t i = 0; i < p->n_requests; i++) {
        if (p->requests[i]->state != HN_LOCAL_DECODE) continue;
        budget = HN_LOCAL_ROWS_DECODING;
        HN_TRY(add_decoding(p, p->requests[i]));
    }
    for (size_t i = 0; i < p->n_requests && budget > 0; i++) {
        size_t used;
        if (p->requests[i]->state != HN_LOCAL_PREFILL) continue;
        HN_TRY(add_prefill(p, p->requests[i], budget, &used));
        budget -= used < budget ? used : budget;
    }
    return HN_OK;
}

/* What the engine's outputs mean for one request. */
static void take_output(hn_local *p, hn_local_request *r, const hn_step_item *item) {
    hn_error err = {0};
    hn_status st = HN_OK;
    bool done = false;
    if (r->state == HN_LOCAL_DONE) return; /* cancelled by another's callback */
    bool whole_echo =
        r->echo_logprobs && r->max_tokens == 0 && (size_t)hn_sequence_length(r->sequence) + 1 == r->prompt.n;
    if (item->want == HN_WANT_POOLED) {
        done = true;
    } else if (item->want == HN_WANT_LABELS) {
        r->label_open_share = item->label_open_share;
        done = true;
    } else if (whole_echo) {
        st = hn_local_answer_echo(p, r, &err);
        done = true;
    } else if (item->want == HN_WANT_LOGITS) {
        if (r->state == HN_LOCAL_PREFILL) st = hn_local_answer_echo(p, r, &err);
        if (st == HN_OK && r->max_tokens > 0)
            st = hn_local_answer_next(p, r, &done, &err);
        else
            done = true;
        if (r->state == HN_LOCAL_PREFILL) r->state = HN_LOCAL_DECODE;
    }
    if (st != HN_OK || done) hn_local_finish(p, r, st, &err);
}

/* A step that failed as a whole has changed nothing: kept prefixes go first, then each request is tried alone, and the one that cannot
 * be computed gets the error. */
static void run_alone(hn_local *p) {
    for (size_t i = 0; i < p->n_items; i++) {
        hn_error err = {0};
        if (p->item_requests[i]->state == HN_LOCAL_DONE) continue;
        hn_step_item item = p->items[i];
        hn_status st = hn_engine_step(p->engine, &item, 1, &err);
        if (st == HN_OK)
            take_output(p, p->item_requests[i], &item);
        else
            hn_local_finish(p, p->item_requests[i], st, &err);
    }
}

/* Each request's part of a step's time. Reading prompts costs by the token, so that is shared out; a token that is written takes as long as
 * the step does. */
static void charge(hn_local *p, double seconds) {
    size_t n_rows = 0;
    for (size_t i = 0; i < p->n_items; i++) n_rows += rows_of(&p->items[i]);
    for (size_t i = 0; i < p->n_items; i++) {
        hn_local_request *r = p->item_requests[i];
        if (r->state == HN_LOCAL_DECODE)
            r->decode_seconds += seconds;
        else
            r->prefill_seconds += seconds * (double)rows_of(&p->items[i]) / (double)n_rows;
    }
}

static void run_items(hn_local *p) {
    hn_error err = {0};
    double began = hn_clock_seconds();
    hn_status st = hn_engine_step(p->engine, p->items, p->n_items, &err);
    while (st == HN_ERR_MEMORY && hn_local_prefix_drop(p)) st = hn_engine_step(p->engine, p->items, p->n_items, &err);
    if (st != HN_OK) {
        run_alone(p);
        return;
    }
    charge(p, hn_clock_seconds() - began);
    for (size_t i = 0; i < p->n_items; i++) take_output(p, p->item_requests[i], &p->items[i]);
}

static void expire(hn_local *p) {
    double now = hn_clock_seconds();
    for (size_t i = 0; i < p->n_requests; i++) {
        hn_error err = {0};
        hn_local_request *r = p->requests[i];
        if (r->state == HN_LOCAL_DONE || r->deadline <= 0 || now < r->deadline) continue;
        hn_local_finish(p, r,
                        hn_fail(&err, HN_ERR_TIMEOUT, "request", "allow more time, or ask for fewer tokens",
                                "the deadline passed after %.1f s", now - r->submitted),
                        &err);
    }
}

/* Requests that need no engine at all. */
static void finish_trivial(hn_local *p) {
    for (size_t i = 0; i < p->n_requests; i++) {
        hn_local_request *r = p->requests[i];
        hn_error err = {0};
        bool computes = r->kind != HN_REQUEST_GENERATE || r->max_tokens > 0 || (r->echo_logprobs && r->prompt.n > 1);
        if (r->state != HN_LOCAL_WAITING || computes) continue;
        r->finish = HN_FINISH_LENGTH;
        hn_status st = hn_local_answer_echo(p, r, &err);
        hn_local_finish(p, r, st, &err);
    }
}

static size_t count_pending(const hn_local *p) {
    size_t n = 0;
    for (size_t i = 0; i < p->n_requests; i++) n += p->requests[i]->state != HN_LOCAL_DONE;
    return n;
}

static hn_status step(hn_provider *base, int timeout_ms, size_t *pending, hn_error *err) {
    hn_local *p = local_of(base);
    double until = hn_clock_seconds() + timeout_ms / 1e3;
    uint64_t before = p->n_finished;
    hn_status st = HN_OK;
    p->depth++;
    do {
        expire(p);
        finish_trivial(p);
        admit_waiting(p);
        if (collect_items(p) != HN_OK) st = hn_fail_memory(err, p->n_requests * sizeof *p->items);
        if (st != HN_OK || p->n_items == 0) break;
        run_items(p);
    } while (p->n_finished == before && !hn_interrupted() && hn_clock_seconds() < until);
    p->depth--;
    sweep(p);
    *pending = count_pending(p);
    return st;
}

static hn_status prompt_ids(hn_provider *base, const hn_request *request, hn_tokens *ids, hn_error *err) {
    return hn_local_prompt_ids(local_of(base), request, ids, err);
}

/* ---- opening and closing ---- */

static hn_status info(hn_provider *base, hn_provider_info *out, hn_error *err) {
    hn_local *p = local_of(base);
    hn_engine_memory memory = hn_engine_memory_now(p->engine);
    HN_TRY(hn_model_hash(p->model, out->model_hash, err));
    memcpy(out->template_hash, p->template_hash, sizeof out->template_hash);
    out->name = p->name;
    out->kind = "local";
    out->reproducible = true;
    out->numeric_path = hn_engine_numeric_path(p->engine);
    out->context = hn_engine_context(p->engine);
    out->kv_bytes_per_token = p->kv_bytes_per_token;
    out->model_bytes = (size_t)hn_model_file_bytes(p->model) + memory.pack_bytes;
    out->memory_bytes = out->model_bytes + memory.kv_bytes + memory.scratch_bytes;
    out->model = p->model;
    out->prefix_tokens_read = p->store_read;
    out->prefix_tokens_written = p->store_written;
    return HN_OK;
}

static void close_provider(hn_provider *base) {
    hn_local *p = local_of(base);
    hn_error err = {0};
    hn_fail(&err, HN_ERR_INTERRUPTED, NULL, NULL, "the model was closed");
    p->depth++;
    for (size_t i = 0; i < p->n_requests; i++) hn_local_finish(p, p->requests[i], HN_ERR_INTERRUPTED, &err);
    p->depth--;
    sweep(p);
    hn_local_store_close(p);
    while (hn_local_prefix_drop(p)) continue;
    hn_local_constraints_close(p);
    hn_local_chat_close(p);
    hn_engine_free(p->engine);
    hn_model_close(p->model);
    hn_free(p->requests);
    hn_free(p->items);
    hn_free(p->item_requests);
    hn_free(p->name);
    hn_free(p);
}

static const hn_provider_table table = {.submit = submit,
                                        .step = step,
                                        .cancel = cancel,
                                        .info = info,
                                        .cache_key = hn_local_cache_key,
                                        .prompt_ids = prompt_ids,
                                        .label_ids = hn_local_label_ids,
                                        .close = close_provider};

static size_t quarter_of_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages / 4 * (size_t)page : (size_t)1 << 30;
}

static hn_status open_parts(hn_local *p, const char *path, const hn_local_options *o, hn_error *err) {
    const char *text;
    HN_TRY(hn_model_open(path, HN_MODEL_IDS_ONLY, &p->model, err));
    if (o->adapter) HN_TRY(hn_model_add_adapter(p->model, o->adapter, err));
    hn_engine_options engine = {.n_threads = o->n_threads,
                                .pack = o->low_memory ? HN_PACK_LOW : HN_PACK_KEEP,
                                .kv_type = o->kv_type,
                                .context = o->context,
                                .kv_max_bytes = o->kv_max_bytes ? o->kv_max_bytes : quarter_of_memory()};
    HN_TRY(hn_engine_create(p->model, &engine, &p->engine, err));
    p->kv_max_bytes = engine.kv_max_bytes;
    p->kv_bytes_per_token = hn_engine_memory_now(p->engine).kv_bytes_per_token;
    p->max_batch = o->max_batch > 0 ? o->max_batch : HN_LOCAL_BATCH;
    p->name = hn_strdup(o->name ? o->name : hn_path_base(path));
    if (!p->name) return hn_fail_memory(err, 0);
    HN_TRY(hn_local_store_open(p, o, err));
    text = hn_model_chat_template(p->model);
    return text ? hn_sha256_bytes(text, strlen(text), p->template_hash) : HN_OK;
}

hn_status hn_provider_local_open(const char *path, const hn_local_options *options, hn_provider **provider,
                                 hn_error *err) {
    *provider = NULL;
    hn_local *p = hn_calloc(1, sizeof *p);
    if (!p) return hn_fail_memory(err, sizeof *p);
    p->base.table = &table;
    hn_status st = open_parts(p, path, options, err);
    if (st == HN_OK)
        *provider = &p->base;
    else
        close_provider(&p->base);
    return st;
}
