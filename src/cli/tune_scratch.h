/* `hone tune --method scratch`: the new model that takes the base's place.
 *
 *     hn_cli_scratch scratch = {.tokenizer = "new", .shape = "layers: 4, width: 128", .seed = 1};
 *     HN_TRY(hn_cli_scratch_cases(&p, prompt, &scratch, &err));         // or hn_cli_scratch_data, of texts
 *     ... opens scratch.base.folder as the base ...
 *     hn_cli_scratch_print(cli, &scratch);
 *
 * Ownership: plain values. Threading: main thread. */
#ifndef HN_CLI_TUNE_SCRATCH_H
#define HN_CLI_TUNE_SCRATCH_H

#include "cli/project_cli.h"
#include "lifecycle/tune/scratch_base.h"
#include "lifecycle/tune/tune.h"

typedef struct hn_cli_scratch {
    const char *tokenizer, *shape; /* NULL: made, chosen */
    int64_t n_vocab;               /* 0: by the size of the texts */
    uint64_t seed;
    hn_scratch_base base; /* filled */
} hn_cli_scratch;

/* Of a project: its tokenizer is learned from the inputs of the training cases and from the label wordings. */
hn_status hn_cli_scratch_cases(const hn_cli_project *p, const hn_prompt *prompt, hn_cli_scratch *scratch,
                               hn_error *err) HN_MUST_CHECK;
/* Of plain text: from the rows of setup->data that will be trained on. */
hn_status hn_cli_scratch_data(const hn_tune_setup *setup, hn_cli_scratch *scratch, hn_error *err) HN_MUST_CHECK;
/* "a new model: 4 layers ...; 1,234,567 weights; 2,000 tokens, learned here; about 38 MiB to train" */
void hn_cli_scratch_print(hn_cli *cli, const hn_cli_scratch *scratch);

/* Training data of a file: rows as hn_train_data_read has them; plain text cut into documents, and tables' columns as texts (`fields`, n_fields), see
 * project/text_corpus.h. */
hn_status hn_cli_train_data(const char *path, const char *const *fields, size_t n_fields, hn_train_data **data,
                            hn_error *err) HN_MUST_CHECK;

/* The options that it adds to the command's table. */
#define HN_TUNE_SCRATCH_OPTIONS                                                                                        \
    {.name = "tokenizer",                                                                                              \
     .kind = HN_OPTION_STRING,                                                                                         \
     .value = "FILE",                                                                                                  \
     .help =                                                                                                           \
         "with --method scratch: a tokenizer.json or a folder with one (default: learned from the training texts)"},   \
        {.name = "vocab",                                                                                              \
         .kind = HN_OPTION_INT,                                                                                        \
         .value = "N",                                                                                                 \
         .low = 256,                                                                                                   \
         .high = 1 << 20,                                                                                              \
         .help =                                                                                                       \
             "with --method scratch: tokens of the tokenizer that is learned (default: by the size of the texts)"},    \
        {.name = "shape",                                                                                              \
         .kind = HN_OPTION_STRING,                                                                                     \
         .value = "SHAPE",                                                                                             \
         .help = "with --method scratch: layers, width, heads, key_heads, feed_forward, context, tied; such as "       \
                 "\"layers: 4, width: 128\" (default: by the size of the texts)"},                                     \
    {                                                                                                                  \
        .name = "field", .kind = HN_OPTION_LIST, .value = "NAME",                                                      \
        .help = "with --data: the column of a CSV file, or field of JSON rows, whose text is learned; may be repeated" \
    }

#endif
