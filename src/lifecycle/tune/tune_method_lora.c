/* LoRA (Hu et al. 2021): low-rank matrices learn beside the base's weights, which stay as they are. The result is a folder in PEFT's form. DoRA
 * (Liu et al. 2024) and dropout are settings of it. */
#include "base/alloc.h"
#include "lifecycle/tune/tune_method.h"
#include "model/adapter_write.h"

#include <stdio.h>
#include <string.h>

enum { TARGETS_MAX = 16 };

void hn_tune_network_lora(const hn_training *t, hn_network_options *n) {
    const hn_tune_options *o = &t->setup->options;
    n->lora_rank = o->rank;
    n->lora_alpha = (float)o->alpha;
    n->rank_stabilised = o->rank_stabilised;
    n->lora_targets = o->targets;
    n->dora = o->dora;
    n->dropout = (float)o->dropout;
}

hn_status hn_tune_parameters_lora(const hn_training *t, json_t *p, hn_error *err) {
    const hn_tune_options *o = &t->setup->options;
    json_t *own = json_pack("{s:i, s:f, s:b, s:i}", "rank", o->rank, "alpha", o->alpha, "rank_stabilised",
                            o->rank_stabilised, "targets", (int)o->targets);
    bool fine = own && json_object_update(p, own) == 0;
    if (o->dora) fine = fine && json_object_set_new(p, "dora", json_true()) == 0;
    if (o->dropout > 0) fine = fine && json_object_set_new(p, "dropout", json_real(o->dropout)) == 0;
    json_decref(own);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

/* What is collected of the network's tensors for the file. */
typedef struct adapter {
    hn_adapter_tensor *tensors; /* (n) */
    size_t n, n_targets;
    char names[TARGETS_MAX][32];
    const char *targets[TARGETS_MAX];
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

static void add(adapter *a, const hn_tensor *t) {
    char target[32];
    if (target_of(t->name, target)) note_target(a, target);
    a->tensors[a->n++] = (hn_adapter_tensor){t->name, t->rows, t->columns, t->w};
}

static hn_status save(const hn_training *t, const adapter *a, const char *folder, hn_error *err) {
    const hn_tune_options *o = &t->setup->options;
    hn_adapter_description what = {.rank = o->rank,
                                   .alpha = (float)o->alpha,
                                   .rank_stabilised = o->rank_stabilised,
                                   .dora = o->dora,
                                   .dropout = o->dropout,
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
    hn_status st = a.tensors ? HN_OK : hn_fail_memory(err, n * sizeof *a.tensors);
    for (size_t i = 0; st == HN_OK && i < n; i++)
        if (tensors[i].dw) add(&a, &tensors[i]);
    if (st == HN_OK) st = save(t, &a, folder, err);
    hn_free(a.tensors);
    return st;
}

const hn_tune_method hn_tune_method_lora = {.name = "lora",
                                            .summary = "an adapter beside the base's weights",
                                            .result = "adapter",
                                            .takes_text = true,
                                            .network = hn_tune_network_lora,
                                            .parameters = hn_tune_parameters_lora,
                                            .write = hn_tune_write_adapter};
