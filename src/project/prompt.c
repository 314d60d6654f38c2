/* Rendering prompts: a case and its examples into messages or plain text; see prompt.h. */
#include "project/prompt_text.h"

#include <string.h>

/* The answer that an example shows: the wording of its label, or its target. */
static const char *answer_of(const hn_prompt *p, const hn_case *c) {
    if (c->label >= 0 && (size_t)c->label < p->n_labels) return p->wordings[c->label];
    return c->target ? c->target : "";
}

/* A copy of the case's inputs in which null is the empty text: "None" in a prompt helps nobody. */
static json_t *copy_inputs(const hn_case *c) {
    json_t *copy = json_copy(c->inputs), *value;
    const char *key;
    void *next;
    if (!copy) return NULL;
    json_object_foreach_safe(copy, next, key, value) {
        if (json_is_null(value) && json_object_set_new(copy, key, json_string("")) != 0) {
            json_decref(copy);
            return NULL;
        }
    }
    return copy;
}

/* Appends `value` (taken over) to an array; false: memory is used up. */
static bool append(json_t *array, json_t *value) { return json_array_append_new(array, value) == 0; }

static json_t *make_list(char *const *texts, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        if (append(list, json_string(texts[i]))) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *make_examples(const hn_prompt *p, const hn_case *const *examples, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        const hn_case *e = examples[i];
        json_t *one = copy_inputs(e);
        bool made = one && json_object_set_new(one, "target", json_string(answer_of(p, e))) == 0 &&
                    json_object_set_new(one, "label", json_string(e->target ? e->target : "")) == 0;
        if (made && json_array_append(list, one) == 0) {
            json_decref(one);
            continue;
        }
        json_decref(one);
        json_decref(list);
        return NULL;
    }
    return list;
}

/* Sets a variable of ours, unless a column of the data has its name. False: memory is used up. */
static bool set_own(json_t *variables, const char *name, json_t *value) {
    if (value && json_object_get(variables, name)) {
        json_decref(value);
        return true;
    }
    return json_object_set_new(variables, name, value) == 0;
}

/* What a template sees for a case. */
static hn_status make_variables(const hn_prompt *p, const hn_case *c, const hn_case *const *examples, size_t n_examples,
                                json_t **variables, hn_error *err) {
    json_t *made = copy_inputs(c);
    bool fine = made && set_own(made, "inputs", copy_inputs(c)) &&
                set_own(made, "labels", make_list(p->labels, p->n_labels)) &&
                set_own(made, "wordings", make_list(p->wordings, p->n_labels)) &&
                set_own(made, "examples", make_examples(p, examples, p->uses_examples ? n_examples : 0));
    *variables = fine ? made : NULL;
    if (fine) return HN_OK;
    json_decref(made);
    return hn_fail_memory(err, 1024);
}

static hn_status append_message(json_t *messages, const char *role, const hn_buf *content, hn_error *err) {
    json_t *message = json_pack("{s:s, s:s#}", "role", role, "content", hn_buf_str(content), content->len);
    return append(messages, message) ? HN_OK : hn_fail_memory(err, content->len);
}

/* Renders text i for one case into `out` (cleared first). */
static hn_status render_for(const hn_prompt *p, size_t i, const hn_case *c, hn_buf *out, hn_error *err) {
    json_t *variables;
    HN_TRY(make_variables(p, c, NULL, 0, &variables, err));
    hn_buf_clear(out);
    hn_status st = hn_prompt_text_render(p, i, variables, out, err);
    json_decref(variables);
    return st;
}

/* ---- chat ---- */

/* Examples as earlier turns: the last user message filled in, and the answer. */
static hn_status append_turns(const hn_prompt *p, size_t last, const hn_case *const *examples, size_t n,
                              json_t *messages, hn_buf *text, hn_error *err) {
    for (size_t i = 0; i < n; i++) {
        HN_TRY(render_for(p, last, examples[i], text, err));
        HN_TRY(append_message(messages, "user", text, err));
        hn_buf_clear(text);
        hn_buf_append_str(text, answer_of(p, examples[i]));
        HN_TRY(hn_buf_check(text, p->path, err));
        HN_TRY(append_message(messages, "assistant", text, err));
    }
    return HN_OK;
}

static hn_status append_inserted(const hn_prompt *p, size_t i, const hn_case *c, json_t *messages, hn_error *err) {
    json_t *list = json_object_get(c->inputs, p->texts[i].node->text);
    if (!json_is_array(list))
        return hn_fail(err, HN_ERR_INPUT, c->file, "give the case a list of messages",
                       "`%s` of case %s is no list of messages", p->texts[i].node->text, c->id ? c->id : "?");
    return json_array_extend(messages, list) == 0 ? HN_OK : hn_fail_memory(err, 1024);
}

static hn_status render_chat(const hn_prompt *p, const hn_case *c, const hn_case *const *examples, size_t n_examples,
                             json_t *variables, json_t *messages, hn_error *err) {
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_status st = HN_OK;
    for (size_t i = 0; i < p->n_messages && st == HN_OK; i++) {
        bool last = i + 1 == p->n_messages, inserted = strcmp(p->texts[i].role, "insert") == 0;
        if (inserted) {
            st = append_inserted(p, i, c, messages, err);
            continue;
        }
        if (last && !p->uses_examples) st = append_turns(p, i, examples, n_examples, messages, &text, err);
        hn_buf_clear(&text);
        if (st == HN_OK) st = hn_prompt_text_render(p, i, variables, &text, err);
        if (st == HN_OK) st = append_message(messages, p->texts[i].role, &text, err);
    }
    hn_buf_free(&text);
    return st;
}

/* ---- raw ---- */

static hn_status render_raw(const hn_prompt *p, const hn_case *const *examples, size_t n_examples, json_t *variables,
                            hn_buf *out, hn_error *err) {
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_status st = HN_OK;
    for (size_t i = 0; !p->uses_examples && i < n_examples && st == HN_OK; i++) {
        st = render_for(p, 0, examples[i], &text, err);
        hn_buf_append(out, text.data, text.len);
        hn_buf_append_str(out, answer_of(p, examples[i]));
        hn_buf_append_str(out, p->raw_stop);
    }
    hn_buf_free(&text);
    if (st == HN_OK) st = hn_prompt_text_render(p, 0, variables, out, err);
    return st == HN_OK ? hn_buf_check(out, p->path, err) : st;
}

hn_status hn_prompt_render(const hn_prompt *prompt, const hn_case *c, const hn_case *const *examples, size_t n_examples,
                           json_t **messages, char **raw, hn_error *err) {
    json_t *variables;
    *messages = NULL;
    *raw = NULL;
    HN_TRY(make_variables(prompt, c, examples, n_examples, &variables, err));
    hn_status st;
    if (prompt->raw) {
        hn_buf out;
        hn_buf_init(&out, 0);
        st = render_raw(prompt, examples, n_examples, variables, &out, err);
        if (st == HN_OK && !(*raw = hn_buf_take(&out))) st = hn_fail_memory(err, out.len);
        hn_buf_free(&out);
    } else {
        json_t *made = json_array();
        st = made ? render_chat(prompt, c, examples, n_examples, variables, made, err) : hn_fail_memory(err, 64);
        if (st == HN_OK)
            *messages = made;
        else
            json_decref(made);
    }
    json_decref(variables);
    return st;
}
