/* LoRA (Hu et al. 2021): low-rank matrices learn beside the base's weights, which stay as they are. The result is a folder in PEFT's form, whose rows
 * stand in Hugging Face's order: a GGUF file of a llama keeps those of q and k in another one, so that they are put back. */
#include "base/alloc.h"
#include "lifecycle/tune/tune_method.h"
#include "model/adapter_write.h"

#include <stdio.h>
#include <string.h>

enum { TARGETS_MAX = 16 };

static void network(const hn_training *t, hn_network_options *n) {
    const hn_tune_options *o = &t->setup->options;
    n->lora_rank = o->rank;
    n->lora_alpha = (float)o->alpha;
    n->rank_stabilised = o->rank_stabilised;
    n->lora_targets = o->targets;
}

static hn_status parameters(const hn_training *t, json_t *p, hn_error *err) {
    const hn_tune_options *o = &t->setup->options;
    json_t *own = json_pack("{s:i, s:f, s:b, s:i}", "rank", o->rank, "alpha", o->alpha, "rank_stabilised",
                            o->rank_stabilised, "targets", (int)o->targets);
    bool fine = own && json_object_update(p, own) == 0;
    json_decref(own);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

/* What is collected of the network's tensors for the file. */
typedef struct adapter {
    hn_adapter_tensor *tensors; /* (n) */
    size_t n, n_targets;
    char names[TARGETS_MAX][32];
    const char *targets[TARGETS_MAX];
    float **turned; /* (n) copies with rows in another order; NULL: as it is */
} adapter;

/* "model.layers.0.self_attn.q_proj.lora_A.weight" -> "q_proj" */
static bool target_of(const char *name, char out[32]) {
    const char *end = strstr(name, ".lora_");
    if (!end) return false;
    const char *from = end;
    while (from > name && from[-1] != '.') from--;
    snprintf(out, 32, "%.*s", (int)(end - from), from);
    return true;
}

static void note_target(adapter *a, const char *name) {
    for (size_t k = 0; k < a->n_targets; k++)
        if (strcmp(a->names[k], name) == 0) return;
    if (a->n_targets == TARGETS_MAX) return;
    snprintf(a->names[a->n_targets], sizeof a->names[0], "%s", name);
    a->targets[a->n_targets] = a->names[a->n_targets];
    a->n_targets++;
}

/* B (N,r) of q or k with a head's rows as halves, where the model has them as pairs. */
static float *turn(const hn_tensor *t, int64_t HS) {
    size_t row_bytes = (size_t)t->columns * sizeof(float);
    float *out = hn_alloc((size_t)t->rows * row_bytes);
    for (int64_t row = 0; out && row < t->rows; row++) {
        int64_t half = HS / 2, inside = row % HS;
        int64_t from = row - inside + (inside < half ? 2 * inside : 2 * (inside - half) + 1);
        memcpy(out + row * t->columns, t->w + from * t->columns, row_bytes);
    }
    return out;
}

static hn_status add(adapter *a, const hn_shape *shape, const hn_tensor *t, hn_error *err) {
    char target[32];
    const float *w = t->w;
    if (target_of(t->name, target)) note_target(a, target);
    bool is_b = strstr(t->name, ".lora_B.") != NULL;
    if (is_b && shape->rope_interleaved && (strcmp(target, "q_proj") == 0 || strcmp(target, "k_proj") == 0)) {
        w = a->turned[a->n] = turn(t, shape->head_size);
        if (!w) return hn_fail_memory(err, (size_t)(t->rows * t->columns) * sizeof *w);
    }
    a->tensors[a->n++] = (hn_adapter_tensor){t->name, t->rows, t->columns, w};
    return HN_OK;
}

static hn_status save(const hn_training *t, const adapter *a, const char *folder, hn_error *err) {
    const hn_tune_options *o = &t->setup->options;
    hn_adapter_description what = {.rank = o->rank,
                                   .alpha = (float)o->alpha,
                                   .rank_stabilised = o->rank_stabilised,
                                   .base_name = t->base.name,
                                   .targets = a->targets,
                                   .n_targets = a->n_targets};
    HN_TRY(hn_dir_create(folder, err));
    return hn_adapter_write(folder, &what, a->tensors, a->n, err);
}

hn_status hn_tune_write_adapter(hn_training *t, const char *folder, hn_error *err) {
    adapter a = {0};
    size_t n;
    const hn_tensor *tensors = hn_network_tensors(t->network, &n);
    a.tensors = hn_calloc(n, sizeof *a.tensors);
    a.turned = hn_calloc(n, sizeof *a.turned);
    hn_status st = a.tensors && a.turned ? HN_OK : hn_fail_memory(err, n * sizeof *a.tensors);
    for (size_t i = 0; i < n && st == HN_OK; i++)
        if (tensors[i].dw) st = add(&a, hn_model_shape(t->base.model), &tensors[i], err);
    if (st == HN_OK) st = save(t, &a, folder, err);
    for (size_t i = 0; a.turned && i < n; i++) hn_free(a.turned[i]);
    hn_free(a.turned);
    hn_free(a.tensors);
    return st;
}

const hn_tune_method hn_tune_method_lora = {.name = "lora",
                                            .summary = "an adapter beside the base's weights",
                                            .result = "adapter",
                                            .network = network,
                                            .parameters = parameters,
                                            .write = hn_tune_write_adapter};
