/* One message's content as a template: compiling, checking its names, rendering, with places in the prompt's file; see
 * prompt_text.h. The template counts lines and columns in its own text: they are carried over to the file's. */
#include "project/prompt_text.h"

#include "base/str.h"
#include "format/jinja_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const own_names[] = {"examples", "labels", "wordings", "inputs"};
enum { N_OWN = sizeof own_names / sizeof *own_names };

/* The names that a prompt's templates may use, and what can be said of others. */
typedef struct name_table {
    const char **names;  /* (n_names): inputs, then our own */
    const char **fields; /* (n_fields): of an example: inputs, then target and label */
    size_t n_inputs, n_names, n_fields;
    const hn_scope *scope;
    const hn_dataset *dataset;
} name_table;

/* Replaces "text:line:column" of a template by the place in the file. */
static void set_place(const hn_yaml_node *node, hn_error *err) {
    if (!err) return;
    int line = 0, column = 0, file_line, file_column;
    const char *colon = strchr(err->where, ':');
    if (colon) {
        char *end;
        long first = strtol(colon + 1, &end, 10), second = *end == ':' ? strtol(end + 1, NULL, 10) : 0;
        if (first > 0 && first <= HN_YAML_MAX_BYTES && second > 0 && second <= HN_YAML_MAX_BYTES)
            line = (int)first, column = (int)second;
    }
    hn_yaml_inner_place(node, line, column, &file_line, &file_column);
    snprintf(err->where, sizeof err->where, "%s:%d:%d", hn_yaml_name(node->document), file_line, file_column);
}

/* ---- names ---- */

static hn_status list_names(const hn_prompt *p, name_table *t, hn_error *err) {
    const hn_scope *s = t->scope;
    json_t *first = t->dataset && t->dataset->n_cases ? t->dataset->cases[0].inputs : NULL;
    t->n_inputs = s->input_columns ? s->n_inputs : json_object_size(first);
    t->names = hn_arena_calloc(p->arena, t->n_inputs + N_OWN, sizeof *t->names);
    t->fields = hn_arena_calloc(p->arena, t->n_inputs + 2, sizeof *t->fields);
    if (!t->names || !t->fields) return hn_fail_memory(err, t->n_inputs * sizeof *t->names);
    const char *key;
    json_t *value;
    for (size_t i = 0; s->input_columns && i < s->n_inputs; i++) t->names[t->n_names++] = s->input_columns[i];
    if (!s->input_columns) json_object_foreach(first, key, value) t->names[t->n_names++] = key;
    for (size_t i = 0; i < t->n_inputs; i++) t->fields[t->n_fields++] = t->names[i];
    for (size_t i = 0; i < N_OWN; i++) t->names[t->n_names++] = own_names[i];
    t->fields[t->n_fields++] = "target";
    t->fields[t->n_fields++] = "label";
    return HN_OK;
}

static bool is_column(const name_table *t, const char *name) {
    for (size_t i = 0; t->dataset && i < t->dataset->n_columns; i++)
        if (strcmp(t->dataset->columns[i], name) == 0) return true;
    return false;
}

static void say_allowed(const char *wrong, const char *what, const char *const *names, size_t n, char *out,
                        size_t size) {
    const char *near = hn_closest(wrong, names, n);
    size_t used = 0;
    int put = near ? snprintf(out, size, "did you mean `%s`? %s: ", near, what) : snprintf(out, size, "%s: ", what);
    used += put > 0 ? (size_t)put : 0;
    for (size_t i = 0; i < n && used < size; i++) {
        put = snprintf(out + used, size - used, "%s%s", i ? ", " : "", names[i]);
        used += put > 0 ? (size_t)put : 0;
    }
}

static hn_status fail_name(const name_table *t, const hn_yaml_node *node, const hn_jinja_stray *stray, hn_error *err) {
    char hint[384], where[384];
    int line, column;
    hn_yaml_inner_place(node, stray->line, stray->column, &line, &column);
    snprintf(where, sizeof where, "%s:%d:%d", hn_yaml_name(node->document), line, column);
    if (stray->of) {
        say_allowed(stray->name, "an example has", t->fields, t->n_fields, hint, sizeof hint);
        return hn_fail(err, HN_ERR_INPUT, where, hint, "unknown variable `%s`: an example has nothing of that name",
                       stray->name);
    }
    const char *config = t->scope->config_path ? t->scope->config_path : "hone.yaml";
    if (t->scope->target_column && strcmp(stray->name, t->scope->target_column) == 0)
        return hn_fail(err, HN_ERR_INPUT, where, "take it out: the answer must not be in the question",
                       "`%s` is the target", stray->name);
    if (is_column(t, stray->name))
        snprintf(hint, sizeof hint, "the data has this column, but it is no input: add it to `data.input` in %s",
                 config);
    else
        say_allowed(stray->name, "known are", t->names, t->n_names, hint, sizeof hint);
    return hn_fail(err, HN_ERR_INPUT, where, hint, "unknown variable `%s`", stray->name);
}

/* ---- compiling ---- */

static hn_status compile_text(hn_prompt *p, hn_prompt_text *text, const name_table *t, hn_error *err) {
    const hn_yaml_node *node = text->node;
    hn_jinja_stray stray;
    hn_status st = hn_jinja_compile(node->text, node->length, "text", &text->template, err);
    if (st != HN_OK) {
        set_place(node, err);
        return st;
    }
    bool own = true; /* unless a column is called `examples` */
    for (size_t i = 0; i < t->n_inputs; i++) own = own && strcmp(t->names[i], "examples") != 0;
    hn_jinja_known known = {t->names, t->n_names, own ? "examples" : NULL, t->fields, t->n_fields};
    if (t->n_inputs && hn_jinja_find_stray(text->template, &known, &stray)) return fail_name(t, node, &stray, err);
    p->uses_examples = p->uses_examples || (own && hn_jinja_uses(text->template, "examples"));
    return HN_OK;
}

static hn_status check_insert(const name_table *t, const hn_yaml_node *node, hn_error *err) {
    for (size_t i = 0; i < t->n_inputs; i++)
        if (strcmp(t->names[i], node->text) == 0) return HN_OK;
    if (t->n_inputs == 0) return HN_OK;
    return fail_name(t, node, &(hn_jinja_stray){.name = node->text, .line = 1, .column = 1}, err);
}

hn_status hn_prompt_texts_compile(hn_prompt *prompt, const hn_scope *scope, const hn_dataset *dataset, hn_error *err) {
    name_table t = {.scope = scope, .dataset = dataset};
    HN_TRY(list_names(prompt, &t, err));
    for (size_t i = 0; i < prompt->n_messages; i++) {
        hn_prompt_text *text = &prompt->texts[i];
        HN_TRY(strcmp(text->role, "insert") == 0 ? check_insert(&t, text->node, err)
                                                 : compile_text(prompt, text, &t, err));
    }
    return HN_OK;
}

hn_status hn_prompt_text_render(const hn_prompt *prompt, size_t i, json_t *variables, hn_buf *out, hn_error *err) {
    const hn_prompt_text *text = &prompt->texts[i];
    hn_status st = hn_jinja_render(text->template, variables, NULL, out, NULL, err);
    if (st != HN_OK && st != HN_ERR_MEMORY) set_place(text->node, err);
    return st;
}
