/* hone train-tokenizer: a byte-level BPE tokenizer learned from texts, as the tokenizer.json that Hugging Face's programs read too. */
#include "base/clock.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/project_cli.h"
#include "lifecycle/tune/tokenizer_train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct learning {
    hn_cli *cli;
    const char *out;
    char config[HN_PATH_MAX]; /* tokenizer_config.json beside it */
    hn_cli_project p;
    hn_text_corpus *corpus;
    hn_tokenizer_options options;
    hn_tokenizer_result result;
    hn_progress progress;
    bool has_result;
} learning;

/* ---- what goes in ---- */

static const char *const usual_specials[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};

static hn_status choose_files(learning *l, hn_error *err) {
    char folder[HN_PATH_MAX];
    l->out = hn_cli_string(l->cli, "out");
    if (!l->out)
        return hn_cli_usage(l->cli, err, "-o FILE is needed: where the tokenizer goes, such as tokenizer.json");
    hn_path_dir(l->out, folder);
    HN_TRY(hn_path_join(l->config, folder, "tokenizer_config.json", err));
    if (hn_cli_flag(l->cli, "force")) return HN_OK;
    const char *const files[] = {l->out, l->config};
    for (int i = 0; i < 2; i++)
        if (hn_file_exists(files[i]))
            return hn_fail(err, HN_ERR_EXISTS, files[i], "name another folder, or --force to replace it",
                           "the file is there already");
    return HN_OK;
}

static hn_status read_corpus(learning *l, hn_error *err) {
    hn_cli *cli = l->cli;
    size_t n_fields;
    const char *const *fields = hn_cli_list(cli, "field", &n_fields);
    if (cli->n_positional) {
        HN_TRY(hn_text_corpus_read(cli->positional, (size_t)cli->n_positional, fields, n_fields, &l->corpus, err));
    } else {
        HN_TRY(hn_cli_project_open(HN_CLI_DATA, &l->p, err));
        HN_TRY(hn_text_corpus_of_cases(l->p.dataset, HN_SPLIT_TRAIN, &l->corpus, err));
    }
    return hn_text_corpus_hold_out(l->corpus, hn_cli_real(cli, "held-out"), (uint64_t)hn_cli_int(cli, "seed"), err);
}

static void read_options(learning *l) {
    hn_tokenizer_options *o = &l->options;
    o->specials = hn_cli_list(l->cli, "special", &o->n_specials);
    if (hn_cli_flag(l->cli, "no-special"))
        o->n_specials = 0;
    else if (o->n_specials == 0)
        o->specials = usual_specials, o->n_specials = sizeof usual_specials / sizeof *usual_specials;
    o->n_vocab = (uint32_t)hn_cli_int(l->cli, "vocab");
    o->min_count = hn_cli_int(l->cli, "min-count");
    o->cut = strcmp(hn_cli_string(l->cli, "words"), "gpt2") == 0 ? HN_CUT_GPT2 : HN_CUT_SMOLLM;
}

/* ---- what comes out ---- */

static double per_token(const hn_tokenizer_result *r) {
    return r->n_tokens ? (double)r->n_bytes / (double)r->n_tokens : 0;
}

static json_t *held_json(const learning *l) {
    const hn_tokenizer_result *r = &l->result;
    if (!isfinite(r->bytes_per_token.value)) return json_null();
    return json_pack("{s:I, s:I, s:I, s:{s:f, s:f, s:f}}", "documents", (json_int_t)l->corpus->n_held_out, "bytes",
                     (json_int_t)r->n_held_bytes, "tokens", (json_int_t)r->n_held_tokens, "bytes_per_token", "value",
                     r->bytes_per_token.value, "low", r->bytes_per_token.low, "high", r->bytes_per_token.high);
}

static json_t *result_json(const learning *l) {
    const hn_tokenizer_result *r = &l->result;
    const hn_text_corpus *c = l->corpus;
    json_t *specials = json_array();
    for (size_t i = 0; i < l->options.n_specials; i++)
        json_array_append_new(specials, json_string(l->options.specials[i]));
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:o, s:s, s:I, s:f, s:o, s:f}", "path", l->out, "config", l->config,
                     "vocab", (json_int_t)r->n_vocab, "merges", (json_int_t)r->n_merges, "words",
                     (json_int_t)r->n_words, "special", specials, "cut", hn_word_cut_name(l->options.cut), "bytes",
                     (json_int_t)(c->n_bytes - c->n_held_out_bytes), "bytes_per_token", per_token(r), "held_out",
                     held_json(l), "seconds", r->seconds);
}

static void print_people(const learning *l) {
    const hn_tokenizer_result *r = &l->result;
    const hn_text_corpus *c = l->corpus;
    hn_output *out = l->cli->out;
    char bytes[32], words[32], took[32];
    hn_output_print(out, "learned from %s in %zu documents (%s different words) in %s\n",
                    hn_format_bytes(c->n_bytes - c->n_held_out_bytes, bytes), c->n - c->n_held_out,
                    hn_format_count((int64_t)r->n_words, words), hn_format_duration(r->seconds, took));
    hn_output_print(out, "%zu tokens: %zu control tokens, 256 bytes, %zu merged; %.2f bytes a token\n", r->n_vocab,
                    l->options.n_specials, r->n_vocab - 256 - l->options.n_specials, per_token(r));
    if (r->n_vocab < l->options.n_vocab)
        hn_output_print(out, "fewer than the %u asked for: no other pair stands there %lld times\n", l->options.n_vocab,
                        (long long)l->options.min_count);
    if (isfinite(r->bytes_per_token.value))
        hn_output_print(out, "on %zu held-out documents (%s): %.2f bytes a token [%.2f, %.2f]\n", c->n_held_out,
                        hn_format_bytes(r->n_held_bytes, bytes), r->bytes_per_token.value, r->bytes_per_token.low,
                        r->bytes_per_token.high);
    hn_output_print(out, "%s, %s\n", l->out, l->config);
}

static hn_status write_files(learning *l, hn_error *err) {
    char folder[HN_PATH_MAX];
    const hn_tokenizer_result *r = &l->result;
    hn_path_dir(l->out, folder);
    HN_TRY(hn_dir_create(folder, err));
    HN_TRY(hn_file_write_atomic(l->config, hn_buf_str(&r->config), r->config.len, err));
    return hn_file_write_atomic(l->out, hn_buf_str(&r->json), r->json.len, err);
}

static void on_token(void *user, uint32_t n, uint32_t of) {
    learning *l = user;
    l->progress.total = of;
    hn_progress_update(&l->progress, n);
}

static hn_status learn(learning *l, hn_error *err) {
    HN_TRY(choose_files(l, err));
    read_options(l);
    HN_TRY(read_corpus(l, err));
    l->options.on_token = on_token;
    l->options.user = l;
    hn_progress_begin(&l->progress, l->cli->out, "learning tokens", l->options.n_vocab, HN_PROGRESS_COUNT, "tokens");
    hn_status st = hn_tokenizer_train(l->corpus, &l->options, &l->result, err);
    hn_progress_end(&l->progress);
    HN_TRY(st);
    l->has_result = true;
    HN_TRY(write_files(l, err));
    if (l->cli->out->json) return hn_cli_result(l->cli, result_json(l), err);
    print_people(l);
    return HN_OK;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    learning l = {.cli = cli};
    hn_status st = learn(&l, err);
    if (l.has_result) hn_tokenizer_result_free(&l.result);
    hn_text_corpus_free(l.corpus);
    hn_cli_project_close(&l.p);
    return st;
}

static const hn_option options[] = {
    {.name = "vocab",
     .letter = 'n',
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "4096",
     .low = 256,
     .high = HN_BPE_TOKENS_MAX,
     .help = "tokens at most, control tokens and the 256 bytes among them"},
    {.name = "out",
     .letter = 'o',
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "the tokenizer.json to write; tokenizer_config.json goes beside it"},
    {.name = "special",
     .kind = HN_OPTION_LIST,
     .value = "TEXT",
     .help =
         "a control token, in the order of ids (default: <|endoftext|>, <|im_start|>, <|im_end|>); may be repeated"},
    {.name = "no-special", .kind = HN_OPTION_FLAG, .help = "no control tokens at all"},
    {.name = "words",
     .kind = HN_OPTION_CHOICE,
     .value = "smollm|gpt2",
     .otherwise = "smollm",
     .help = "how texts are cut before merging: as GPT-2 does, or so with each digit by itself"},
    {.name = "field",
     .kind = HN_OPTION_LIST,
     .value = "NAME",
     .help = "the column of a CSV file, or field of JSON rows, to learn from (default: text); may be repeated"},
    {.name = "min-count",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "2",
     .low = 1,
     .high = 1e9,
     .help = "a pair that is rarer is not merged"},
    {.name = "held-out",
     .kind = HN_OPTION_REAL,
     .value = "SHARE",
     .otherwise = "0.05",
     .low = 0,
     .high = 0.5,
     .help = "share of the documents that is measured on and not learned from"},
    {.name = "seed",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "1",
     .low = 0,
     .high = 1e15,
     .help = "chooses the held-out documents"},
    {.name = "force", .kind = HN_OPTION_FLAG, .help = "replace files that are there already"},
    {0}};

const hn_command hn_cmd_train_tokenizer = {
    .name = "train-tokenizer",
    .summary = "learn a byte-level BPE tokenizer from texts",
    .usage = "[FILE...] [--vocab N] [--field NAME] [--special TEXT] -o tokenizer.json",
    .description =
        "FILEs are texts (paragraphs are documents; without empty lines: lines), CSV files or JSON rows. Without one: "
        "the\n"
        "inputs of the project's training cases.\n"
        "The pair of neighbouring tokens with the highest count becomes the next token; of equal counts the one with "
        "the\n"
        "smaller left id, then the smaller right one: the rule of Hugging Face's trainer, so the result is the same.\n"
        "Every text can be encoded: what was not learned stays bytes.",
    .options = options,
    .max_args = -1,
    .examples = "  hone train-tokenizer book.txt --vocab 8000 -o new/tokenizer.json\n"
                "  hone train-tokenizer data/tickets.csv --field subject --field body -o new/tokenizer.json",
    .run = run,
};
