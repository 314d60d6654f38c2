/* The table of model families; see architecture.h. */
#include "model/architecture.h"

#include <stdio.h>
#include <string.h>

static const hn_tensor_rule llama_tensors[] = {
    {HN_TENSOR_EMBEDDING, "token_embd.weight", "model.embed_tokens.weight", HN_DIM_VOCAB, HN_DIM_EMBD, false},
    {HN_TENSOR_OUTPUT, "output.weight", "lm_head.weight", HN_DIM_VOCAB, HN_DIM_EMBD, true},
    {HN_TENSOR_OUTPUT_NORM, "output_norm.weight", "model.norm.weight", HN_DIM_EMBD, HN_DIM_NONE, false},
    {HN_TENSOR_ROPE_FACTORS, "rope_freqs.weight", NULL, HN_DIM_ROPE, HN_DIM_NONE, true},
    {HN_TENSOR_ROPE_LONG, "rope_factors_long.weight", NULL, HN_DIM_ROPE, HN_DIM_NONE, true},
    {HN_TENSOR_ROPE_SHORT, "rope_factors_short.weight", NULL, HN_DIM_ROPE, HN_DIM_NONE, true},
    {HN_TENSOR_ATTENTION_NORM, "attn_norm.weight", "input_layernorm.weight", HN_DIM_EMBD, HN_DIM_NONE, false},
    {HN_TENSOR_Q, "attn_q.weight", "self_attn.q_proj.weight", HN_DIM_HEADS, HN_DIM_EMBD, false},
    {HN_TENSOR_K, "attn_k.weight", "self_attn.k_proj.weight", HN_DIM_KV_HEADS, HN_DIM_EMBD, false},
    {HN_TENSOR_V, "attn_v.weight", "self_attn.v_proj.weight", HN_DIM_KV_HEADS, HN_DIM_EMBD, false},
    {HN_TENSOR_O, "attn_output.weight", "self_attn.o_proj.weight", HN_DIM_EMBD, HN_DIM_HEADS, false},
    {HN_TENSOR_FFN_NORM, "ffn_norm.weight", "post_attention_layernorm.weight", HN_DIM_EMBD, HN_DIM_NONE, false},
    {HN_TENSOR_GATE, "ffn_gate.weight", "mlp.gate_proj.weight", HN_DIM_FF, HN_DIM_EMBD, false},
    {HN_TENSOR_UP, "ffn_up.weight", "mlp.up_proj.weight", HN_DIM_FF, HN_DIM_EMBD, false},
    {HN_TENSOR_DOWN, "ffn_down.weight", "mlp.down_proj.weight", HN_DIM_EMBD, HN_DIM_FF, false},
};

static const hn_architecture architectures[] = {
    {"llama", true, "blk.%d.", "model.layers.%d.", llama_tensors, sizeof llama_tensors / sizeof *llama_tensors},
};

const hn_architecture *hn_architecture_find(const char *name) {
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
        if (strcmp(architectures[i].name, name) == 0) return &architectures[i];
    return NULL;
}

const char *hn_architecture_list(void) { return "llama"; }

int64_t hn_dimension_size(const hn_shape *s, hn_dimension dimension) {
    switch (dimension) {
    case HN_DIM_VOCAB: return s->n_vocab;
    case HN_DIM_EMBD: return s->n_embd;
    case HN_DIM_HEADS: return (int64_t)s->n_heads * s->head_size;
    case HN_DIM_KV_HEADS: return (int64_t)s->n_kv_heads * s->head_size;
    case HN_DIM_FF: return s->n_ff;
    case HN_DIM_ROPE: return s->rope_dims / 2;
    case HN_DIM_NONE: break;
    }
    return 1;
}

bool hn_tensor_is_layered(hn_tensor_role role) { return role >= HN_TENSOR_ATTENTION_NORM; }

void hn_tensor_name(const hn_architecture *a, const hn_tensor_rule *rule, bool gguf, int layer,
                    char name[HN_TENSOR_NAME_MAX]) {
    char prefix[64] = "";
    const char *pattern = gguf ? a->gguf_layer : a->hf_layer;
    const char *number = hn_tensor_is_layered(rule->role) ? strstr(pattern, "%d") : NULL;
    if (number) snprintf(prefix, sizeof prefix, "%.*s%d%s", (int)(number - pattern), pattern, layer, number + 2);
    snprintf(name, HN_TENSOR_NAME_MAX, "%s%s", prefix, gguf ? rule->gguf : rule->hf ? rule->hf : "");
}
