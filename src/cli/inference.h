/* What the commands that run a model share: opening it by its options, reading messages, ids and labels, one request from start to end,
 * and the JSON of usage, timing and tokens.
 *
 *     static const hn_option options[] = {HN_MODEL_OPTIONS, HN_PROMPT_OPTIONS, {0}};
 *     hn_provider *p;
 *     HN_TRY(hn_cli_open_model(cli, &p, &err));
 *     hn_cli_prompt prompt;
 *     HN_TRY(hn_cli_read_prompt(cli, p, &prompt, &request, &err));       // fills request's input; prompt owns what it points to
 *     HN_TRY(hn_cli_complete(p, &request, on_done, user, &err));
 *     hn_cli_prompt_free(&prompt); hn_provider_close(p);
 *
 * Threading: main thread. */
#ifndef HN_CLI_INFERENCE_H
#define HN_CLI_INFERENCE_H

#include "base/file.h"
#include "cli/command.h"
#include "cli/remote_cli.h"
#include "project/project.h"
#include "provider/provider.h"

#define HN_MODEL_OPTIONS                                                                                               \
    {.name = "model",                                                                                                  \
     .letter = 'm',                                                                                                    \
     .kind = HN_OPTION_STRING,                                                                                         \
     .value = "MODEL",                                                                                                 \
     .help = "catalogue name or path of a model, a name under `models:` in hone.yaml, or openai:NAME@URL, "            \
             "anthropic:NAME@URL (default: the project's, else smollm2); MODEL+FOLDER adds a LoRA adapter, tune:r12 "  \
             "is what that run trained"},                                                                              \
        HN_ENGINE_OPTIONS

/* The same without the name. */
#define HN_ENGINE_OPTIONS                                                                                              \
    {.name = "budget",                                                                                                 \
     .kind = HN_OPTION_REAL,                                                                                           \
     .value = "DOLLARS",                                                                                               \
     .low = 1e-9,                                                                                                      \
     .high = 1e9,                                                                                                      \
     .help = "stop before a remote model has cost more (default: `budget:` in hone.yaml)"},                            \
        {.name = "threads",                                                                                            \
         .letter = 't',                                                                                                \
         .kind = HN_OPTION_INT,                                                                                        \
         .value = "N",                                                                                                 \
         .low = 1,                                                                                                     \
         .high = 1024,                                                                                                 \
         .help = "threads (default: one per CPU)"},                                                                    \
        {.name = "memory",                                                                                             \
         .kind = HN_OPTION_CHOICE,                                                                                     \
         .value = "full|low",                                                                                          \
         .otherwise = "full",                                                                                          \
         .help = "low: no repacked copy of the weights; slower, the same answers"},                                    \
        {.name = "kv",                                                                                                 \
         .kind = HN_OPTION_CHOICE,                                                                                     \
         .value = "f16|q8_0",                                                                                          \
         .otherwise = "f16",                                                                                           \
         .help = "how the KV cache is stored; q8_0 takes about half the memory, answers differ a little"},             \
        {.name = "kv-memory",                                                                                          \
         .kind = HN_OPTION_INT,                                                                                        \
         .value = "MB",                                                                                                \
         .low = 1,                                                                                                     \
         .high = 1 << 30,                                                                                              \
         .help = "memory of the KV cache at most (default: a quarter of the machine's)"},                              \
        {.name = "prefix-cache",                                                                                       \
         .kind = HN_OPTION_INT,                                                                                        \
         .value = "MB",                                                                                                \
         .low = 0,                                                                                                     \
         .high = 1 << 30,                                                                                              \
         .help = "keep computed beginnings of prompts on disk, up to MB megabytes in all; answers are the same "       \
                 "(default: $HONE_PREFIX_CACHE, else 0: off)"},                                                        \
    {                                                                                                                  \
        .name = "context", .kind = HN_OPTION_INT, .value = "N", .low = 1, .high = 1 << 24,                             \
        .help = "context window in tokens (default: the model's)"                                                      \
    }

#define HN_PROMPT_OPTIONS                                                                                              \
    {.name = "prompt",                                                                                                 \
     .letter = 'p',                                                                                                    \
     .kind = HN_OPTION_STRING,                                                                                         \
     .value = "TEXT",                                                                                                  \
     .help = "a question: one user turn through the chat template (plain text where the model has none); - reads "     \
             "standard input"},                                                                                        \
        {.name = "system", .kind = HN_OPTION_STRING, .value = "TEXT", .help = "system message in front"},              \
        {.name = "user", .kind = HN_OPTION_STRING, .value = "TEXT", .help = "user message through the chat template"}, \
        {.name = "messages",                                                                                           \
         .kind = HN_OPTION_STRING,                                                                                     \
         .value = "FILE",                                                                                              \
         .help = "messages as JSON: [{\"role\": ..., \"content\": ...}, ...]"},                                        \
        {.name = "ids", .kind = HN_OPTION_STRING, .value = "1,2,3", .help = "token ids, taken as they are"},           \
        {.name = "raw",                                                                                                \
         .kind = HN_OPTION_STRING,                                                                                     \
         .value = "TEXT",                                                                                              \
         .help = "plain text without a chat template; - reads standard input"},                                        \
    {                                                                                                                  \
        .name = "special", .kind = HN_OPTION_FLAG,                                                                     \
        .help = "with --raw: control tokens written in the text are control tokens"                                    \
    }

/* The path of the model that -m names (default: smollm2). Valid as long as `path`. */
hn_status hn_cli_model_path(hn_cli *cli, char path[HN_PATH_MAX], hn_error *err) HN_MUST_CHECK;
/* What a local model's name means: its file or folder, and the LoRA adapter beside it ("": none) where the name is MODEL+FOLDER or tune:RUN.
 * HN_ERR_NOT_FOUND. */
hn_status hn_cli_resolve_model(const char *name, char path[HN_PATH_MAX], char adapter[HN_PATH_MAX],
                               hn_error *err) HN_MUST_CHECK;
/* What the HN_MODEL_OPTIONS say, without a name. */
hn_local_options hn_cli_local_options(hn_cli *cli);
/* Says what the prefix cache on disk saved, where it did something; a NULL or remote provider is fine. */
void hn_cli_note_prefix_cache(hn_cli *cli, hn_provider *provider);
/* How remote models are opened: set by main. NULL: this program has no HTTP client. */
extern hn_cli_remote_opener *hn_cli_remote;
/* The model called `name`: one of the scope's `models:` (scope NULL: none), API:MODEL@URL, a catalogue name or a path. */
hn_status hn_cli_open_named(const hn_scope *scope, const char *name, const hn_local_options *options,
                            hn_provider **provider, hn_error *err) HN_MUST_CHECK;
/* Opens it with the HN_MODEL_OPTIONS; close with hn_provider_close. */
hn_status hn_cli_open_model(hn_cli *cli, hn_provider **provider, hn_error *err) HN_MUST_CHECK;

typedef struct hn_cli_prompt {
    json_t *messages;
    hn_tokens ids;
    char *text; /* of standard input */
} hn_cli_prompt;

/* Fills the input of `request` from the HN_PROMPT_OPTIONS, exactly one of which must be there (system may stand beside prompt or user). */
hn_status hn_cli_read_prompt(hn_cli *cli, hn_provider *provider, hn_cli_prompt *prompt, hn_request *request,
                             hn_error *err) HN_MUST_CHECK;
void hn_cli_prompt_free(hn_cli_prompt *prompt);

/* An array of {role, content, ...} from a JSON file ("-": standard input); {"messages": [...]} is fine too. New reference. */
hn_status hn_cli_read_messages(const char *path, json_t **messages, hn_error *err) HN_MUST_CHECK;
/* "1,2,3" (blanks allowed) into ids; `where` names the option in errors. */
hn_status hn_cli_parse_ids(const char *text, const char *where, hn_tokens *ids, hn_error *err) HN_MUST_CHECK;

/* Submits one request and steps until its completion was handed out; returns the completion's status. Ctrl-C cancels. */
hn_status hn_cli_complete(hn_provider *provider, const hn_request *request, hn_on_completion *on_done, void *user,
                          hn_error *err) HN_MUST_CHECK;

/* New references; NULL when memory is used up. */
json_t *hn_cli_usage_json(const hn_usage *usage);
json_t *hn_cli_timing_json(const hn_timing *timing);
/* [{"id","text","bytes"}] of ids. */
json_t *hn_cli_pieces_json(const hn_tokenizer *tokenizer, const int32_t *ids, size_t n);

#endif
