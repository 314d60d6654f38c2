/* hone history: the project's story, one line a lesson. */
#include "cli/commands.h"
#include "cli/project_cli.h"
#include "lifecycle/iterate/history.h"

#include <math.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static hn_estimate estimate_of(const json_t *object) {
    hn_estimate e = {(double)NAN, (double)NAN, (double)NAN};
    const json_t *value = json_object_get(object, "value"), *low = json_object_get(object, "low"),
                 *high = json_object_get(object, "high");
    if (json_is_number(value)) e.value = json_number_value(value);
    if (json_is_number(low)) e.low = json_number_value(low);
    if (json_is_number(high)) e.high = json_number_value(high);
    return e;
}

static void print_percent(hn_cli *cli, const json_t *object, const char *key) {
    char text[48];
    hn_output_print(cli->out, "%s", hn_cli_percent(estimate_of(json_object_get(object, key)), text));
}

/* Names and notes may hold anything: one line, without control characters. */
static void print_line(hn_cli *cli, const char *text, size_t max) {
    hn_buf line;
    hn_buf_init(&line, 0);
    hn_cli_excerpt(text, max, &line);
    hn_output_print(cli->out, "%s", hn_buf_str(&line));
    hn_buf_free(&line);
}

static void print_baselines(hn_cli *cli, const json_t *entry) {
    const json_t *b = json_object_get(entry, "baselines"), *majority = json_object_get(b, "majority");
    hn_output_print(cli->out, "      before any prompt: always ");
    print_line(cli, text_of(majority, "label"), 60);
    hn_output_print(cli->out, " ");
    print_percent(cli, majority, "accuracy");
    hn_output_print(cli->out, ", a bag of words ");
    print_percent(cli, json_object_get(b, "bag_of_words"), "accuracy");
    hn_output_print(cli->out, "\n");
}

static hn_style style_of(const char *verdict) {
    return strcmp(verdict, "better") == 0  ? HN_STYLE_GOOD
           : strcmp(verdict, "worse") == 0 ? HN_STYLE_BAD
                                           : HN_STYLE_WARN;
}

static void print_run(hn_cli *cli, const json_t *entry) {
    hn_output_print(cli->out, "%s%-5s%s ", hn_output_style(cli->out, HN_STYLE_BOLD), text_of(entry, "run"),
                    hn_output_style(cli->out, HN_STYLE_NONE));
    print_line(cli, text_of(entry, "prompt"), 60);
    hn_output_print(cli->out, "  ");
    print_percent(cli, entry, "accuracy");
    if (*text_of(entry, "same_as"))
        hn_output_print(cli->out, ", the same as %s on %lld cases", text_of(entry, "same_as"),
                        (long long)json_integer_value(json_object_get(entry, "n")));
    if (json_is_true(json_object_get(entry, "best")) && *text_of(entry, "against"))
        hn_output_print(cli->out, ", best so far");
    if (*text_of(entry, "tags")) hn_output_print(cli->out, ", %s", text_of(entry, "tags"));
    hn_output_print(cli->out, "\n");
    if (!*text_of(entry, "lesson")) return;
    hn_estimate d = estimate_of(json_object_get(entry, "difference"));
    double f = json_number_value(json_object_get(entry, "factor")); /* 100 for points */
    hn_output_print(cli->out, "      %s", hn_output_style(cli->out, style_of(text_of(entry, "verdict"))));
    print_line(cli, text_of(entry, "lesson"), 400);
    hn_output_print(cli->out, "%s  [%+.1f, %+.1f] against %s\n", hn_output_style(cli->out, HN_STYLE_NONE), f * d.low,
                    f * d.high, text_of(entry, "against"));
}

static void print_entry(hn_cli *cli, const json_t *entry) {
    const char *kind = text_of(entry, "kind");
    if (strcmp(kind, "baselines") == 0) print_baselines(cli, entry);
    if (strcmp(kind, "run") == 0) print_run(cli, entry);
    if (strcmp(kind, "test") == 0) {
        hn_output_print(cli->out, "%-5s ", text_of(entry, "run"));
        print_line(cli, text_of(entry, "prompt"), 60);
        hn_output_print(cli->out, "  ");
        print_percent(cli, entry, "accuracy");
        hn_output_print(cli->out, " on test (look %lld)\n",
                        (long long)json_integer_value(json_object_get(entry, "look")));
    }
    if (strcmp(kind, "note") == 0) {
        hn_output_print(cli->out, "      note (%s): ", text_of(entry, "of"));
        print_line(cli, text_of(entry, "text"), 1000);
        hn_output_print(cli->out, "\n");
    }
    if (strcmp(kind, "data") == 0) hn_output_print(cli->out, "      %s\n", text_of(entry, "text"));
    if (strcmp(kind, "target") == 0)
        hn_output_print(cli->out, "      %starget of %.0f %% reached by %s%s%s\n",
                        hn_output_style(cli->out, HN_STYLE_GOOD),
                        100 * json_number_value(json_object_get(entry, "target")), text_of(entry, "run"),
                        json_is_true(json_object_get(entry, "sure")) ? "" : ", though its interval reaches below",
                        hn_output_style(cli->out, HN_STYLE_NONE));
}

static void print_lessons(hn_cli *cli, const json_t *history, const char *key, const char *title) {
    const json_t *list = json_object_get(json_object_get(history, "lessons"), key);
    size_t i;
    json_t *lesson;
    if (json_array_size(list)) hn_output_print(cli->out, "\n%s\n", title);
    json_array_foreach(list, i, lesson) {
        hn_output_print(cli->out, "  ");
        print_line(cli, text_of(lesson, "lesson"), 400);
        hn_output_print(cli->out, "  (%s)\n", text_of(lesson, "run"));
    }
}

static void print_history(hn_cli *cli, const json_t *history) {
    const json_t *entries = json_object_get(history, "entries");
    size_t i;
    json_t *entry;
    if (json_array_size(entries) == 0) {
        hn_output_print(cli->out, "nothing was finished yet: start with hone eval\n");
        return;
    }
    if (*text_of(history, "goal")) {
        print_line(cli, text_of(history, "goal"), 200);
        hn_output_print(cli->out, "\n\n");
    }
    json_array_foreach(entries, i, entry) print_entry(cli, entry);
    print_lessons(cli, history, "helped", "What helped:");
    print_lessons(cli, history, "hurt", "What hurt:");
    print_lessons(cli, history, "undecided", "What made no difference that could be seen:");
}

static hn_status show(hn_cli *cli, const hn_cli_project *p, const hn_dataset *data, hn_error *err) {
    json_t *history;
    hn_history_setup setup = {p->store, p->scope, data, (size_t)hn_cli_int(cli, "limit")};
    HN_TRY(hn_history_make(&setup, &history, err));
    if (cli->out->json) return hn_cli_result(cli, history, err);
    hn_status st = HN_OK;
    if (hn_cli_flag(cli, "md")) {
        hn_buf text;
        hn_buf_init(&text, 0);
        hn_history_markdown(history, &text);
        st = hn_buf_check(&text, "the history", err);
        if (st == HN_OK) hn_output_print(cli->out, "%s", hn_buf_str(&text));
        hn_buf_free(&text);
    } else
        print_history(cli, history);
    json_decref(history);
    return st;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_error unused;
    const hn_dataset *data = NULL;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    /* The story can be told without the data; only the baselines need it. */
    if (hn_project_dataset(p.project, &data, &unused) != HN_OK) data = NULL;
    hn_status st = show(cli, &p, data, err);
    hn_cli_project_close(&p);
    return st;
}

static const hn_option options[] = {{.name = "md", .kind = HN_OPTION_FLAG, .help = "as a Markdown document"},
                                    {.name = "limit",
                                     .letter = 'n',
                                     .kind = HN_OPTION_INT,
                                     .value = "N",
                                     .otherwise = "0",
                                     .low = 0,
                                     .high = 1e9,
                                     .help = "the newest N runs only; 0: all"},
                                    {0}};

const hn_command hn_cmd_history = {
    .name = "history",
    .summary = "the project's story: what each change of prompt or model brought, notes, looks at test",
    .usage = "[--md] [-n N]",
    .description =
        "Each prompt is held against the earlier one that it is most like, on the same cases. \"Certain\" is a verdict "
        "as of\n`hone compare`; several such comparisons are shown, so choose on dev and confirm on test.",
    .options = options,
    .examples = "  hone history\n  hone history --md > HISTORY.md",
    .run = run,
};
