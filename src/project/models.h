/* Models elsewhere, as hone.yaml's `models:` and the -m option describe them: an API, an address, a name, what it costs and how hard it may be
 * asked. docs/remote.md has all keys.
 *
 *     models:
 *       gpt: {api: openai, url: https://host/v1, model: name, key_env: MY_KEY, price: {input: 0.15, output: 0.60}}
 *
 *     const hn_remote_model *m = hn_remote_model_find(scope->models, scope->n_models, "gpt");     // NULL: no such name
 *     hn_remote_model other;
 *     HN_TRY(hn_remote_model_parse("openai:name@http://127.0.0.1:8080/v1", arena, &other, &err));  // the same without a project
 *
 * Only where a key is found stands here, never a key. Ownership: text lives in the arena, `extra` until hn_remote_models_free. Threading: plain
 * values. */
#ifndef HN_PROJECT_MODELS_H
#define HN_PROJECT_MODELS_H

#include "base/alloc.h"
#include "format/json.h"
#include "format/yaml.h"

typedef enum hn_remote_api { HN_REMOTE_OPENAI, HN_REMOTE_ANTHROPIC } hn_remote_api;

/* How the endpoint is told what an answer must be. */
typedef enum hn_remote_structured {
    HN_STRUCTURED_JSON_SCHEMA, /* OpenAI: response_format json_schema; Anthropic: a tool that must be called */
    HN_STRUCTURED_GRAMMAR,     /* as JSON_SCHEMA, and grammars in the field `grammar` (llama.cpp's server) */
    HN_STRUCTURED_JSON_OBJECT, /* OpenAI: response_format json_object, without the schema */
    HN_STRUCTURED_NONE         /* not at all: the text is read as far as it can be */
} hn_remote_structured;

/* US dollars a million tokens; NaN: not given. Tokens that the endpoint had cached cost `cached_input`, else `input`; those that it wrote to its
 * cache `cache_write`, else `input`. */
typedef struct hn_remote_price {
    double input, cached_input, cache_write, output;
} hn_remote_price;

typedef struct hn_remote_model {
    const char *name; /* in hone.yaml, or MODEL of the -m form */
    hn_remote_api api;
    const char *url;             /* up to, and without, "/chat/completions" or "/messages"; no user, no query */
    const char *model;           /* what the endpoint calls it */
    const char *key_env;         /* the environment variable that holds the key; NULL: none */
    const char *key_file;        /* or the file, an absolute path; NULL: none */
    bool key_optional;           /* a variable that is not set is fine (the -m form) */
    hn_remote_price price;       /* input and output NaN: costs are not known */
    int concurrency;             /* requests in flight */
    double requests_per_minute;  /* 0: no limit */
    double tokens_per_minute;    /* 0: no limit */
    double timeout_s;            /* of one try */
    int retries;                 /* after the first try */
    int context;                 /* tokens; 0: not known */
    int max_tokens;              /* at most so many are asked for; 0: as the prompt says */
    bool plain_http;             /* http:// to other machines is allowed */
    const char *max_tokens_name; /* OpenAI: the field's name; "max_tokens" by default */
    hn_remote_structured structured;
    const char *const *omit; /* (n_omit) fields of the request that the endpoint refuses */
    size_t n_omit;
    json_t *extra; /* fields that are added to each request; NULL: none */
} hn_remote_model;

const char *hn_remote_api_name(hn_remote_api api);
/* Whether -m's value has the form API:MODEL@URL. */
bool hn_remote_model_is_spec(const char *text);
/* That form; the key is in $HONE_API_KEY, where that is set. HN_ERR_USAGE with the form as remedy. */
hn_status hn_remote_model_parse(const char *text, hn_arena *arena, hn_remote_model *model, hn_error *err) HN_MUST_CHECK;
/* The map under `models:`; `root` is the folder that key files are relative to. After an error, too, free what is there. */
hn_status hn_remote_models_load(const hn_yaml_node *map, const char *root, hn_arena *arena, hn_remote_model **models,
                                size_t *n, hn_error *err) HN_MUST_CHECK;
void hn_remote_models_free(hn_remote_model *models, size_t n);
/* A copy with texts of its own; free its `extra` with hn_remote_models_free(copy, 1). */
hn_status hn_remote_model_copy(const hn_remote_model *model, hn_arena *arena, hn_remote_model *copy,
                               hn_error *err) HN_MUST_CHECK;
const hn_remote_model *hn_remote_model_find(const hn_remote_model *models, size_t n, const char *name);
/* Whether tokens have a price. */
bool hn_remote_price_known(const hn_remote_price *price);

#endif
