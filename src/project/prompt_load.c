/* Prompt files: every key of the YAML checked and put into an hn_prompt; see prompt.h and docs/project.md. */
#include "project/prompt_text.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

typedef struct loader {
    hn_prompt *prompt;
    const hn_scope *scope;
    const hn_dataset *dataset; /* may be NULL */
    const hn_yaml_node *root;
    hn_error *err;
} loader;

static hn_status copy_string(const loader *l, const char *text, char **out) {
    *out = hn_arena_strdup(l->prompt->arena, text);
    return *out ? HN_OK : hn_fail_memory(l->err, strlen(text));
}

static hn_status copy_text(const loader *l, const hn_yaml_node *node, char **out) {
    const char *text;
    HN_TRY(hn_yaml_get_string(node, &text, l->err));
    return copy_string(l, text, out);
}

/* One text, or a list of texts. */
static hn_status copy_texts(const loader *l, const hn_yaml_node *node, char ***out, size_t *n) {
    bool list = node->kind == HN_YAML_LIST;
    *n = list ? node->n : 1;
    *out = hn_arena_calloc(l->prompt->arena, *n + 1, sizeof **out);
    if (!*out) return hn_fail_memory(l->err, *n * sizeof **out);
    const hn_yaml_node *item = list ? node->first : node;
    for (size_t i = 0; i < *n; i++, item = item->next) {
        HN_TRY(copy_text(l, item, &(*out)[i]));
        if (!*(*out)[i])
            return hn_yaml_fail(item, HN_ERR_INPUT, "give it at least one character, or take it out", l->err,
                                "the text is empty");
    }
    return HN_OK;
}

static hn_status get_int(const loader *l, const hn_yaml_node *map, const char *key, int64_t low, int64_t high,
                         int *value) {
    const hn_yaml_node *node = hn_yaml_find(map, key);
    int64_t wide;
    if (!node) return HN_OK;
    HN_TRY(hn_yaml_get_int(node, low, high, &wide, l->err));
    *value = (int)wide;
    return HN_OK;
}

static hn_status get_seed(const loader *l, const hn_yaml_node *map, uint64_t *seed) {
    const hn_yaml_node *node = hn_yaml_find(map, "seed");
    int64_t wide;
    if (!node) return HN_OK;
    HN_TRY(hn_yaml_get_int(node, 0, INT64_MAX, &wide, l->err));
    *seed = (uint64_t)wide;
    return HN_OK;
}

static hn_status get_real(const loader *l, const hn_yaml_node *map, const char *key, double low, double high,
                          double *value) {
    const hn_yaml_node *node = hn_yaml_find(map, key);
    return node ? hn_yaml_get_real(node, low, high, value, l->err) : HN_OK;
}

/* ---- messages ---- */

static const char messages_hint[] = "such as messages: [{system: You route tickets.}, {user: \"{{ body }}\"}]";

static bool is_messages(const json_t *value) {
    return json_is_array(value) && json_is_string(json_object_get(json_array_get(value, 0), "content"));
}

static hn_status check_insert(const loader *l, const hn_yaml_node *node) {
    if (l->prompt->raw)
        return hn_yaml_fail(node, HN_ERR_INPUT,
                            "use `template: chat`, or write the messages out with {% for message in messages %}",
                            l->err, "`insert` puts messages into a chat: it means nothing in raw form");
    for (size_t i = 0; l->dataset && i < l->dataset->n_cases; i++) {
        const hn_case *c = &l->dataset->cases[i];
        if (is_messages(json_object_get(c->inputs, node->text))) continue;
        return hn_yaml_fail(node, HN_ERR_INPUT,
                            "insert a JSONL column with [{\"role\": \"user\", \"content\": \"...\"}]", l->err,
                            "`insert`: `%s` of %s:%d is no list of messages", node->text, c->file, c->line);
    }
    return HN_OK;
}

static hn_status load_message(const loader *l, const hn_yaml_node *item, hn_prompt_text *text) {
    static const char *const roles[] = {"system", "user", "assistant", "insert"};
    const char *content;
    HN_TRY(hn_yaml_check_keys(item, roles, 4, l->err));
    if (item->n != 1)
        return hn_yaml_fail(item, HN_ERR_INPUT, "begin each message with its own \"- \"", l->err,
                            "a message has one role, %zu are here", item->n);
    HN_TRY(hn_yaml_get_string(item->first, &content, l->err));
    if (content[strspn(content, " \t\r\n")] == 0)
        return hn_yaml_fail(item->first, HN_ERR_INPUT, "write what it says, or take the message out", l->err,
                            "the %s message is empty", item->first->key);
    text->node = item->first;
    text->role = item->first->key;
    json_t *message = json_pack("{s:s, s:s}", "role", text->role, "content", content);
    if (!message || json_array_append_new(l->prompt->messages, message) != 0)
        return hn_fail_memory(l->err, strlen(content));
    return strcmp(text->role, "insert") == 0 ? check_insert(l, item->first) : HN_OK;
}

static hn_status load_messages(const loader *l) {
    hn_prompt *p = l->prompt;
    const hn_yaml_node *messages;
    HN_TRY(hn_yaml_require(l->root, "messages", messages_hint, &messages, l->err));
    HN_TRY(hn_yaml_expect(messages, HN_YAML_LIST, l->err));
    if (messages->n == 0) return hn_yaml_fail(messages, HN_ERR_INPUT, messages_hint, l->err, "`messages` is empty");
    p->messages = json_array();
    p->texts = hn_arena_calloc(p->arena, messages->n, sizeof *p->texts);
    if (!p->messages || !p->texts) return hn_fail_memory(l->err, messages->n * sizeof *p->texts);
    for (const hn_yaml_node *item = messages->first; item; item = item->next)
        HN_TRY(load_message(l, item, &p->texts[p->n_messages++]));
    const hn_prompt_text *last = &p->texts[p->n_messages - 1];
    if (strcmp(last->role, "user") != 0 && strcmp(last->role, "insert") != 0)
        return hn_yaml_fail(last->node, HN_ERR_INPUT, "end with what the model shall answer to", l->err,
                            "the last message is from `%s`, not from `user`", last->role);
    if (p->raw && p->n_messages != 1)
        return hn_yaml_fail(messages, HN_ERR_INPUT, "put all text into one `user` message, or use `template: chat`",
                            l->err, "raw form has one text, %zu messages are here", p->n_messages);
    return HN_OK;
}

/* ---- examples ---- */

static hn_status check_fixed(const loader *l, const hn_yaml_node *ids) {
    const hn_yaml_node *item = ids->kind == HN_YAML_LIST ? ids->first : ids;
    for (int i = 0; l->dataset && i < l->prompt->n_examples; i++, item = item->next) {
        const hn_case *c = hn_dataset_find(l->dataset, l->prompt->fixed_ids[i]);
        if (!c)
            return hn_yaml_fail(item, HN_ERR_INPUT, "ids are those of the data's id column", l->err,
                                "no case has the id %s", l->prompt->fixed_ids[i]);
        if (c->split != HN_SPLIT_TRAIN)
            return hn_yaml_fail(item, HN_ERR_INPUT,
                                "take examples from the train split: others would give answers away", l->err,
                                "the case %s is in the %s split", c->id, hn_split_name(c->split));
    }
    return HN_OK;
}

static hn_status load_fixed(const loader *l, const hn_yaml_node *examples, const hn_yaml_node *ids) {
    hn_prompt *p = l->prompt;
    size_t n;
    if (!ids)
        return hn_yaml_fail(examples, HN_ERR_INPUT, "list them: {pick: fixed, ids: [T0001, T0007]}", l->err,
                            "`pick: fixed` needs `ids`");
    if (hn_yaml_find(examples, "n"))
        return hn_yaml_fail(hn_yaml_find(examples, "n"), HN_ERR_INPUT, "take it out", l->err,
                            "`n` means nothing beside `ids`: all of them are shown");
    HN_TRY(copy_texts(l, ids, &p->fixed_ids, &n));
    if (n == 0 || n > 100)
        return hn_yaml_fail(ids, HN_ERR_INPUT, "1 to 100 examples can be shown", l->err, "`ids` has %zu entries", n);
    p->n_examples = (int)n;
    return check_fixed(l, ids);
}

static hn_status load_examples(const loader *l) {
    static const char *const keys[] = {"pick", "n", "seed", "ids"}, *const picks[] = {"fixed", "random", "balanced",
                                                                                      "nearest"};
    hn_prompt *p = l->prompt;
    const hn_yaml_node *examples = hn_yaml_find(l->root, "examples"), *pick, *ids, *n;
    int index = 0;
    if (!examples) return HN_OK;
    HN_TRY(hn_yaml_check_keys(examples, keys, 4, l->err));
    ids = hn_yaml_find(examples, "ids");
    pick = hn_yaml_find(examples, "pick");
    if (pick)
        HN_TRY(hn_yaml_get_choice(pick, picks, 4, &index, l->err));
    else if (!ids)
        return hn_yaml_fail(examples, HN_ERR_INPUT, "one of fixed, random, balanced and nearest", l->err,
                            "`examples` has no `pick`");
    p->pick = HN_PICK_FIXED + index;
    HN_TRY(get_seed(l, examples, &p->example_seed));
    if (p->pick == HN_PICK_FIXED) return load_fixed(l, examples, ids);
    if (ids)
        return hn_yaml_fail(ids, HN_ERR_INPUT, "use `pick: fixed`, or take the ids out", l->err,
                            "`ids` is for fixed examples");
    if (p->pick == HN_PICK_BALANCED && l->scope->contract.kind != HN_CONTRACT_CHOICE)
        return hn_yaml_fail(pick, HN_ERR_INPUT, "use random or nearest", l->err,
                            "`balanced` is about labels: it needs `output: {choice: [...]}`");
    HN_TRY(hn_yaml_require(examples, "n", "say how many examples to show", &n, l->err));
    return get_int(l, examples, "n", 1, 100, &p->n_examples);
}

/* ---- wordings ---- */

static int label_index(const hn_contract *c, const char *name) {
    for (size_t i = 0; i < c->n_labels; i++)
        if (strcmp(c->labels[i], name) == 0) return (int)i;
    return -1;
}

static hn_status load_wording(const loader *l, const hn_yaml_node *node) {
    const hn_contract *c = &l->scope->contract;
    int i = label_index(c, node->key);
    if (i >= 0) {
        HN_TRY(copy_text(l, node, &l->prompt->wordings[i]));
        if (*l->prompt->wordings[i]) return HN_OK;
        return hn_yaml_fail(node, HN_ERR_INPUT, "write what the model shall see for this label", l->err,
                            "the wording of `%s` is empty", node->key);
    }
    char where[384], hint[384];
    const char *near = hn_closest(node->key, (const char *const *)c->labels, c->n_labels);
    hn_yaml_where_key(node, where, sizeof where);
    if (near)
        snprintf(hint, sizeof hint, "did you mean `%s`? the labels are those of `output.choice` in %s", near,
                 l->scope->config_path);
    else
        snprintf(hint, sizeof hint, "the labels are those of `output.choice` in %s", l->scope->config_path);
    return hn_fail(l->err, HN_ERR_INPUT, where, hint, "there is no label `%s`", node->key);
}

static hn_status check_distinct(const loader *l, const hn_yaml_node *labels) {
    const hn_prompt *p = l->prompt;
    for (size_t i = 0; i < p->n_labels; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(p->wordings[i], p->wordings[k]) != 0) continue;
            const hn_yaml_node *at = hn_yaml_find(labels, p->labels[i]);
            if (!at) at = hn_yaml_find(labels, p->labels[k]);
            return hn_yaml_fail(at ? at : l->root, HN_ERR_INPUT,
                                "give each label a wording of its own: the model could not tell them apart", l->err,
                                "the labels `%s` and `%s` have the same wording", p->labels[k], p->labels[i]);
        }
    }
    return HN_OK;
}

static hn_status load_labels(const loader *l) {
    hn_prompt *p = l->prompt;
    const hn_contract *c = &l->scope->contract;
    const hn_yaml_node *labels = hn_yaml_find(l->root, "labels");
    if (labels && c->kind != HN_CONTRACT_CHOICE)
        return hn_yaml_fail(labels, HN_ERR_INPUT, "take it out", l->err,
                            "`labels` is about labels: it needs `output: {choice: [...]}` in %s",
                            l->scope->config_path);
    if (c->kind != HN_CONTRACT_CHOICE) return HN_OK;
    p->n_labels = c->n_labels;
    p->labels = hn_arena_calloc(p->arena, c->n_labels, sizeof *p->labels);
    p->wordings = hn_arena_calloc(p->arena, c->n_labels, sizeof *p->wordings);
    if (!p->labels || !p->wordings) return hn_fail_memory(l->err, c->n_labels * sizeof *p->labels);
    for (size_t i = 0; i < c->n_labels; i++) {
        HN_TRY(copy_string(l, c->labels[i], &p->labels[i]));
        p->wordings[i] = p->labels[i];
    }
    if (!labels) return HN_OK;
    HN_TRY(hn_yaml_expect(labels, HN_YAML_MAP, l->err));
    for (const hn_yaml_node *node = labels->first; node; node = node->next) HN_TRY(load_wording(l, node));
    return check_distinct(l, labels);
}

/* ---- how the answer is reached ---- */

static hn_status load_constrain(const loader *l) {
    hn_prompt *p = l->prompt;
    const hn_yaml_node *node = hn_yaml_find(l->root, "constrain");
    bool can = p->answer == HN_ANSWER_GENERATE && l->scope->contract.kind != HN_CONTRACT_TEXT;
    p->constrain = can;
    if (!node) return HN_OK;
    HN_TRY(hn_yaml_get_bool(node, &p->constrain, l->err));
    if (can || !p->constrain) return HN_OK;
    return hn_yaml_fail(node, HN_ERR_INPUT, "take it out", l->err,
                        p->answer == HN_ANSWER_GENERATE
                            ? "`output: text` allows any answer: there is nothing to hold it to"
                            : "`answer: likelihood` compares the labels alone: there is nothing to hold it to");
}

static hn_status load_answer(const loader *l) {
    static const char *const ways[] = {"likelihood", "generate"}, *const reasoning_keys[] = {"max_tokens"};
    hn_prompt *p = l->prompt;
    bool choice = l->scope->contract.kind == HN_CONTRACT_CHOICE;
    const hn_yaml_node *answer = hn_yaml_find(l->root, "answer"), *reasoning = hn_yaml_find(l->root, "reasoning"), *n;
    int way = choice ? HN_ANSWER_LIKELIHOOD : HN_ANSWER_GENERATE;
    if (answer) HN_TRY(hn_yaml_get_choice(answer, ways, 2, &way, l->err));
    if (way == HN_ANSWER_LIKELIHOOD && !choice)
        return hn_yaml_fail(answer, HN_ERR_INPUT, "use `answer: generate`", l->err,
                            "`likelihood` compares labels: it needs `output: {choice: [...]}` in %s",
                            l->scope->config_path);
    p->answer = (hn_answer_by)way;
    p->answer_given = answer != NULL;
    HN_TRY(load_constrain(l));
    if (!reasoning) return HN_OK;
    HN_TRY(hn_yaml_check_keys(reasoning, reasoning_keys, 1, l->err));
    HN_TRY(hn_yaml_require(reasoning, "max_tokens", "such as reasoning: {max_tokens: 128}", &n, l->err));
    return get_int(l, reasoning, "max_tokens", 1, 32768, &p->reasoning_max_tokens);
}

/* One of the kinds, or prior together with one of those that are fitted: `calibrate: [prior, temperature]`. */
static hn_status add_calibration(const loader *l, const hn_yaml_node *node) {
    static const char *const kinds[] = {"none", "prior", "temperature", "isotonic"};
    hn_prompt *p = l->prompt;
    int kind;
    HN_TRY(hn_yaml_get_choice(node, kinds, 4, &kind, l->err));
    if (kind == 1) p->calibrate = HN_CALIBRATE_PRIOR;
    if (kind < 2) return HN_OK;
    if (p->recalibrate != HN_RECALIBRATE_NONE)
        return hn_yaml_fail(node, HN_ERR_INPUT, "keep one of the two", l->err,
                            "temperature and isotonic both correct the same probabilities");
    p->recalibrate = kind == 2 ? HN_RECALIBRATE_TEMPERATURE : HN_RECALIBRATE_ISOTONIC;
    return HN_OK;
}

static hn_status load_calibrate(const loader *l) {
    hn_prompt *p = l->prompt;
    const hn_yaml_node *node = hn_yaml_find(l->root, "calibrate");
    if (!node) return HN_OK;
    if (node->kind != HN_YAML_LIST) HN_TRY(add_calibration(l, node));
    for (const hn_yaml_node *n = node->kind == HN_YAML_LIST ? node->first : NULL; n; n = n->next)
        HN_TRY(add_calibration(l, n));
    if (p->calibrate == HN_CALIBRATE_NONE && p->recalibrate == HN_RECALIBRATE_NONE) return HN_OK;
    if (p->answer == HN_ANSWER_LIKELIHOOD) return HN_OK;
    return hn_yaml_fail(node, HN_ERR_INPUT, "use `answer: likelihood`, or take `calibrate` out", l->err,
                        "calibration works on the labels' likelihoods, which `answer: generate` does not have");
}

static hn_status load_probabilities(const loader *l) {
    static const char *const kinds[] = {"exact", "bounded", "best"};
    hn_prompt *p = l->prompt;
    const hn_yaml_node *node = hn_yaml_find(l->root, "probabilities");
    int kind = HN_PROBABILITIES_EXACT;
    if (node) HN_TRY(hn_yaml_get_choice(node, kinds, 3, &kind, l->err));
    p->probabilities = (hn_probabilities)kind;
    if (kind != HN_PROBABILITIES_EXACT && p->recalibrate != HN_RECALIBRATE_NONE)
        return hn_yaml_fail(node, HN_ERR_INPUT, "use `probabilities: exact`", l->err,
                            "`calibrate: %s` needs every label's exact probability",
                            p->recalibrate == HN_RECALIBRATE_TEMPERATURE ? "temperature" : "isotonic");
    if (kind == HN_PROBABILITIES_EXACT || p->answer == HN_ANSWER_LIKELIHOOD) return HN_OK;
    return hn_yaml_fail(node, HN_ERR_INPUT, "use `answer: likelihood`, or take `probabilities` out", l->err,
                        "`answer: generate` has no labels' probabilities");
}

static const char *const parameter_keys[] = {"temperature",        "top_k", "top_p",      "min_p",
                                             "repetition_penalty", "seed",  "max_tokens", "stop"};
enum { N_PARAMETERS = sizeof parameter_keys / sizeof *parameter_keys };

static hn_status load_parameters(const loader *l) {
    hn_prompt *p = l->prompt;
    const hn_yaml_node *map = hn_yaml_find(l->root, "parameters"), *stop;
    p->top_p = p->repetition_penalty = 1;
    p->max_tokens = 256;
    p->raw_stop = hn_arena_strdup(p->arena, "\n");
    if (!p->raw_stop) return hn_fail_memory(l->err, 2);
    if (!map) return HN_OK;
    HN_TRY(hn_yaml_check_keys(map, parameter_keys, N_PARAMETERS, l->err));
    HN_TRY(get_real(l, map, "temperature", 0, 10, &p->temperature));
    HN_TRY(get_int(l, map, "top_k", 0, INT_MAX, &p->top_k));
    HN_TRY(get_real(l, map, "top_p", 0, 1, &p->top_p));
    HN_TRY(get_real(l, map, "min_p", 0, 1, &p->min_p));
    HN_TRY(get_real(l, map, "repetition_penalty", 0.1, 10, &p->repetition_penalty));
    HN_TRY(get_seed(l, map, &p->seed));
    HN_TRY(get_int(l, map, "max_tokens", 1, 32768, &p->max_tokens));
    if (!(stop = hn_yaml_find(map, "stop"))) return HN_OK;
    HN_TRY(copy_texts(l, stop, &p->stop, &p->n_stop));
    if (p->n_stop == 0)
        return hn_yaml_fail(stop, HN_ERR_INPUT, "name a text, or take `stop` out", l->err, "the list is empty");
    p->raw_stop = p->stop[0];
    return HN_OK;
}

/* ---- the whole file ---- */

static hn_status check_keys(const loader *l) {
    static const char *const keys[] = {"messages",   "examples",  "labels",        "answer",   "reasoning",
                                       "parameters", "calibrate", "probabilities", "template", "constrain"};
    for (size_t i = 0; i < N_PARAMETERS; i++) {
        const hn_yaml_node *node = hn_yaml_find(l->root, parameter_keys[i]);
        if (!node) continue;
        char where[384], hint[200];
        hn_yaml_where_key(node, where, sizeof where);
        snprintf(hint, sizeof hint, "parameters: {%s: ...}", parameter_keys[i]);
        return hn_fail(l->err, HN_ERR_INPUT, where, hint, "`%s` belongs under `parameters`", parameter_keys[i]);
    }
    return hn_yaml_check_keys(l->root, keys, sizeof keys / sizeof *keys, l->err);
}

static void hash_texts(hn_sha256 *h, char *const *texts, size_t n) {
    hn_sha256_field_i64(h, (int64_t)n);
    for (size_t i = 0; i < n; i++) hn_sha256_field_str(h, texts[i]);
}

static hn_status make_hash(const loader *l) {
    hn_prompt *p = l->prompt;
    const double reals[] = {p->temperature, p->top_p, p->min_p, p->repetition_penalty};
    const int64_t integers[] = {p->raw,           p->pick,
                                p->n_examples,    (int64_t)p->example_seed,
                                p->answer,        p->reasoning_max_tokens,
                                p->max_tokens,    p->top_k,
                                (int64_t)p->seed, p->calibrate};
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(l->err, 64);
    hn_sha256_field_str(h, "hone prompt 1");
    hn_sha256_field_i64(h, (int64_t)p->n_messages);
    for (size_t i = 0; i < p->n_messages; i++) {
        hn_sha256_field_str(h, p->texts[i].role);
        hn_sha256_field_str(h, p->texts[i].node->text);
    }
    hash_texts(h, p->fixed_ids, p->fixed_ids ? (size_t)p->n_examples : 0);
    hash_texts(h, p->labels, p->n_labels);
    hash_texts(h, p->wordings, p->n_labels);
    hash_texts(h, p->stop, p->n_stop);
    if (p->probabilities != HN_PROBABILITIES_EXACT) hn_sha256_field_i64(h, p->probabilities);
    hn_sha256_field_str(h, p->raw ? p->raw_stop : NULL);
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) hn_sha256_field_i64(h, integers[i]);
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) hn_sha256_field_f64(h, reals[i]);
    if (p->constrain) hn_sha256_field_str(h, "constrain");
    if (p->recalibrate != HN_RECALIBRATE_NONE) hn_sha256_field_i64(h, p->recalibrate);
    hn_sha256_finish(h, p->hash);
    return HN_OK;
}

static hn_status set_names(const loader *l, const char *path) {
    hn_prompt *p = l->prompt;
    HN_TRY(copy_string(l, path, &p->path));
    HN_TRY(copy_string(l, hn_path_base(path), &p->name));
    static const char *const endings[] = {".yaml", ".yml"};
    for (size_t i = 0; i < 2; i++)
        if (hn_ends_with(p->name, endings[i])) p->name[strlen(p->name) - strlen(endings[i])] = 0;
    return HN_OK;
}

/* One case as a trial: what only shows when a template runs is found now, not in the middle of an evaluation. */
static hn_status try_out(const loader *l) {
    const hn_case *c = l->dataset && l->dataset->n_cases ? &l->dataset->cases[0] : NULL;
    json_t *messages = NULL;
    char *raw = NULL;
    if (!c) return HN_OK;
    hn_status st = hn_prompt_render(l->prompt, c, &c, l->prompt->pick != HN_PICK_NONE, &messages, &raw, l->err);
    json_decref(messages);
    hn_free(raw);
    return st;
}

static hn_status load_all(loader *l, const char *path) {
    static const char *const forms[] = {"chat", "raw"};
    hn_prompt *p = l->prompt;
    HN_TRY(set_names(l, path));
    HN_TRY(hn_yaml_load(path, &p->document, l->err));
    l->root = hn_yaml_root(p->document);
    if (l->root->kind == HN_YAML_NULL)
        return hn_yaml_fail(l->root, HN_ERR_INPUT, messages_hint, l->err, "the file says nothing");
    HN_TRY(hn_yaml_expect(l->root, HN_YAML_MAP, l->err));
    HN_TRY(check_keys(l));
    const hn_yaml_node *form = hn_yaml_find(l->root, "template");
    int raw = 0;
    if (form) HN_TRY(hn_yaml_get_choice(form, forms, 2, &raw, l->err));
    p->raw = raw;
    HN_TRY(load_messages(l));
    HN_TRY(load_labels(l));
    HN_TRY(load_examples(l));
    HN_TRY(load_answer(l));
    HN_TRY(load_calibrate(l));
    HN_TRY(load_probabilities(l));
    HN_TRY(load_parameters(l));
    HN_TRY(make_hash(l));
    HN_TRY(hn_prompt_texts_compile(p, l->scope, l->dataset, l->err));
    return try_out(l);
}

hn_status hn_prompt_load(const char *path, const hn_scope *scope, const hn_dataset *dataset, hn_prompt **prompt,
                         hn_error *err) {
    *prompt = NULL;
    hn_prompt *p = hn_calloc(1, sizeof *p);
    if (!p) return hn_fail_memory(err, sizeof *p);
    loader l = {.prompt = p, .scope = scope, .dataset = dataset, .err = err};
    p->arena = hn_arena_create(0);
    hn_status st = p->arena ? load_all(&l, path) : hn_fail_memory(err, 64);
    if (st == HN_OK)
        *prompt = p;
    else
        hn_prompt_free(p);
    return st;
}

void hn_prompt_free(hn_prompt *prompt) {
    if (!prompt) return;
    for (size_t i = 0; i < prompt->n_messages; i++) hn_jinja_free(prompt->texts[i].template);
    json_decref(prompt->messages);
    hn_yaml_free(prompt->document);
    hn_arena_free(prompt->arena);
    hn_free(prompt);
}

hn_status hn_prompt_generate(hn_prompt *p, const char *model, hn_error *err) {
    bool prior = p->calibrate != HN_CALIBRATE_NONE || p->recalibrate != HN_RECALIBRATE_NONE;
    const char *key = p->answer_given                              ? "answer"
                      : prior                                      ? "calibrate"
                      : p->probabilities != HN_PROBABILITIES_EXACT ? "probabilities"
                                                                   : NULL;
    if (p->answer == HN_ANSWER_GENERATE) return HN_OK;
    if (key) {
        char where[384];
        const hn_yaml_node *node = hn_yaml_find(hn_yaml_root(p->document), key);
        if (node)
            hn_yaml_where(node, where, sizeof where);
        else
            snprintf(where, sizeof where, "%s", p->path);
        return hn_fail(err, HN_ERR_INPUT, where,
                       p->answer_given ? "use `answer: generate`, or a local model"
                                       : "take it out, or use a local model",
                       "`%s` needs the labels' likelihoods, which %s, a remote model, does not give", key, model);
    }
    p->answer = HN_ANSWER_GENERATE;
    p->constrain = true;
    return HN_OK;
}
