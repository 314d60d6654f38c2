/* Timing the engine on pseudo-random tokens; see bench_speed.h. */
#include "cli/bench_speed.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/interrupt.h"

#include <string.h>

#define MACHINE_SECONDS 0.4

/* --- the limit --- */

static double matrix_bytes(const hn_matrix *w) {
    size_t bytes = 0;
    return hn_dtype_bytes(w->dtype, (uint64_t)w->n_out * (uint64_t)w->n_in, &bytes) ? (double)bytes : 0;
}

static void count_weights(hn_speed *s) {
    const hn_weights *w = hn_model_weights(s->model);
    for (int l = 0; l < hn_model_shape(s->model)->n_layers; l++) {
        const hn_matrix *all[] = {&w->layers[l].q,    &w->layers[l].k,  &w->layers[l].v,   &w->layers[l].o,
                                  &w->layers[l].gate, &w->layers[l].up, &w->layers[l].down};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            s->weight_bytes += matrix_bytes(all[i]);
            s->layer_weights += (double)all[i]->n_out * (double)all[i]->n_in;
        }
    }
    s->output_bytes = matrix_bytes(&w->output);
    s->output_weights = (double)w->output.n_out * (double)w->output.n_in;
}

double hn_speed_limit(const hn_speed *s, double rows, double outputs, double context, double streams) {
    const hn_shape *shape = hn_model_shape(s->model);
    double kv = (double)hn_engine_memory_now(s->engine).kv_bytes_per_token;
    double bytes = s->weight_bytes + s->output_bytes + streams * context * kv;
    double flops = 2 * (rows * s->layer_weights + outputs * s->output_weights) +
                   4 * rows * context * shape->n_layers * shape->n_heads * shape->head_size;
    double by_bytes = bytes / s->machine.bytes_per_s, by_flops = flops / s->machine.flops_per_s;
    return by_bytes > by_flops ? by_bytes : by_flops;
}

/* --- opening --- */

static hn_status prepare(hn_speed *s, int max_tokens, hn_error *err) {
    int n_vocab = hn_model_shape(s->model)->n_vocab, context = hn_engine_context(s->engine);
    s->n_ids = context < max_tokens ? context : max_tokens;
    s->ids = hn_calloc((size_t)s->n_ids, sizeof *s->ids);
    s->logits = hn_calloc(HN_SPEED_STREAMS_MAX, (size_t)n_vocab * sizeof *s->logits);
    if (!s->ids || !s->logits) return hn_fail_memory(err, (size_t)n_vocab * HN_SPEED_STREAMS_MAX * sizeof *s->logits);
    for (int i = 0; i < s->n_ids; i++) s->ids[i] = (int32_t)((uint32_t)(i + 1) * 2654435761u % (uint32_t)n_vocab);
    count_weights(s);
    return HN_OK;
}

hn_status hn_speed_measure(hn_speed *s, hn_error *err) {
    const hn_kernels *judged = s->kernels;
    hn_machine now;
    hn_pool *pool;
    bool in_f32 = hn_model_shape(s->model)->main_dtype == HN_DTYPE_F32; /* such weights are multiplied in f32 */
    if (in_f32 && strcmp(judged->name, "avx512bf16") == 0) HN_TRY(hn_kernels_choose("avx512f32", &judged, err));
    HN_TRY(hn_pool_create(s->n_threads, &pool, err));
    hn_status st = hn_machine_measure(judged, pool, MACHINE_SECONDS, &now, err);
    hn_pool_free(pool);
    if (st == HN_OK) hn_speed_better(&s->machine, &now);
    return st;
}

void hn_speed_better(hn_machine *best, const hn_machine *other) {
    if (other->bytes_per_s > best->bytes_per_s) best->bytes_per_s = other->bytes_per_s;
    if (other->flops_per_s > best->flops_per_s) best->flops_per_s = other->flops_per_s;
}

hn_status hn_speed_open(const char *path, const hn_engine_options *options, int max_tokens, hn_speed **speed,
                        hn_error *err) {
    hn_speed *s = hn_calloc(1, sizeof *s);
    *speed = NULL;
    if (!s) return hn_fail_memory(err, sizeof *s);
    s->n_threads = options->n_threads;
    hn_status st = hn_kernels_choose(options->isa, &s->kernels, err);
    if (st == HN_OK) st = hn_model_open(path, HN_MODEL_IDS_ONLY, &s->model, err);
    if (st == HN_OK) st = hn_speed_measure(s, err); /* before the engine takes the memory's huge pages */
    if (st == HN_OK) st = hn_engine_create(s->model, options, &s->engine, err);
    if (st == HN_OK) st = prepare(s, max_tokens, err);
    if (st != HN_OK)
        hn_speed_close(s);
    else
        *speed = s;
    return st;
}

void hn_speed_close(hn_speed *s) {
    if (!s) return;
    hn_engine_free(s->engine);
    hn_model_close(s->model);
    hn_free(s->ids);
    hn_free(s->logits);
    hn_free(s);
}

/* --- timing --- */

hn_status hn_speed_prefill(hn_speed *s, int n, double *seconds, hn_error *err) {
    hn_sequence *sequence;
    HN_TRY(hn_interrupt_check(err));
    HN_TRY(hn_sequence_create(s->engine, &sequence, err));
    hn_step_item item = {
        .sequence = sequence, .tokens = s->ids, .n_tokens = n, .want = HN_WANT_LOGITS, .logits = s->logits};
    double start = hn_clock_seconds();
    hn_status st = hn_engine_step(s->engine, &item, 1, err);
    *seconds = hn_clock_seconds() - start;
    hn_sequence_free(sequence);
    return st;
}

/* One step of all items, a stream's tokens starting at a place of its own. */
static hn_status step_all(hn_speed *s, hn_step_item *items, int n, int n_tokens, double *seconds, hn_error *err) {
    for (int i = 0; i < n; i++) {
        items[i].n_tokens = n_tokens;
        items[i].tokens = s->ids + (n_tokens + i <= s->n_ids ? i : 0);
    }
    HN_TRY(hn_interrupt_check(err));
    double start = hn_clock_seconds();
    hn_status st = hn_engine_step(s->engine, items, (size_t)n, err);
    *seconds += hn_clock_seconds() - start;
    return st;
}

hn_status hn_speed_generate(hn_speed *s, int n_streams, int n_prompt, int n_steps, double *prompt_seconds,
                            double *step_seconds, hn_error *err) {
    hn_step_item items[HN_SPEED_STREAMS_MAX] = {0};
    size_t V = (size_t)hn_model_shape(s->model)->n_vocab;
    double prompt = 0, steps = 0;
    hn_status st = HN_OK;
    for (int i = 0; i < n_streams && st == HN_OK; i++) {
        st = hn_sequence_create(s->engine, &items[i].sequence, err);
        items[i].want = HN_WANT_LOGITS;
        items[i].logits = s->logits + (size_t)i * V;
    }
    if (st == HN_OK && n_prompt > 0) st = step_all(s, items, n_streams, n_prompt, &prompt, err);
    for (int i = 0; i < n_steps && st == HN_OK; i++) st = step_all(s, items, n_streams, 1, &steps, err);
    for (int i = 0; i < n_streams; i++) hn_sequence_free(items[i].sequence);
    if (prompt_seconds) *prompt_seconds = prompt;
    if (step_seconds) *step_seconds = steps;
    return st;
}
