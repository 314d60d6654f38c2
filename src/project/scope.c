/* hone.yaml; see scope.h. One function a section, in the order of docs/project.md. */
#include "project/scope.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/regex.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct parser {
    const char *root;
    hn_arena *arena;
    hn_scope *scope;
    hn_error *err;
} parser;

static hn_status copy_text(const parser *p, const hn_yaml_node *node, char **out) {
    const char *text;
    HN_TRY(hn_yaml_get_string(node, &text, p->err));
    *out = hn_arena_strdup(p->arena, text);
    return *out ? HN_OK : hn_fail_memory(p->err, strlen(text));
}

static hn_status copy_name(const parser *p, const hn_yaml_node *map, const char *key, char **out) {
    const hn_yaml_node *node = hn_yaml_find(map, key);
    if (!node) return HN_OK;
    HN_TRY(copy_text(p, node, out));
    if (**out) return HN_OK;
    return hn_yaml_fail(node, HN_ERR_INPUT, "name a column, or take the key out", p->err, "`%s` is empty", key);
}

/* A path relative to the scope's folder, made absolute. */
static hn_status copy_path(const parser *p, const hn_yaml_node *map, const char *key, char **out) {
    const hn_yaml_node *node = hn_yaml_find(map, key);
    const char *text;
    char path[HN_PATH_MAX];
    if (!node) return HN_OK;
    HN_TRY(hn_yaml_get_string(node, &text, p->err));
    HN_TRY(hn_path_join(path, p->root, text, p->err));
    if (!hn_file_exists(path) || hn_file_is_dir(path))
        return hn_yaml_fail(node, HN_ERR_NOT_FOUND, "paths are relative to the folder of hone.yaml", p->err,
                            "there is no file %s", text);
    *out = hn_arena_strdup(p->arena, path);
    return *out ? HN_OK : hn_fail_memory(p->err, strlen(path));
}

/* A list of texts, or one text alone, without repeats. */
static hn_status copy_list(const parser *p, const hn_yaml_node *node, const char *remedy, char ***out, size_t *n) {
    bool single = node->kind != HN_YAML_LIST;
    *n = single ? 1 : node->n;
    if (*n == 0) return hn_yaml_fail(node, HN_ERR_INPUT, remedy, p->err, "the list is empty");
    *out = hn_arena_calloc(p->arena, *n, sizeof **out);
    if (!*out) return hn_fail_memory(p->err, *n * sizeof **out);
    if (single) return copy_text(p, node, *out);
    size_t i = 0;
    for (const hn_yaml_node *item = node->first; item; item = item->next, i++) {
        HN_TRY(copy_text(p, item, &(*out)[i]));
        if (!*(*out)[i]) return hn_yaml_fail(item, HN_ERR_INPUT, remedy, p->err, "an entry of the list is empty");
        for (size_t k = 0; k < i; k++)
            if (strcmp((*out)[k], (*out)[i]) == 0)
                return hn_yaml_fail(item, HN_ERR_INPUT, "keep one of them", p->err, "`%s` is in the list twice",
                                    (*out)[i]);
    }
    return HN_OK;
}

/* ---- data ---- */

static hn_status check_files(const parser *p, const hn_yaml_node *data) {
    const hn_scope *s = p->scope;
    if (s->file && s->train_file)
        return hn_yaml_fail(data, HN_ERR_INPUT, "keep `file` (split here) or `train`, `dev`, `test` (a file each)",
                            p->err, "`data` has both `file` and `train`");
    if (s->file && s->dev_file)
        return hn_yaml_fail(data, HN_ERR_INPUT, "call the first one `train`; a `test` file may stand beside `file`",
                            p->err, "`data` has both `file` and `dev`");
    if (s->file) return HN_OK;
    if (!s->train_file)
        return hn_yaml_fail(data, HN_ERR_INPUT,
                            "name the CSV, TSV or JSONL file: {file: data/cases.csv, target: label}", p->err,
                            "`data` has no `file`");
    if (!s->dev_file)
        return hn_yaml_fail(data, HN_ERR_INPUT,
                            "name a `dev` file, or call the file `file` to have dev cases split from it", p->err,
                            "`data` has a `train` file and no `dev` file");
    return HN_OK;
}

static hn_status check_roles(const parser *p, const hn_yaml_node *data) {
    static const char *const roles[] = {"target", "group", "id"};
    const hn_scope *s = p->scope;
    const char *const names[] = {s->target_column, s->group_column, s->id_column};
    for (size_t r = 0; r < 3; r++) {
        for (size_t k = 0; k < r; k++)
            if (names[r] && names[k] && strcmp(names[r], names[k]) == 0)
                return hn_yaml_fail(hn_yaml_find(data, roles[r]), HN_ERR_INPUT, "a column has one role", p->err,
                                    "`%s` is the %s already", names[r], roles[k]);
        for (size_t i = 0; r == 0 && names[r] && i < s->n_inputs; i++)
            if (strcmp(s->input_columns[i], names[r]) == 0)
                return hn_yaml_fail(hn_yaml_find(data, "input"), HN_ERR_INPUT,
                                    "take it out of `input`: the answer must not be in the question", p->err,
                                    "`%s` is the target", names[r]);
    }
    return HN_OK;
}

static hn_status parse_data(const parser *p, const hn_yaml_node *root) {
    static const char *const keys[] = {"file", "train", "dev", "test", "input", "target", "group", "id", "context"};
    hn_scope *s = p->scope;
    const hn_yaml_node *data, *target, *input;
    HN_TRY(hn_yaml_require(root, "data", "such as data: {file: data/cases.csv, input: text, target: label}", &data,
                           p->err));
    HN_TRY(hn_yaml_check_keys(data, keys, 9, p->err));
    HN_TRY(copy_path(p, data, "file", &s->file));
    HN_TRY(copy_path(p, data, "train", &s->train_file));
    HN_TRY(copy_path(p, data, "dev", &s->dev_file));
    HN_TRY(copy_path(p, data, "test", &s->test_file));
    HN_TRY(check_files(p, data));
    HN_TRY(hn_yaml_require(data, "target", "name the column with the right answers", &target, p->err));
    HN_TRY(copy_name(p, data, "target", &s->target_column));
    HN_TRY(copy_name(p, data, "group", &s->group_column));
    HN_TRY(copy_name(p, data, "id", &s->id_column));
    HN_TRY(copy_name(p, data, "context", &s->context_column));
    if ((input = hn_yaml_find(data, "input")))
        HN_TRY(copy_list(p, input, "name the columns that the model may see", &s->input_columns, &s->n_inputs));
    return check_roles(p, data);
}

/* What an answer must rest on is what the model was shown. */
static hn_status parse_guard(const parser *p, const hn_yaml_node *root) {
    hn_scope *s = p->scope;
    const hn_yaml_node *context = hn_yaml_find(hn_yaml_find(root, "data"), "context");
    bool shown = !s->input_columns;
    for (size_t i = 0; context && i < s->n_inputs; i++)
        shown = shown || strcmp(s->input_columns[i], s->context_column) == 0;
    if (context && !shown)
        return hn_yaml_fail(context, HN_ERR_INPUT, "add it to `input`: the model must see what its answers rest on",
                            p->err, "`%s` is no input", s->context_column);
    return hn_guard_rules_parse(hn_yaml_find(root, "guard"), context != NULL, p->arena, &s->guard, p->err);
}

/* ---- split ---- */

/* The shares where none are given: with a test file of its own, only train and dev are dealt out. */
static void default_shares(hn_scope *s) {
    bool own_test = s->test_file != NULL;
    s->split_train = own_test ? 0.8 : 0.5;
    s->split_dev = own_test ? 0.2 : 0.25;
    s->split_test = own_test ? 0 : 0.25;
}

static hn_status parse_shares(const parser *p, const hn_yaml_node *split) {
    hn_scope *s = p->scope;
    const hn_yaml_node *train = hn_yaml_find(split, "train"), *dev = hn_yaml_find(split, "dev"),
                       *test = hn_yaml_find(split, "test");
    if (!train && !dev && !test) return HN_OK;
    s->split_train = s->split_dev = s->split_test = 0;
    if (train) HN_TRY(hn_yaml_get_real(train, 0, 1, &s->split_train, p->err));
    if (dev) HN_TRY(hn_yaml_get_real(dev, 0, 1, &s->split_dev, p->err));
    if (test) HN_TRY(hn_yaml_get_real(test, 0, 1, &s->split_test, p->err));
    double sum = s->split_train + s->split_dev + s->split_test;
    if (fabs(sum - 1) > 1e-6)
        return hn_yaml_fail(split, HN_ERR_INPUT, "such as {train: 0.5, dev: 0.25, test: 0.25}", p->err,
                            "the shares add up to %g instead of 1", sum);
    if (s->split_dev <= 0)
        return hn_yaml_fail(dev ? dev : split, HN_ERR_INPUT, "give dev a share: prompts are compared on it", p->err,
                            "the dev split would be empty");
    if (s->test_file && s->split_test > 0)
        return hn_yaml_fail(test, HN_ERR_INPUT, "leave `test` out of the shares, or out of `data`", p->err,
                            "the test cases have a file of their own already");
    return HN_OK;
}

static hn_status parse_split(const parser *p, const hn_yaml_node *root) {
    static const char *const keys[] = {"train", "dev", "test", "seed", "stratify"};
    hn_scope *s = p->scope;
    const hn_yaml_node *split = hn_yaml_find(root, "split"), *node;
    int64_t seed;
    default_shares(s);
    s->split_seed = 7;
    s->stratify = s->contract.kind == HN_CONTRACT_CHOICE;
    if (!split) return HN_OK;
    HN_TRY(hn_yaml_check_keys(split, keys, 5, p->err));
    if (s->train_file)
        return hn_yaml_fail(split, HN_ERR_INPUT, "take `split` out, or give all cases as one `file`", p->err,
                            "train and dev have files of their own: there is nothing to split");
    HN_TRY(parse_shares(p, split));
    if ((node = hn_yaml_find(split, "seed"))) {
        HN_TRY(hn_yaml_get_int(node, 0, INT64_MAX, &seed, p->err));
        s->split_seed = (uint64_t)seed;
    }
    if ((node = hn_yaml_find(split, "stratify"))) HN_TRY(hn_yaml_get_bool(node, &s->stratify, p->err));
    return HN_OK;
}

/* ---- output ---- */

enum { MAX_LABELS = 10000 };

static hn_status parse_choice(const parser *p, const hn_yaml_node *list) {
    hn_contract *c = &p->scope->contract;
    HN_TRY(hn_yaml_expect(list, HN_YAML_LIST, p->err));
    if (list->n > MAX_LABELS)
        return hn_yaml_fail(list, HN_ERR_LIMIT, "a choice has up to 10,000 labels", p->err, "the list has %zu labels",
                            list->n);
    HN_TRY(copy_list(p, list, "list the labels: [billing, login]", &c->labels, &c->n_labels));
    if (c->n_labels < 2)
        return hn_yaml_fail(list, HN_ERR_INPUT, "list all labels that the data has", p->err,
                            "a choice needs at least two labels");
    return HN_OK;
}

static hn_status parse_number(const parser *p, const hn_yaml_node *map) {
    static const char *const keys[] = {"min", "max"};
    hn_contract *c = &p->scope->contract;
    if (map->kind == HN_YAML_NULL) return HN_OK;
    HN_TRY(hn_yaml_check_keys(map, keys, 2, p->err));
    const hn_yaml_node *low = hn_yaml_find(map, "min"), *high = hn_yaml_find(map, "max");
    if (low) HN_TRY(hn_yaml_get_real(low, -INFINITY, INFINITY, &c->low, p->err));
    if (high) HN_TRY(hn_yaml_get_real(high, -INFINITY, INFINITY, &c->high, p->err));
    if (c->low <= c->high) return HN_OK;
    return hn_yaml_fail(high, HN_ERR_INPUT, "exchange them", p->err, "`max` is %g, below `min`, which is %g", c->high,
                        c->low);
}

static hn_status parse_regex(const parser *p, const hn_yaml_node *node) {
    hn_error inner = {0};
    hn_regex *re = NULL;
    HN_TRY(copy_text(p, node, &p->scope->contract.regex));
    hn_status st = hn_regex_compile(p->scope->contract.regex, strlen(p->scope->contract.regex), &re, &inner);
    hn_regex_free(re);
    if (st == HN_ERR_INPUT)
        return hn_yaml_fail(node, st,
                            inner.hint[0] ? inner.hint
                                          : "put the pattern in single quotes: backslashes then stay as they are",
                            p->err, "%s", inner.message);
    return st == HN_OK ? HN_OK : hn_fail_memory(p->err, 64);
}

static const char *const contract_names[] = {"choice", "text", "number", "regex", "json"};
static const char output_hint[] = "such as output: {choice: [a, b]}, output: text, output: {number: {min: 0, max: 5}}, "
                                  "output: {regex: '\\d+'} or output: {json: schema.json}";

static hn_status parse_output(const parser *p, const hn_yaml_node *root) {
    hn_contract *c = &p->scope->contract;
    const hn_yaml_node *output, *value = NULL;
    int kind = -1;
    c->low = -INFINITY;
    c->high = INFINITY;
    HN_TRY(hn_yaml_require(root, "output", output_hint, &output, p->err));
    if (output->kind == HN_YAML_MAP) {
        HN_TRY(hn_yaml_check_keys(output, contract_names, 5, p->err));
        if (output->n != 1)
            return hn_yaml_fail(output, HN_ERR_INPUT, output_hint, p->err,
                                "`output` names %zu kinds of answer instead of one", output->n);
        value = output->first;
        while (strcmp(contract_names[++kind], value->key) != 0) continue;
    } else {
        HN_TRY(hn_yaml_get_choice(output, contract_names, 5, &kind, p->err));
    }
    c->kind = (hn_contract_kind)kind;
    if (!value && (kind == HN_CONTRACT_CHOICE || kind == HN_CONTRACT_REGEX))
        return hn_yaml_fail(output, HN_ERR_INPUT, output_hint, p->err, "`%s` needs more", contract_names[kind]);
    if (kind == HN_CONTRACT_CHOICE) return parse_choice(p, value);
    if (kind == HN_CONTRACT_REGEX) return parse_regex(p, value);
    if (kind == HN_CONTRACT_JSON) return hn_contract_load_json(value, p->root, c, p->err);
    return kind == HN_CONTRACT_NUMBER && value ? parse_number(p, value) : HN_OK;
}

/* ---- what verdicts are about ---- */

static const char *const run_metrics[] = {"accuracy", "macro_f1", "micro_f1", "weighted_f1", "mcc", "kappa"};
enum { N_RUN_METRICS = sizeof run_metrics / sizeof *run_metrics };

bool hn_scope_metric_is_run(const char *metric) {
    for (size_t i = 0; i < N_RUN_METRICS; i++)
        if (strcmp(run_metrics[i], metric) == 0) return true;
    return false;
}

/* A metric of every run, or a grader. */
static hn_status parse_metric(const parser *p, const hn_yaml_node *node) {
    const char *names[N_RUN_METRICS + HN_GRADERS_MAX];
    hn_scope *s = p->scope;
    int metric = 0;
    memcpy(names, run_metrics, sizeof run_metrics);
    for (size_t i = 0; i < s->n_graders; i++) names[N_RUN_METRICS + i] = s->graders[i].name;
    if (node) HN_TRY(hn_yaml_get_choice(node, names, N_RUN_METRICS + s->n_graders, &metric, p->err));
    if (metric > 0 && metric < N_RUN_METRICS && s->contract.kind != HN_CONTRACT_CHOICE)
        return hn_yaml_fail(node, HN_ERR_INPUT, "use accuracy, or a grader", p->err,
                            "%s is about classes: it needs `output: {choice: [...]}`", names[metric]);
    s->metric = hn_arena_strdup(p->arena, names[metric]);
    return s->metric ? HN_OK : hn_fail_memory(p->err, 16);
}

static hn_status parse_aims(const parser *p, const hn_yaml_node *root) {
    hn_scope *s = p->scope;
    const hn_yaml_node *node;
    s->target_value = NAN;
    s->smallest_difference = 0.02;
    HN_TRY(parse_metric(p, hn_yaml_find(root, "metric")));
    /* A run's metrics are shares; a grader has its own scale. */
    double most = hn_scope_metric_is_run(s->metric) ? 1 : INFINITY, least = most == 1 ? 0 : -INFINITY;
    if ((node = hn_yaml_find(root, "target_value")))
        HN_TRY(hn_yaml_get_real(node, least, most, &s->target_value, p->err));
    if ((node = hn_yaml_find(root, "smallest_difference")))
        HN_TRY(hn_yaml_get_real(node, 0, most, &s->smallest_difference, p->err));
    if (s->smallest_difference > 0) return HN_OK;
    return hn_yaml_fail(node, HN_ERR_INPUT, "0.02 means that two points of accuracy would change a decision", p->err,
                        "`smallest_difference` must be more than 0");
}

static hn_status parse_limits(const parser *p, const hn_yaml_node *root) {
    static const char *const keys[] = {"latency_ms", "memory_mb", "cost_per_1000"};
    hn_scope *s = p->scope;
    double *const values[] = {&s->limit_latency_ms, &s->limit_memory_mb, &s->limit_cost_per_1000};
    for (size_t i = 0; i < 3; i++) *values[i] = NAN;
    const hn_yaml_node *limits = hn_yaml_find(root, "limits"), *node;
    if (!limits) return HN_OK;
    HN_TRY(hn_yaml_check_keys(limits, keys, 3, p->err));
    for (size_t i = 0; i < 3; i++)
        if ((node = hn_yaml_find(limits, keys[i]))) HN_TRY(hn_yaml_get_real(node, 0, INFINITY, values[i], p->err));
    return HN_OK;
}

static hn_status parse_abstain(const parser *p, const hn_yaml_node *root) {
    static const char *const keys[] = {"target_error", "confidence", "sets"};
    hn_abstention *a = &p->scope->abstain;
    double *const values[] = {&a->target_error, &a->confidence, &a->set_share};
    const hn_yaml_node *map = hn_yaml_find(root, "abstain"), *node;
    *a = (hn_abstention){NAN, 0.95, NAN};
    if (!map) return HN_OK;
    HN_TRY(hn_yaml_check_keys(map, keys, 3, p->err));
    if (p->scope->contract.kind != HN_CONTRACT_CHOICE)
        return hn_yaml_fail(map, HN_ERR_INPUT, "take `abstain` out", p->err,
                            "it rests on probabilities of labels: it needs `output: {choice: [...]}`");
    for (size_t i = 0; i < 3; i++) {
        if (!(node = hn_yaml_find(map, keys[i]))) continue;
        HN_TRY(hn_yaml_get_real(node, 0, 1, values[i], p->err));
        if (*values[i] == 0 || *values[i] == 1)
            return hn_yaml_fail(node, HN_ERR_INPUT, "such as abstain: {target_error: 0.05}", p->err,
                                "`%s` lies between 0 and 1, both excluded", keys[i]);
    }
    if (!isnan(a->target_error) || !isnan(a->set_share)) return HN_OK;
    return hn_yaml_fail(map, HN_ERR_INPUT, "such as abstain: {target_error: 0.05} or {sets: 0.9}", p->err,
                        "`abstain` says neither `target_error` nor `sets`");
}

static hn_status parse_texts(const parser *p, const hn_yaml_node *root) {
    hn_scope *s = p->scope;
    const hn_yaml_node *node;
    if ((node = hn_yaml_find(root, "goal"))) HN_TRY(copy_text(p, node, &s->goal));
    if ((node = hn_yaml_find(root, "model"))) HN_TRY(copy_text(p, node, &s->model));
    if ((node = hn_yaml_find(root, "baseline"))) HN_TRY(copy_text(p, node, &s->baseline));
    if ((node = hn_yaml_find(root, "models")))
        HN_TRY(hn_remote_models_load(node, p->root, p->arena, &s->models, &s->n_models, p->err));
    s->budget = NAN;
    if ((node = hn_yaml_find(root, "budget"))) HN_TRY(hn_yaml_get_real(node, 0, 1e9, &s->budget, p->err));
    if (!s->goal) s->goal = hn_arena_strdup(p->arena, "");
    if (!s->baseline) s->baseline = hn_arena_strdup(p->arena, "majority");
    return s->goal && s->baseline ? HN_OK : hn_fail_memory(p->err, 16);
}

static hn_status check_later_keys(const parser *p, const hn_yaml_node *root) {
    static const char *const later[] = {"optimize", "deploy", "monitor", "judge"};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        const hn_yaml_node *node = hn_yaml_find(root, later[i]);
        if (node)
            return hn_yaml_fail(node, HN_ERR_UNSUPPORTED, "take it out for now", p->err,
                                "`%s` belongs to a later version of hone", later[i]);
    }
    return HN_OK;
}

hn_status hn_scope_parse(const hn_yaml *doc, const char *root_folder, hn_arena *arena, hn_scope *scope, hn_error *err) {
    static const char *const keys[] = {
        "goal",   "data",  "split",    "output",  "metric",  "target_value", "smallest_difference",
        "limits", "model", "baseline", "abstain", "graders", "guard",        "models",
        "budget", "tune"};
    const hn_yaml_node *root = hn_yaml_root(doc);
    parser p = {root_folder, arena, scope, err};
    *scope = (hn_scope){0};
    if (root->kind == HN_YAML_NULL)
        return hn_yaml_fail(root, HN_ERR_INPUT, "`hone init --data FILE` writes one", err, "the file says nothing");
    HN_TRY(hn_yaml_expect(root, HN_YAML_MAP, err));
    HN_TRY(check_later_keys(&p, root));
    HN_TRY(hn_yaml_check_keys(root, keys, sizeof keys / sizeof *keys, err));
    scope->config_path = hn_arena_strdup(arena, hn_yaml_name(doc));
    if (!scope->config_path) return hn_fail_memory(err, 64);
    HN_TRY(parse_texts(&p, root));
    HN_TRY(parse_data(&p, root));
    HN_TRY(parse_output(&p, root));
    HN_TRY(parse_split(&p, root));
    HN_TRY(hn_grader_configs_parse(hn_yaml_find(root, "graders"), root_folder, arena, &scope->graders,
                                   &scope->n_graders, err));
    HN_TRY(parse_aims(&p, root));
    HN_TRY(parse_abstain(&p, root));
    HN_TRY(parse_guard(&p, root));
    HN_TRY(hn_tune_config_parse(hn_yaml_find(root, "tune"), arena, &scope->tune, err));
    return parse_limits(&p, root);
}

static void hash_schema(hn_sha256 *h, const json_t *schema) {
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_json_write(schema, NULL, &text);
    hn_sha256_field(h, hn_buf_str(&text), text.len);
    hn_buf_free(&text);
}

hn_status hn_scope_hash(const hn_scope *scope, char hex[65], hn_error *err) {
    const hn_contract *c = &scope->contract;
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 64);
    hn_sha256_field_str(h, "hone scope 1");
    hn_sha256_field_i64(h, (scope->file != NULL) | (scope->train_file != NULL) << 1 | (scope->dev_file != NULL) << 2 |
                               (scope->test_file != NULL) << 3);
    hn_sha256_field_i64(h, (int64_t)scope->n_inputs);
    for (size_t i = 0; i < scope->n_inputs; i++) hn_sha256_field_str(h, scope->input_columns[i]);
    hn_sha256_field_str(h, scope->target_column);
    hn_sha256_field_str(h, scope->group_column);
    hn_sha256_field_str(h, scope->id_column);
    hn_sha256_field_f64(h, scope->split_train);
    hn_sha256_field_f64(h, scope->split_dev);
    hn_sha256_field_f64(h, scope->split_test);
    hn_sha256_field_i64(h, (int64_t)scope->split_seed);
    hn_sha256_field_i64(h, scope->stratify);
    hn_sha256_field_i64(h, c->kind);
    hn_sha256_field_i64(h, (int64_t)c->n_labels);
    for (size_t i = 0; i < c->n_labels; i++) hn_sha256_field_str(h, c->labels[i]);
    hn_sha256_field_str(h, c->regex);
    hn_sha256_field_f64(h, c->low);
    hn_sha256_field_f64(h, c->high);
    hn_sha256_field_str(h, scope->metric);
    if (c->schema) hash_schema(h, c->schema);
    hn_grader_configs_hash(h, scope->graders, scope->n_graders);
    hn_sha256_finish(h, hex);
    return HN_OK;
}
