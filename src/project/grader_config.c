/* `graders:` in hone.yaml; see grader_config.h. One table says which kinds there are and which options each has. */
#include "project/grader_config.h"

#include "base/file.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef enum option_kind {
    OPTION_END,
    OPTION_BOOL,
    OPTION_REAL,
    OPTION_INT,
    OPTION_CHOICE, /* `choices`, separated by | */
    OPTION_TEXT,
    OPTION_FILE,
    OPTION_LIST,  /* of texts; one text alone is a list of one */
    OPTION_GRADES /* a list of texts, worst first, or a map of text: value */
} option_kind;

typedef struct option {
    const char *name;
    option_kind kind;
    const char *choices; /* CHOICE */
    double low, high;    /* REAL, INT */
    const char *text;    /* default of CHOICE and TEXT; NULL: none */
    double number;       /* default of REAL and INT; NaN: none */
    bool flag;           /* default of BOOL */
    bool required;
} option;

enum { OPTIONS_MAX = 12 };

typedef struct kind {
    const char *name;
    const char *main; /* the option that `kind: value` sets; NULL: it needs a map */
    option options[OPTIONS_MAX];
} kind;

#define FLAG(option_name, otherwise)                                                                                   \
    { .name = option_name, .kind = OPTION_BOOL, .flag = otherwise }
#define CHOICE(option_name, allowed, otherwise)                                                                        \
    { .name = option_name, .kind = OPTION_CHOICE, .choices = allowed, .text = otherwise }
#define TEXT(option_name, otherwise)                                                                                   \
    { .name = option_name, .kind = OPTION_TEXT, .text = otherwise }
#define NUMBER(option_name, number_kind, from, to, otherwise)                                                          \
    { .name = option_name, .kind = number_kind, .low = from, .high = to, .number = otherwise }
#define SCORES "f1|jaccard|precision|recall|same"

static const kind kinds[] = {
    {"exact", NULL, {FLAG("ignore_case", false), CHOICE("normalize", "none|squad", "none"), FLAG("several", false)}},
    {"contains", "text", {TEXT("text", NULL), FLAG("ignore_case", false), FLAG("several", false)}},
    {"starts_with", "text", {TEXT("text", NULL), FLAG("ignore_case", false), FLAG("several", false)}},
    {"regex",
     "pattern",
     {{.name = "pattern", .kind = OPTION_TEXT, .required = true}, FLAG("ignore_case", false), FLAG("whole", false)}},
    {"json", "match", {CHOICE("match", "exact|subset|schema|valid", "exact"), {.name = "schema", .kind = OPTION_FILE}}},
    {"numeric", "tolerance", {NUMBER("tolerance", OPTION_REAL, 0, 1e300, 0), FLAG("relative", false)}},
    {"choice", "labels", {{.name = "labels", .kind = OPTION_LIST}}},
    {"labels", "score", {CHOICE("score", SCORES, "f1"), TEXT("separator", ","), FLAG("ignore_case", false)}},
    {"set", "score", {CHOICE("score", SCORES, "jaccard"), TEXT("separator", ","), FLAG("ignore_case", false)}},
    {"list",
     "score",
     {CHOICE("score", "order|f1|precision|recall|same", "order"), TEXT("separator", ","), FLAG("ignore_case", false)}},
    {"token_f1", NULL, {FLAG("several", false)}},
    {"edit_distance",
     "as",
     {CHOICE("as", "rate|distance|similarity", "rate"), CHOICE("unit", "chars|words", "chars"),
      FLAG("several", false)}},
    {"bleu", NULL, {CHOICE("words", "13a|split", "13a"), FLAG("several", false)}},
    {"gleu", NULL, {FLAG("several", false)}},
    {"chrf", "word_order", {NUMBER("word_order", OPTION_INT, 0, 2, 0), FLAG("several", false)}},
    {"ter", NULL, {FLAG("several", false)}},
    {"rouge",
     "measure",
     {CHOICE("measure", "rouge_1|rouge_2|rouge_l", "rouge_l"), CHOICE("part", "f1|precision|recall", "f1"),
      FLAG("stem", true), FLAG("several", false)}},
    {"jaccard", "unit", {CHOICE("unit", "chars|words", "words"), NUMBER("k", OPTION_INT, 1, 32, 1)}},
    {"similarity",
     "by",
     {{.name = "by", .kind = OPTION_CHOICE, .choices = "tfidf|hidden", .required = true}, TEXT("model", NULL)}},
    {"log_loss", NULL, {{.name = NULL}}},
    {"perplexity", NULL, {{.name = NULL}}},
    {"latency", NULL, {{.name = NULL}}},
    {"cost", NULL, {{.name = NULL}}},
    {"tokens", NULL, {{.name = NULL}}},
    {"refusal", "patterns", {{.name = "patterns", .kind = OPTION_LIST}}},
    {"tool_call", "match", {CHOICE("match", "exact|subset|name", "exact"), FLAG("ordered", false)}},
    {"lua",
     "file",
     {{.name = "file", .kind = OPTION_FILE, .required = true},
      NUMBER("timeout_s", OPTION_REAL, 0.01, 3600, 5),
      NUMBER("memory_mb", OPTION_INT, 1, 4096, 64),
      CHOICE("on_error", "stop|skip", "stop")}},
    {"program",
     "run",
     {{.name = "run", .kind = OPTION_LIST, .required = true},
      NUMBER("timeout_s", OPTION_REAL, 0.01, 3600, 10),
      CHOICE("on_error", "stop|skip", "stop")}},
    {"judge",
     NULL,
     {{.name = "rubric", .kind = OPTION_FILE, .required = true},
      {.name = "grades", .kind = OPTION_GRADES, .required = true},
      TEXT("model", NULL),
      {.name = "human", .kind = OPTION_FILE},
      TEXT("human_case", "case"),
      TEXT("human_grade", "grade")}},
};

static const kind *find_kind(const char *name) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    return NULL;
}

typedef struct reader {
    const char *folder;
    hn_arena *arena;
    const hn_yaml_node *place; /* of the entry */
    hn_grader_config *config;
    hn_error *err;
} reader;

static hn_status set(const reader *r, const char *name, json_t *value) {
    if (value && json_object_set_new(r->config->options, name, value) == 0) return HN_OK;
    return hn_fail_memory(r->err, 64);
}

/* ---- values of options ---- */

static hn_status set_choice(const reader *r, const option *o, const hn_yaml_node *node) {
    char words[128];
    const char *names[16];
    size_t n = 0;
    int at;
    snprintf(words, sizeof words, "%s", o->choices);
    for (char *word = words; word && n < 16;) {
        names[n++] = word;
        word = strchr(word, '|');
        if (word) *word++ = 0;
    }
    HN_TRY(hn_yaml_get_choice(node, names, n, &at, r->err));
    return set(r, o->name, json_string(names[at]));
}

/* A file's path as written, and beside it the hash of what is in it. */
static hn_status set_file_hash(const reader *r, const char *name, const char *path) {
    char hex[HN_SHA256_HEX], key[64];
    HN_TRY(hn_sha256_file(path, hex, r->err));
    snprintf(key, sizeof key, "%s_sha256", name);
    return set(r, key, json_string(hex));
}

static hn_status set_file(const reader *r, const option *o, const hn_yaml_node *node) {
    char path[HN_PATH_MAX];
    const char *name;
    HN_TRY(hn_yaml_get_string(node, &name, r->err));
    HN_TRY(hn_path_join(path, r->folder, name, r->err));
    if (!*name || !hn_file_exists(path) || hn_file_is_dir(path))
        return hn_yaml_fail(node, HN_ERR_NOT_FOUND, "paths are relative to the folder of hone.yaml", r->err,
                            "there is no file %s", name);
    HN_TRY(set(r, o->name, json_string(name)));
    return set_file_hash(r, o->name, path);
}

static hn_status append_text(const reader *r, json_t *list, const hn_yaml_node *node) {
    const char *text;
    HN_TRY(hn_yaml_get_string(node, &text, r->err));
    if (!*text)
        return hn_yaml_fail(node, HN_ERR_INPUT, "write a text, or take it out", r->err,
                            "an entry of the list is empty");
    return json_array_append_new(list, json_string(text)) == 0 ? HN_OK : hn_fail_memory(r->err, 64);
}

static hn_status set_list(const reader *r, const option *o, const hn_yaml_node *node) {
    json_t *list = json_array();
    hn_status st = list ? HN_OK : hn_fail_memory(r->err, 64);
    if (st == HN_OK && node->kind != HN_YAML_LIST) st = append_text(r, list, node);
    for (const hn_yaml_node *item = node->kind == HN_YAML_LIST ? node->first : NULL; item && st == HN_OK;
         item = item->next)
        st = append_text(r, list, item);
    if (st == HN_OK && json_array_size(list) == 0)
        st = hn_yaml_fail(node, HN_ERR_INPUT, "write at least one entry", r->err, "the list is empty");
    if (st != HN_OK) {
        json_decref(list);
        return st;
    }
    return set(r, o->name, list);
}

/* A program's arguments that are files of the project: what they say is part of what the grader is. */
static hn_status hash_arguments(const reader *r) {
    const json_t *run = json_object_get(r->config->options, "run");
    char path[HN_PATH_MAX], name[32];
    for (size_t i = 0; i < json_array_size(run); i++) {
        if (hn_path_join(path, r->folder, json_string_value(json_array_get(run, i)), NULL) != HN_OK) continue;
        if (!hn_file_exists(path) || hn_file_is_dir(path)) continue;
        snprintf(name, sizeof name, "run_%zu", i);
        HN_TRY(set_file_hash(r, name, path));
    }
    return HN_OK;
}

/* {"bad": 0, "ok": 0.5, "good": 1}: a list's grades are spaced evenly from 0 to 1, worst first. */
static hn_status set_grades(const reader *r, const option *o, const hn_yaml_node *node) {
    json_t *grades = json_object();
    hn_status st = grades ? HN_OK : hn_fail_memory(r->err, 64);
    if (st == HN_OK && node->kind != HN_YAML_LIST && node->kind != HN_YAML_MAP)
        st = hn_yaml_fail(node, HN_ERR_INPUT, "such as grades: [bad, ok, good]", r->err,
                          "`grades` must be a list of words, worst first, or a map of word: value");
    if (st == HN_OK && (node->n < 2 || node->n > 26))
        st = hn_yaml_fail(node, HN_ERR_INPUT, "such as grades: [bad, ok, good]", r->err,
                          "a judge needs 2 to 26 grades, these are %zu", node->n);
    for (const hn_yaml_node *item = node->first; item && st == HN_OK; item = item->next) {
        double value = (double)item->index / (double)(node->n - 1);
        const char *word = item->key;
        if (node->kind == HN_YAML_LIST)
            st = hn_yaml_get_string(item, &word, r->err);
        else
            st = hn_yaml_get_real(item, 0, 1, &value, r->err);
        if (st == HN_OK && (!*word || json_object_get(grades, word)))
            st = hn_yaml_fail(item, HN_ERR_INPUT, "give each grade a word of its own", r->err,
                              "the grade `%s` is empty or there twice", word);
        if (st == HN_OK && json_object_set_new(grades, word, json_real(value)) != 0) st = hn_fail_memory(r->err, 64);
    }
    if (st != HN_OK) {
        json_decref(grades);
        return st;
    }
    return set(r, o->name, grades);
}

static hn_status set_option(const reader *r, const option *o, const hn_yaml_node *node) {
    bool flag;
    double real;
    int64_t integer;
    const char *text;
    switch (o->kind) {
    case OPTION_BOOL: HN_TRY(hn_yaml_get_bool(node, &flag, r->err)); return set(r, o->name, json_boolean(flag));
    case OPTION_REAL:
        HN_TRY(hn_yaml_get_real(node, o->low, o->high, &real, r->err));
        return set(r, o->name, json_real(real));
    case OPTION_INT:
        HN_TRY(hn_yaml_get_int(node, (int64_t)o->low, (int64_t)o->high, &integer, r->err));
        return set(r, o->name, json_integer(integer));
    case OPTION_CHOICE: return set_choice(r, o, node);
    case OPTION_TEXT:
        HN_TRY(hn_yaml_get_string(node, &text, r->err));
        if (!*text)
            return hn_yaml_fail(node, HN_ERR_INPUT, "write a text, or take the option out", r->err, "`%s` is empty",
                                o->name);
        return set(r, o->name, json_string(text));
    case OPTION_FILE: return set_file(r, o, node);
    case OPTION_LIST: return set_list(r, o, node);
    case OPTION_GRADES: return set_grades(r, o, node);
    case OPTION_END: break;
    }
    return HN_OK;
}

static hn_status set_default(const reader *r, const kind *k, const option *o) {
    if (o->required)
        return hn_yaml_fail(r->place, HN_ERR_INPUT, "docs/graders.md has an example of each", r->err,
                            "the grader `%s` needs `%s`", k->name, o->name);
    if (o->kind == OPTION_BOOL) return set(r, o->name, json_boolean(o->flag));
    if (o->kind == OPTION_REAL) return set(r, o->name, json_real(o->number));
    if (o->kind == OPTION_INT) return set(r, o->name, json_integer((json_int_t)o->number));
    return set(r, o->name, o->text ? json_string(o->text) : json_null());
}

static const hn_yaml_node *option_node(const kind *k, const option *o, const hn_yaml_node *value) {
    if (!value || value->kind == HN_YAML_NULL) return NULL;
    if (value->kind == HN_YAML_MAP) return hn_yaml_find(value, o->name);
    return k->main && strcmp(k->main, o->name) == 0 ? value : NULL;
}

static hn_status read_options(const reader *r, const kind *k, const hn_yaml_node *value) {
    const char *names[OPTIONS_MAX + 1];
    size_t n = 0;
    while (n < OPTIONS_MAX && k->options[n].name) {
        names[n] = k->options[n].name;
        n++;
    }
    names[n] = "name";
    if (value && value->kind == HN_YAML_MAP) HN_TRY(hn_yaml_check_keys(value, names, n + 1, r->err));
    if (value && value->kind != HN_YAML_MAP && value->kind != HN_YAML_NULL && !k->main)
        return hn_yaml_fail(value, HN_ERR_INPUT, "docs/graders.md has an example of each", r->err,
                            n ? "the options of `%s` are a map" : "`%s` takes no value", k->name);
    for (size_t i = 0; i < n; i++) {
        const hn_yaml_node *node = option_node(k, &k->options[i], value);
        HN_TRY(node ? set_option(r, &k->options[i], node) : set_default(r, k, &k->options[i]));
    }
    if (strcmp(k->name, "program") == 0) HN_TRY(hash_arguments(r));
    if (strcmp(k->name, "json") == 0 &&
        (strcmp(json_string_value(json_object_get(r->config->options, "match")), "schema") == 0) !=
            json_is_string(json_object_get(r->config->options, "schema")))
        return hn_yaml_fail(r->place, HN_ERR_INPUT, "such as json: {match: schema, schema: answer.schema.json}", r->err,
                            "`match: schema` and `schema: FILE` go together");
    return HN_OK;
}

/* ---- names and entries ---- */

/* graders/polite.lua gives "polite". Of a program the last argument counts that is a file of the project. */
static const char *file_of(const hn_grader_config *c) {
    const json_t *o = c->options, *run = json_object_get(o, "run");
    if (strcmp(c->kind, "lua") == 0) return json_string_value(json_object_get(o, "file"));
    if (strcmp(c->kind, "judge") == 0) return json_string_value(json_object_get(o, "rubric"));
    for (size_t i = json_array_size(run); i-- > 0;) {
        char key[32];
        snprintf(key, sizeof key, "run_%zu_sha256", i);
        if (json_object_get(o, key)) return json_string_value(json_array_get(run, i));
    }
    return NULL;
}

static hn_status choose_name(const reader *r, const hn_yaml_node *value) {
    const hn_yaml_node *node = value ? hn_yaml_find(value, "name") : NULL;
    hn_grader_config *c = r->config;
    const char *text = c->kind, *file = file_of(c);
    size_t n;
    if (node) {
        HN_TRY(hn_yaml_get_string(node, &text, r->err));
        if (!*text || strlen(text) > 40 ||
            text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789_-.")])
            return hn_yaml_fail(node, HN_ERR_INPUT, "letters, digits, _ - and ., at most 40", r->err,
                                "`%s` cannot be a grader's name", text);
    } else if (file) {
        const char *slash = strrchr(file, '/');
        text = slash ? slash + 1 : file;
    }
    n = strlen(text);
    if (!node && file && strrchr(text, '.') > text) n = (size_t)(strrchr(text, '.') - text);
    c->name = hn_arena_strndup(r->arena, text, n > 40 ? 40 : n);
    return c->name ? HN_OK : hn_fail_memory(r->err, 64);
}

static const char *const reserved[] = {"accuracy", "macro_f1", "micro_f1", "weighted_f1", "mcc", "kappa"};

static hn_status check_name(const reader *r, const hn_grader_config *before, size_t n) {
    const char *name = r->config->name;
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(reserved[i], name) == 0)
            return hn_yaml_fail(r->place, HN_ERR_INPUT, "give the grader another `name:`", r->err,
                                "`%s` is a metric of every run already", name);
    if (!hn_grader_config_find(before, n, name)) return HN_OK;
    return hn_yaml_fail(r->place, HN_ERR_INPUT, "give one of them a `name:`, such as exact: {name: exact_loose}",
                        r->err, "two graders are called `%s`", name);
}

static hn_status read_entry(reader *r, const hn_yaml_node *item) {
    const char *names[sizeof kinds / sizeof *kinds], *name = item->text;
    const hn_yaml_node *value = NULL;
    char place[384];
    size_t n = sizeof kinds / sizeof *kinds;
    for (size_t i = 0; i < n; i++) names[i] = kinds[i].name;
    if (item->kind == HN_YAML_MAP) {
        HN_TRY(hn_yaml_check_keys(item, names, n, r->err));
        if (item->n != 1)
            return hn_yaml_fail(item, HN_ERR_INPUT, "start each grader with `- `", r->err,
                                "an entry of `graders` names %zu graders instead of one", item->n);
        value = item->first;
        name = value->key;
    } else {
        int at;
        HN_TRY(hn_yaml_get_choice(item, names, n, &at, r->err));
        name = names[at];
    }
    const kind *k = find_kind(name);
    hn_yaml_where(item, place, sizeof place);
    *r->config = (hn_grader_config){.kind = k->name,
                                    .options = json_object(),
                                    .folder = hn_arena_strdup(r->arena, r->folder),
                                    .place = hn_arena_strdup(r->arena, place)};
    if (!r->config->options || !r->config->folder || !r->config->place) return hn_fail_memory(r->err, 64);
    HN_TRY(read_options(r, k, value));
    return choose_name(r, value);
}

hn_status hn_grader_configs_parse(const hn_yaml_node *node, const char *folder, hn_arena *arena,
                                  hn_grader_config **configs, size_t *n, hn_error *err) {
    *configs = NULL;
    *n = 0;
    if (!node) return HN_OK;
    HN_TRY(hn_yaml_expect(node, HN_YAML_LIST, err));
    if (node->n > HN_GRADERS_MAX)
        return hn_yaml_fail(node, HN_ERR_LIMIT, "a project has up to 64", err, "there are %zu graders", node->n);
    *configs = hn_arena_calloc(arena, node->n ? node->n : 1, sizeof **configs);
    if (!*configs) return hn_fail_memory(err, node->n * sizeof **configs);
    for (const hn_yaml_node *item = node->first; item; item = item->next) {
        reader r = {folder, arena, item, &(*configs)[*n], err};
        ++*n; /* an entry that fails is freed with the others */
        HN_TRY(read_entry(&r, item));
        HN_TRY(check_name(&r, *configs, *n - 1));
    }
    return HN_OK;
}

void hn_grader_configs_free(hn_grader_config *configs, size_t n) {
    for (size_t i = 0; i < n; i++) json_decref(configs[i].options);
}

const hn_grader_config *hn_grader_config_find(const hn_grader_config *configs, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (configs[i].name && strcmp(configs[i].name, name) == 0) return &configs[i];
    return NULL;
}

void hn_grader_configs_hash(hn_sha256 *h, const hn_grader_config *configs, size_t n) {
    if (n == 0) return;
    hn_sha256_field_str(h, "graders 1");
    for (size_t i = 0; i < n; i++) {
        hn_buf text;
        hn_buf_init(&text, 0);
        hn_json_write(configs[i].options, &(hn_json_style){.sort_keys = true}, &text);
        hn_sha256_field_str(h, configs[i].name);
        hn_sha256_field_str(h, configs[i].kind);
        hn_sha256_field(h, hn_buf_str(&text), text.len);
        hn_buf_free(&text);
    }
}

bool hn_grader_config_path(const hn_grader_config *config, const char *option_name, char *out, size_t size) {
    const char *name = json_string_value(json_object_get(config->options, option_name));
    char path[HN_PATH_MAX];
    if (!name || hn_path_join(path, config->folder, name, NULL) != HN_OK || strlen(path) >= size) return false;
    memcpy(out, path, strlen(path) + 1);
    return true;
}
