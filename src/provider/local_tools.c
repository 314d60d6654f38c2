/* Answers that must be a tool call: the tokens that the notation of the model's chat template puts around the arguments, control tokens
 * included, and JSON of the tool's parameters in between; see local_parts.h. Surprise: what stands around the arguments is not matched as text
 * but as the template's own tokens, so a token never reaches across its border. */
#include "base/hash.h"
#include "provider/local_parts.h"

#include <string.h>

bool hn_local_demands_call(const hn_request *r) {
    return r->tools && r->tool_choice && strcmp(r->tool_choice, "auto") != 0 && strcmp(r->tool_choice, "none") != 0;
}

/* The tool's parameters as a schema of an object: a new reference. No parameters: an object without properties. */
static hn_status parameters_of(const json_t *function, json_t **schema, hn_error *err) {
    const json_t *parameters = json_object_get(function, "parameters");
    *schema = parameters ? json_copy((json_t *)(uintptr_t)parameters)
                         : json_pack("{s:s,s:b}", "type", "object", "additionalProperties", 0);
    if (*schema && !json_object_get(*schema, "type") &&
        json_object_set_new(*schema, "type", json_string("object")) != 0) {
        json_decref(*schema);
        *schema = NULL;
    }
    return *schema ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status encode(const hn_tokenizer *t, const hn_buf *text, hn_tokens *ids, hn_error *err) {
    return hn_tokenizer_encode(t, hn_buf_str(text), text->len, HN_TOKENIZE_SPECIAL, ids, err);
}

static hn_status make_frame(const hn_local *p, const json_t *tool, hn_local_frame *frame, hn_error *err) {
    const hn_tokenizer *t = hn_model_tokenizer(p->model);
    const json_t *function = hn_tool_function(tool);
    const char *name = json_string_value(json_object_get(function, "name"));
    json_t *schema = NULL;
    hn_buf before, after;
    hn_buf_init(&before, 0);
    hn_buf_init(&after, 0);
    hn_status st = hn_tool_call_frame(hn_local_tool_format(p), name, &before, &after, err);
    if (st == HN_OK) st = encode(t, &before, &frame->before, err);
    if (st == HN_OK) st = encode(t, &after, &frame->after, err);
    if (st == HN_OK) st = parameters_of(function, &schema, err);
    if (st == HN_OK) {
        st = hn_grammar_from_schema(schema, &frame->grammar, err);
        if (st != HN_OK && st != HN_ERR_MEMORY) {
            hn_error_prefix(err, name);
            hn_error_prefix(err, "parameters of tool");
        }
    }
    json_decref(schema);
    hn_buf_free(&before);
    hn_buf_free(&after);
    return st;
}

hn_status hn_local_frames_make(const hn_local *p, const hn_request *request, hn_local_constraint *c, hn_error *err) {
    const json_t *tools = request->tools;
    HN_TRY(hn_tools_check(tools, "tools", err));
    bool any = strcmp(request->tool_choice, "required") == 0;
    int named = any ? 0 : hn_tools_find(tools, request->tool_choice);
    if (named < 0)
        return hn_fail(err, HN_ERR_INPUT, "tool_choice", "auto, none, required, or the name of one of the tools",
                       "there is no tool `%.100s`", request->tool_choice);
    size_t n = any ? json_array_size(tools) : 1;
    c->frames = hn_calloc(n, sizeof *c->frames);
    if (!c->frames) return hn_fail_memory(err, n * sizeof *c->frames);
    c->n_frames = n;
    for (size_t i = 0; i < n; i++) HN_TRY(make_frame(p, json_array_get(tools, (size_t)named + i), &c->frames[i], err));
    return HN_OK;
}

void hn_local_frames_free(hn_local_constraint *c) {
    for (size_t i = 0; i < c->n_frames; i++) {
        hn_tokens_free(&c->frames[i].before);
        hn_tokens_free(&c->frames[i].after);
        hn_grammar_free(c->frames[i].grammar);
    }
    hn_free(c->frames);
}

void hn_local_frames_hash(hn_sha256 *h, const hn_local_constraint *c) {
    for (size_t i = 0; i < c->n_frames; i++) {
        const hn_local_frame *f = &c->frames[i];
        hn_sha256_field(h, f->before.ids, f->before.n * sizeof *f->before.ids);
        hn_sha256_field(h, f->after.ids, f->after.n * sizeof *f->after.ids);
        hn_sha256_field_str(h, hn_grammar_hash(f->grammar));
    }
}

/* Whether the answer's tokens so far, all before the arguments, are the beginning of this frame. */
static bool begins(const hn_local_request *r, const hn_local_frame *f) {
    size_t n = r->n_tokens - (size_t)r->n_echo;
    if (n > f->before.n) return false;
    for (size_t i = 0; i < n; i++)
        if (r->tokens[(size_t)r->n_echo + i].id != f->before.ids[i]) return false;
    return true;
}

static void set_bit(uint64_t *bits, int32_t id) { bits[id / 64] |= (uint64_t)1 << (id % 64); }

void hn_local_frames_mask(hn_local *p, const hn_local_request *r) {
    size_t n = r->n_tokens - (size_t)r->n_echo;
    memset(p->mask, 0, p->mask_words * sizeof *p->mask);
    if (r->frame) {
        set_bit(p->mask, r->frame->after.ids[r->n_after]);
        return;
    }
    for (size_t i = 0; i < r->constraint->n_frames; i++) {
        const hn_local_frame *f = &r->constraint->frames[i];
        if (n < f->before.n && begins(r, f)) set_bit(p->mask, f->before.ids[n]);
    }
}

/* `id` is the token behind those that the answer has. */
hn_status hn_local_frames_accept(hn_local *p, hn_local_request *r, int32_t id, bool *complete, hn_error *err) {
    size_t n = r->n_tokens - (size_t)r->n_echo;
    if (!r->frame) {
        for (size_t i = 0; i < r->constraint->n_frames && !r->frame; i++) {
            const hn_local_frame *f = &r->constraint->frames[i];
            if (n + 1 == f->before.n && f->before.ids[n] == id && begins(r, f)) r->frame = f;
        }
        return r->frame ? hn_grammar_match_create(r->frame->grammar, p->vocab, &r->match, err) : HN_OK;
    }
    if (r->match) {
        HN_TRY(hn_grammar_match_accept(r->match, id, err));
        if (!hn_grammar_match_can_end(r->match)) return HN_OK; /* an object can end at its brace alone */
        hn_grammar_match_free(r->match);
        r->match = NULL;
        *complete = r->frame->after.n == 0;
        return HN_OK;
    }
    *complete = ++r->n_after == r->frame->after.n;
    return HN_OK;
}
