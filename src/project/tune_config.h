/* The `tune:` block of hone.yaml: settings of trainings by name, each checked for its kind and range, none unknown.
 *
 *     hn_tune_config config;
 *     HN_TRY(hn_tune_config_parse(hn_yaml_find(root, "tune"), arena, &config, &err));
 *     const hn_tune_setting *s = hn_tune_config_find(&config, "learning_rate");      // NULL: not in the file
 *
 * What they mean, and what stands in for those that are not there, is the training's. Ownership: text is in the arena. Threading: read-only. */
#ifndef HN_PROJECT_TUNE_CONFIG_H
#define HN_PROJECT_TUNE_CONFIG_H

#include "base/alloc.h"
#include "format/yaml.h"

typedef enum hn_tune_setting_kind {
    HN_TUNE_SETTING_TEXT,
    HN_TUNE_SETTING_CHOICE,
    HN_TUNE_SETTING_INT,
    HN_TUNE_SETTING_REAL,
    HN_TUNE_SETTING_FLAG,
    HN_TUNE_SETTING_SIZE /* "4G" */
} hn_tune_setting_kind;

typedef struct hn_tune_setting {
    const char *name; /* "learning_rate" */
    hn_tune_setting_kind kind;
    const char *text; /* TEXT, CHOICE */
    int64_t integer;
    double real;
    bool flag;
    size_t size;
} hn_tune_setting;

enum { HN_TUNE_SETTINGS_MAX = 64 };
typedef struct hn_tune_config {
    hn_tune_setting settings[HN_TUNE_SETTINGS_MAX];
    size_t n;
} hn_tune_config;

/* `node` NULL: an empty config. HN_ERR_INPUT with the place. */
hn_status hn_tune_config_parse(const hn_yaml_node *node, hn_arena *arena, hn_tune_config *config,
                               hn_error *err) HN_MUST_CHECK;
const hn_tune_setting *hn_tune_config_find(const hn_tune_config *config, const char *name);

#endif
