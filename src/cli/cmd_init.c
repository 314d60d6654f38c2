/* hone init: a new project from a data file, or the example project. Guessed columns are shown, with what to say to change them. */
#include "cli/commands.h"
#include "project/init.h"

#include <string.h>

enum { LABELS_SHOWN = 12 };

/* "a,b" and repeated options alike, as one list. */
static hn_status split_names(hn_cli *cli, const char *const *given, size_t n_given, const char ***names, size_t *n,
                             hn_error *err) {
    size_t room = 0;
    for (size_t i = 0; i < n_given; i++) room += strlen(given[i]) / 2 + 1;
    *n = 0;
    *names = hn_arena_calloc(cli->arena, room, sizeof **names);
    if (!*names) return hn_fail_memory(err, room * sizeof **names);
    for (size_t i = 0; i < n_given; i++) {
        for (const char *at = given[i], *comma; at; at = comma ? comma + 1 : NULL) {
            comma = strchr(at, ',');
            size_t length = comma ? (size_t)(comma - at) : strlen(at);
            if (length == 0) return hn_cli_usage(cli, err, "--input has an empty column name");
            if (!((*names)[(*n)++] = hn_arena_strndup(cli->arena, at, length))) return hn_fail_memory(err, length);
        }
    }
    return HN_OK;
}

static void print_names(hn_cli *cli, char *const *names, size_t n, size_t shown) {
    for (size_t i = 0; i < n && i < shown; i++) hn_output_print(cli->out, "%s%s", i ? ", " : "", names[i]);
    if (n > shown) hn_output_print(cli->out, " and %zu more", n - shown);
}

static void print_result(hn_cli *cli, const char *dir, const hn_init_result *r) {
    static const char *const kinds[] = {"", "text", "number", ""};
    hn_output_print(cli->out, "project   %s\n", dir);
    hn_output_print(cli->out, "data      %zu cases: %zu train, %zu dev, %zu test\n", r->n_cases,
                    r->n_split[HN_SPLIT_TRAIN], r->n_split[HN_SPLIT_DEV], r->n_split[HN_SPLIT_TEST]);
    hn_output_print(cli->out, "input     ");
    print_names(cli, r->inputs, r->n_inputs, r->n_inputs);
    hn_output_print(cli->out, "%s\ntarget    %s%s\n", r->guessed_inputs ? "  (guessed; else --input COL,...)" : "",
                    r->target, r->guessed_target ? "  (guessed; else --target COL)" : "");
    if (r->group)
        hn_output_print(cli->out, "group     %s%s\n", r->group,
                        r->guessed_group ? "  (guessed; else --group COL)" : "");
    if (r->id) hn_output_print(cli->out, "id        %s\n", r->id);
    hn_output_print(cli->out, "output    ");
    if (r->kind == HN_CONTRACT_CHOICE) {
        hn_output_print(cli->out, "one of %zu labels: ", r->n_labels);
        print_names(cli, r->labels, r->n_labels, LABELS_SHOWN);
        hn_output_print(cli->out, "\n");
    } else {
        hn_output_print(cli->out, "%s\n", kinds[r->kind]);
    }
    hn_output_print(cli->out, "written   ");
    print_names(cli, r->files, r->n_files, r->n_files);
    bool here = strcmp(dir, ".") == 0;
    hn_output_print(cli->out, "\n\nnext      %s%s%shone scope, then hone eval prompts/*.yaml\n", here ? "" : "cd ",
                    here ? "" : dir, here ? "" : " && ");
}

static json_t *text_or_null(const char *text) { return text ? hn_cli_text(text, strlen(text)) : json_null(); }

static json_t *list_of(char *const *names, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        if (json_array_append_new(list, text_or_null(names[i])) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *result_json(const char *dir, const hn_init_result *r) {
    static const char *const kinds[] = {"choice", "text", "number", "regex"};
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:{s:b, s:b, s:b}, s:s, s:o, s:I, s:{s:I, s:I, s:I}, s:o}", "dir",
                     text_or_null(dir), "input", list_of(r->inputs, r->n_inputs), "target", text_or_null(r->target),
                     "group", text_or_null(r->group), "id", text_or_null(r->id), "guessed", "input", r->guessed_inputs,
                     "target", r->guessed_target, "group", r->guessed_group, "output", kinds[r->kind], "labels",
                     list_of(r->labels, r->n_labels), "n", (json_int_t)r->n_cases, "splits", "train",
                     (json_int_t)r->n_split[HN_SPLIT_TRAIN], "dev", (json_int_t)r->n_split[HN_SPLIT_DEV], "test",
                     (json_int_t)r->n_split[HN_SPLIT_TEST], "files", list_of(r->files, r->n_files));
}

static hn_status check_usage(hn_cli *cli, hn_error *err) {
    static const char *const sources[] = {"data", "example", NULL};
    static const char *const of_data[] = {"test", "input", "target", "group"};
    HN_TRY(hn_cli_one_of(cli, sources, true, err));
    for (size_t i = 0; hn_cli_given(cli, "example") && i < sizeof of_data / sizeof *of_data; i++)
        if (hn_cli_given(cli, of_data[i]))
            return hn_cli_usage(cli, err, "--%s goes with --data: the example has its own", of_data[i]);
    return HN_OK;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    const char *dir = cli->n_positional ? cli->positional[0] : ".", **inputs;
    size_t n_given, n_inputs;
    HN_TRY(check_usage(cli, err));
    const char *const *given = hn_cli_list(cli, "input", &n_given);
    HN_TRY(split_names(cli, given, n_given, &inputs, &n_inputs, err));
    hn_init_result r;
    hn_init_options with = {hn_cli_string(cli, "data"),   hn_cli_string(cli, "test"), inputs, n_inputs,
                            hn_cli_string(cli, "target"), hn_cli_string(cli, "group")};
    HN_TRY(with.data ? hn_init_from_data(dir, &with, &r, err)
                     : hn_init_example(dir, hn_cli_string(cli, "example"), &r, err));
    hn_status st = HN_OK;
    if (cli->out->json)
        st = hn_cli_result(cli, result_json(dir, &r), err);
    else
        print_result(cli, dir, &r);
    hn_init_result_free(&r);
    return st;
}

static const hn_option options[] = {
    {.name = "data",
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "the labelled cases: CSV, TSV or JSON Lines; copied into DIR/data unless it lies in DIR"},
    {.name = "test",
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "a file of its own for the test split; train and dev then come from --data"},
    {.name = "input",
     .kind = HN_OPTION_LIST,
     .value = "COL,...",
     .help = "the columns that the model may see; guessed: the longest texts"},
    {.name = "target",
     .kind = HN_OPTION_STRING,
     .value = "COL",
     .help = "the column with the right answers; guessed: few values that repeat"},
    {.name = "group",
     .kind = HN_OPTION_STRING,
     .value = "COL",
     .help = "cases with the same value stay in one split, such as those of one customer"},
    {.name = "example",
     .kind = HN_OPTION_STRING,
     .value = "NAME",
     .help = "instead of --data: a copy of the example project, tickets"},
    {0}};

const hn_command hn_cmd_init = {
    .name = "init",
    .summary = "make a project from labelled data, or copy the example",
    .usage = "[DIR] (--data FILE [--test FILE] | --example tickets)",
    .description =
        "Writes hone.yaml, two or three prompts to begin with, and a .gitignore into DIR (the current folder).\n"
        "Nothing is overwritten. docs/project.md describes both kinds of file.",
    .options = options,
    .min_args = 0,
    .max_args = 1,
    .examples = "  hone init --example tickets tickets\n"
                "  hone init banking --data train.csv --test test.csv\n"
                "  hone init --data tickets.csv --input subject,body --target team --group customer",
    .run = run};
