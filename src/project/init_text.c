/* What `hone init` writes: hone.yaml with comments, and prompts to begin with. All of it reads back through the project's own parsers. */
#include "project/init_parts.h"

#include "format/yaml.h"

#include <ctype.h>
#include <string.h>

enum { LINE_WIDTH = 100 };

/* Appends texts as a YAML list in one line, broken where it gets long. */
static void append_list(hn_buf *out, char *const *texts, size_t n, int indent) {
    size_t line = out->len;
    hn_buf_append_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i) hn_buf_append_char(out, ',');
        if (out->len - line + strlen(texts[i]) > LINE_WIDTH) {
            hn_buf_append_char(out, '\n');
            line = out->len;
            hn_buf_append_repeat(out, ' ', (size_t)indent);
        } else if (i) {
            hn_buf_append_char(out, ' ');
        }
        hn_yaml_append_string(out, texts[i]);
    }
    hn_buf_append_char(out, ']');
}

static void append_key(hn_buf *out, const char *key, const char *value) {
    hn_buf_appendf(out, "  %s: ", key);
    hn_yaml_append_string(out, value);
    hn_buf_append_char(out, '\n');
}

static void append_goal(const hn_init_result *r, hn_buf *out) {
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_buf_appendf(&text, "Tell %s from ", r->target);
    for (size_t i = 0; i < r->n_inputs; i++)
        hn_buf_appendf(&text, "%s%s", i == 0 ? "" : i + 1 == r->n_inputs ? " and " : ", ", r->inputs[i]);
    hn_buf_append_str(out, "goal: ");
    hn_yaml_append_string(out, hn_buf_str(&text));
    hn_buf_append_char(out, '\n');
    if (hn_buf_status(&text) != HN_OK) out->error = hn_buf_status(&text);
    hn_buf_free(&text);
}

static void append_output(const hn_init_result *r, hn_buf *out) {
    hn_buf_append_str(out, "\n# What an answer must be.\noutput:");
    if (r->kind == HN_CONTRACT_NUMBER) hn_buf_append_str(out, " number          # or {number: {min: 0, max: 5}}\n");
    if (r->kind == HN_CONTRACT_TEXT) hn_buf_append_str(out, " text            # or {regex: '...'}\n");
    if (r->kind != HN_CONTRACT_CHOICE) return;
    hn_buf_append_str(out, "\n  choice: ");
    append_list(out, r->labels, r->n_labels, 4);
    hn_buf_append_char(out, '\n');
}

void hn_init_scope_text(const hn_init_result *r, const char *data, const char *test, hn_buf *out) {
    hn_buf_append_str(
        out, "# The scope: what this project is about, and when it has arrived. docs/project.md has every key.\n");
    append_goal(r, out);
    hn_buf_append_str(out, "\ndata:\n");
    append_key(out, "file", data);
    if (test) append_key(out, "test", test);
    hn_buf_append_str(out, "  input: ");
    append_list(out, r->inputs, r->n_inputs, 4);
    hn_buf_append_char(out, '\n');
    append_key(out, "target", r->target);
    if (r->group)
        append_key(out, "group", r->group);
    else
        hn_buf_append_str(out, "  # group: COLUMN         # cases of one customer, document or session, if there is "
                               "such a column: they stay in one split\n");
    if (r->id) append_key(out, "id", r->id);
    const char *shares = test ? "train: 0.8, dev: 0.2" : "train: 0.5, dev: 0.25, test: 0.25";
    hn_buf_appendf(out, "split: {%s, seed: 7%s}\n", shares, r->kind == HN_CONTRACT_CHOICE ? ", stratify: true" : "");
    append_output(r, out);
    hn_buf_append_str(out, "\nmetric: accuracy\n"
                           "# target_value: 0.90       # what would be good enough\n"
                           "smallest_difference: 0.02  # a smaller difference would not change a decision\n"
                           "# limits: {latency_ms: 500, memory_mb: 600}\n\n"
                           "model: smollm2\n"
                           "baseline: majority\n");
}

/* ---- prompts ---- */

/* {{ column }}, or {{ inputs["a column"] }} where the name is no name to Jinja. */
static void append_variable(hn_buf *out, const char *name) {
    static const char *const words[] = {"and",   "or",    "not",       "in",       "is",     "if",       "else",
                                        "true",  "false", "none",      "True",     "False",  "None",     "loop",
                                        "range", "dict",  "namespace", "examples", "labels", "wordings", "inputs"};
    bool plain = isalpha((unsigned char)*name) || *name == '_';
    for (const char *c = name; *c; c++) plain = plain && (isalnum((unsigned char)*c) || *c == '_');
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) plain = plain && strcmp(name, words[i]) != 0;
    if (plain) {
        hn_buf_appendf(out, "{{ %s }}", name);
        return;
    }
    hn_buf_append_str(out, "{{ inputs[\"");
    for (const char *c = name; *c; c++) {
        if (*c == '"' || *c == '\\') hn_buf_append_char(out, '\\');
        if (*c == '\n')
            hn_buf_append_str(out, "\\n");
        else
            hn_buf_append_char(out, *c);
    }
    hn_buf_append_str(out, "\"] }}");
}

/* "team" as "Team", in one line. Template marks in a column's name are left out. */
static void append_title(hn_buf *out, const char *name) {
    for (const char *c = name; *c; c++) {
        char shown = c == name ? (char)toupper((unsigned char)*c) : *c == '_' || (unsigned char)*c < ' ' ? ' ' : *c;
        if (!strchr("{}%#\"\\", shown)) hn_buf_append_char(out, shown);
    }
}

/* One line an input: "Subject: {{ subject }}"; a single input stands alone where `bare`. */
static void append_inputs(const hn_init_result *r, hn_buf *out, const char *between, bool bare) {
    for (size_t i = 0; i < r->n_inputs; i++) {
        if (i) hn_buf_append_str(out, between);
        if (!(bare && r->n_inputs == 1)) {
            append_title(out, r->inputs[i]);
            hn_buf_append_str(out, ": ");
        }
        append_variable(out, r->inputs[i]);
    }
}

static void write_zero_shot(const hn_init_result *r, hn_buf *out) {
    hn_buf_append_str(
        out, "# Instructions alone. Say here what you would tell a new colleague.\nmessages:\n  - system: |-\n");
    if (r->kind == HN_CONTRACT_CHOICE) {
        hn_buf_append_str(out, "      Read the text and name its ");
        append_title(out, r->target);
        hn_buf_append_str(out, ". Answer with exactly one of:\n      {{ labels | join(\", \") }}\n");
    } else {
        hn_buf_appendf(out, "      Read the text and give its ");
        append_title(out, r->target);
        hn_buf_appendf(out, "%s.\n",
                       r->kind == HN_CONTRACT_NUMBER ? " as a number, and nothing else" : ", and nothing else");
    }
    hn_buf_append_str(out, "  - user: |-\n      ");
    append_inputs(r, out, "\n      ", true);
    hn_buf_append_str(out, "\n\n      ");
    append_title(out, r->target);
    hn_buf_append_str(out, ":\n");
    hn_buf_appendf(out, "answer: %s\n", r->kind == HN_CONTRACT_CHOICE ? "likelihood" : "generate");
}

/* The form to fill in, in plain text: small models often do better with it than with a chat. */
static void append_form(const hn_init_result *r, hn_buf *out) {
    hn_buf_append_str(out, "template: raw\nmessages:\n  - user: |-\n      ");
    append_inputs(r, out, "\n      ", false);
    hn_buf_append_str(out, "\n      ");
    append_title(out, r->target);
    hn_buf_append_str(out, ":\n");
}

/* A label as it would stand in a sentence: spaces for underscores, unless two labels would become the same. */
static void append_wording(const hn_init_result *r, size_t label, hn_buf *out) {
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_buf_append_char(&text, ' ');
    bool clear = true;
    for (const char *c = r->labels[label]; *c; c++) hn_buf_append_char(&text, *c == '_' ? ' ' : *c);
    for (size_t i = 0; i < r->n_labels && clear; i++) {
        const char *a = hn_buf_str(&text) + (text.len ? 1 : 0), *b = r->labels[i];
        while (i != label && *a && (*a == *b || (*a == ' ' && *b == '_'))) a++, b++;
        clear = i == label || *a || *b;
    }
    if (!clear) {
        hn_buf_truncate(&text, 1);
        hn_buf_append_str(&text, r->labels[label]);
    }
    hn_yaml_append_string(out, hn_buf_str(&text));
    if (hn_buf_status(&text) != HN_OK) out->error = hn_buf_status(&text);
    hn_buf_free(&text);
}

/* Wordings begin with a space because the form ends in a colon: the label's first token is then the same as in running text. */
static void append_wordings(const hn_init_result *r, hn_buf *out) {
    hn_buf_append_str(out, "labels:  # what the model sees for each label; the space belongs to the word\n");
    for (size_t i = 0; i < r->n_labels; i++) {
        hn_buf_append_str(out, "  ");
        hn_yaml_append_string(out, r->labels[i]);
        hn_buf_append_str(out, ": ");
        append_wording(r, i, out);
        hn_buf_append_char(out, '\n');
    }
}

static void write_plain(const hn_init_result *r, hn_buf *out) {
    hn_buf_append_str(
        out, "# A form to fill in, without chat; the labels' own popularity is taken out (prior correction).\n");
    append_form(r, out);
    append_wordings(r, out);
    hn_buf_append_str(out, "answer: likelihood\ncalibrate: prior\n");
}

static void write_nearest(const hn_init_result *r, hn_buf *out) {
    bool choice = r->kind == HN_CONTRACT_CHOICE;
    hn_buf_append_str(out, "# The same form, with the most similar training cases filled in above it.\n");
    append_form(r, out);
    if (choice) append_wordings(r, out);
    hn_buf_append_str(out, "examples: {pick: nearest, n: 6}\n");
    hn_buf_appendf(out, choice ? "answer: likelihood\ncalibrate: prior\n" : "answer: generate\n");
}

const hn_init_prompt hn_init_prompts[] = {{"prompts/zero-shot.yaml", write_zero_shot, false},
                                          {"prompts/plain.yaml", write_plain, true},
                                          {"prompts/nearest.yaml", write_nearest, false},
                                          {NULL, NULL, false}};
