/* What training has beyond plain LoRA: smoothed and soft targets, dropout, DoRA and preference losses, each by finite differences; a network of a GGUF
 * model learns in Hugging Face's order; a DoRA adapter answers from its folder as the network that learned it. */
#include "engine_support.h"
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "format/safetensors.h"
#include "model/adapter_write.h"
#include "train/dropout.h"
#include "train/network.h"
#include "train/preference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T = 21, V = 512, CUT = 9 }; /* two sequences, of 9 and 12 rows */

static const int32_t ids[T] = {1,   410, 291, 310, 76,  71,  69,  414, 260, 1, 43,
                               262, 412, 369, 406, 278, 478, 271, 480, 2,   86};
static const int32_t starts[2] = {0, CUT};
static const uint64_t keys[2] = {0x1234567, 0x89ABCDE};
static const float weights[T] = {0, 0, 0.1f, 0.2f, -0.3f, 0.1f, 0.1f, 0.2f,  0,    0, 0,
                                 0, 0, 0,    0.2f, 0.1f,  0.3f, 0.1f, -0.2f, 0.1f, 0};
static int32_t targets[T];
static hn_pool *pool;
static const hn_kernels *kernels;

static int start(void **state) {
    (void)state;
    hn_error err;
    hn_test_ok(hn_pool_create(2, &pool, &err), &err);
    hn_test_ok(hn_kernels_choose("ref", &kernels, &err), &err);
    for (int t = 0; t < T; t++) targets[t] = weights[t] != 0 ? ids[t + 1] : HN_NO_TARGET;
    return 0;
}

static int stop(void **state) {
    (void)state;
    hn_pool_free(pool);
    return 0;
}

static hn_train_batch batch_here(void) {
    return (hn_train_batch){
        .ids = ids, .targets = targets, .weights = weights, .starts = starts, .n_rows = T, .n_sequences = 2};
}

static hn_model *tiny(const char *name) {
    char path[HN_PATH_MAX];
    if (!hn_test_shared(name, path)) return NULL;
    return hn_test_model_open(path, HN_MODEL_IDS_ONLY);
}

/* An adapter whose B is not 0 and whose magnitudes are not the lengths. */
static hn_network *network_of(const hn_model *model, const hn_network_options *o, const hn_kernels *with, hn_pool *p) {
    hn_network *n;
    hn_error err;
    hn_rng rng;
    size_t count;
    hn_test_ok(hn_network_create(model, o, with, p, &n, &err), &err);
    hn_tensor *tensors = hn_network_tensors(n, &count);
    hn_rng_seed(&rng, 11, 0);
    for (size_t i = 0; i < count; i++) {
        hn_tensor *t = &tensors[i];
        bool magnitude = strstr(t->name, "magnitude") != NULL;
        if (!strstr(t->name, "lora_B") && !magnitude) continue;
        for (int64_t k = 0; k < t->rows * t->columns; k++) {
            float move = (float)(hn_rng_uniform(&rng) - 0.5);
            t->w[k] = magnitude ? t->w[k] * (1 + 0.4f * move) : 0.2f * move;
        }
    }
    return n;
}

typedef double objective(hn_network *n, const hn_train_batch *b);

static double weighted_loss(hn_network *n, const hn_train_batch *b) {
    double losses[T], sum = 0;
    hn_error err;
    hn_test_ok(hn_network_forward(n, b, losses, &err), &err);
    for (int t = 0; t < T; t++) sum += losses[t] * (double)b->weights[t];
    return sum;
}

/* Moving a tensor along its gradient changes the objective by the gradient's square. */
static void check_slope(hn_network *n, const hn_train_batch *b, objective *f, const hn_tensor *t, double tolerance) {
    size_t size = (size_t)(t->rows * t->columns);
    double squares = 0, sides[2];
    for (size_t k = 0; k < size; k++) squares += (double)t->dw[k] * (double)t->dw[k];
    assert_true(squares > 0);
    float step = (float)(5e-3 / sqrt(squares)), *kept = hn_alloc(size * sizeof *kept);
    memcpy(kept, t->w, size * sizeof *kept);
    for (int side = 0; side < 2; side++) {
        for (size_t k = 0; k < size; k++) t->w[k] = kept[k] + (side ? step : -step) * t->dw[k];
        sides[side] = f(n, b);
    }
    memcpy(t->w, kept, size * sizeof *kept);
    hn_free(kept);
    double slope = (sides[1] - sides[0]) / (2 * (double)step);
    if (!(fabs(slope - squares) <= tolerance * squares)) fail_msg("%s: %g instead of %g", t->name, slope, squares);
}

static void check_all(hn_network *n, const hn_train_batch *b, objective *f, double tolerance, const char *only) {
    hn_error err;
    size_t count;
    double losses[T], said = 0;
    hn_network_clear_gradients(n);
    f(n, b);
    hn_test_ok(hn_network_backward(n, b, losses, &err), &err);
    if (f == weighted_loss) {
        for (int t = 0; t < T; t++) said += losses[t] * (double)b->weights[t];
        assert_true(fabs(said - f(n, b)) <= 1e-6 * (1 + fabs(said)));
    }
    const hn_tensor *tensors = hn_network_tensors(n, &count);
    for (size_t i = 0; i < count; i++)
        if (tensors[i].dw && (!only || strstr(tensors[i].name, only))) check_slope(n, b, f, &tensors[i], tolerance);
}

/* ---- targets ---- */

static void smoothed_targets(void **state) {
    (void)state;
    hn_model *model = tiny("goldens/tiny/llama");
    if (!model) skip();
    hn_network *n = network_of(model, &(hn_network_options){.lora_rank = 3, .lora_alpha = 6, .seed = 3}, kernels, pool);
    hn_train_batch b = batch_here();
    hn_error err;
    double plain[T], smooth[T];
    float *logits = hn_alloc(sizeof(float) * T * V);
    hn_test_ok(hn_network_forward(n, &b, plain, &err), &err);
    hn_test_ok(hn_network_logits(n, logits, &err), &err);
    b.label_smoothing = 0.1f;
    hn_test_ok(hn_network_forward(n, &b, smooth, &err), &err);
    for (int t = 0; t < T; t++) { /* cross entropy with 0.9 of the target and 0.1 of all alike, written out */
        double sum = 0, all = 0;
        if (targets[t] == HN_NO_TARGET) continue;
        for (int v = 0; v < V; v++) sum += exp((double)logits[t * V + v]);
        for (int v = 0; v < V; v++) all += (log(sum) - (double)logits[t * V + v]) / V;
        double want = (1 - (double)0.1f) * plain[t] + (double)0.1f * all;
        if (!(fabs(smooth[t] - want) <= 1e-4)) fail_msg("row %d: %g instead of %g", t, smooth[t], want);
    }
    check_all(n, &b, weighted_loss, 5e-3, NULL);
    b.label_smoothing = 1;
    assert_int_equal(hn_network_forward(n, &b, NULL, &err), HN_ERR_INPUT);
    b.label_smoothing = NAN;
    assert_int_equal(hn_network_forward(n, &b, NULL, &err), HN_ERR_INPUT);
    hn_free(logits);
    hn_network_free(n);
    hn_model_close(model);
}

static void a_teachers_distribution(void **state) {
    (void)state;
    hn_model *model = tiny("goldens/tiny/llama");
    if (!model) skip();
    static const int32_t some[] = {71, 9, 300};
    static const float p[] = {0.6f, 0.1f, 0.25f};
    static int32_t all[V];
    static float own[V];
    hn_soft_target soft[T] = {{0}};
    hn_network *n = network_of(model, &(hn_network_options){.lora_rank = 3, .lora_alpha = 6, .seed = 3}, kernels, pool);
    hn_train_batch b = batch_here();
    hn_error err;
    double losses[T];
    float *logits = hn_alloc(sizeof(float) * T * V);
    soft[4] = soft[15] = (hn_soft_target){some, p, 3};
    b.soft = soft;
    check_all(n, &b, weighted_loss, 5e-3, NULL);
    hn_test_ok(hn_network_forward(n, &b, NULL, &err), &err);
    hn_test_ok(hn_network_logits(n, logits, &err), &err);
    double sum = 0;
    for (int v = 0; v < V; v++) sum += exp((double)logits[15 * V + v]);
    for (int v = 0; v < V; v++) all[v] = v, own[v] = (float)(exp((double)logits[15 * V + v]) / sum);
    soft[15] = (hn_soft_target){all, own, V}; /* the model's own: nothing to learn */
    hn_test_ok(hn_network_forward(n, &b, losses, &err), &err);
    assert_true(fabs(losses[15]) < 1e-6);
    soft[15] = (hn_soft_target){(int32_t[]){V}, (float[]){1}, 1};
    assert_int_equal(hn_network_forward(n, &b, NULL, &err), HN_ERR_INPUT);
    soft[15] = (hn_soft_target){some, (float[]){0.6f, 0.5f, 0}, 3};
    assert_int_equal(hn_network_forward(n, &b, NULL, &err), HN_ERR_INPUT);
    soft[15] = (hn_soft_target){some, (float[]){0.6f, -0.1f, 0}, 3};
    assert_int_equal(hn_network_forward(n, &b, NULL, &err), HN_ERR_INPUT);
    hn_free(logits);
    hn_network_free(n);
    hn_model_close(model);
}

/* ---- dropout ---- */

static void dropout_has_its_gradients(void **state) {
    (void)state;
    hn_model *model = tiny("goldens/tiny/llama");
    if (!model) skip();
    hn_network_options o = {.lora_rank = 3, .lora_alpha = 6, .seed = 3, .dropout = 0.3f};
    hn_network *n = network_of(model, &o, kernels, pool);
    hn_train_batch b = batch_here();
    double without = weighted_loss(n, &b);
    b.dropout = keys;
    assert_true(fabs(weighted_loss(n, &b) - without) > 1e-6);
    check_all(n, &b, weighted_loss, 5e-3, NULL);
    o.dropout = 0;
    hn_network *plain = network_of(model, &o, kernels, pool);
    b.dropout = NULL;
    assert_true(weighted_loss(plain, &b) == without); /* off: not a bit differs */
    hn_network_free(n), hn_network_free(plain);
    hn_model_close(model);
}

static void masks_follow_the_sequence(void **state) {
    (void)state;
    hn_model *model = tiny("goldens/tiny/llama");
    if (!model) skip();
    hn_network_options o = {.lora_rank = 3, .lora_alpha = 6, .seed = 3, .dropout = 0.25f};
    hn_network *n = network_of(model, &o, kernels, pool);
    hn_train_batch b = batch_here(), alone = batch_here();
    hn_error err;
    double together[T], losses[T];
    b.dropout = keys;
    hn_test_ok(hn_network_forward(n, &b, together, &err), &err);
    int32_t first = 0; /* the second sequence by itself, on one thread */
    hn_network *one = network_of(model, &o, kernels, NULL);
    alone.ids = ids + CUT, alone.targets = targets + CUT, alone.weights = weights + CUT, alone.starts = &first;
    alone.n_rows = T - CUT, alone.n_sequences = 1, alone.dropout = keys + 1;
    hn_test_ok(hn_network_forward(one, &alone, losses, &err), &err);
    for (int t = CUT; t < T; t++) assert_true(losses[t - CUT] == together[t]);
    uint64_t other = hn_dropout_key(1, 2, 3);
    assert_true(other != hn_dropout_key(1, 3, 2) && other != hn_dropout_key(2, 2, 3));
    alone.dropout = &other;
    hn_test_ok(hn_network_forward(one, &alone, losses, &err), &err);
    assert_true(losses[T - 2 - CUT] != together[T - 2]);
    hn_network_free(n), hn_network_free(one);
    o.dropout = 1;
    assert_int_equal(hn_network_create(model, &o, kernels, NULL, &n, &err), HN_ERR_USAGE);
    hn_model_close(model);
}

/* ---- DoRA ---- */

/* As it is told in the paper and done in PEFT: |V| is a constant of the step, so the differences hold it where it was: a linear function of B, A and m
 * at that |V|. Moving the magnitudes alone is a plain difference. */
static void magnitudes_have_their_gradients(void **state) {
    (void)state;
    hn_model *model = tiny("goldens/tiny/llama");
    if (!model) skip();
    hn_network_options o = {.lora_rank = 3, .lora_alpha = 6, .seed = 3, .dora = true, .dropout = 0.2f};
    hn_network *n = network_of(model, &o, kernels, pool);
    hn_train_batch b = batch_here();
    check_all(n, &b, weighted_loss, 5e-3, "lora_magnitude_vector");
    b.dropout = keys;
    check_all(n, &b, weighted_loss, 5e-3, "lora_magnitude_vector");
    hn_network_free(n);
    hn_model_close(model);
}

/* Row lengths of W + scaling B A, from the tensors; (rows) of doubles, to be freed. */
static double *lengths_of(hn_network *n, const char *base, double scaling) {
    char name[112];
    const hn_tensor *part[3];
    static const char *const ends[] = {"weight", "lora_A.weight", "lora_B.weight"};
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s.%s", base, ends[i]);
        part[i] = hn_network_find(n, name);
        assert_non_null(part[i]);
    }
    int64_t N = part[0]->rows, K = part[0]->columns, r = part[1]->rows;
    double *out = hn_calloc((size_t)N, sizeof *out);
    for (int64_t o = 0; o < N; o++) {
        for (int64_t k = 0; k < K; k++) {
            double v = (double)part[0]->w[o * K + k];
            for (int64_t i = 0; i < r; i++)
                v += scaling * (double)part[2]->w[o * r + i] * (double)part[1]->w[i * K + k];
            out[o] += v * v;
        }
        out[o] = sqrt(out[o]);
    }
    return out;
}

static const char *held_base;
static const double *held_lengths; /* of held_base, at the point where the gradient is taken */

/* The loss with |V| of one matrix held: m is scaled so that m / |V| has the old |V| below it. */
static double loss_at_held_lengths(hn_network *n, const hn_train_batch *b) {
    char name[112];
    snprintf(name, sizeof name, "%s.lora_magnitude_vector", held_base);
    hn_tensor *m = hn_network_find(n, name);
    double *now = lengths_of(n, held_base, 2);
    float *kept = hn_alloc((size_t)m->columns * sizeof *kept);
    memcpy(kept, m->w, (size_t)m->columns * sizeof *kept);
    for (int64_t o = 0; o < m->columns; o++) m->w[o] = (float)((double)kept[o] * now[o] / held_lengths[o]);
    double loss = weighted_loss(n, b);
    memcpy(m->w, kept, (size_t)m->columns * sizeof *kept);
    hn_free(kept), hn_free(now);
    return loss;
}

static void directions_have_gradients_with_lengths_held(void **state) {
    (void)state;
    hn_model *model = tiny("goldens/tiny/llama");
    if (!model) skip();
    static const char *const bases[] = {"model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj",
                                        "model.layers.1.self_attn.o_proj", "model.layers.1.mlp.gate_proj"};
    hn_network_options o = {.lora_rank = 3, .lora_alpha = 6, .seed = 3, .dora = true};
    hn_network *n = network_of(model, &o, kernels, pool);
    hn_train_batch b = batch_here();
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        double *lengths = lengths_of(n, bases[i], 2);
        held_base = bases[i], held_lengths = lengths;
        char name[112];
        snprintf(name, sizeof name, "%s.lora_", bases[i]);
        check_all(n, &b, loss_at_held_lengths, 5e-3, name);
        hn_free(lengths);
    }
    hn_network_free(n);
    hn_model_close(model);
}

static void magnitudes_begin_as_lengths(void **state) {
    (void)state;
    static const char *const files[] = {"goldens/tiny/llama", "goldens/tiny/llama/model.gguf"};
    for (int f = 0; f < 2; f++) {
        hn_model *model = tiny(files[f]);
        if (!model) skip();
        const hn_kernels *tables[] = {kernels, NULL};
        hn_error err;
        hn_test_ok(hn_kernels_choose(NULL, &tables[1], &err), &err);
        for (int k = 0; k < 2; k++) {
            hn_network_options o = {.lora_rank = 3, .lora_alpha = 6, .seed = 3};
            hn_network *plain, *dora;
            hn_train_batch b = batch_here();
            hn_test_ok(hn_network_create(model, &o, tables[k], pool, &plain, &err), &err);
            o.dora = true;
            hn_test_ok(hn_network_create(model, &o, tables[k], NULL, &dora, &err), &err);
            assert_true(weighted_loss(plain, &b) == weighted_loss(dora, &b)); /* B is 0: every gain is exactly 1 */
            hn_network_free(plain), hn_network_free(dora);
        }
        hn_model_close(model);
    }
}

/* ---- served as learned ---- */

static void write_folder(hn_network *n, const hn_network_options *o, const char *folder) {
    static const char *const parts[] = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
    hn_adapter_description what = {.rank = o->lora_rank,
                                   .alpha = o->lora_alpha,
                                   .dora = o->dora,
                                   .dropout = (double)o->dropout,
                                   .targets = parts,
                                   .n_targets = 7};
    hn_adapter_tensor out[128];
    hn_error err;
    size_t count, n_out = 0;
    const hn_tensor *t = hn_network_tensors(n, &count);
    for (size_t i = 0; i < count && n_out < 128; i++)
        if (t[i].dw) out[n_out++] = (hn_adapter_tensor){t[i].name, t[i].rows, t[i].columns, t[i].w};
    hn_test_ok(hn_adapter_write(folder, &what, out, n_out, &err), &err);
}

/* The network's logits of the first sequence's last row against the engine's, with the adapter read from its folder. */
static void check_served(const char *file, bool dora) {
    char folder[HN_PATH_MAX];
    hn_model *model = tiny(file);
    hn_network_options o = {.lora_rank = 3, .lora_alpha = 6, .seed = 3, .dora = dora};
    hn_network *n = network_of(model, &o, kernels, pool);
    hn_train_batch b = batch_here();
    hn_error err;
    float *logits = hn_alloc(sizeof(float) * T * V);
    hn_test_folder(folder);
    hn_test_ok(hn_network_forward(n, &b, NULL, &err), &err);
    hn_test_ok(hn_network_logits(n, logits, &err), &err);
    write_folder(n, &o, folder);
    hn_test_ok(hn_model_add_adapter(model, folder, &err), &err);
    hn_engine *e = hn_test_engine(model, "ref", 2);
    float *served = hn_test_logits(e, ids, CUT), worst = 0;
    for (int v = 0; v < V; v++) worst = fmaxf(worst, fabsf(served[v] - logits[(CUT - 1) * V + v]));
    if (!(worst <= 1e-3f)) fail_msg("%s%s: a logit is off by %g", file, dora ? ", DoRA" : "", (double)worst);
    hn_free(served), hn_free(logits);
    hn_engine_free(e);
    hn_network_free(n);
    hn_model_close(model);
    hn_test_folder_remove(folder);
}

static void adapters_are_served_as_they_were_learned(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!hn_test_shared("goldens/tiny/llama", path)) skip();
    check_served("goldens/tiny/llama", false);
    check_served("goldens/tiny/llama", true);
    check_served("goldens/tiny/llama/model.gguf", false);
    check_served("goldens/tiny/llama/model.gguf", true);
}

/* ---- preferences ---- */

static hn_preference_options preference;

static void sides_of(hn_network *n, const hn_train_batch *b, hn_preference_side side[2]) {
    double losses[T];
    hn_error err;
    hn_test_ok(hn_network_forward(n, b, losses, &err), &err);
    side[0] = side[1] = (hn_preference_side){.reference = -20};
    side[1].reference = -33;
    for (int t = 0; t < T; t++) {
        side[t >= CUT].logp -= losses[t];
        side[t >= CUT].n_tokens += targets[t] != HN_NO_TARGET;
    }
}

static double preference_of(hn_network *n, const hn_train_batch *b) {
    hn_preference_side side[2];
    hn_preference_terms terms;
    sides_of(n, b, side);
    hn_preference_loss(&preference, &side[0], &side[1], &terms);
    return terms.loss;
}

static void preferences_by_finite_differences(void **state) {
    (void)state;
    hn_model *model = tiny("goldens/tiny/llama");
    if (!model) skip();
    static const hn_preference_options all[] = {
        {HN_PREFERENCE_DPO, 0.1, 0}, {HN_PREFERENCE_DPO, 0.3, 0.2}, {HN_PREFERENCE_ORPO, 0.5, 0}};
    hn_network *n = network_of(model, &(hn_network_options){.lora_rank = 3, .lora_alpha = 6, .seed = 3}, kernels, pool);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        hn_train_batch b = batch_here();
        hn_preference_side side[2];
        hn_preference_terms terms;
        float pulls[T];
        preference = all[i];
        sides_of(n, &b, side);
        hn_preference_loss(&preference, &side[0], &side[1], &terms);
        for (int t = 0; t < T; t++) pulls[t] = (float)(t < CUT ? terms.chosen_weight : terms.rejected_weight);
        b.weights = pulls;
        check_all(n, &b, preference_of, 5e-3, NULL);
    }
    hn_network_free(n);
    hn_model_close(model);
}

/* ORPO's formula from log-probabilities of single tokens; slopes by differences, also where probabilities are nearly 1. */
static void odds_are_stable(void **state) {
    (void)state;
    hn_preference_options o = {HN_PREFERENCE_ORPO, 0.25, 0};
    hn_preference_side c = {.logp = -1.2, .n_tokens = 3}, r = {.logp = -2.5, .n_tokens = 2};
    hn_preference_terms t, low, high;
    hn_preference_loss(&o, &c, &r, &t);
    double pc = exp(-0.4), pr = exp(-1.25), ratio = log(pc / (1 - pc)) - log(pr / (1 - pr));
    assert_true(fabs(t.loss - (0.4 - 0.25 * log(1 / (1 + exp(-ratio))))) < 1e-12);
    for (int side = 0; side < 2; side++) {
        hn_preference_side *moved = side ? &r : &c;
        double at = moved->logp, h = 1e-6;
        moved->logp = at - h, hn_preference_loss(&o, &c, &r, &low);
        moved->logp = at + h, hn_preference_loss(&o, &c, &r, &high);
        moved->logp = at;
        double want = -(high.loss - low.loss) / (2 * h), have = side ? t.rejected_weight : t.chosen_weight;
        assert_true(fabs(have - want) < 1e-6);
    }
    c.logp = 0, r.logp = -1e-30;
    hn_preference_loss(&o, &c, &r, &t);
    assert_true(isfinite(t.loss) && isfinite(t.chosen_weight) && isfinite(t.rejected_weight));
    c.logp = -1e5, r.logp = -1e5;
    hn_preference_loss(&o, &c, &r, &t);
    assert_true(isfinite(t.loss) && isfinite(t.chosen_weight) && isfinite(t.rejected_weight));
    o.kind = HN_PREFERENCE_DPO, c.reference = -3e5;
    hn_preference_loss(&o, &c, &r, &t);
    assert_true(isfinite(t.loss) && t.reward_chosen > 0);
}

static void the_base_alone(void **state) {
    (void)state;
    hn_model *model = tiny("goldens/tiny/llama");
    if (!model) skip();
    hn_network_options o = {.lora_rank = 3, .lora_alpha = 6, .seed = 3, .dora = true, .dropout = 0.5f};
    hn_network *learned = network_of(model, &o, kernels, pool), *fresh;
    hn_train_batch b = batch_here();
    hn_error err;
    hn_network_options plain = {.lora_rank = 3, .lora_alpha = 6, .seed = 3};
    hn_test_ok(hn_network_create(model, &plain, kernels, pool, &fresh, &err), &err); /* its B is 0 */
    double want = weighted_loss(fresh, &b), with = weighted_loss(learned, &b);
    b.base_only = true, b.dropout = keys;
    assert_true(weighted_loss(learned, &b) == want && with != want);
    assert_int_equal(hn_network_backward(learned, &b, NULL, &err), HN_ERR_USAGE);
    hn_network_free(learned), hn_network_free(fresh);
    hn_model_close(model);
}

/* ---- bits and memory ---- */

static void the_same_bits_for_any_threads(void **state) {
    (void)state;
    hn_model *model = tiny("goldens/tiny/llama/model.gguf");
    if (!model) skip();
    const hn_kernels *best;
    hn_error err;
    hn_network *nets[2];
    size_t count;
    hn_network_options o = {.lora_rank = 4, .lora_alpha = 8, .seed = 3, .dora = true, .dropout = 0.1f};
    hn_test_ok(hn_kernels_choose(NULL, &best, &err), &err);
    for (int i = 0; i < 2; i++) {
        hn_train_batch b = batch_here();
        b.dropout = keys, b.label_smoothing = 0.05f;
        nets[i] = network_of(model, &o, best, i ? pool : NULL);
        hn_network_clear_gradients(nets[i]);
        hn_test_ok(hn_network_forward(nets[i], &b, NULL, &err), &err);
        hn_test_ok(hn_network_backward(nets[i], &b, NULL, &err), &err);
    }
    const hn_tensor *a = hn_network_tensors(nets[0], &count), *b = hn_network_tensors(nets[1], &count);
    for (size_t i = 0; i < count; i++)
        if (a[i].dw) assert_memory_equal(a[i].dw, b[i].dw, (size_t)(a[i].rows * a[i].columns) * sizeof(float));
    hn_network_free(nets[0]), hn_network_free(nets[1]);
    hn_model_close(model);
}

static void memory_running_out_is_a_status(void **state) {
    (void)state;
    hn_model *model = tiny("goldens/tiny/llama");
    if (!model) skip();
    hn_network_options o = {.lora_rank = 2, .lora_alpha = 4, .dora = true, .dropout = 0.1f};
    hn_train_batch b = batch_here();
    hn_status st = HN_ERR_MEMORY;
    b.dropout = keys;
    for (size_t k = 1; st == HN_ERR_MEMORY; k++) {
        hn_network *n = NULL;
        hn_error err;
        hn_alloc_fail_at(k, true);
        st = hn_network_create(model, &o, kernels, NULL, &n, &err);
        if (st == HN_OK) st = hn_network_forward(n, &b, NULL, &err);
        if (st == HN_OK) st = hn_network_backward(n, &b, NULL, &err);
        hn_alloc_fail_at(0, false);
        hn_network_free(n);
    }
    assert_int_equal(st, HN_OK);
    hn_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(smoothed_targets),
                                       cmocka_unit_test(a_teachers_distribution),
                                       cmocka_unit_test(dropout_has_its_gradients),
                                       cmocka_unit_test(masks_follow_the_sequence),
                                       cmocka_unit_test(magnitudes_have_their_gradients),
                                       cmocka_unit_test(directions_have_gradients_with_lengths_held),
                                       cmocka_unit_test(magnitudes_begin_as_lengths),
                                       cmocka_unit_test(adapters_are_served_as_they_were_learned),
                                       cmocka_unit_test(preferences_by_finite_differences),
                                       cmocka_unit_test(odds_are_stable),
                                       cmocka_unit_test(the_base_alone),
                                       cmocka_unit_test(the_same_bits_for_any_threads),
                                       cmocka_unit_test(memory_running_out_is_a_status)};
    return cmocka_run_group_tests(tests, start, stop);
}
