/* Help text, made from the command tables; see command.h. With --json the same as data, so that documentation can be checked
 * against the program. */
#include "cli/command.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

enum { OPTION_COLUMN = 30, NAMES_MAX = 64 };

static const char *kind_name(hn_option_kind kind) {
    static const char *names[] = {"", "flag", "string", "integer", "number", "size", "choice", "list"};
    return names[kind];
}

static json_t *option_json(const hn_option *o) {
    json_t *value =
        json_pack("{s:s,s:s,s:s}", "name", o->name, "kind", kind_name(o->kind), "help", o->help ? o->help : "");
    if (!value) return NULL;
    if (o->letter) json_object_set_new(value, "letter", json_stringn(&o->letter, 1));
    if (o->value) json_object_set_new(value, "value", json_string(o->value));
    if (o->otherwise) json_object_set_new(value, "default", json_string(o->otherwise));
    return value;
}

static json_t *command_json(const hn_command *c) {
    json_t *options = json_array();
    for (const hn_option *o = c->options; o && o->name; o++) json_array_append_new(options, option_json(o));
    return json_pack("{s:s,s:s,s:s,s:o}", "command", c->name, "summary", c->summary, "usage", c->usage ? c->usage : "",
                     "options", options);
}

/* Prints `text` from column `column` on, broken at spaces; the cursor stands at `at`. */
static void print_wrapped(hn_output *out, const char *text, int at, int column) {
    int width = out->width < 60 ? 60 : out->width > 110 ? 110 : out->width;
    if (at >= column)
        hn_output_print(out, "\n%*s", column, "");
    else
        hn_output_print(out, "%*s", column - at, "");
    int used = column;
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (used > column && used + 1 + n > width) {
            hn_output_print(out, "\n%*s", column, "");
            used = column;
        } else if (used > column) {
            hn_output_print(out, " ");
            used++;
        }
        hn_output_print(out, "%.*s", n, text);
        used += n;
        text += n;
        while (*text == ' ') text++;
    }
    hn_output_print(out, "\n");
}

static void print_option(hn_output *out, const hn_option *o) {
    char left[96], help[768];
    int n = snprintf(left, sizeof left, o->letter ? "  -%c, " : "      ", o->letter);
    n +=
        snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    int used = snprintf(help, sizeof help, "%s", o->help ? o->help : "");
    if (o->kind == HN_OPTION_LIST) used += snprintf(help + used, sizeof help - (size_t)used, " (may be repeated)");
    if (o->otherwise) snprintf(help + used, sizeof help - (size_t)used, " (default %s)", o->otherwise);
    hn_output_print(out, "%s", left);
    print_wrapped(out, help, n + 1, OPTION_COLUMN);
}

hn_status hn_help_command(hn_cli *cli, const hn_command *c, hn_error *err) {
    hn_output *out = cli->out;
    if (out->json) return hn_cli_result(cli, command_json(c), err);
    const char *bold = hn_output_style(out, HN_STYLE_BOLD), *off = hn_output_style(out, HN_STYLE_NONE);
    hn_output_print(out, "%s\n\n%sUsage%s\n  hone %s %s\n", c->summary, bold, off, c->name, c->usage ? c->usage : "");
    if (c->description) hn_output_print(out, "\n%s\n", c->description);
    hn_output_print(out, "\n%sOptions%s\n", bold, off);
    for (const hn_option *o = c->options; o && o->name; o++) print_option(out, o);
    for (const hn_option *o = hn_cli_common_options; o->name; o++) print_option(out, o);
    if (c->examples) hn_output_print(out, "\n%sExamples%s\n%s\n", bold, off, c->examples);
    return HN_OK;
}

static json_t *overview_json(const hn_command_entry *entries) {
    json_t *list = json_array();
    const char *group = "";
    for (const hn_command_entry *e = entries; e->command; e++) {
        if (e->heading) group = e->heading;
        json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "command", e->command->name, "group", group, "summary",
                                              e->command->summary));
    }
    return json_pack("{s:s,s:o}", "version", HONE_VERSION, "commands", list);
}

hn_status hn_help_overview(hn_cli *cli, hn_error *err) {
    hn_output *out = cli->out;
    if (out->json) return hn_cli_result(cli, overview_json(cli->entries), err);
    const char *bold = hn_output_style(out, HN_STYLE_BOLD), *off = hn_output_style(out, HN_STYLE_NONE);
    hn_output_print(out, "hone takes a GenAI project from idea to production: scope, prompt, fine-tune, evaluate, "
                         "iterate, on this machine.\n");
    for (const hn_command_entry *e = cli->entries; e->command; e++) {
        if (e->heading) hn_output_print(out, "\n%s%s%s\n", bold, e->heading, off);
        hn_output_print(out, "  %-10s  %s\n", e->command->name, e->command->summary);
    }
    hn_output_print(out, "\n`hone help COMMAND` explains one command; every command takes --json.\n");
    return HN_OK;
}

const hn_command *hn_help_find(const hn_command_entry *entries, const char *name) {
    for (const hn_command_entry *e = entries; e->command; e++)
        if (strcmp(e->command->name, name) == 0) return e->command;
    return NULL;
}

hn_status hn_help_unknown(const hn_command_entry *entries, const char *name, hn_error *err) {
    const char *names[NAMES_MAX];
    char hint[160];
    size_t n = 0;
    for (const hn_command_entry *e = entries; e->command && n < NAMES_MAX; e++) names[n++] = e->command->name;
    const char *near = hn_closest(name, names, n);
    if (near)
        snprintf(hint, sizeof hint, "did you mean `hone %s`? `hone help` lists all commands", near);
    else
        snprintf(hint, sizeof hint, "`hone help` lists all commands");
    return hn_fail(err, HN_ERR_USAGE, NULL, hint, "there is no command \"%s\"", name);
}
