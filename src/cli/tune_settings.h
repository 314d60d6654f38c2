/* Settings of `hone tune`: a flag wins over `tune:` in hone.yaml, which wins over what is chosen from the data; and each is remembered with where it
 * came from, to be shown.
 *
 *     hn_cli_tune_settings s = {.cli = cli, .config = &scope->tune};
 *     hn_tune_options o = hn_cli_tune_options(&s, n_train);
 *     HN_TRY(hn_cli_tune_settings_print(&s, &err));
 *
 * A setting's flag is called as its key, with dashes. Ownership: plain values; texts are the command's or the scope's. Threading: main thread. */
#ifndef HN_CLI_TUNE_SETTINGS_H
#define HN_CLI_TUNE_SETTINGS_H

#include "cli/command.h"
#include "lifecycle/tune/tune.h"
#include "project/tune_config.h"

typedef struct hn_cli_tune_setting {
    const char *name;
    char value[80];
    const char *from; /* "--rank", "hone.yaml", "default", "the data" */
} hn_cli_tune_setting;

typedef struct hn_cli_tune_settings {
    hn_cli *cli;
    const hn_tune_config *config; /* NULL: no project */
    hn_cli_tune_setting rows[HN_TUNE_SETTINGS_MAX];
    size_t n;
} hn_cli_tune_settings;

/* One setting by its key; `otherwise` where neither a flag nor the file has it, `from` then says where that comes from. */
const char *hn_cli_tune_text(hn_cli_tune_settings *s, const char *name, const char *otherwise, const char *from);
int64_t hn_cli_tune_int(hn_cli_tune_settings *s, const char *name, int64_t otherwise, const char *from);
double hn_cli_tune_real(hn_cli_tune_settings *s, const char *name, double otherwise, const char *from);
bool hn_cli_tune_flag(hn_cli_tune_settings *s, const char *name);
size_t hn_cli_tune_size(hn_cli_tune_settings *s, const char *name);

/* All that training needs, for so many cases to train on. */
hn_tune_options hn_cli_tune_options(hn_cli_tune_settings *s, size_t n_train);
/* HN_ERR_USAGE: a flag was given that the method has no use for. After all settings were read. */
hn_status hn_cli_tune_settings_check(hn_cli_tune_settings *s, hn_error *err) HN_MUST_CHECK;
hn_status hn_cli_tune_settings_print(hn_cli_tune_settings *s, hn_error *err) HN_MUST_CHECK;
/* {"rank": {"value": "16", "from": "default"}, ...}; new reference, NULL when memory is used up. */
json_t *hn_cli_tune_settings_json(const hn_cli_tune_settings *s);

/* The options of the command, for its table. */
#define HN_TUNE_SETTING_OPTIONS                                                                                        \
    {.name = "method",                                                                                                 \
     .kind = HN_OPTION_STRING,                                                                                         \
     .value = "NAME",                                                                                                  \
     .help = "lora (default), full, scratch; dpo, orpo: from preference pairs; distill: from a long prompt"},          \
        {.name = "rank",                                                                                               \
         .kind = HN_OPTION_INT,                                                                                        \
         .value = "N",                                                                                                 \
         .low = 1,                                                                                                     \
         .high = 1024,                                                                                                 \
         .help = "rank of the adapter's matrices (default: 16)"},                                                      \
        {.name = "alpha",                                                                                              \
         .kind = HN_OPTION_REAL,                                                                                       \
         .value = "X",                                                                                                 \
         .low = 1e-6,                                                                                                  \
         .high = 1e6,                                                                                                  \
         .help = "the adapter counts alpha / rank (default: twice the rank)"},                                         \
        {.name = "rank-stabilised", .kind = HN_OPTION_FLAG, .help = "alpha over the root of the rank instead"},        \
        {.name = "dora",                                                                                               \
         .kind = HN_OPTION_FLAG,                                                                                       \
         .help = "each output of an adapted layer learns a magnitude as well (DoRA)"},                                 \
        {.name = "dropout",                                                                                            \
         .kind = HN_OPTION_REAL,                                                                                       \
         .value = "SHARE",                                                                                             \
         .low = 0,                                                                                                     \
         .high = 0.99,                                                                                                 \
         .help = "share of an adapter's inputs dropped in each step (default: 0)"},                                    \
        {.name = "label-smoothing",                                                                                    \
         .kind = HN_OPTION_REAL,                                                                                       \
         .value = "SHARE",                                                                                             \
         .low = 0,                                                                                                     \
         .high = 0.99,                                                                                                 \
         .help = "this share of the target is spread over all tokens; dpo: share of pairs the wrong way round "        \
                 "(default: 0)"},                                                                                      \
        {.name = "beta",                                                                                               \
         .kind = HN_OPTION_REAL,                                                                                       \
         .value = "X",                                                                                                 \
         .low = 1e-6,                                                                                                  \
         .high = 1e6,                                                                                                  \
         .help = "dpo: how close to the base it stays; orpo: the odds' share in the loss (default: 0.1)"},             \
        {.name = "truth",                                                                                              \
         .kind = HN_OPTION_REAL,                                                                                       \
         .value = "SHARE",                                                                                             \
         .low = 0,                                                                                                     \
         .high = 1,                                                                                                    \
         .help = "distill: share of the case's own label beside the teacher's word (default: 0)"},                     \
        {.name = "targets",                                                                                            \
         .kind = HN_OPTION_CHOICE,                                                                                     \
         .value = "all|attention|qv|qk",                                                                               \
         .help = "which linear layers get an adapter (default: all)"},                                                 \
        {.name = "learning-rate",                                                                                      \
         .kind = HN_OPTION_REAL,                                                                                       \
         .value = "X",                                                                                                 \
         .low = 1e-9,                                                                                                  \
         .high = 1,                                                                                                    \
         .help = "the highest one, after the warm-up (default: 5e-4; full: 5e-5)"},                                    \
        {.name = "schedule",                                                                                           \
         .kind = HN_OPTION_CHOICE,                                                                                     \
         .value = "cosine|linear|constant",                                                                            \
         .help = "how it falls to a tenth, or that it does not (default: cosine)"},                                    \
        {.name = "warmup",                                                                                             \
         .kind = HN_OPTION_REAL,                                                                                       \
         .value = "SHARE",                                                                                             \
         .low = 0,                                                                                                     \
         .high = 1,                                                                                                    \
         .help = "share of the steps in which the learning rate rises (default: 0.05)"},                               \
        {.name = "weight-decay",                                                                                       \
         .kind = HN_OPTION_REAL,                                                                                       \
         .value = "X",                                                                                                 \
         .low = 0,                                                                                                     \
         .high = 10,                                                                                                   \
         .help = "AdamW's (default: 0)"},                                                                              \
        {.name = "clip",                                                                                               \
         .kind = HN_OPTION_REAL,                                                                                       \
         .value = "X",                                                                                                 \
         .low = 0,                                                                                                     \
         .high = 1e9,                                                                                                  \
         .help = "limit of the gradient's norm (default: 1; 0: none)"},                                                \
        {.name = "epochs",                                                                                             \
         .kind = HN_OPTION_INT,                                                                                        \
         .value = "N",                                                                                                 \
         .low = 1,                                                                                                     \
         .high = HN_TUNE_EPOCHS_MAX,                                                                                   \
         .help = "times that each case is seen (default: 3 to 10, more for small data)"},                              \
        {.name = "steps",                                                                                              \
         .kind = HN_OPTION_INT,                                                                                        \
         .value = "N",                                                                                                 \
         .low = 0,                                                                                                     \
         .high = 1e9,                                                                                                  \
         .help = "steps at most (default: 0: the epochs decide)"},                                                     \
        {.name = "batch",                                                                                              \
         .kind = HN_OPTION_INT,                                                                                        \
         .value = "N",                                                                                                 \
         .low = 1,                                                                                                     \
         .high = 4096,                                                                                                 \
         .help = "cases a step (default: 8 to 32, by the number of cases)"},                                           \
        {.name = "accumulate",                                                                                         \
         .kind = HN_OPTION_INT,                                                                                        \
         .value = "N",                                                                                                 \
         .low = 1,                                                                                                     \
         .high = 4096,                                                                                                 \
         .help = "a step has N times the batch; the same bits as one batch of that size (default: 1)"},                \
        {.name = "class-weights",                                                                                      \
         .kind = HN_OPTION_CHOICE,                                                                                     \
         .value = "equal|balanced",                                                                                    \
         .help = "balanced: each label counts the same, however many cases it has (default: equal)"},                  \
        {.name = "max-length",                                                                                         \
         .kind = HN_OPTION_INT,                                                                                        \
         .value = "N",                                                                                                 \
         .low = 0,                                                                                                     \
         .high = 1 << 20,                                                                                              \
         .help = "tokens of a case at most; longer ones are refused, not cut (default: 0: the model's context)"},      \
        {.name = "limit",                                                                                              \
         .kind = HN_OPTION_INT,                                                                                        \
         .value = "N",                                                                                                 \
         .low = 0,                                                                                                     \
         .high = 1e9,                                                                                                  \
         .help = "only the first N training cases of the fixed order (default: 0: all)"},                              \
        {.name = "dev-limit",                                                                                          \
         .kind = HN_OPTION_INT,                                                                                        \
         .value = "N",                                                                                                 \
         .low = 0,                                                                                                     \
         .high = 1e9,                                                                                                  \
         .help = "score on the first N dev cases (default: 0: all)"},                                                  \
        {.name = "held-out",                                                                                           \
         .kind = HN_OPTION_REAL,                                                                                       \
         .value = "SHARE",                                                                                             \
         .low = 0.001,                                                                                                 \
         .high = 0.9,                                                                                                  \
         .help = "with --data: share of the rows that is scored and not trained on (default: 0.1)"},                   \
        {.name = "memory-limit",                                                                                       \
         .kind = HN_OPTION_SIZE,                                                                                       \
         .value = "SIZE",                                                                                              \
         .help = "refuse to begin what would take more memory, such as 4G"},                                           \
    {                                                                                                                  \
        .name = "seed", .kind = HN_OPTION_INT, .value = "N", .low = 0, .high = 1e15,                                   \
        .help = "of the order and the first weights: the same seed gives the same bits (default: 1)"                   \
    }

#endif
