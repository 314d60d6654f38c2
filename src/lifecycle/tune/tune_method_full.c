/* Full fine-tuning: all weights learn, in f32 from the base's values, quantised or not. The result is a whole model in Hugging Face's form (config.json,
 * model.safetensors in F32: nothing of what was learned is rounded away, tokenizer, chat template). */
#include "lifecycle/tune/tune_method.h"
#include "model/export_folder.h"

#include <stdio.h>

/* lora_rank 0: the network's way to say that all weights learn. */
static void network(const hn_training *t, hn_network_options *n) {
    (void)t;
    n->lora_rank = 0;
}

static const float *learned(void *user, const char *name) {
    const hn_tensor *tensor = hn_network_find(user, name);
    return tensor ? tensor->w : NULL;
}

hn_status hn_tune_write_model(hn_training *t, const char *folder, hn_error *err) {
    hn_export_values values = {learned, t->network};
    hn_export_result r;
    return hn_export_folder_values(t->base.model, HN_DTYPE_F32, &values, folder, &r, err);
}

const hn_tune_method hn_tune_method_full = {.name = "full",
                                            .summary = "all weights, a whole model",
                                            .result = "model",
                                            .takes_text = true,
                                            .learning_rate = 5e-5,
                                            .network = network,
                                            .write = hn_tune_write_model};
