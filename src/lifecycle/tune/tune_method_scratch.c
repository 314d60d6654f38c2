/* From scratch: the base is a new model with random weights (scratch_base.h makes it), and all of them learn, faster than those of a model that knows
 * something already. All else is as in full fine-tuning. */
#include "lifecycle/tune/tune_method.h"

#include <string.h>

/* A model that knows something must not be overwritten at this pace: the base is one that scratch_base.h made. */
static hn_status check(hn_training *t, hn_error *err) {
    if (strncmp(hn_path_base(t->setup->base_source), "scratch-", 8) == 0) return HN_OK;
    return hn_fail(err, HN_ERR_USAGE, t->setup->base_source, "leave --base out, or take --method full",
                   "training from scratch starts from a new model, not from this one");
}

/* lora_rank 0: the network's way to say that all weights learn. */
static void network(const hn_training *t, hn_network_options *n) {
    (void)t;
    n->lora_rank = 0;
}

const hn_tune_method hn_tune_method_scratch = {.name = "scratch",
                                               .summary = "a new, small model from random weights",
                                               .result = "model",
                                               .takes_text = true,
                                               .learning_rate = 2e-3,
                                               .steps = 1500,
                                               .epochs_max = 30,
                                               .check = check,
                                               .network = network,
                                               .write = hn_tune_write_model};
