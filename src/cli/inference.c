/* What commands that run a model share; see inference.h. */
#include "cli/inference.h"

#include "base/interrupt.h"
#include "base/str.h"
#include "cli/tune_cli.h"
#include "format/json.h"
#include "model/catalogue.h"
#include "model/chat.h"
#include "project/project.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES_BYTES_MAX = 64 << 20, PROMPT_BYTES_MAX = 64 << 20 };

hn_cli_remote_opener *hn_cli_remote;

/* The project that the working folder belongs to; NULL: none. A hone.yaml with mistakes does not stop what needs no project. */
static hn_project *own_project(void) {
    hn_project *project;
    hn_error unused;
    return hn_project_open(".", &project, &unused) == HN_OK ? project : NULL;
}

/* -m, else the project's model, else smollm2. Valid as long as cli and project. */
static const char *model_name(const hn_cli *cli, const hn_project *project) {
    const char *name = hn_cli_string(cli, "model");
    if (!name && project) name = hn_project_scope(project)->model;
    return name ? name : "smollm2";
}

static const hn_remote_model *find_remote(const hn_scope *scope, const char *name) {
    return scope ? hn_remote_model_find(scope->models, scope->n_models, name) : NULL;
}

hn_status hn_cli_model_path(hn_cli *cli, char path[HN_PATH_MAX], hn_error *err) {
    hn_project *project = own_project();
    const char *name = model_name(cli, project);
    hn_status st;
    if (hn_remote_model_is_spec(name) || (project && find_remote(hn_project_scope(project), name)))
        st =
            hn_fail(err, HN_ERR_UNSUPPORTED, "-m", "use a local model", "the tokens of a remote model cannot be shown");
    else
        st = hn_model_resolve(name, path, err);
    hn_project_close(project);
    return st;
}

static hn_status open_remote(const hn_scope *scope, const hn_remote_model *model, const hn_local_options *o,
                             hn_provider **provider, hn_error *err) {
    if (!hn_cli_remote)
        return hn_fail(err, HN_ERR_UNSUPPORTED, "-m", "use `hone`", "hone-runtime runs local models only");
    return hn_cli_remote(model, o->budget > 0 ? o->budget : scope ? scope->budget : 0, provider, err);
}

static hn_status open_spec(const hn_scope *scope, const char *name, const hn_local_options *o, hn_provider **provider,
                           hn_error *err) {
    hn_remote_model model;
    hn_arena *arena = hn_arena_create(1024);
    if (!arena) return hn_fail_memory(err, 1024);
    hn_status st = hn_remote_model_parse(name, arena, &model, err);
    if (st == HN_OK) st = open_remote(scope, &model, o, provider, err);
    hn_arena_free(arena);
    return st;
}

/* A name that nothing has may be a misspelt one of the project's models. */
static void suggest_remote(const hn_scope *scope, hn_error *err) {
    size_t n = strlen(err->hint);
    for (size_t i = 0; scope && i < scope->n_models && i < 8; i++) {
        snprintf(err->hint + n, sizeof err->hint - n, "%s%.60s", i ? ", " : "; hone.yaml has ", scope->models[i].name);
        n += strlen(err->hint + n);
    }
}

hn_cli_tuned_finder *hn_cli_tuned;

hn_status hn_cli_resolve_model(const char *name, char path[HN_PATH_MAX], char adapter[HN_PATH_MAX], hn_error *err) {
    char base[HN_PATH_MAX];
    const char *plus = strrchr(name, '+');
    *adapter = 0;
    if (hn_cli_tuned && hn_starts_with(name, "tune:")) {
        HN_TRY(hn_cli_tuned(name, base, adapter, err));
        return hn_model_resolve(base, path, err);
    }
    hn_status st = hn_model_resolve(name, path, err); /* a file's own name may hold a plus as well */
    if (st != HN_ERR_NOT_FOUND || !plus || plus == name) return st;
    if (strlen(name) >= sizeof base)
        return hn_fail(err, HN_ERR_USAGE, "-m", NULL, "the model's name is longer than %d bytes", HN_PATH_MAX - 1);
    snprintf(base, sizeof base, "%.*s", (int)(plus - name), name);
    snprintf(adapter, HN_PATH_MAX, "%s", plus + 1);
    return hn_model_resolve(base, path, err);
}

hn_status hn_cli_open_named(const hn_scope *scope, const char *name, const hn_local_options *options,
                            hn_provider **provider, hn_error *err) {
    char path[HN_PATH_MAX], adapter[HN_PATH_MAX];
    hn_local_options own = *options;
    const hn_remote_model *remote = find_remote(scope, name);
    if (remote) return open_remote(scope, remote, options, provider, err);
    if (hn_remote_model_is_spec(name)) return open_spec(scope, name, options, provider, err);
    hn_status st = hn_cli_resolve_model(name, path, adapter, err);
    if (st == HN_ERR_NOT_FOUND && err) suggest_remote(scope, err);
    if (*adapter) {
        own.adapter = adapter;
        if (!own.name) own.name = name;
    }
    return st == HN_OK ? hn_provider_local_open(path, &own, provider, err) : st;
}

/* --prefix-cache, else HONE_PREFIX_CACHE: megabytes as bytes. */
static size_t prefix_cache_bytes(hn_cli *cli) {
    const char *text = getenv("HONE_PREFIX_CACHE");
    int64_t mb = hn_cli_int(cli, "prefix-cache");
    if (hn_cli_given(cli, "prefix-cache") || !text || !*text) return (size_t)mb * 1000000;
    if (hn_parse_int64(text, &mb) && mb >= 0 && mb <= 1 << 30) return (size_t)mb * 1000000;
    hn_output_note(cli->out, "HONE_PREFIX_CACHE takes megabytes, such as 1000: \"%s\" leaves the prefix cache off",
                   text);
    return 0;
}

void hn_cli_note_prefix_cache(hn_cli *cli, hn_provider *provider) {
    hn_provider_info info;
    hn_error unused;
    if (!provider || hn_provider_info_get(provider, &info, &unused) != HN_OK) return;
    if (info.prefix_tokens_read)
        hn_output_note(cli->out, "prefix cache: %zu prompt tokens read from disk instead of computed",
                       info.prefix_tokens_read);
    if (info.prefix_tokens_written)
        hn_output_note(cli->out, "prefix cache: %zu prompt tokens kept on disk for the next time",
                       info.prefix_tokens_written);
}

hn_local_options hn_cli_local_options(hn_cli *cli) {
    hn_local_options options = {.n_threads = (int)hn_cli_int(cli, "threads"),
                                .low_memory = strcmp(hn_cli_string(cli, "memory"), "low") == 0,
                                .context = (int)hn_cli_int(cli, "context"),
                                .kv_max_bytes = (size_t)hn_cli_int(cli, "kv-memory") * 1000000,
                                .prefix_cache_bytes = prefix_cache_bytes(cli),
                                .budget = hn_cli_real(cli, "budget")};
    (void)hn_kv_type_named(hn_cli_string(cli, "kv"), &options.kv_type); /* the option takes no other names */
    return options;
}

hn_status hn_cli_open_model(hn_cli *cli, hn_provider **provider, hn_error *err) {
    hn_project *project = own_project();
    hn_local_options options = hn_cli_local_options(cli);
    options.name = model_name(cli, project);
    hn_status st = hn_cli_open_named(project ? hn_project_scope(project) : NULL, options.name, &options, provider, err);
    hn_project_close(project);
    return st;
}

hn_status hn_cli_read_messages(const char *path, json_t **messages, hn_error *err) {
    json_t *value;
    *messages = NULL;
    HN_TRY(hn_json_read(path, MESSAGES_BYTES_MAX, 0, &value, err));
    json_t *list = json_is_object(value) ? json_object_get(value, "messages") : value;
    hn_status st = hn_chat_check_messages(list, path, err);
    if (st == HN_OK) *messages = json_incref(list);
    json_decref(value);
    return st;
}

hn_status hn_cli_parse_ids(const char *text, const char *where, hn_tokens *ids, hn_error *err) {
    while (*text) {
        char number[24];
        int64_t id;
        size_t n = strcspn(text, ",");
        hn_str part = hn_str_trim((hn_str){text, n});
        if (part.len > 0 && part.len < sizeof number) memcpy(number, part.data, part.len);
        number[part.len < sizeof number ? part.len : 0] = 0;
        if (!hn_parse_int64(number, &id) || id < 0 || id > INT32_MAX)
            return hn_fail(err, HN_ERR_USAGE, where, "write whole numbers with commas: 1,2,3",
                           "\"%.*s\" is not a token id", (int)(n > 40 ? 40 : n), text);
        if (hn_tokens_push(ids, (int32_t)id) != HN_OK) return hn_fail_memory(err, (ids->n + 1) * sizeof *ids->ids);
        text += n;
        if (*text == ',') text++;
    }
    if (ids->n) return HN_OK;
    return hn_fail(err, HN_ERR_USAGE, where, "write whole numbers with commas: 1,2,3", "there are no token ids");
}

/* [system,] user */
static json_t *make_messages(const char *system, const char *user) {
    json_t *list = json_array();
    if (system)
        json_array_append_new(list,
                              json_pack("{s:s,s:o}", "role", "system", "content", hn_cli_text(system, strlen(system))));
    json_array_append_new(list, json_pack("{s:s,s:o}", "role", "user", "content", hn_cli_text(user, strlen(user))));
    if (json_array_size(list) == (system ? 2u : 1u)) return list;
    json_decref(list);
    return NULL;
}

static hn_status text_or_input(const char *text, hn_cli_prompt *prompt, const char **out, hn_error *err) {
    size_t n;
    *out = text;
    if (strcmp(text, "-") != 0) return HN_OK;
    HN_TRY(hn_file_read("-", PROMPT_BYTES_MAX, &prompt->text, &n, err));
    if (strlen(prompt->text) != n)
        return hn_fail(err, HN_ERR_INPUT, "standard input", "take the NUL bytes out", "the text has a NUL byte");
    *out = prompt->text;
    return HN_OK;
}

static hn_status read_input(hn_cli *cli, hn_provider *provider, hn_cli_prompt *prompt, hn_request *request,
                            hn_error *err) {
    hn_provider_info info;
    const char *system = hn_cli_string(cli, "system"), *question = hn_cli_string(cli, "prompt"),
               *user = hn_cli_string(cli, "user");
    const char *raw = hn_cli_string(cli, "raw"), *text;
    if (hn_cli_given(cli, "messages")) {
        HN_TRY(hn_cli_read_messages(hn_cli_string(cli, "messages"), &prompt->messages, err));
    } else if (hn_cli_given(cli, "ids")) {
        HN_TRY(hn_cli_parse_ids(hn_cli_string(cli, "ids"), "--ids", &prompt->ids, err));
        request->ids = prompt->ids.ids;
        request->n_ids = prompt->ids.n;
    } else if (raw) {
        HN_TRY(text_or_input(raw, prompt, &request->raw, err));
    } else {
        HN_TRY(text_or_input(user ? user : question, prompt, &text, err));
        HN_TRY(hn_provider_info_get(provider, &info, err));
        bool plain = question && !system && info.model && !hn_model_chat_template(info.model);
        if (plain)
            request->raw = text;
        else
            prompt->messages = make_messages(system, text);
        if (!plain && !prompt->messages) return hn_fail_memory(err, strlen(text));
    }
    request->messages = prompt->messages;
    return HN_OK;
}

hn_status hn_cli_read_prompt(hn_cli *cli, hn_provider *provider, hn_cli_prompt *prompt, hn_request *request,
                             hn_error *err) {
    static const char *const inputs[] = {"prompt", "user", "messages", "ids", "raw", NULL};
    *prompt = (hn_cli_prompt){0};
    HN_TRY(hn_cli_one_of(cli, inputs, true, err));
    if (hn_cli_given(cli, "system") && !hn_cli_given(cli, "prompt") && !hn_cli_given(cli, "user"))
        return hn_cli_usage(
            cli, err, "--system stands beside --prompt or --user; in --messages the system message is one of them");
    request->allow_special = hn_cli_flag(cli, "special");
    hn_status st = read_input(cli, provider, prompt, request, err);
    if (st != HN_OK) hn_cli_prompt_free(prompt);
    return st;
}

void hn_cli_prompt_free(hn_cli_prompt *prompt) {
    json_decref(prompt->messages);
    hn_tokens_free(&prompt->ids);
    hn_free(prompt->text);
    *prompt = (hn_cli_prompt){0};
}

typedef struct waiting {
    hn_on_completion *on_done;
    void *user;
    hn_status status;
    hn_error *err;
} waiting;

static void pass_on(void *user, uint64_t ticket, const hn_completion *c) {
    waiting *w = user;
    w->status = c->status;
    if (c->status != HN_OK && w->err) *w->err = c->error;
    w->on_done(w->user, ticket, c);
}

hn_status hn_cli_complete(hn_provider *provider, const hn_request *request, hn_on_completion *on_done, void *user,
                          hn_error *err) {
    waiting w = {on_done, user, HN_OK, err};
    uint64_t ticket;
    size_t pending = 1;
    HN_TRY(hn_provider_submit(provider, request, 0, pass_on, &w, &ticket, err));
    while (pending > 0) {
        if (hn_interrupted()) hn_provider_cancel(provider, ticket);
        HN_TRY(hn_provider_step(provider, 100, &pending, err));
    }
    return w.status;
}

json_t *hn_cli_usage_json(const hn_usage *usage) {
    json_t *cost = isfinite(usage->cost) && usage->cost > 0 ? json_real(usage->cost) : NULL;
    return json_pack("{s:i,s:i,s:i,s:o*}", "prompt_tokens", usage->prompt_tokens, "completion_tokens",
                     usage->completion_tokens, "cached_prompt_tokens", usage->cached_prompt_tokens, "cost", cost);
}

static double rounded(double ms) { return (double)(int64_t)(ms * 1000 + 0.5) / 1000; }

json_t *hn_cli_timing_json(const hn_timing *timing) {
    return json_pack("{s:f,s:f,s:f}", "queue_ms", rounded(timing->queue_ms), "prefill_ms", rounded(timing->prefill_ms),
                     "decode_ms", rounded(timing->decode_ms));
}

json_t *hn_cli_pieces_json(const hn_tokenizer *tokenizer, const int32_t *ids, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        hn_str piece = hn_tokenizer_piece(tokenizer, ids[i]);
        json_t *bytes = json_array();
        for (size_t b = 0; b < piece.len; b++) json_array_append_new(bytes, json_integer((unsigned char)piece.data[b]));
        json_t *entry =
            json_pack("{s:i,s:o,s:o}", "id", ids[i], "text", hn_cli_text(piece.data, piece.len), "bytes", bytes);
        if (json_array_append_new(list, entry) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}
