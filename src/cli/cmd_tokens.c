/* hone tokens: a prompt filled in for a case, a text, messages or a file as the model sees it. */
#include "cli/commands.h"
#include "cli/inference.h"
#include "cli/project_cli.h"
#include "cli/token_picture.h"
#include "cli/tokens_loss.h"
#include "lifecycle/prompt/prompt_view.h"
#include "model/context_length.h"

#include <string.h>

enum { TEXT_BYTES_MAX = 256 << 20 };

static hn_status picture_of_list(const hn_model *model, json_t *messages, hn_token_picture *picture, hn_error *err) {
    hn_chat_options options = {.add_generation_prompt = true};
    if (hn_model_tokenizer(model)) hn_chat_options_init(&options, hn_model_tokenizer(model));
    options.add_generation_prompt = true;
    return hn_token_picture_messages(picture, model, messages, &options, err);
}

static hn_status picture_of_messages(hn_cli *cli, const hn_model *model, hn_token_picture *picture, hn_error *err) {
    json_t *messages;
    HN_TRY(hn_cli_read_messages(hn_cli_string(cli, "messages"), &messages, err));
    hn_status st = picture_of_list(model, messages, picture, err);
    json_decref(messages);
    return st;
}

/* The prompt file filled in for one case of the project, with the examples that a run would show. */
static hn_status picture_of_view(hn_cli *cli, const hn_cli_project *p, const hn_prompt *prompt, const hn_model *model,
                                 hn_token_picture *picture, hn_error *err) {
    hn_prompt_view view;
    HN_TRY(hn_prompt_view_make(p->scope, p->dataset, prompt, hn_cli_string(cli, "case"), &view, err));
    hn_output_print(cli->out, "%s, case %s of %s", prompt->name, view.c->id, hn_split_name(view.c->split));
    if (view.n_examples) hn_output_print(cli->out, ", %zu examples", view.n_examples);
    hn_output_print(cli->out, "\n\n");
    hn_status st = view.raw ? hn_token_picture_text(picture, model, view.raw, strlen(view.raw), HN_TOKENIZE_BOS, err)
                            : picture_of_list(model, view.messages, picture, err);
    hn_prompt_view_free(&view);
    return st;
}

static hn_status picture_of_prompt(hn_cli *cli, const hn_model *model, hn_token_picture *picture, hn_error *err) {
    char path[HN_PATH_MAX];
    hn_cli_project p;
    hn_prompt *prompt;
    HN_TRY(hn_cli_project_open(HN_CLI_DATA, &p, err));
    hn_status st = hn_cli_prompt_path(&p, cli->positional[0], path, err);
    if (st == HN_OK) st = hn_prompt_load(path, p.scope, p.dataset, &prompt, err);
    if (st == HN_OK) {
        st = hn_cli_flag(cli, "loss") ? hn_cli_tokens_loss_prompt(cli, &p, prompt, model, err)
                                      : picture_of_view(cli, &p, prompt, model, picture, err);
        hn_prompt_free(prompt);
    }
    hn_cli_project_close(&p);
    return st;
}

static hn_status picture_of_text(hn_cli *cli, const hn_model *model, hn_token_picture *picture, hn_error *err) {
    const char *raw = hn_cli_string(cli, "raw"), *path = hn_cli_string(cli, "file");
    unsigned flags =
        (hn_cli_flag(cli, "special") ? HN_TOKENIZE_SPECIAL : 0) | (hn_cli_flag(cli, "bos") ? HN_TOKENIZE_BOS : 0);
    if (raw) return hn_token_picture_text(picture, model, raw, strlen(raw), flags, err);
    char *text;
    size_t n;
    HN_TRY(hn_file_read(path, TEXT_BYTES_MAX, &text, &n, err));
    hn_status st = hn_token_picture_text(picture, model, text, n, flags, err);
    hn_free(text);
    return st;
}

static hn_status write_page(hn_cli *cli, const hn_token_picture *picture, hn_error *err) {
    const char *path = hn_cli_string(cli, "html"), *name = hn_cli_string(cli, "file");
    hn_buf page;
    hn_buf_init(&page, 0);
    hn_token_picture_html(picture, name ? hn_path_base(name) : "Tokens", &page);
    hn_status st = hn_buf_check(&page, "the page", err);
    if (st == HN_OK && strcmp(path, "-") == 0)
        (void)hn_output_stream(page.data, page.len);
    else if (st == HN_OK)
        st = hn_file_write_atomic(path, page.data, page.len, err);
    hn_buf_free(&page);
    return st;
}

static hn_status show(hn_cli *cli, const hn_token_picture *picture, hn_error *err) {
    if (hn_cli_given(cli, "html")) {
        HN_TRY(write_page(cli, picture, err));
        if (!cli->out->json) return HN_OK;
    }
    if (cli->out->json) return hn_cli_result(cli, hn_token_picture_json(picture), err);
    return hn_token_picture_print(picture, cli->out, err);
}

/* What only goes together. */
static hn_status check_usage(hn_cli *cli, hn_error *err) {
    static const char *const inputs[] = {"file", "raw", "messages", "data", NULL};
    bool is_prompt = cli->n_positional > 0, data = hn_cli_given(cli, "data"), loss = hn_cli_flag(cli, "loss");
    if (!is_prompt) HN_TRY(hn_cli_one_of(cli, inputs, true, err));
    if (is_prompt && (hn_cli_given(cli, "file") || hn_cli_given(cli, "raw") || hn_cli_given(cli, "messages") || data))
        return hn_cli_usage(cli, err, "give a prompt, or one of --file, --raw, --messages and --data");
    if (loss && !is_prompt && !data)
        return hn_cli_usage(cli, err, "--loss needs an answer to learn: give a prompt of a project, or --data FILE");
    if ((loss || data) && hn_cli_given(cli, "html"))
        return hn_cli_usage(cli, err, "--html does not show what is learned; leave it out, or leave out --loss");
    if (!data && (hn_cli_given(cli, "row") || hn_cli_given(cli, "max-tokens")))
        return hn_cli_usage(cli, err, "--row and --max-tokens are about --data FILE");
    if (cli->out->json && hn_cli_given(cli, "html") && strcmp(hn_cli_string(cli, "html"), "-") == 0)
        return hn_cli_usage(cli, err, "--json and --html - would both write to standard output");
    return HN_OK;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    char path[HN_PATH_MAX];
    hn_model *model;
    hn_token_picture picture = {0};
    bool is_prompt = cli->n_positional > 0;
    bool loss = hn_cli_flag(cli, "loss") || hn_cli_given(cli, "data");
    HN_TRY(check_usage(cli, err));
    HN_TRY(hn_cli_model_path(cli, path, err));
    HN_TRY(hn_model_open(path, HN_MODEL_VOCAB_ONLY, &model, err));
    hn_status st = hn_cli_given(cli, "data")       ? hn_cli_tokens_loss_data(cli, model, err)
                   : is_prompt                     ? picture_of_prompt(cli, model, &picture, err)
                   : hn_cli_given(cli, "messages") ? picture_of_messages(cli, model, &picture, err)
                                                   : picture_of_text(cli, model, &picture, err);
    if (picture.context == 0) picture.context = hn_model_context_of(path);
    if (st == HN_OK && !loss) st = show(cli, &picture, err);
    hn_token_picture_free(&picture);
    hn_model_close(model);
    return st;
}

static const hn_option options[] = {
    {.name = "model",
     .letter = 'm',
     .kind = HN_OPTION_STRING,
     .value = "MODEL",
     .help = "catalogue name or path; a GGUF file with a vocabulary only will do"},
    {.name = "file",
     .letter = 'f',
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "a text file; - reads standard input"},
    {.name = "raw", .kind = HN_OPTION_STRING, .value = "TEXT", .help = "a text"},
    {.name = "messages",
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "messages as JSON, through the model's chat template"},
    {.name = "case",
     .kind = HN_OPTION_STRING,
     .value = "ID",
     .help = "with a prompt: the case to fill in (default: the first of dev)"},
    {.name = "loss",
     .kind = HN_OPTION_FLAG,
     .help = "with a prompt: the case with its target as the answer, and which tokens training learns"},
    {.name = "data",
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "training data (OpenAI chat, ShareGPT, Alpaca, preference pairs, texts): a row with the tokens that are "
             "learned, and a check of all rows"},
    {.name = "row",
     .kind = HN_OPTION_INT,
     .value = "N",
     .low = 1,
     .high = 1 << 30,
     .help = "with --data: show this row, without the check of all"},
    {.name = "max-tokens",
     .kind = HN_OPTION_INT,
     .value = "N",
     .low = 1,
     .high = 1 << 24,
     .help = "with --data: refuse rows whose answers do not fit in N tokens"},
    {.name = "special", .kind = HN_OPTION_FLAG, .help = "control tokens written in the text are control tokens"},
    {.name = "bos", .kind = HN_OPTION_FLAG, .help = "put in front what the model wants at the start of a text"},
    {.name = "html",
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "write a page that stands alone; - writes it to standard output"},
    {0}};

const hn_command hn_cmd_tokens = {
    .name = "tokens",
    .summary = "a prompt as the model sees it: coloured chunks, counts, room left",
    .usage = "[-m MODEL] (PROMPT [--case ID] [--loss] | --file FILE | --raw TEXT | --messages FILE | --data FILE "
             "[--row N]) [OPTIONS]",
    .options = options,
    .max_args = 1,
    .examples = "  hone tokens prompts/6-nearest.yaml\n  hone tokens --raw \"How many chunks is this?\"\n  hone tokens "
                "--messages chat.json --html chat.html\n"
                "  hone tokens prompts/6-nearest.yaml --loss\n  hone tokens --data chat.jsonl --row 3",
    .run = run};
