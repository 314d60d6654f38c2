/* Ollama's Modelfile; see modelfile.h. */
#include "model/modelfile.h"

#include "base/alloc.h"
#include "format/json.h"
#include "model/chat.h"

#include <string.h>

enum { TEXT_MAX = 1 << 20, STOPS_MAX = 16 };

/* Contents that no template has of its own. */
static const char *const marks[] = {"QX0SYSTEMXQ", "QX1USERXQ", "QX2ANSWERXQ", "QX3USERXQ", "QX4ANSWERXQ", "QX5USERXQ"};

/* What stands around each role's content: (before, after). */
typedef struct frame {
    hn_str before[3], after[3]; /* system, user, assistant */
    hn_str start;               /* what the answer begins after */
    hn_str system;              /* the template's own, where a conversation has none; data NULL: none */
} frame;

typedef struct maker {
    const hn_tokenizer *tokenizer;
    hn_jinja *template;
    hn_arena *arena;
    hn_error *err;
} maker;

static const char *const roles[] = {"system", "user", "assistant"};

static hn_status refuse(const maker *m, const char *why) {
    return hn_fail(m->err, HN_ERR_UNSUPPORTED, "chat template", "export --to safetensors and write TEMPLATE by hand",
                   "it cannot be written as a template of Ollama's: %s", why);
}

/* Messages by the role's first letter ("suau"), the n-th with the n-th user's, system's or assistant's mark. */
static hn_status render(maker *m, const char *turns, bool answer_next, hn_str *out) {
    json_t *messages = json_array();
    hn_status st = messages ? HN_OK : hn_fail_memory(m->err, 0);
    hn_chat_options options;
    hn_buf text;
    hn_chat_options_init(&options, m->tokenizer);
    options.add_generation_prompt = answer_next;
    hn_buf_init(&text, TEXT_MAX);
    for (int i = 0, at = turns[0] == 's' ? 0 : 1; st == HN_OK && turns[i]; i++) {
        const char *role = roles[turns[i] == 's' ? 0 : turns[i] == 'u' ? 1 : 2];
        if (json_array_append_new(messages, json_pack("{s:s,s:s}", "role", role, "content", marks[at++])) != 0)
            st = hn_fail_memory(m->err, 0);
    }
    if (st == HN_OK) st = hn_chat_render(m->template, messages, &options, &text, NULL, m->err);
    if (st == HN_OK) st = hn_buf_check(&text, "the chat", m->err);
    char *copy = st == HN_OK ? hn_arena_strndup(m->arena, hn_buf_str(&text), text.len) : NULL;
    if (st == HN_OK && !copy) st = hn_fail_memory(m->err, text.len);
    if (st == HN_OK) *out = (hn_str){copy, text.len};
    hn_buf_free(&text);
    json_decref(messages);
    return st;
}

/* Splits at the marks first..first+n-1 into n + 1 pieces; false where one is missing or there twice. */
static bool split(hn_str text, int first, int n, hn_str *pieces) {
    const char *at = text.data;
    for (int i = 0; i < n; i++) {
        const char *found = strstr(at, marks[first + i]);
        if (!found) return false;
        pieces[i] = (hn_str){at, (size_t)(found - at)};
        at = found + strlen(marks[first + i]);
        if (strstr(at, marks[first + i])) return false;
    }
    pieces[n] = (hn_str){at, (size_t)(text.data + text.len - at)};
    return true;
}

static bool begins(hn_str text, hn_str with) {
    return text.len >= with.len && memcmp(text.data, with.data, with.len) == 0;
}

static bool ends(hn_str text, hn_str with) {
    return text.len >= with.len && memcmp(text.data + text.len - with.len, with.data, with.len) == 0;
}

static hn_str after(hn_str text, size_t n) { return (hn_str){text.data + n, text.len - n}; }
static hn_str until(hn_str text, size_t n) { return (hn_str){text.data, n}; }

/* Ollama puts the BOS token in front itself where the model wants one. */
static hn_str without_bos(const maker *m, hn_str text) {
    hn_str bos = hn_tokenizer_bos(m->tokenizer) >= 0 ? hn_tokenizer_piece(m->tokenizer, hn_tokenizer_bos(m->tokenizer))
                                                     : (hn_str){0};
    bool adds = hn_tokenizer_adds_bos(m->tokenizer) && bos.data && bos.len;
    return adds && begins(text, bos) ? after(text, bos.len) : text;
}

static hn_status find_frame(maker *m, frame *f) {
    hn_str next, done, pair, one, a[5], b[5], c[3], d[2];
    HN_TRY(render(m, "suau", true, &next));
    HN_TRY(render(m, "suau", false, &done));
    HN_TRY(render(m, "ua", false, &pair));
    HN_TRY(render(m, "u", false, &one));
    if (!split(next, 0, 4, a) || !split(done, 0, 4, b) || !split(pair, 1, 2, c) || !split(one, 1, 1, d))
        return refuse(m, "it changes or repeats what messages say");
    if (!begins(a[4], b[4]) || !begins(a[2], b[4]) || !begins(a[3], c[2]))
        return refuse(m, "a turn's text depends on the turns after it");
    f->after[1] = b[4], f->start = after(a[4], b[4].len);
    f->before[2] = after(a[2], b[4].len), f->after[2] = c[2];
    f->before[1] = after(a[3], c[2].len);
    if (!ends(a[1], f->before[1])) return refuse(m, "the user's turn begins otherwise after a system message");
    f->before[0] = without_bos(m, a[0]), f->after[0] = until(a[1], a[1].len - f->before[1].len);
    hn_str lead = without_bos(m, d[0]);
    if (hn_str_equal(lead, f->before[1])) return HN_OK;
    size_t framed = f->before[0].len + a[1].len;
    if (lead.len < framed || !begins(lead, f->before[0]) || !ends(lead, a[1]))
        return refuse(m, "a conversation without a system message begins otherwise");
    f->system = (hn_str){lead.data + f->before[0].len, lead.len - framed};
    return HN_OK;
}

/* A conversation more, put together here and by the template. */
static hn_status check_frame(maker *m, const frame *f) {
    static const char turns[] = "suauau";
    hn_str want;
    hn_buf have;
    HN_TRY(render(m, turns, true, &want));
    want = without_bos(m, want);
    hn_buf_init(&have, TEXT_MAX);
    for (int i = 0; turns[i]; i++) {
        int role = turns[i] == 's' ? 0 : turns[i] == 'u' ? 1 : 2;
        hn_buf_append(&have, f->before[role].data, f->before[role].len);
        hn_buf_append_str(&have, marks[i]);
        hn_buf_append(&have, f->after[role].data, f->after[role].len);
    }
    hn_buf_append(&have, f->start.data, f->start.len);
    hn_status st = hn_buf_check(&have, "the chat", m->err);
    if (st == HN_OK && !hn_str_equal(want, (hn_str){hn_buf_str(&have), have.len}))
        st = refuse(m, "turns are framed differently along a conversation");
    hn_buf_free(&have);
    return st;
}

static bool is_plain(hn_str text) {
    for (size_t i = 0; i + 1 < text.len; i++)
        if ((text.data[i] == '{' && text.data[i + 1] == '{') || (text.data[i] == '"' && text.data[i + 1] == '"'))
            return false;
    return text.len == 0 || text.data[text.len - 1] != '"';
}

static hn_status append_frame(const maker *m, const frame *f, hn_buf *out) {
    bool plain = is_plain(f->start) && (!f->system.data || is_plain(f->system));
    for (int i = 0; i < 3; i++) plain = plain && is_plain(f->before[i]) && is_plain(f->after[i]);
    if (!plain) return refuse(m, "its text holds {{ or quotation marks that a Modelfile cannot");
    hn_buf_append_str(out, "TEMPLATE \"\"\"{{ range .Messages }}");
    for (int i = 0; i < 3; i++) {
        hn_buf_appendf(out, "{{ %s eq .Role \"%s\" }}", i ? "else if" : "if", roles[i]);
        hn_buf_append(out, f->before[i].data, f->before[i].len);
        hn_buf_append_str(out, "{{ .Content }}");
        hn_buf_append(out, f->after[i].data, f->after[i].len);
    }
    hn_buf_append_str(out, "{{ end }}{{ end }}");
    hn_buf_append(out, f->start.data, f->start.len);
    hn_buf_append_str(out, "\"\"\"\n");
    if (!f->system.data) return HN_OK;
    hn_buf_append_str(out, "SYSTEM \"\"\"");
    hn_buf_append(out, f->system.data, f->system.len);
    hn_buf_append_str(out, "\"\"\"\n");
    return HN_OK;
}

static void append_stops(const hn_tokenizer *t, hn_buf *out) {
    int n = 0;
    for (int32_t id = 0; id < hn_tokenizer_vocab_size(t) && n < STOPS_MAX; id++) {
        hn_str text = hn_tokenizer_piece(t, id);
        if (!hn_tokenizer_is_end(t, id) || !text.len || memchr(text.data, '"', text.len)) continue;
        hn_buf_appendf(out, "PARAMETER stop \"%.*s\"\n", (int)text.len, text.data);
        n++;
    }
}

static hn_status append_template(const hn_model *model, hn_buf *out, hn_error *err) {
    maker m = {.tokenizer = hn_model_tokenizer(model), .err = err};
    frame f = {0};
    HN_TRY(hn_chat_template(hn_model_chat_template(model), hn_model_path(model), &m.template, err));
    m.arena = hn_arena_create(0);
    hn_status st = m.arena ? find_frame(&m, &f) : hn_fail_memory(err, 0);
    if (st == HN_OK) st = check_frame(&m, &f);
    if (st == HN_OK) st = append_frame(&m, &f, out);
    hn_arena_free(m.arena);
    hn_jinja_free(m.template);
    return st;
}

hn_status hn_modelfile_make(const hn_model *model, const char *from, hn_buf *out, hn_error *err) {
    hn_buf_appendf(out, "FROM %s\n", from);
    if (hn_model_tokenizer(model) && hn_model_chat_template(model)) HN_TRY(append_template(model, out, err));
    if (hn_model_tokenizer(model)) append_stops(hn_model_tokenizer(model), out);
    return hn_buf_check(out, "the Modelfile", err);
}
