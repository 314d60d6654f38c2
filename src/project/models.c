/* `models:` of hone.yaml and the form API:MODEL@URL; see models.h. Every complaint names its place; nothing that could be a key is repeated in
 * one. Surprise: an address with a user or a query is refused, since that is where keys are hidden by mistake. */
#include "project/models.h"

#include "base/file.h"
#include "base/str.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { MODELS_MAX = 1000, DEFAULT_CONCURRENCY = 8, DEFAULT_RETRIES = 5, DEFAULT_TIMEOUT_S = 120, OMIT_MAX = 32 };

static const char *const api_names[] = {"openai", "anthropic"};
static const char form_hint[] =
    "such as -m openai:NAME@https://host/v1, -m anthropic:NAME@https://host/v1, or a name under `models:` in hone.yaml";

const char *hn_remote_api_name(hn_remote_api api) { return api_names[api]; }

bool hn_remote_price_known(const hn_remote_price *price) { return isfinite(price->input) && isfinite(price->output); }

static void set_defaults(hn_remote_model *m) {
    double nan = (double)NAN;
    *m = (hn_remote_model){.price = {nan, nan, nan, nan},
                           .concurrency = DEFAULT_CONCURRENCY,
                           .timeout_s = DEFAULT_TIMEOUT_S,
                           .retries = DEFAULT_RETRIES,
                           .max_tokens_name = "max_tokens"};
}

/* NULL: fine; else what is wrong with the address. */
static const char *url_fault(const char *url) {
    bool https = strncasecmp(url, "https://", 8) == 0, http = strncasecmp(url, "http://", 7) == 0;
    if (!https && !http) return "it must start with https:// (or http:// on this machine)";
    const char *rest = url + (https ? 8 : 7);
    size_t n_host = strcspn(rest, "/?#");
    if (n_host == 0) return "it names no host";
    if (memchr(rest, '@', n_host))
        return "a user or password does not belong there; give the key by key_env or key_file";
    if (strpbrk(url, "?#")) return "it must have no ? or #; give the key by key_env or key_file";
    for (const char *c = url; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7F) return "it has characters that no address has";
    return strlen(url) > 1024 ? "it is longer than 1024 bytes" : NULL;
}

/* Without slashes at its end. */
static const char *copy_url(hn_arena *arena, const char *url, size_t n) {
    while (n > 0 && url[n - 1] == '/') n--;
    return hn_arena_strndup(arena, url, n);
}

/* ---- API:MODEL@URL ---- */

static int api_of(const char *text) {
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(api_names[i]);
        if (strncmp(text, api_names[i], n) == 0 && text[n] == ':') return i;
    }
    return -1;
}

bool hn_remote_model_is_spec(const char *text) { return api_of(text) >= 0; }

hn_status hn_remote_model_parse(const char *text, hn_arena *arena, hn_remote_model *m, hn_error *err) {
    int api = api_of(text);
    set_defaults(m);
    if (api < 0) return hn_fail(err, HN_ERR_USAGE, "-m", form_hint, "it names no API");
    const char *name = text + strlen(api_names[api]) + 1, *scheme = strstr(name, "://"), *at = NULL;
    for (const char *c = name; scheme && c < scheme; c++)
        if (*c == '@') at = c;
    if (!at || at == name) return hn_fail(err, HN_ERR_USAGE, "-m", form_hint, "it is not %s:MODEL@URL", api_names[api]);
    const char *fault = url_fault(at + 1);
    if (fault) return hn_fail(err, HN_ERR_USAGE, "-m", form_hint, "the model's address cannot be used: %s", fault);
    m->api = (hn_remote_api)api;
    m->model = m->name = hn_arena_strndup(arena, name, (size_t)(at - name));
    m->url = copy_url(arena, at + 1, strlen(at + 1));
    m->key_env = "HONE_API_KEY";
    m->key_optional = true;
    return m->model && m->url ? HN_OK : hn_fail_memory(err, strlen(text));
}

/* ---- models: ---- */

typedef struct loader {
    const hn_yaml_node *map;
    const char *root;
    hn_arena *arena;
    hn_remote_model *m;
    hn_error *err;
} loader;

static hn_status get_text(const loader *l, const char *key, const char **out) {
    const hn_yaml_node *node = hn_yaml_find(l->map, key);
    const char *text;
    if (!node) return HN_OK;
    HN_TRY(hn_yaml_get_string(node, &text, l->err));
    if (!*text) return hn_yaml_fail(node, HN_ERR_INPUT, "fill it in, or take it out", l->err, "`%s` is empty", key);
    *out = hn_arena_strdup(l->arena, text);
    return *out ? HN_OK : hn_fail_memory(l->err, strlen(text));
}

static hn_status get_int(const loader *l, const char *key, int64_t low, int64_t high, int *out) {
    const hn_yaml_node *node = hn_yaml_find(l->map, key);
    int64_t value;
    if (!node) return HN_OK;
    HN_TRY(hn_yaml_get_int(node, low, high, &value, l->err));
    *out = (int)value;
    return HN_OK;
}

static hn_status get_real(const loader *l, const hn_yaml_node *map, const char *key, double low, double high,
                          double *out) {
    const hn_yaml_node *node = hn_yaml_find(map, key);
    return node ? hn_yaml_get_real(node, low, high, out, l->err) : HN_OK;
}

static hn_status load_address(const loader *l) {
    const hn_yaml_node *node;
    int api;
    HN_TRY(hn_yaml_require(l->map, "api", "openai (chat completions) or anthropic (messages)", &node, l->err));
    HN_TRY(hn_yaml_get_choice(node, api_names, 2, &api, l->err));
    l->m->api = (hn_remote_api)api;
    HN_TRY(hn_yaml_require(l->map, "model", "what the endpoint calls the model", &node, l->err));
    HN_TRY(get_text(l, "model", &l->m->model));
    HN_TRY(hn_yaml_require(l->map, "url", "such as https://host/v1", &node, l->err));
    HN_TRY(get_text(l, "url", &l->m->url));
    const char *fault = url_fault(l->m->url);
    if (fault) return hn_yaml_fail(node, HN_ERR_INPUT, "such as url: https://host/v1", l->err, "`url`: %s", fault);
    l->m->url = copy_url(l->arena, l->m->url, strlen(l->m->url));
    if (!l->m->url) return hn_fail_memory(l->err, 64);
    node = hn_yaml_find(l->map, "plain_http");
    return node ? hn_yaml_get_bool(node, &l->m->plain_http, l->err) : HN_OK;
}

static hn_status load_key(const loader *l) {
    const hn_yaml_node *env = hn_yaml_find(l->map, "key_env"), *file = hn_yaml_find(l->map, "key_file");
    const char *name = NULL;
    char path[HN_PATH_MAX];
    if (env && file)
        return hn_yaml_fail(file, HN_ERR_INPUT, "keep one of them", l->err, "both `key_env` and `key_file` are there");
    HN_TRY(get_text(l, "key_env", &l->m->key_env));
    for (const char *c = l->m->key_env; c && *c; c++) {
        bool fine = (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') || *c == '_' ||
                    (c > l->m->key_env && *c >= '0' && *c <= '9');
        if (!fine) /* perhaps the key itself: it is not repeated */
            return hn_yaml_fail(env, HN_ERR_INPUT,
                                "such as key_env: OPENAI_API_KEY; the key itself never stands in hone.yaml", l->err,
                                "`key_env` must be the name of an environment variable");
    }
    HN_TRY(get_text(l, "key_file", &name));
    if (!name) return HN_OK;
    HN_TRY(hn_path_join(path, l->root, name, l->err));
    l->m->key_file = hn_arena_strdup(l->arena, path);
    return l->m->key_file ? HN_OK : hn_fail_memory(l->err, strlen(path));
}

static hn_status load_price(const loader *l) {
    static const char *const keys[] = {"input", "cached_input", "cache_write", "output"};
    const hn_yaml_node *price = hn_yaml_find(l->map, "price"), *node;
    hn_remote_price *p = &l->m->price;
    if (!price) return HN_OK;
    HN_TRY(hn_yaml_check_keys(price, keys, 4, l->err));
    HN_TRY(hn_yaml_require(price, "input", "dollars a million tokens of the prompt", &node, l->err));
    HN_TRY(hn_yaml_require(price, "output", "dollars a million tokens of the answer", &node, l->err));
    double *const values[] = {&p->input, &p->cached_input, &p->cache_write, &p->output};
    for (size_t i = 0; i < 4; i++) HN_TRY(get_real(l, price, keys[i], 0, 1e9, values[i]));
    return HN_OK;
}

static hn_status load_limits(const loader *l) {
    hn_remote_model *m = l->m;
    HN_TRY(get_int(l, "concurrency", 1, 256, &m->concurrency));
    HN_TRY(get_int(l, "retries", 0, 100, &m->retries));
    HN_TRY(get_int(l, "context", 1, 1 << 28, &m->context));
    HN_TRY(get_int(l, "max_tokens", 1, 1 << 24, &m->max_tokens));
    HN_TRY(get_real(l, l->map, "requests_per_minute", 1e-3, 1e9, &m->requests_per_minute));
    HN_TRY(get_real(l, l->map, "tokens_per_minute", 1, 1e12, &m->tokens_per_minute));
    return get_real(l, l->map, "timeout_s", 0.01, 86400, &m->timeout_s);
}

static hn_status load_omit(const loader *l) {
    const hn_yaml_node *list = hn_yaml_find(l->map, "omit");
    const char *text;
    size_t n = 0;
    if (!list) return HN_OK;
    HN_TRY(hn_yaml_expect(list, HN_YAML_LIST, l->err));
    if (list->n > OMIT_MAX)
        return hn_yaml_fail(list, HN_ERR_LIMIT, NULL, l->err, "`omit` has %zu entries, the limit is %d", list->n,
                            OMIT_MAX);
    const char **names = hn_arena_calloc(l->arena, list->n + 1, sizeof *names);
    if (!names) return hn_fail_memory(l->err, list->n * sizeof *names);
    for (const hn_yaml_node *item = list->first; item; item = item->next) {
        HN_TRY(hn_yaml_get_string(item, &text, l->err));
        if (!(names[n++] = hn_arena_strdup(l->arena, text))) return hn_fail_memory(l->err, strlen(text));
    }
    l->m->omit = names;
    l->m->n_omit = n;
    return HN_OK;
}

static hn_status load_request(const loader *l) {
    static const char *const ways[] = {"json_schema", "grammar", "json_object", "none"};
    static const char *const taken[] = {"model", "messages", "prompt", "stream", "tools", "tool_choice", "system"};
    const hn_yaml_node *node = hn_yaml_find(l->map, "structured"), *extra = hn_yaml_find(l->map, "extra");
    int way = 0;
    if (node) HN_TRY(hn_yaml_get_choice(node, ways, 4, &way, l->err));
    l->m->structured = (hn_remote_structured)way;
    HN_TRY(get_text(l, "max_tokens_name", &l->m->max_tokens_name));
    HN_TRY(load_omit(l));
    if (!extra) return HN_OK;
    HN_TRY(hn_yaml_expect(extra, HN_YAML_MAP, l->err));
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (hn_yaml_find(extra, taken[i]))
            return hn_yaml_fail(hn_yaml_find(extra, taken[i]), HN_ERR_INPUT, "take it out", l->err,
                                "`%s` is hone's to fill in", taken[i]);
    l->m->extra = hn_yaml_to_json(extra);
    return l->m->extra ? HN_OK : hn_fail_memory(l->err, 64);
}

static hn_status load_model(const loader *l) {
    static const char *const keys[] = {"api",
                                       "url",
                                       "model",
                                       "key_env",
                                       "key_file",
                                       "price",
                                       "concurrency",
                                       "requests_per_minute",
                                       "tokens_per_minute",
                                       "timeout_s",
                                       "retries",
                                       "context",
                                       "max_tokens",
                                       "plain_http",
                                       "structured",
                                       "max_tokens_name",
                                       "omit",
                                       "extra"};
    HN_TRY(hn_yaml_expect(l->map, HN_YAML_MAP, l->err));
    HN_TRY(hn_yaml_check_keys(l->map, keys, sizeof keys / sizeof *keys, l->err));
    HN_TRY(load_address(l));
    HN_TRY(load_key(l));
    HN_TRY(load_price(l));
    HN_TRY(load_limits(l));
    return load_request(l);
}

hn_status hn_remote_models_load(const hn_yaml_node *map, const char *root, hn_arena *arena, hn_remote_model **models,
                                size_t *n, hn_error *err) {
    *models = NULL;
    *n = 0;
    HN_TRY(hn_yaml_expect(map, HN_YAML_MAP, err));
    if (map->n > MODELS_MAX)
        return hn_yaml_fail(map, HN_ERR_LIMIT, NULL, err, "`models` has %zu entries, the limit is %d", map->n,
                            MODELS_MAX);
    *models = hn_arena_calloc(arena, map->n + 1, sizeof **models);
    if (!*models) return hn_fail_memory(err, map->n * sizeof **models);
    for (const hn_yaml_node *node = map->first; node; node = node->next) {
        hn_remote_model *m = &(*models)[(*n)++];
        loader l = {node, root, arena, m, err};
        set_defaults(m);
        if (hn_remote_model_is_spec(node->key) || strpbrk(node->key, "/@ "))
            return hn_yaml_fail(node, HN_ERR_INPUT, "use letters, digits and dashes", err,
                                "`%s` cannot be the name of a model", node->key);
        m->name = hn_arena_strdup(arena, node->key);
        if (!m->name) return hn_fail_memory(err, strlen(node->key));
        HN_TRY(load_model(&l));
    }
    return HN_OK;
}

void hn_remote_models_free(hn_remote_model *models, size_t n) {
    for (size_t i = 0; i < n; i++) {
        json_decref(models[i].extra);
        models[i].extra = NULL;
    }
}

static bool copy_text(hn_arena *arena, const char **text) {
    if (*text && !(*text = hn_arena_strdup(arena, *text))) return false;
    return true;
}

hn_status hn_remote_model_copy(const hn_remote_model *m, hn_arena *arena, hn_remote_model *copy, hn_error *err) {
    const char **names = hn_arena_calloc(arena, m->n_omit + 1, sizeof *names);
    *copy = *m;
    copy->extra = NULL;
    copy->omit = names;
    bool fine = names && copy_text(arena, &copy->name) && copy_text(arena, &copy->url) &&
                copy_text(arena, &copy->model) && copy_text(arena, &copy->key_env) &&
                copy_text(arena, &copy->key_file) && copy_text(arena, &copy->max_tokens_name);
    for (size_t i = 0; fine && i < m->n_omit; i++) fine = (names[i] = hn_arena_strdup(arena, m->omit[i])) != NULL;
    if (fine) copy->extra = json_incref(m->extra);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

const hn_remote_model *hn_remote_model_find(const hn_remote_model *models, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(models[i].name, name) == 0) return &models[i];
    return NULL;
}
