/* From a request to token ids; see local_parts.h.
 *
 * Labels are tokens put behind the prompt's tokens, while a user who reads "...is" and "Paris" expects what the model would see had it
 * been one text. So the prompt's last stretch of plain text is tokenised again together with the label: where that gives other tokens at
 * the seam, the score would be of something the model never saw, and it is an error. */
#include "base/hash.h"
#include "base/utf8.h"
#include "provider/local_parts.h"

#include <stdio.h>
#include <string.h>

enum { LABELS_MAX = 100000 };

static hn_status need_tokenizer(const hn_local *p, const hn_tokenizer **tokenizer, hn_error *err) {
    *tokenizer = hn_model_tokenizer(p->model);
    if (*tokenizer) return HN_OK;
    return hn_fail(err, HN_ERR_UNSUPPORTED, hn_model_path(p->model), "give token ids",
                   "the model has no tokenizer, so text cannot be used with it");
}

hn_status hn_local_prompt_ids(hn_local *p, const hn_request *request, hn_tokens *ids, hn_error *err) {
    const hn_tokenizer *tokenizer;
    if (request->ids)
        return hn_tokens_append(ids, request->ids, request->n_ids) == HN_OK
                   ? HN_OK
                   : hn_fail_memory(err, request->n_ids * sizeof *ids->ids);
    HN_TRY(need_tokenizer(p, &tokenizer, err));
    if (request->messages) return hn_local_messages_ids(p, request, ids, err);
    unsigned flags = HN_TOKENIZE_BOS | (request->allow_special ? HN_TOKENIZE_SPECIAL : 0);
    return hn_tokenizer_encode(tokenizer, request->raw, strlen(request->raw), flags, ids, err);
}

/* ---- labels ---- */

typedef struct label_maker {
    const hn_tokenizer *tokenizer;
    hn_tokens tail; /* the prompt's last ids that are plain text, and that text */
    hn_buf tail_text;
    bool checks;     /* whether the tail's text gives the tail's ids again */
    hn_str end_text; /* raw form: what ends a label */
    int32_t end_id;  /* else the token that ends it; -1: none */
    hn_tokens *ids;  /* (n_labels) */
} label_maker;

/* The last `most` plain tokens of the prompt as text, and whether that text gives them again. */
static hn_status try_tail(label_maker *m, const hn_tokens *prompt, size_t most, hn_error *err) {
    size_t start = prompt->n;
    hn_tokens again = {0};
    while (start > 0 && prompt->n - start < most &&
           hn_tokenizer_kind(m->tokenizer, prompt->ids[start - 1]) != HN_TOKEN_CONTROL)
        start--;
    m->tail.n = 0;
    hn_buf_clear(&m->tail_text);
    if (hn_tokens_append(&m->tail, prompt->ids + start, prompt->n - start) != HN_OK)
        return hn_fail_memory(err, prompt->n * sizeof(int32_t));
    HN_TRY(hn_tokenizer_decode(m->tokenizer, m->tail.ids, m->tail.n, true, true, &m->tail_text, err));
    hn_status st = hn_tokenizer_encode(m->tokenizer, hn_buf_str(&m->tail_text), m->tail_text.len, 0, &again, err);
    m->checks = st == HN_OK && again.n == m->tail.n &&
                (again.n == 0 || memcmp(again.ids, m->tail.ids, again.n * sizeof *again.ids) == 0);
    hn_tokens_free(&again);
    return st;
}

/* A short tail is enough where it stands on its own, and it is tokenised once for each label; cut in a bad place it is made longer. */
static hn_status find_tail(label_maker *m, const hn_tokens *prompt, hn_error *err) {
    for (size_t most = 32; !m->checks; most *= 4) {
        HN_TRY(try_tail(m, prompt, most, err));
        if (most >= prompt->n) break;
    }
    return HN_OK;
}

/* A piece of text for a message: control characters made visible, cut to a few characters. */
static void show(const char *text, size_t n, char *out, size_t size) {
    size_t used = 0;
    n = hn_utf8_prefix(text, n, 48);
    for (size_t i = 0; i < n && used + 5 < size; i++) {
        if (text[i] == '\n')
            used += (size_t)snprintf(out + used, size - used, "\\n");
        else if ((unsigned char)text[i] < 0x20)
            used += (size_t)snprintf(out + used, size - used, "\\x%02x", text[i]);
        else
            out[used++] = text[i];
    }
    out[used] = 0;
}

static hn_status fail_merge(const label_maker *m, const char *label, int32_t merged, bool chat, hn_error *err) {
    char label_text[128], piece_text[128];
    hn_str piece = hn_tokenizer_piece(m->tokenizer, merged);
    show(label, strlen(label), label_text, sizeof label_text);
    show(piece.data, piece.len, piece_text, sizeof piece_text);
    return hn_fail(
        err, HN_ERR_INPUT, "label",
        chat ? "take the white space at the label's start away, or give it a wording that starts with a letter"
             : "start the label with a space, or end the prompt with a newline (a prompt that ends with a space: move "
               "the space to the label)",
        "the label \"%s\" merges with the prompt's end into the token \"%s\": its score would not be that of the text",
        label_text, piece_text);
}

/* The label's ids as they stand behind the prompt: tokenised alone, and the same when tokenised together with the prompt's end. */
static hn_status encode_label(label_maker *m, const char *label, bool chat, hn_tokens *ids, hn_error *err) {
    hn_buf joint_text;
    hn_tokens joint = {0};
    hn_buf_init(&joint_text, 0);
    hn_buf_append(&joint_text, m->tail_text.data, m->tail_text.len);
    hn_buf_append_str(&joint_text, label);
    hn_buf_append(&joint_text, m->end_text.data, m->end_text.len);
    hn_status st = hn_buf_check(&joint_text, "a label", err);
    size_t n_tail = m->tail_text.len, at = 0;
    if (st == HN_OK)
        st = hn_tokenizer_encode(m->tokenizer, joint_text.data + n_tail, joint_text.len - n_tail, 0, ids, err);
    if (st == HN_OK && m->checks) {
        st = hn_tokenizer_encode(m->tokenizer, hn_buf_str(&joint_text), joint_text.len, 0, &joint, err);
        while (at < joint.n && at < m->tail.n && joint.ids[at] == m->tail.ids[at]) at++;
        bool same = at == m->tail.n && joint.n == m->tail.n + ids->n &&
                    (ids->n == 0 || memcmp(joint.ids + at, ids->ids, ids->n * sizeof *ids->ids) == 0);
        /* SentencePiece puts a space in front of a text that stands alone: there what follows the prompt's own tokens counts */
        bool spaced = strstr(hn_tokenizer_describe(m->tokenizer), "SentencePiece") != NULL;
        if (st == HN_OK && !same && at == m->tail.n && spaced && m->tail.n > 0) {
            ids->n = 0;
            st = hn_tokens_append(ids, joint.ids + at, joint.n - at) == HN_OK
                     ? HN_OK
                     : hn_fail_memory(err, joint.n * sizeof *joint.ids);
        } else if (st == HN_OK && !same) {
            st = fail_merge(m, label, at < joint.n ? joint.ids[at] : joint.ids[joint.n - 1], chat, err);
        }
    }
    hn_tokens_free(&joint);
    hn_buf_free(&joint_text);
    if (st == HN_OK && m->end_id >= 0 && hn_tokens_push(ids, m->end_id) != HN_OK)
        st = hn_fail_memory(err, sizeof *ids->ids);
    if (st == HN_OK && ids->n == 0) st = hn_fail(err, HN_ERR_INPUT, "label", "leave it out", "a label has no tokens");
    return st;
}

static hn_status make_labels(label_maker *m, hn_local *p, const hn_request *request, const hn_tokens *prompt,
                             hn_label_ids *labels, hn_error *err) {
    bool text = false, chat = request->messages != NULL;
    int32_t n_vocab = hn_model_shape(p->model)->n_vocab;
    for (size_t i = 0; i < request->n_labels; i++) text |= request->labels[i].ids == NULL;
    if (text) {
        HN_TRY(need_tokenizer(p, &m->tokenizer, err));
        HN_TRY(find_tail(m, prompt, err));
        if (request->ids) m->checks = false; /* ids are taken as they are */
        if (!chat && request->label_stop)
            m->end_text = hn_str_of(request->label_stop);
        else
            m->end_id = hn_local_end_of_turn(p);
    }
    for (size_t i = 0; i < request->n_labels; i++) {
        const hn_request_label *l = &request->labels[i];
        if (!l->ids)
            HN_TRY(encode_label(m, l->text ? l->text : "", chat, &m->ids[i], err));
        else if (hn_tokens_append(&m->ids[i], l->ids, l->n_ids) != HN_OK)
            return hn_fail_memory(err, l->n_ids * sizeof *l->ids);
        if (m->ids[i].n == 0)
            return hn_fail(err, HN_ERR_INPUT, "label", "give at least one id", "label %zu has no tokens", i);
        for (size_t t = 0; t < m->ids[i].n; t++)
            if (m->ids[i].ids[t] < 0 || m->ids[i].ids[t] >= n_vocab)
                return hn_fail(err, HN_ERR_INPUT, "label", "use ids of this model's vocabulary",
                               "label %zu has the id %d, the vocabulary has %d", i, m->ids[i].ids[t], n_vocab);
        labels[i] = (hn_label_ids){m->ids[i].ids, (int)m->ids[i].n};
    }
    return HN_OK;
}

/* Fills ids (n_labels), zeroed by the caller; `labels` (n_labels), where not NULL, points into them. */
static hn_status encode_labels(hn_local *p, const hn_request *request, const hn_tokens *prompt, hn_tokens *ids,
                               hn_label_ids *labels, hn_error *err) {
    label_maker m = {.end_id = -1, .ids = ids};
    hn_buf_init(&m.tail_text, 0);
    hn_status st = make_labels(&m, p, request, prompt, labels, err);
    hn_tokens_free(&m.tail);
    hn_buf_free(&m.tail_text);
    return st;
}

hn_status hn_local_labels(hn_local *p, const hn_request *request, const hn_tokens *prompt, hn_label_trie **trie,
                          hn_error *err) {
    *trie = NULL;
    if (request->n_labels > LABELS_MAX)
        return hn_fail(err, HN_ERR_LIMIT, "labels", NULL, "there are %zu labels, the limit is %d", request->n_labels,
                       LABELS_MAX);
    hn_label_ids *labels = hn_calloc(request->n_labels, sizeof *labels);
    hn_tokens *ids = hn_calloc(request->n_labels, sizeof *ids);
    hn_status st = labels && ids ? HN_OK : hn_fail_memory(err, request->n_labels * sizeof *ids);
    if (st == HN_OK) st = encode_labels(p, request, prompt, ids, labels, err);
    if (st == HN_OK) st = hn_label_trie_create(labels, (int)request->n_labels, trie, err);
    for (size_t i = 0; ids && i < request->n_labels; i++) hn_tokens_free(&ids[i]);
    hn_free(ids);
    hn_free(labels);
    return st;
}

hn_status hn_local_label_ids(hn_provider *base, const hn_request *request, hn_tokens *ids, hn_error *err) {
    hn_local *p = (hn_local *)base;
    hn_tokens prompt = {0};
    hn_label_ids *labels = hn_calloc(request->n_labels, sizeof *labels);
    hn_status st = labels ? hn_local_prompt_ids(p, request, &prompt, err)
                          : hn_fail_memory(err, request->n_labels * sizeof *labels);
    if (st == HN_OK) st = encode_labels(p, request, &prompt, ids, labels, err);
    hn_tokens_free(&prompt);
    hn_free(labels);
    return st;
}

/* ---- cache key ---- */

static void hash_sampling(hn_sha256 *h, const hn_request *r) {
    const hn_sampling *s = &r->sampling;
    bool greedy = s->temperature == 0;
    hn_sha256_field_i64(h, r->max_tokens);
    hn_sha256_field_f64(h, (double)s->temperature);
    hn_sha256_field_i64(h,
                        greedy ? 0 : s->top_k); /* what greedy decoding does not look at does not make another answer */
    hn_sha256_field_f64(h, greedy ? 0 : (double)s->top_p);
    hn_sha256_field_f64(h, greedy ? 0 : (double)s->min_p);
    hn_sha256_field_f64(h, (double)s->repetition_penalty);
    hn_sha256_field_i64(h, s->repetition_window);
    hn_sha256_field_i64(h, greedy ? 0 : (int64_t)s->seed);
    hn_sha256_field_i64(h, (int64_t)s->n_bias);
    for (size_t i = 0; i < s->n_bias; i++) {
        hn_sha256_field_i64(h, s->bias[i].id);
        hn_sha256_field_f64(h, (double)s->bias[i].bias);
    }
    hn_sha256_field_i64(h, (int64_t)r->n_stop);
    for (size_t i = 0; i < r->n_stop; i++) hn_sha256_field_str(h, r->stop[i]);
    hn_sha256_field_i64(h, r->echo);
    hn_sha256_field_i64(h, r->want_logprobs);
    hn_sha256_field_i64(h, r->n_top);
}

static void hash_trie(hn_sha256 *h, const hn_request *r, const hn_label_trie *t) {
    hn_sha256_field_i64(h, t->n_labels);
    hn_sha256_field(h, t->token, (size_t)t->n_nodes * sizeof *t->token);
    hn_sha256_field(h, t->parent, (size_t)t->n_nodes * sizeof *t->parent);
    hn_sha256_field(h, t->end_node, (size_t)t->n_labels * sizeof *t->end_node);
    if (r->label_mode == HN_LABELS_ALL) return;
    hn_sha256_field_i64(h, r->label_mode); /* what is left out depends on both */
    for (int i = 0; r->label_log_priors && i < t->n_labels; i++) hn_sha256_field_f64(h, r->label_log_priors[i]);
}

hn_status hn_local_cache_key(hn_provider *base, const hn_request *request, char hex[65], hn_error *err) {
    hn_local *p = (hn_local *)base;
    hn_tokens ids = {0};
    hn_label_trie *trie = NULL;
    hn_local_constraint *constraint = NULL;
    char model_hash[65];
    hn_status st = hn_model_hash(p->model, model_hash, err);
    if (st == HN_OK && hn_model_tokenizer(p->model) && !*p->tokenizer_hash)
        st = hn_tokenizer_hash(hn_model_tokenizer(p->model), p->tokenizer_hash, err);
    if (st == HN_OK) st = hn_local_prompt_ids(p, request, &ids, err);
    if (st == HN_OK && request->kind == HN_REQUEST_LABELS) st = hn_local_labels(p, request, &ids, &trie, err);
    if (st == HN_OK) st = hn_local_constraint_get(p, request, &constraint, err);
    hn_sha256 *h = st == HN_OK ? hn_sha256_create() : NULL;
    if (st == HN_OK && !h) st = hn_fail_memory(err, 0);
    if (h) {
        hn_sha256_field_str(h, "answer 1"); /* raised when the meaning of a field below changes */
        hn_sha256_field_str(h, model_hash);
        hn_sha256_field_str(h, *p->tokenizer_hash ? p->tokenizer_hash : NULL);
        hn_sha256_field_str(h, request->messages ? p->template_hash : NULL);
        hn_sha256_field_str(h, hn_engine_numeric_path(p->engine));
        hn_sha256_field_i64(h, hn_engine_context(p->engine));
        hn_sha256_field(h, ids.ids, ids.n * sizeof *ids.ids);
        if (trie)
            hash_trie(h, request, trie);
        else if (request->kind == HN_REQUEST_POOLED)
            hn_sha256_field_str(h, "pooled");
        else
            hash_sampling(h, request);
        if (constraint) hn_local_constraint_hash(h, constraint);
        hn_sha256_finish(h, hex);
    }
    hn_label_trie_free(trie);
    hn_tokens_free(&ids);
    return st;
}
