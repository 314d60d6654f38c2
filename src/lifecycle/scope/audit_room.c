/* Room in the context window; see audit_room.h. */
#include "lifecycle/scope/audit_room.h"

#include "model/chat.h"
#include "project/prompt.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_TRIED = 16 };

typedef struct measure {
    const hn_scope *scope;
    const hn_dataset *dataset;
    const hn_model *model;
    hn_example_pool *pool;
    hn_jinja *chat; /* NULL: the model has no template */
    uint32_t tried[ROOM_TRIED];
    size_t n_tried;
    hn_error *err;
} measure;

static hn_status count_cases(const measure *m, int *tokens) {
    hn_buf text;
    hn_tokens ids = {0};
    hn_buf_init(&text, 0);
    hn_status st = HN_OK;
    for (size_t i = 0; i < m->dataset->n_cases && st == HN_OK; i++) {
        hn_buf_clear(&text);
        ids.n = 0;
        st = hn_case_text(&m->dataset->cases[i], &text, m->err);
        if (st == HN_OK)
            st = hn_tokenizer_encode(hn_model_tokenizer(m->model), hn_buf_str(&text), text.len, 0, &ids, m->err);
        tokens[i] = (int)ids.n;
    }
    hn_tokens_free(&ids);
    hn_buf_free(&text);
    return st;
}

/* The longest cases, by insertion. */
static void choose_longest(measure *m, const int *tokens) {
    for (size_t i = 0; i < m->dataset->n_cases; i++) {
        size_t at = m->n_tried;
        while (at > 0 && tokens[m->tried[at - 1]] < tokens[i]) at--;
        if (at == ROOM_TRIED) continue;
        if (m->n_tried < ROOM_TRIED) m->n_tried++;
        memmove(m->tried + at + 1, m->tried + at, (m->n_tried - at - 1) * sizeof *m->tried);
        m->tried[at] = (uint32_t)i;
    }
}

static hn_status count_messages(const measure *m, json_t *messages, hn_tokens *ids) {
    hn_chat_options options = {.add_generation_prompt = true};
    hn_chat_options_init(&options, hn_model_tokenizer(m->model));
    options.add_generation_prompt = true;
    hn_chat_spans spans = {0};
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_status st = hn_chat_render(m->chat, messages, &options, &text, &spans, m->err);
    if (st == HN_OK) st = hn_chat_tokenize(hn_model_tokenizer(m->model), &text, &spans, ids, m->err);
    hn_chat_spans_free(&spans);
    hn_buf_free(&text);
    return st;
}

static hn_status count_rendered(measure *m, const hn_prompt *prompt, const hn_case *c, int *n) {
    const hn_case **examples = NULL;
    size_t n_examples = 0;
    json_t *messages = NULL;
    char *raw = NULL;
    hn_tokens ids = {0};
    hn_status st = HN_OK;
    if (prompt->pick != HN_PICK_NONE && prompt->n_examples > 0) {
        if (!m->pool) HN_TRY(hn_example_pool_create(m->dataset, &m->scope->contract, &m->pool, m->err));
        examples = hn_calloc((size_t)prompt->n_examples, sizeof *examples);
        if (!examples) return hn_fail_memory(m->err, (size_t)prompt->n_examples * sizeof *examples);
        st = hn_example_pick(m->pool, prompt, c, examples, &n_examples, m->err);
    }
    if (st == HN_OK) st = hn_prompt_render(prompt, c, examples, n_examples, &messages, &raw, m->err);
    if (st == HN_OK && raw)
        st = hn_tokenizer_encode(hn_model_tokenizer(m->model), raw, strlen(raw), HN_TOKENIZE_BOS, &ids, m->err);
    else if (st == HN_OK && m->chat)
        st = count_messages(m, messages, &ids);
    *n = (int)ids.n;
    hn_tokens_free(&ids);
    json_decref(messages);
    hn_free(raw);
    hn_free(examples);
    return st;
}

static hn_status measure_prompt(measure *m, const hn_prompt *prompt, const int *tokens, hn_audit_prompt *out) {
    bool scored = prompt->answer == HN_ANSWER_LIKELIHOOD;
    int longest_label = 0;
    hn_tokens ids = {0};
    for (size_t l = 0; scored && l < prompt->n_labels; l++) {
        ids.n = 0;
        HN_TRY(hn_tokenizer_encode(hn_model_tokenizer(m->model), prompt->wordings[l], strlen(prompt->wordings[l]), 0,
                                   &ids, m->err));
        if ((int)ids.n >= longest_label) longest_label = (int)ids.n + 1;
    }
    hn_tokens_free(&ids);
    out->answer = prompt->reasoning_max_tokens + (scored ? longest_label : prompt->max_tokens);
    for (size_t i = 0; i < m->n_tried; i++) {
        int n = 0;
        HN_TRY(count_rendered(m, prompt, &m->dataset->cases[m->tried[i]], &n));
        if (n > out->longest) out->longest = n;
        if (n - tokens[m->tried[i]] > out->overhead) out->overhead = n - tokens[m->tried[i]];
    }
    return HN_OK;
}

static hn_status measure_prompts(measure *m, const char *const *paths, size_t n_paths, hn_audit_room *room) {
    room->prompts = hn_calloc(n_paths + 1, sizeof *room->prompts);
    if (!room->prompts) return hn_fail_memory(m->err, n_paths * sizeof *room->prompts);
    for (size_t i = 0; i < n_paths; i++) {
        hn_prompt *prompt;
        hn_error unused;
        hn_status st = hn_prompt_load(paths[i], m->scope, m->dataset, &prompt, &unused);
        if (st == HN_ERR_MEMORY) return hn_fail_memory(m->err, 0);
        if (st != HN_OK) continue;
        hn_audit_prompt *out = &room->prompts[room->n_prompts];
        out->name = hn_arena_strdup(room->arena, prompt->name);
        st = out->name ? measure_prompt(m, prompt, room->tokens, out) : hn_fail_memory(m->err, 0);
        hn_prompt_free(prompt);
        if (st == HN_ERR_MEMORY) return st;
        if (st == HN_OK) room->n_prompts++;
    }
    return HN_OK;
}

hn_status hn_audit_room_make(const hn_scope *scope, const hn_dataset *dataset, const hn_model *model, int context,
                             const char *const *paths, size_t n_paths, hn_audit_room *room, hn_error *err) {
    measure m = {.scope = scope, .dataset = dataset, .model = model, .err = err};
    hn_error unused;
    *room = (hn_audit_room){
        .context = context, .arena = hn_arena_create(0), .tokens = hn_calloc(dataset->n_cases + 1, sizeof(int))};
    hn_status st = room->arena && room->tokens ? count_cases(&m, room->tokens) : hn_fail_memory(err, 0);
    if (st == HN_OK && context > 0) {
        choose_longest(&m, room->tokens);
        if (hn_chat_template(hn_model_chat_template(model), hn_model_path(model), &m.chat, &unused) != HN_OK)
            m.chat = NULL;
        st = measure_prompts(&m, paths, n_paths, room);
    }
    hn_jinja_free(m.chat);
    hn_example_pool_free(m.pool);
    if (st != HN_OK) hn_audit_room_free(room);
    return st;
}

void hn_audit_room_free(hn_audit_room *room) {
    hn_free(room->tokens);
    hn_free(room->prompts);
    hn_arena_free(room->arena);
    *room = (hn_audit_room){0};
}
