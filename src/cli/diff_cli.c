/* Two runs side by side, for people; see diff_cli.h. */
#include "cli/diff_cli.h"

#include "cli/project_cli.h"

#include <stdio.h>
#include <string.h>

enum { EXCERPT = 240 };

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static json_int_t int_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

/* Text on the terminal: control characters but line breaks are left out, so that a prompt cannot steer it. */
static void print_text(hn_cli *cli, const char *text) {
    hn_buf clean;
    hn_buf_init(&clean, 0);
    for (; *text; text++)
        if ((unsigned char)*text >= 0x20 || *text == '\n' || *text == '\t') hn_buf_append_char(&clean, *text);
    hn_output_print(cli->out, "%s", hn_buf_str(&clean));
    hn_buf_free(&clean);
}

/* Marks that show without colours, too. */
static void print_marked(hn_cli *cli, const char *op, const char *text) {
    bool removed = strcmp(op, "removed") == 0, added = strcmp(op, "added") == 0;
    if (removed) hn_output_print(cli->out, "%s[-", hn_output_style(cli->out, HN_STYLE_BAD));
    if (added) hn_output_print(cli->out, "%s{+", hn_output_style(cli->out, HN_STYLE_GOOD));
    print_text(cli, text);
    if (removed) hn_output_print(cli->out, "-]%s", hn_output_style(cli->out, HN_STYLE_NONE));
    if (added) hn_output_print(cli->out, "+}%s", hn_output_style(cli->out, HN_STYLE_NONE));
}

static void print_words(hn_cli *cli, const json_t *pieces) {
    size_t i;
    json_t *piece;
    json_array_foreach(pieces, i, piece) print_marked(cli, text_of(piece, "op"), text_of(piece, "text"));
    hn_output_print(cli->out, "\n");
}

static void print_tokens(hn_cli *cli, const json_t *pieces) {
    size_t i, k;
    json_t *run, *token;
    json_array_foreach(pieces, i, run) {
        const char *op = text_of(run, "op");
        bool changed = strcmp(op, "same") != 0;
        if (changed) hn_output_print(cli->out, "%s", strcmp(op, "removed") == 0 ? "[-" : "{+");
        json_array_foreach(json_object_get(run, "tokens"), k, token) {
            print_text(cli, json_string_value(token));
            hn_output_print(cli->out, "|");
        }
        if (changed) hn_output_print(cli->out, "%s", strcmp(op, "removed") == 0 ? "-]" : "+}");
    }
    hn_output_print(cli->out, "\n");
}

static void print_value(hn_cli *cli, const json_t *change, const char *side) {
    const char *text = json_string_value(json_object_get(change, side));
    if (text)
        print_text(cli, *text ? text : "\"\"");
    else
        hn_output_print(cli->out, "(not there)");
}

static void heading(hn_cli *cli, const char *text) {
    hn_output_print(cli->out, "\n%s%s%s\n", hn_output_style(cli->out, HN_STYLE_BOLD), text,
                    hn_output_style(cli->out, HN_STYLE_NONE));
}

static void print_change(hn_cli *cli, const json_t *change, bool by_token) {
    const json_t *pieces = json_object_get(change, "pieces"), *tokens = json_object_get(change, "tokens");
    hn_output_print(cli->out, "  %s", text_of(change, "what"));
    if (tokens)
        hn_output_print(cli->out, "  (%lld -> %lld tokens, %+lld)", (long long)int_of(tokens, "a"),
                        (long long)int_of(tokens, "b"), (long long)(int_of(tokens, "b") - int_of(tokens, "a")));
    hn_output_print(cli->out, pieces ? "\n    " : ": ");
    if (pieces && by_token && tokens)
        print_tokens(cli, json_object_get(tokens, "pieces"));
    else if (pieces)
        print_words(cli, pieces);
    else {
        print_value(cli, change, "a");
        hn_output_print(cli->out, " -> ");
        print_value(cli, change, "b");
        hn_output_print(cli->out, "\n");
    }
}

static void print_changes(hn_cli *cli, const char *title, const json_t *list, bool by_token) {
    size_t i;
    json_t *change;
    if (json_array_size(list)) heading(cli, title);
    json_array_foreach(list, i, change) print_change(cli, change, by_token);
}

static void print_excerpt(hn_cli *cli, const char *text) {
    hn_buf excerpt;
    hn_buf_init(&excerpt, 0);
    hn_cli_excerpt(text, EXCERPT, &excerpt);
    hn_output_print(cli->out, "%s", hn_buf_str(&excerpt));
    hn_buf_free(&excerpt);
}

static void print_data(hn_cli *cli, const json_t *diff, size_t n_shown) {
    const json_t *data = json_object_get(diff, "data"), *cases = json_object_get(data, "cases");
    if (json_is_true(json_object_get(data, "same"))) return;
    heading(cli, "Data");
    if (!json_is_true(json_object_get(data, "known"))) {
        hn_output_print(cli->out, "  they differ; the older one was not kept, so it cannot be said in which cases\n");
        return;
    }
    hn_output_print(cli->out, "  %lld cases added, %lld removed, %lld changed, %lld moved to another split\n",
                    (long long)int_of(data, "added"), (long long)int_of(data, "removed"),
                    (long long)int_of(data, "changed"), (long long)int_of(data, "moved"));
    for (size_t i = 0; i < json_array_size(cases) && i < n_shown; i++) {
        const json_t *row = json_array_get(cases, i), *a = json_object_get(row, "a"), *b = json_object_get(row, "b");
        hn_output_print(cli->out, "  %-8s %s  ", text_of(row, "how"), text_of(row, "case"));
        print_excerpt(cli, text_of(json_is_object(b) ? b : a, "text"));
        if (strcmp(text_of(a, "target"), text_of(b, "target")) != 0 && json_is_object(a) && json_is_object(b))
            hn_output_print(cli->out, "  (target %s -> %s)", text_of(a, "target"), text_of(b, "target"));
        if (strcmp(text_of(row, "how"), "moved") == 0)
            hn_output_print(cli->out, "  (%s -> %s)", text_of(a, "split"), text_of(b, "split"));
        hn_output_print(cli->out, "\n");
    }
    if (n_shown && json_array_size(cases) > n_shown)
        hn_output_print(cli->out, "  ... %zu more: --cases N, or --json\n", json_array_size(cases) - n_shown);
}

static void print_answer(hn_cli *cli, const json_t *diff, const char *side, const json_t *row) {
    const json_t *answer = json_object_get(row, side), *p = json_object_get(answer, "probability");
    const char *value = json_string_value(json_object_get(answer, "answer"));
    hn_output_print(cli->out, "    %-6s ", text_of(json_object_get(diff, side), "run"));
    print_excerpt(cli, value ? value : *text_of(answer, "error") ? "(not answered)" : "(no valid answer)");
    if (json_is_number(p)) hn_output_print(cli->out, " (%.0f %%)", 100 * json_number_value(p));
    hn_output_print(cli->out, "%s\n", json_is_true(json_object_get(answer, "right")) ? ", right" : "");
}

static void print_answers(hn_cli *cli, const json_t *diff, size_t n_shown) {
    const json_t *answers = json_object_get(diff, "answers"), *cases = json_object_get(answers, "cases");
    long long shared = int_of(answers, "shared");
    heading(cli, "Answers");
    if (shared == 0) {
        hn_output_print(cli->out, "  the runs share no cases\n");
        return;
    }
    hn_output_print(cli->out, "  of %lld shared cases %lld became right, %lld wrong, %lld changed otherwise\n", shared,
                    (long long)int_of(answers, "won"), (long long)int_of(answers, "lost"),
                    (long long)int_of(answers, "other"));
    for (size_t i = 0; i < json_array_size(cases) && i < n_shown; i++) {
        const json_t *row = json_array_get(cases, i);
        hn_output_print(cli->out, "  %s%s%s  ", hn_output_style(cli->out, HN_STYLE_BOLD), text_of(row, "case"),
                        hn_output_style(cli->out, HN_STYLE_NONE));
        print_excerpt(cli, text_of(row, "text"));
        hn_output_print(cli->out, "\n    target ");
        print_excerpt(cli, text_of(row, "target"));
        hn_output_print(cli->out, "\n");
        print_answer(cli, diff, "a", row);
        print_answer(cli, diff, "b", row);
    }
    if (n_shown && json_array_size(cases) > n_shown)
        hn_output_print(cli->out, "  ... %zu more: --cases N, or --json\n", json_array_size(cases) - n_shown);
}

void hn_cli_print_diff(hn_cli *cli, const json_t *diff, size_t n_shown, bool by_token) {
    const json_t *a = json_object_get(diff, "a"), *b = json_object_get(diff, "b");
    const json_t *length = json_object_get(diff, "prompt_tokens_per_case");
    hn_output_print(cli->out, "%s (%s) -> %s (%s)\n", text_of(a, "run"), text_of(a, "prompt"), text_of(b, "run"),
                    text_of(b, "prompt"));
    print_changes(cli, "Prompt", json_object_get(diff, "prompt"), by_token);
    if (json_is_object(length)) {
        double x = json_number_value(json_object_get(length, "a")), y = json_number_value(json_object_get(length, "b"));
        hn_output_print(cli->out, "\nprompt as filled in: %.1f -> %.1f tokens a case (%+.1f)\n", x, y, y - x);
    }
    print_changes(cli, "Parameters", json_object_get(diff, "parameters"), by_token);
    print_changes(cli, "Scope", json_object_get(diff, "scope"), by_token);
    print_changes(cli, "Model and run", json_object_get(diff, "identity"), by_token);
    print_data(cli, diff, n_shown);
    print_answers(cli, diff, n_shown);
}
