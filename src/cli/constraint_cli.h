/* What the commands that generate text share about the answer's shape: --json-schema, --json-object, --regex, --grammar, --choices,
 * and tools: --tools, --tool-choice.
 *
 *     static const hn_option options[] = {HN_MODEL_OPTIONS, HN_CONSTRAINT_OPTIONS, {0}};
 *     hn_cli_constraint shape;
 *     HN_TRY(hn_cli_read_constraint(cli, &shape, &request, &err));      // fills request.constraint, tools, tool_choice
 *     json_t *parsed = hn_cli_parsed(&shape, completion);               // for --json
 *     hn_cli_constraint_free(&shape);
 *
 * Ownership: the request borrows from `shape`. Threading: main thread. */
#ifndef HN_CLI_CONSTRAINT_CLI_H
#define HN_CLI_CONSTRAINT_CLI_H

#include "cli/command.h"
#include "format/json_schema.h"
#include "provider/provider.h"

#define HN_CONSTRAINT_OPTIONS                                                                                          \
    {.name = "json-schema",                                                                                            \
     .kind = HN_OPTION_STRING,                                                                                         \
     .value = "FILE",                                                                                                  \
     .help = "the answer is JSON that this JSON Schema accepts"},                                                      \
        {.name = "json-object", .kind = HN_OPTION_FLAG, .help = "the answer is a JSON object"},                        \
        {.name = "regex",                                                                                              \
         .kind = HN_OPTION_STRING,                                                                                     \
         .value = "PATTERN",                                                                                           \
         .help = "the whole answer matches this regular expression"},                                                  \
        {.name = "grammar",                                                                                            \
         .kind = HN_OPTION_STRING,                                                                                     \
         .value = "FILE",                                                                                              \
         .help = "the answer is in the language of this GBNF grammar"},                                                \
        {.name = "choices", .kind = HN_OPTION_STRING, .value = "A,B,...", .help = "the answer is one of these"},       \
        {.name = "tools",                                                                                              \
         .kind = HN_OPTION_STRING,                                                                                     \
         .value = "FILE",                                                                                              \
         .help = "functions that the model may call, as JSON: [{\"type\": \"function\", \"function\": {...}}]"},       \
    {                                                                                                                  \
        .name = "tool-choice", .kind = HN_OPTION_STRING, .value = "auto|none|required|NAME",                           \
        .help = "with --tools: whether the answer must be a call, and of which function"                               \
    }

typedef struct hn_cli_constraint {
    hn_constraint_kind kind;
    json_t *schema, *tools;
    hn_json_schema *validator; /* SCHEMA */
    char *text;                /* of a grammar file */
} hn_cli_constraint;

hn_status hn_cli_read_constraint(hn_cli *cli, hn_cli_constraint *shape, hn_request *request,
                                 hn_error *err) HN_MUST_CHECK;
/* The value that an answer stands for: JSON where that was asked for, else its text; null where it was cut or is not valid. NULL: there is
 * no constraint, or memory is used up. New reference. */
json_t *hn_cli_parsed(const hn_cli_constraint *shape, const hn_completion *c);
void hn_cli_constraint_free(hn_cli_constraint *shape);

#endif
