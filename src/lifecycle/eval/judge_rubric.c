/* Rubrics; see judge_rubric.h. What is judged goes in as data: nothing in an answer is read as template or as a control token of the judge. */
#include "lifecycle/eval/judge_rubric.h"

#include "base/alloc.h"
#include "base/file.h"
#include "format/jinja.h"

#include <stdio.h>
#include <string.h>

struct hn_judge_rubric {
    hn_jinja *template;
    hn_rubric_kind kind;
    const char *const *words;
    size_t n_words;
};

static const char grade_tail[] =
    "\n\nInput:\n{{ input }}\n\n{% if target %}A right answer:\n{{ target }}\n\n{% endif %}Answer to "
    "grade:\n{{ answer }}\n\nGrade it with one word, one of: {{ grades | join(', ') }}.";
static const char pair_tail[] =
    "\n\nInput:\n{{ input }}\n\n{% if target %}A right answer:\n{{ target }}\n\n{% endif %}Answer "
    "A:\n{{ a }}\n\nAnswer B:\n{{ b }}\n\nWhich answer is better? Say one letter: A or B.";
static const char own_rubric[] =
    "Compare two answers to the same input. The better one is right, complete and to the point.";

hn_status hn_judge_rubric_load(const char *path, const char *name, hn_rubric_kind kind, const char *const *words,
                               size_t n_words, hn_judge_rubric **rubric, hn_error *err) {
    char *file = NULL;
    size_t n = 0;
    *rubric = NULL;
    if (path) HN_TRY(hn_file_read(path, HN_JINJA_TEXT_MAX / 2, &file, &n, err));
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_buf_append(&text, file ? file : own_rubric, file ? n : sizeof own_rubric - 1);
    hn_free(file);
    while (text.len &&
           (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r' || text.data[text.len - 1] == ' '))
        hn_buf_truncate(&text, text.len - 1);
    hn_judge_rubric *r = hn_calloc(1, sizeof *r);
    hn_status st = r ? hn_buf_check(&text, "a rubric", err) : hn_fail_memory(err, sizeof *r);
    if (st == HN_OK) {
        *r = (hn_judge_rubric){.kind = kind, .words = words, .n_words = n_words};
        st = hn_jinja_compile(hn_buf_str(&text), text.len, name, &r->template, err);
    }
    bool whole =
        st == HN_OK && (kind == HN_RUBRIC_PAIR ? hn_jinja_uses(r->template, "a") && hn_jinja_uses(r->template, "b")
                                               : hn_jinja_uses(r->template, "answer"));
    if (st == HN_OK && !whole) {
        hn_buf_append_str(&text, kind == HN_RUBRIC_PAIR ? pair_tail : grade_tail);
        hn_jinja_free(r->template);
        r->template = NULL;
        st = hn_buf_check(&text, "a rubric", err);
        if (st == HN_OK) st = hn_jinja_compile(hn_buf_str(&text), text.len, name, &r->template, err);
    }
    hn_buf_free(&text);
    if (st == HN_OK)
        *rubric = r;
    else
        hn_judge_rubric_free(r);
    return st;
}

void hn_judge_rubric_free(hn_judge_rubric *r) {
    if (!r) return;
    hn_jinja_free(r->template);
    hn_free(r);
}

static json_t *text_json(hn_str text) { return json_stringn_nocheck(text.data ? text.data : "", text.len); }

static bool set(json_t *variables, const char *name, json_t *value) {
    return json_object_set_new(variables, name, value) == 0;
}

/* Columns first, so that none hides what the rubric is about. */
static hn_status variables_of(const hn_judge_rubric *r, const hn_graded *item, hn_str answer, hn_str other,
                              json_t **out, hn_error *err) {
    hn_buf input;
    json_t *v = item->c && item->c->inputs ? json_copy(item->c->inputs) : json_object(), *words = json_array();
    hn_buf_init(&input, 0);
    hn_status st = item->c ? hn_case_text(item->c, &input, err) : HN_OK;
    bool fine = v && words;
    for (size_t i = 0; fine && i < r->n_words; i++) fine = json_array_append_new(words, json_string(r->words[i])) == 0;
    fine = fine && set(v, "input", text_json((hn_str){hn_buf_str(&input), input.len})) &&
           set(v, "inputs", item->c && item->c->inputs ? json_incref(item->c->inputs) : json_object()) &&
           set(v, "target", item->row->target ? json_string(item->row->target) : json_string("")) &&
           json_object_set(v, "grades", words) == 0;
    if (fine && r->kind == HN_RUBRIC_PAIR)
        fine = set(v, "a", text_json(answer)) && set(v, "b", text_json(other));
    else if (fine)
        fine = set(v, "answer", text_json(answer));
    json_decref(words);
    hn_buf_free(&input);
    *out = v;
    return st != HN_OK ? st : fine ? HN_OK : hn_fail_memory(err, 0);
}

hn_status hn_judge_rubric_render(const hn_judge_rubric *r, const hn_graded *item, hn_str answer, hn_str other,
                                 hn_buf *out, hn_error *err) {
    json_t *variables = NULL;
    hn_status st = variables_of(r, item, answer, other, &variables, err);
    if (st == HN_OK) st = hn_jinja_render(r->template, variables, NULL, out, NULL, err);
    json_decref(variables);
    return st;
}
