/* Parsing a command line by its option table; see command.h. Help text is in help.c.
 * Surprise: an option's value is taken as it stands, even where it starts with a dash ("--temperature -1" is then refused by its range). */
#include "cli/command.h"

#include "base/str.h"
#include "format/json.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 64 };

typedef struct hn_option_value {
    bool given;
    const char *text;
    int64_t integer;
    double real;
    size_t size_bytes;
    const char **list;
    size_t n_list, list_capacity;
} hn_option_value;

const hn_option hn_cli_common_options[] = {
    {.name = "json", .kind = HN_OPTION_FLAG, .help = "print the result (or the error) as JSON"},
    {.name = "help", .letter = 'h', .kind = HN_OPTION_FLAG, .help = "show this help"},
    {0}};

static size_t count_options(const hn_option *options) {
    size_t n = 0;
    while (options && options[n].name) n++;
    return n;
}

hn_status hn_cli_usage(const hn_cli *cli, hn_error *err, const char *fmt, ...) {
    char message[512], hint[96];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    snprintf(hint, sizeof hint, "see `hone help %s`", cli->command->name);
    return hn_fail(err, HN_ERR_USAGE, NULL, hint, "%s", message);
}

static hn_status unknown_option(const hn_cli *cli, const char *given, size_t n_name, hn_error *err) {
    const char *names[NAMES_MAX];
    size_t n = 0;
    char name[64];
    for (const hn_option *o = cli->command->options; o && o->name && n < NAMES_MAX - 2; o++) names[n++] = o->name;
    for (const hn_option *o = hn_cli_common_options; o->name; o++) names[n++] = o->name;
    snprintf(name, sizeof name, "%.*s", (int)n_name, given);
    const char *near = hn_closest(name, names, n);
    if (!near) return hn_cli_usage(cli, err, "unknown option --%s", name);
    hn_cli_usage(cli, err, "unknown option --%s", name);
    if (err) snprintf(err->hint, sizeof err->hint, "did you mean --%s? see `hone help %s`", near, cli->command->name);
    return HN_ERR_USAGE;
}

static bool choice_allows(const char *choices, const char *text) {
    size_t n = strlen(text);
    for (const char *c = choices; c; c = strchr(c, '|'), c = c ? c + 1 : NULL)
        if (n && strncmp(c, text, n) == 0 && (c[n] == '|' || c[n] == 0)) return true;
    return false;
}

static hn_status check_range(const hn_cli *cli, const hn_option *o, double value, const char *text, hn_error *err) {
    if (o->low >= o->high || (value >= o->low && value <= o->high)) return HN_OK;
    return hn_cli_usage(cli, err, "--%s is %s, but must be between %.15g and %.15g", o->name, text, o->low, o->high);
}

static hn_status set_value(const hn_cli *cli, const hn_option *o, hn_option_value *v, const char *text, hn_error *err) {
    v->text = text;
    switch (o->kind) {
    case HN_OPTION_FLAG:
    case HN_OPTION_STRING: return HN_OK;
    case HN_OPTION_INT:
        if (!hn_parse_int64(text, &v->integer))
            return hn_cli_usage(cli, err, "--%s needs a whole number, not \"%s\"", o->name, text);
        return check_range(cli, o, (double)v->integer, text, err);
    case HN_OPTION_REAL:
        if (!hn_parse_double(text, &v->real))
            return hn_cli_usage(cli, err, "--%s needs a number, not \"%s\"", o->name, text);
        return check_range(cli, o, v->real, text, err);
    case HN_OPTION_SIZE:
        if (hn_parse_size(text, &v->size_bytes)) return HN_OK;
        return hn_cli_usage(cli, err, "--%s needs a size such as 512M or 2G, not \"%s\"", o->name, text);
    case HN_OPTION_CHOICE:
        if (choice_allows(o->value, text)) return HN_OK;
        return hn_cli_usage(cli, err, "--%s is \"%s\", but must be one of %s", o->name, text, o->value);
    case HN_OPTION_LIST:
        if (!hn_grow((void **)&v->list, &v->list_capacity, v->n_list + 1, sizeof *v->list))
            return hn_fail_memory(err, 0);
        v->list[v->n_list++] = text;
        return HN_OK;
    }
    return HN_OK;
}

static const hn_option *find_option(const hn_option *options, const char *name, size_t n_name, char letter) {
    for (const hn_option *o = options; o && o->name; o++) {
        if (letter && o->letter == letter) return o;
        if (!letter && strlen(o->name) == n_name && strncmp(o->name, name, n_name) == 0) return o;
    }
    return NULL;
}

static hn_status take_option(hn_cli *cli, const hn_option *o, const char *value, hn_error *err) {
    if (o == &hn_cli_common_options[0])
        cli->out->json = true;
    else if (o == &hn_cli_common_options[1])
        cli->help = true;
    else {
        hn_option_value *v = &cli->values[o - cli->command->options];
        if (v->given && o->kind != HN_OPTION_LIST && o->kind != HN_OPTION_FLAG)
            return hn_cli_usage(cli, err, "--%s is given twice", o->name);
        v->given = true;
        return set_value(cli, o, v, value, err);
    }
    return HN_OK;
}

/* One option at argv[*i]; moves *i past its value. */
static hn_status parse_option(hn_cli *cli, int argc, const char *const *argv, int *i, hn_error *err) {
    const char *arg = argv[*i], *value = NULL;
    const hn_option *o;
    if (arg[1] == '-') {
        const char *name = arg + 2, *equals = strchr(name, '=');
        size_t n_name = equals ? (size_t)(equals - name) : strlen(name);
        o = find_option(cli->command->options, name, n_name, 0);
        if (!o) o = find_option(hn_cli_common_options, name, n_name, 0);
        if (!o) return unknown_option(cli, name, n_name, err);
        value = equals ? equals + 1 : NULL;
        if (value && o->kind == HN_OPTION_FLAG) return hn_cli_usage(cli, err, "--%s takes no value", o->name);
    } else {
        o = find_option(cli->command->options, NULL, 0, arg[1]);
        if (!o) o = find_option(hn_cli_common_options, NULL, 0, arg[1]);
        if (!o || (o->kind == HN_OPTION_FLAG && arg[2])) return hn_cli_usage(cli, err, "unknown option %s", arg);
        if (arg[2]) value = arg + 2;
    }
    if (!value && o->kind != HN_OPTION_FLAG) {
        if (*i + 1 >= argc)
            return hn_cli_usage(cli, err, "--%s needs a value: %s", o->name, o->value ? o->value : "VALUE");
        value = argv[++*i];
    }
    return take_option(cli, o, value, err);
}

static hn_status check_positional(const hn_cli *cli, hn_error *err) {
    const hn_command *c = cli->command;
    if (cli->n_positional < c->min_args)
        return hn_cli_usage(cli, err, "something is missing: hone %s %s", c->name, c->usage ? c->usage : "");
    if (c->max_args < 0 || cli->n_positional <= c->max_args) return HN_OK;
    return hn_cli_usage(cli, err, "unexpected argument \"%s\"", cli->positional[c->max_args]);
}

static hn_status apply_defaults(hn_cli *cli, hn_error *err) {
    const hn_option *options = cli->command->options;
    for (size_t i = 0; i < count_options(options); i++)
        if (!cli->values[i].given && options[i].otherwise)
            HN_TRY(set_value(cli, &options[i], &cli->values[i], options[i].otherwise, err));
    return HN_OK;
}

/* Lists grow on the heap while parsing and move to the arena at the end, so nothing is left to free. */
static hn_status settle_lists(hn_cli *cli, hn_error *err) {
    hn_status st = HN_OK;
    for (size_t i = 0; i < count_options(cli->command->options); i++) {
        hn_option_value *v = &cli->values[i];
        if (!v->list) continue;
        const char **kept = st == HN_OK ? hn_arena_calloc(cli->arena, v->n_list, sizeof *kept) : NULL;
        if (kept)
            memcpy(kept, v->list, v->n_list * sizeof *kept);
        else if (st == HN_OK)
            st = hn_fail_memory(err, v->n_list * sizeof *kept);
        hn_free(v->list);
        v->list = kept;
    }
    return st;
}

hn_status hn_cli_parse(hn_cli *cli, int argc, const char *const *argv, hn_error *err) {
    bool options_end = false;
    const char **positional = hn_arena_calloc(cli->arena, (size_t)argc + 1, sizeof *positional);
    cli->values = hn_arena_calloc(cli->arena, count_options(cli->command->options) + 1, sizeof *cli->values);
    if (!positional || !cli->values) return hn_fail_memory(err, (size_t)argc * sizeof *positional);
    cli->positional = positional;
    cli->n_positional = 0;
    hn_status st = HN_OK;
    for (int i = 0; i < argc && st == HN_OK; i++) {
        if (options_end || argv[i][0] != '-' || argv[i][1] == 0)
            positional[cli->n_positional++] = argv[i];
        else if (strcmp(argv[i], "--") == 0)
            options_end = true;
        else
            st = parse_option(cli, argc, argv, &i, err);
    }
    if (st == HN_OK && !cli->help) st = check_positional(cli, err);
    if (st == HN_OK) st = apply_defaults(cli, err);
    hn_status settled = settle_lists(cli, err);
    return st != HN_OK ? st : settled;
}

static const hn_option_value *value_of(const hn_cli *cli, const char *name) {
    const hn_option *o = find_option(cli->command->options, name, strlen(name), 0);
    assert(o && "a command asks for an option that is not in its table");
    static const hn_option_value none;
    return o ? &cli->values[o - cli->command->options] : &none;
}

bool hn_cli_flag(const hn_cli *cli, const char *name) { return value_of(cli, name)->given; }
bool hn_cli_given(const hn_cli *cli, const char *name) { return value_of(cli, name)->given; }
const char *hn_cli_string(const hn_cli *cli, const char *name) { return value_of(cli, name)->text; }
int64_t hn_cli_int(const hn_cli *cli, const char *name) { return value_of(cli, name)->integer; }
double hn_cli_real(const hn_cli *cli, const char *name) { return value_of(cli, name)->real; }
size_t hn_cli_size(const hn_cli *cli, const char *name) { return value_of(cli, name)->size_bytes; }

const char *const *hn_cli_list(const hn_cli *cli, const char *name, size_t *n) {
    const hn_option_value *v = value_of(cli, name);
    *n = v->n_list;
    return v->list;
}

hn_status hn_cli_one_of(const hn_cli *cli, const char *const *names, bool required, hn_error *err) {
    char all[256] = "";
    const char *first = NULL;
    for (size_t i = 0; names[i]; i++) {
        size_t n = strlen(all);
        snprintf(all + n, sizeof all - n, "%s--%s", i == 0 ? "" : names[i + 1] ? ", " : " or ", names[i]);
        if (!hn_cli_given(cli, names[i])) continue;
        if (first) return hn_cli_usage(cli, err, "--%s and --%s cannot be given together", first, names[i]);
        first = names[i];
    }
    return first || !required ? HN_OK : hn_cli_usage(cli, err, "one of %s is needed", all);
}

hn_status hn_cli_result(hn_cli *cli, json_t *value, hn_error *err) {
    (void)cli;
    if (!value) return hn_fail_memory(err, 0);
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_json_write(value, NULL, &text);
    hn_buf_append_char(&text, '\n');
    json_decref(value);
    hn_status st = hn_buf_check(&text, "the result", err);
    if (st == HN_OK) (void)hn_output_stream(text.data, text.len); /* a failed write shows in hn_output_finish */
    hn_buf_free(&text);
    return st;
}

json_t *hn_cli_text(const char *bytes, size_t n) { return json_stringn_nocheck(bytes ? bytes : "", n); }
