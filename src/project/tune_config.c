/* `tune:` in hone.yaml; see tune_config.h. One line a key, in the order of docs/fine-tuning.md. */
#include "project/tune_config.h"

#include "base/str.h"

#include <string.h>

enum { CHOICES_MAX = 8 };

typedef struct key {
    const char *name;
    hn_tune_setting_kind kind;
    double low, high;
    const char *choices[CHOICES_MAX];
} key;

static const key keys[] = {
    {.name = "prompt", .kind = HN_TUNE_SETTING_TEXT},
    {.name = "base", .kind = HN_TUNE_SETTING_TEXT},
    {.name = "method", .kind = HN_TUNE_SETTING_TEXT},
    {.name = "tokenizer", .kind = HN_TUNE_SETTING_TEXT},
    {.name = "vocab", .kind = HN_TUNE_SETTING_INT, .low = 256, .high = 1 << 20},
    {.name = "shape", .kind = HN_TUNE_SETTING_TEXT},
    {.name = "rank", .kind = HN_TUNE_SETTING_INT, .low = 1, .high = 1024},
    {.name = "alpha", .kind = HN_TUNE_SETTING_REAL, .low = 1e-6, .high = 1e6},
    {.name = "rank_stabilised", .kind = HN_TUNE_SETTING_FLAG},
    {.name = "dora", .kind = HN_TUNE_SETTING_FLAG},
    {.name = "dropout", .kind = HN_TUNE_SETTING_REAL, .low = 0, .high = 0.99},
    {.name = "label_smoothing", .kind = HN_TUNE_SETTING_REAL, .low = 0, .high = 0.99},
    {.name = "beta", .kind = HN_TUNE_SETTING_REAL, .low = 1e-6, .high = 1e6},
    {.name = "teacher_prompt", .kind = HN_TUNE_SETTING_TEXT},
    {.name = "teacher", .kind = HN_TUNE_SETTING_TEXT},
    {.name = "truth", .kind = HN_TUNE_SETTING_REAL, .low = 0, .high = 1},
    {.name = "targets", .kind = HN_TUNE_SETTING_CHOICE, .choices = {"all", "attention", "qv", "qk"}},
    {.name = "learning_rate", .kind = HN_TUNE_SETTING_REAL, .low = 1e-9, .high = 1},
    {.name = "schedule", .kind = HN_TUNE_SETTING_CHOICE, .choices = {"cosine", "linear", "constant"}},
    {.name = "warmup", .kind = HN_TUNE_SETTING_REAL, .low = 0, .high = 1},
    {.name = "weight_decay", .kind = HN_TUNE_SETTING_REAL, .low = 0, .high = 10},
    {.name = "clip", .kind = HN_TUNE_SETTING_REAL, .low = 0, .high = 1e9},
    {.name = "epochs", .kind = HN_TUNE_SETTING_INT, .low = 1, .high = 200},
    {.name = "steps", .kind = HN_TUNE_SETTING_INT, .low = 0, .high = 1e9},
    {.name = "batch", .kind = HN_TUNE_SETTING_INT, .low = 1, .high = 4096},
    {.name = "accumulate", .kind = HN_TUNE_SETTING_INT, .low = 1, .high = 4096},
    {.name = "class_weights", .kind = HN_TUNE_SETTING_CHOICE, .choices = {"equal", "balanced"}},
    {.name = "max_length", .kind = HN_TUNE_SETTING_INT, .low = 0, .high = 1 << 20},
    {.name = "limit", .kind = HN_TUNE_SETTING_INT, .low = 0, .high = 1e9},
    {.name = "dev_limit", .kind = HN_TUNE_SETTING_INT, .low = 0, .high = 1e9},
    {.name = "held_out", .kind = HN_TUNE_SETTING_REAL, .low = 0.001, .high = 0.9},
    {.name = "memory_limit", .kind = HN_TUNE_SETTING_SIZE},
    {.name = "seed", .kind = HN_TUNE_SETTING_INT, .low = 0, .high = 1e15},
};
enum { N_KEYS = sizeof keys / sizeof *keys };
_Static_assert((int)N_KEYS <= (int)HN_TUNE_SETTINGS_MAX, "a config holds every key");

static hn_status read_choice(const hn_yaml_node *node, const key *k, hn_tune_setting *out, hn_error *err) {
    size_t n = 0;
    int index;
    while (n < CHOICES_MAX && k->choices[n]) n++;
    HN_TRY(hn_yaml_get_choice(node, k->choices, n, &index, err));
    out->text = k->choices[index];
    return HN_OK;
}

static hn_status read_text(const hn_yaml_node *node, hn_arena *arena, hn_tune_setting *out, hn_error *err) {
    const char *text;
    HN_TRY(hn_yaml_get_string(node, &text, err));
    out->text = hn_arena_strdup(arena, text);
    return out->text ? HN_OK : hn_fail_memory(err, strlen(text));
}

static hn_status read_size(const hn_yaml_node *node, hn_tune_setting *out, hn_error *err) {
    const char *text;
    HN_TRY(hn_yaml_get_string(node, &text, err));
    if (hn_parse_size(text, &out->size)) return HN_OK;
    return hn_yaml_fail(node, HN_ERR_INPUT, "such as 4G or 800M", err, "`%s` is no size: %.40s", node->key, text);
}

static hn_status read_setting(const hn_yaml_node *node, const key *k, hn_arena *arena, hn_tune_setting *out,
                              hn_error *err) {
    *out = (hn_tune_setting){.name = k->name, .kind = k->kind};
    switch (k->kind) {
    case HN_TUNE_SETTING_TEXT: return read_text(node, arena, out, err);
    case HN_TUNE_SETTING_CHOICE: return read_choice(node, k, out, err);
    case HN_TUNE_SETTING_INT: return hn_yaml_get_int(node, (int64_t)k->low, (int64_t)k->high, &out->integer, err);
    case HN_TUNE_SETTING_REAL: return hn_yaml_get_real(node, k->low, k->high, &out->real, err);
    case HN_TUNE_SETTING_FLAG: return hn_yaml_get_bool(node, &out->flag, err);
    case HN_TUNE_SETTING_SIZE: break;
    }
    return read_size(node, out, err);
}

hn_status hn_tune_config_parse(const hn_yaml_node *node, hn_arena *arena, hn_tune_config *config, hn_error *err) {
    const char *names[N_KEYS];
    config->n = 0;
    if (!node) return HN_OK;
    for (size_t i = 0; i < N_KEYS; i++) names[i] = keys[i].name;
    HN_TRY(hn_yaml_check_keys(node, names, N_KEYS, err));
    for (size_t i = 0; i < N_KEYS; i++) {
        const hn_yaml_node *value = hn_yaml_find(node, keys[i].name);
        if (value) HN_TRY(read_setting(value, &keys[i], arena, &config->settings[config->n++], err));
    }
    return HN_OK;
}

const hn_tune_setting *hn_tune_config_find(const hn_tune_config *config, const char *name) {
    for (size_t i = 0; i < config->n; i++)
        if (strcmp(config->settings[i].name, name) == 0) return &config->settings[i];
    return NULL;
}
