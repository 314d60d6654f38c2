/* Settings of `hone tune`; see tune_settings.h. */
#include "cli/tune_settings.h"

#include "base/str.h"
#include "train/network.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* "learning_rate" -> "learning-rate" */
static const char *option_of(const char *name, char out[48]) {
    snprintf(out, 48, "%s", name);
    for (char *c = out; *c; c++)
        if (*c == '_') *c = '-';
    return out;
}

static const hn_tune_setting *configured(const hn_cli_tune_settings *s, const char *name) {
    return s->config ? hn_tune_config_find(s->config, name) : NULL;
}

static void remember(hn_cli_tune_settings *s, const char *name, const char *from, const char *fmt, ...) HN_PRINTF(4, 5);
static void remember(hn_cli_tune_settings *s, const char *name, const char *from, const char *fmt, ...) {
    va_list args;
    size_t i = 0;
    while (i < s->n && strcmp(s->rows[i].name, name) != 0) i++;
    if (i == HN_TUNE_SETTINGS_MAX) return;
    if (i == s->n) s->n++;
    hn_cli_tune_setting *row = &s->rows[i];
    row->name = name;
    row->from = from;
    va_start(args, fmt);
    vsnprintf(row->value, sizeof row->value, fmt, args);
    va_end(args);
}

static const char *source(const hn_cli_tune_settings *s, const char *name, const hn_tune_setting **set,
                          const char *otherwise) {
    char option[48];
    *set = NULL;
    if (hn_cli_given(s->cli, option_of(name, option))) return "command line";
    *set = configured(s, name);
    return *set ? "hone.yaml" : otherwise;
}

const char *hn_cli_tune_text(hn_cli_tune_settings *s, const char *name, const char *otherwise, const char *from) {
    const hn_tune_setting *set;
    char option[48];
    const char *where = source(s, name, &set, from);
    const char *value = set ? set->text : where != from ? hn_cli_string(s->cli, option_of(name, option)) : otherwise;
    if (value) remember(s, name, where, "%.79s", value);
    return value;
}

int64_t hn_cli_tune_int(hn_cli_tune_settings *s, const char *name, int64_t otherwise, const char *from) {
    const hn_tune_setting *set;
    char option[48];
    const char *where = source(s, name, &set, from);
    int64_t value = set ? set->integer : where != from ? hn_cli_int(s->cli, option_of(name, option)) : otherwise;
    remember(s, name, where, "%lld", (long long)value);
    return value;
}

double hn_cli_tune_real(hn_cli_tune_settings *s, const char *name, double otherwise, const char *from) {
    const hn_tune_setting *set;
    char option[48];
    const char *where = source(s, name, &set, from);
    double value = set ? set->real : where != from ? hn_cli_real(s->cli, option_of(name, option)) : otherwise;
    remember(s, name, where, "%g", value);
    return value;
}

bool hn_cli_tune_flag(hn_cli_tune_settings *s, const char *name) {
    const hn_tune_setting *set;
    char option[48];
    const char *where = source(s, name, &set, "default");
    bool value = set ? set->flag : hn_cli_flag(s->cli, option_of(name, option));
    remember(s, name, where, "%s", value ? "yes" : "no");
    return value;
}

size_t hn_cli_tune_size(hn_cli_tune_settings *s, const char *name) {
    const hn_tune_setting *set;
    char option[48], text[32];
    const char *where = source(s, name, &set, "default");
    size_t value = set ? set->size : hn_cli_size(s->cli, option_of(name, option));
    remember(s, name, where, "%s", value ? hn_format_bytes(value, text) : "none");
    return value;
}

/* ---- all of them ---- */

static unsigned targets_named(const char *name) {
    if (strcmp(name, "attention") == 0) return HN_LORA_Q | HN_LORA_K | HN_LORA_V | HN_LORA_O;
    if (strcmp(name, "qv") == 0) return HN_LORA_Q | HN_LORA_V;
    if (strcmp(name, "qk") == 0) return HN_LORA_Q | HN_LORA_K;
    return HN_LORA_ALL;
}

static hn_tune_schedule schedule_named(const char *name) {
    return strcmp(name, "linear") == 0     ? HN_TUNE_LINEAR
           : strcmp(name, "constant") == 0 ? HN_TUNE_CONSTANT
                                           : HN_TUNE_COSINE;
}

static void read_adapter(hn_cli_tune_settings *s, hn_tune_options *o) {
    o->rank = (int)hn_cli_tune_int(s, "rank", o->rank, "default");
    o->alpha = hn_cli_tune_real(s, "alpha", 2.0 * o->rank, "twice the rank");
    o->rank_stabilised = hn_cli_tune_flag(s, "rank_stabilised");
    o->dora = hn_cli_tune_flag(s, "dora");
    o->dropout = hn_cli_tune_real(s, "dropout", 0, "default");
    o->targets = targets_named(hn_cli_tune_text(s, "targets", "all", "default"));
}

hn_tune_options hn_cli_tune_options(hn_cli_tune_settings *s, size_t n_train) {
    const char *method = hn_cli_tune_text(s, "method", "lora", "default");
    size_t limit = (size_t)hn_cli_tune_int(s, "limit", 0, "default");
    hn_tune_options o = hn_tune_defaults(limit && limit < n_train ? limit : n_train, method);
    if (strcmp(method, "full") != 0 && strcmp(method, "scratch") != 0) read_adapter(s, &o);
    if (strcmp(method, "distill") == 0) o.truth = hn_cli_tune_real(s, "truth", 0, "default");
    o.label_smoothing = hn_cli_tune_real(s, "label_smoothing", 0, "default");
    if (strcmp(method, "dpo") == 0 || strcmp(method, "orpo") == 0) o.beta = hn_cli_tune_real(s, "beta", 0.1, "default");
    o.learning_rate = hn_cli_tune_real(s, "learning_rate", o.learning_rate, "default");
    o.schedule = schedule_named(hn_cli_tune_text(s, "schedule", "cosine", "default"));
    o.warmup = hn_cli_tune_real(s, "warmup", o.warmup, "default");
    o.weight_decay = hn_cli_tune_real(s, "weight_decay", o.weight_decay, "default");
    o.clip = hn_cli_tune_real(s, "clip", o.clip, "default");
    o.epochs = (int)hn_cli_tune_int(s, "epochs", o.epochs, "the data");
    o.steps = hn_cli_tune_int(s, "steps", 0, "default");
    o.batch = (int)hn_cli_tune_int(s, "batch", o.batch, "the data");
    o.accumulate = (int)hn_cli_tune_int(s, "accumulate", 1, "default");
    o.balanced = strcmp(hn_cli_tune_text(s, "class_weights", "equal", "default"), "balanced") == 0;
    o.max_length = (int)hn_cli_tune_int(s, "max_length", 0, "default");
    o.limit = limit;
    o.dev_limit = (size_t)hn_cli_tune_int(s, "dev_limit", 0, "default");
    o.memory_bytes = hn_cli_tune_size(s, "memory_limit");
    o.seed = (uint64_t)hn_cli_tune_int(s, "seed", 1, "default");
    o.n_threads = (int)hn_cli_int(s->cli, "threads");
    return o;
}

static const hn_cli_tune_setting *row_of_option(const hn_cli_tune_settings *s, const char *name) {
    char option[48];
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(option_of(s->rows[i].name, option), name) == 0) return &s->rows[i];
    return NULL;
}

hn_status hn_cli_tune_settings_check(hn_cli_tune_settings *s, hn_error *err) {
    static const hn_option options[] = {HN_TUNE_SETTING_OPTIONS};
    char where[64];
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (!hn_cli_given(s->cli, options[i].name) || row_of_option(s, options[i].name)) continue;
        const hn_cli_tune_setting *method = row_of_option(s, "method");
        snprintf(where, sizeof where, "--%s", options[i].name);
        return hn_fail(err, HN_ERR_USAGE, where, "leave it out, or see `hone help tune` for what has it",
                       "method %s on this data has no such setting", method ? method->value : "lora");
    }
    return HN_OK;
}

hn_status hn_cli_tune_settings_print(hn_cli_tune_settings *s, hn_error *err) {
    hn_table *table = hn_table_create(s->cli->out);
    static const char *const order[] = {"command line", "hone.yaml", "the data", "twice the rank", "default"};
    hn_table_column(table, "settings from", HN_ALIGN_LEFT);
    hn_table_column(table, " ", HN_ALIGN_WRAP);
    for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
        hn_buf line;
        hn_buf_init(&line, 1 << 16);
        for (size_t i = 0; i < s->n; i++)
            if (strcmp(s->rows[i].from, order[k]) == 0)
                hn_buf_appendf(&line, "%s%s %s", line.len ? ", " : "", s->rows[i].name, s->rows[i].value);
        if (line.len) {
            hn_table_row(table);
            hn_table_cell(table, "%s", order[k]);
            hn_table_cell(table, "%s", hn_buf_str(&line));
        }
        hn_buf_free(&line);
    }
    return hn_table_print(table, err);
}

json_t *hn_cli_tune_settings_json(const hn_cli_tune_settings *s) {
    json_t *all = json_object();
    for (size_t i = 0; i < s->n && all; i++)
        json_object_set_new(all, s->rows[i].name,
                            json_pack("{s:s, s:s}", "value", s->rows[i].value, "from", s->rows[i].from));
    return all;
}
