/* What an answer must be, as grammars; see local_parts.h. A constraint is compiled once and kept by the hash of its source, since an
 * evaluation asks thousands of times for the same one; matches borrow the grammar, so those in use are never dropped. The vocabulary is
 * prepared when the first constraint comes.
 * Surprise: the mask comes from the grammar, which never allows control tokens; the ways to end are added here, where the text may end: end
 * tokens, and tokens that begin with a stop text (in raw form a model ends a line, it does not write an end token). */
#include "base/hash.h"
#include "base/str.h"
#include "provider/local_parts.h"

#include <string.h>

/* ---- sources to grammars ---- */

static const char *name_of(const hn_constraint *c) {
    static const char *const names[] = {"constraint", "json", "json_schema", "regex", "grammar", "choices"};
    return c->name ? c->name : names[c->kind];
}

static hn_status compile_constraint(const hn_constraint *c, hn_grammar **grammar, hn_error *err) {
    hn_status st = HN_OK;
    switch (c->kind) {
    case HN_CONSTRAIN_NONE: break;
    case HN_CONSTRAIN_JSON: return hn_grammar_from_schema(json_true(), grammar, err); /* true is never freed */
    case HN_CONSTRAIN_SCHEMA: st = hn_grammar_from_schema(c->schema, grammar, err); break;
    case HN_CONSTRAIN_REGEX: st = hn_grammar_from_regex(c->text, grammar, err); break;
    case HN_CONSTRAIN_GBNF: return hn_grammar_from_gbnf(c->text, name_of(c), grammar, err);
    case HN_CONSTRAIN_CHOICES: return hn_grammar_from_choices(c->choices, c->n_choices, grammar, err);
    }
    if (st != HN_OK && st != HN_ERR_MEMORY) hn_error_prefix(err, name_of(c));
    return st;
}

/* ---- what is kept ---- */

static void hash_json(hn_sha256 *h, const json_t *value) {
    hn_buf text;
    hn_buf_init(&text, 0);
    if (value) hn_json_write(value, NULL, &text);
    hn_sha256_field_i64(h, hn_buf_status(&text)); /* a source that cannot be written fails when it is compiled */
    hn_sha256_field(h, hn_buf_str(&text), text.len);
    hn_buf_free(&text);
}

static void hash_texts(hn_sha256 *h, const char *const *texts, size_t n) {
    hn_sha256_field_i64(h, (int64_t)n);
    for (size_t i = 0; i < n; i++) hn_sha256_field_str(h, texts[i]);
}

/* Id of the source, with the stop texts, since both decide which tokens end an answer. */
static hn_status hash_source(const hn_request *r, char hex[65], hn_error *err) {
    const hn_constraint *c = &r->constraint;
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 64);
    bool tools = hn_local_demands_call(r);
    hn_sha256_field_i64(h, tools ? -1 : (int64_t)c->kind);
    hn_sha256_field_str(h, tools ? r->tool_choice : c->text);
    hash_json(h, tools ? r->tools : c->schema);
    hash_texts(h, c->choices, c->n_choices);
    hash_texts(h, r->stop, r->n_stop);
    hn_sha256_finish(h, hex);
    return HN_OK;
}

static void set_bit(uint64_t *bits, int32_t id) { bits[id / 64] |= (uint64_t)1 << (id % 64); }

/* Which tokens end an answer where it may end, and which never fit since a stop text stands inside them. */
static void find_ends(const hn_tokenizer *t, const hn_request *r, hn_local_constraint *c) {
    for (int32_t id = 0; id < hn_tokenizer_vocab_size(t); id++) {
        if (hn_tokenizer_is_end(t, id)) set_bit(c->ends, id);
        if (r->n_stop == 0 || hn_tokenizer_kind(t, id) == HN_TOKEN_CONTROL) continue;
        hn_str piece = hn_tokenizer_piece(t, id);
        for (size_t i = 0; i < r->n_stop; i++) {
            const char *hit = piece.len ? memmem(piece.data, piece.len, r->stop[i], strlen(r->stop[i])) : NULL;
            if (hit) set_bit(hit == piece.data ? c->ends : c->never, id);
        }
    }
}

static void constraint_free(hn_local_constraint *c) {
    hn_grammar_free(c->grammar);
    hn_local_frames_free(c);
    hn_free(c->ends);
    hn_free(c->never);
    hn_free(c);
}

static hn_status make_constraint(hn_local *p, const hn_request *r, hn_local_constraint **out, hn_error *err) {
    const hn_tokenizer *t = hn_model_tokenizer(p->model);
    *out = NULL;
    if (!t)
        return hn_fail(err, HN_ERR_UNSUPPORTED, hn_model_path(p->model), "take the constraint away",
                       "the model has no tokenizer, so the text of its answers is not known");
    if (!p->vocab) HN_TRY(hn_grammar_vocab_create(t, &p->vocab, err));
    int32_t n_vocab = hn_model_shape(p->model)->n_vocab, n_tokens = hn_tokenizer_vocab_size(t);
    p->mask_words = ((size_t)(n_vocab > n_tokens ? n_vocab : n_tokens) + 63) / 64;
    if (!p->mask) p->mask = hn_calloc(p->mask_words, sizeof *p->mask);
    hn_local_constraint *c = hn_calloc(1, sizeof *c);
    if (c) c->ends = hn_calloc(p->mask_words, sizeof *c->ends);
    if (c) c->never = hn_calloc(p->mask_words, sizeof *c->never);
    hn_status st = p->mask && c && c->ends && c->never ? HN_OK : hn_fail_memory(err, p->mask_words * sizeof *p->mask);
    if (st == HN_OK)
        st = hn_local_demands_call(r) ? hn_local_frames_make(p, r, c, err)
                                      : compile_constraint(&r->constraint, &c->grammar, err);
    if (st == HN_OK) {
        c->json = c->n_frames || r->constraint.kind == HN_CONSTRAIN_JSON || r->constraint.kind == HN_CONSTRAIN_SCHEMA;
        find_ends(t, r, c);
        *out = c;
    } else if (c) {
        constraint_free(c);
    }
    return st;
}

/* A place for one more: a free one, or that of the unused one that was used longest ago; with all in use the list grows. */
static hn_status keep_constraint(hn_local *p, hn_local_constraint *c, hn_error *err) {
    size_t oldest = SIZE_MAX;
    for (size_t i = 0; i < p->n_constraints; i++)
        if (p->constraints[i]->n_users == 0 &&
            (oldest == SIZE_MAX || p->constraints[i]->used < p->constraints[oldest]->used))
            oldest = i;
    if (p->n_constraints >= HN_LOCAL_CONSTRAINTS && oldest != SIZE_MAX) {
        constraint_free(p->constraints[oldest]);
        p->constraints[oldest] = c;
        return HN_OK;
    }
    if (!hn_grow((void **)&p->constraints, &p->constraints_capacity, p->n_constraints + 1,
                 sizeof(hn_local_constraint *)))
        return hn_fail_memory(err, sizeof *p->constraints);
    p->constraints[p->n_constraints++] = c;
    return HN_OK;
}

hn_status hn_local_constraint_get(hn_local *p, const hn_request *request, hn_local_constraint **c, hn_error *err) {
    char hash[65];
    *c = NULL;
    bool tools = hn_local_demands_call(request);
    if (tools && request->constraint.kind != HN_CONSTRAIN_NONE)
        return hn_fail(err, HN_ERR_USAGE, "request", "take one of them away",
                       "a constraint and a tool_choice that demands a call exclude each other");
    if (request->kind != HN_REQUEST_GENERATE || (!tools && request->constraint.kind == HN_CONSTRAIN_NONE)) return HN_OK;
    HN_TRY(hash_source(request, hash, err));
    for (size_t i = 0; i < p->n_constraints && !*c; i++)
        if (strcmp(p->constraints[i]->hash, hash) == 0) *c = p->constraints[i];
    if (!*c) {
        hn_local_constraint *made;
        HN_TRY(make_constraint(p, request, &made, err));
        memcpy(made->hash, hash, sizeof made->hash);
        hn_status st = keep_constraint(p, made, err);
        if (st != HN_OK) {
            constraint_free(made);
            return st;
        }
        *c = made;
    }
    (*c)->used = ++p->uses;
    return HN_OK;
}

/* ---- following one answer ---- */

hn_status hn_local_constraint_start(hn_local *p, hn_local_request *r, const hn_request *request, hn_error *err) {
    hn_local_constraint *c;
    HN_TRY(hn_local_constraint_get(p, request, &c, err));
    if (!c) return HN_OK;
    if (c->grammar) HN_TRY(hn_grammar_match_create(c->grammar, p->vocab, &r->match, err));
    r->constraint = c;
    c->n_users++;
    if (c->json && !(r->names = hn_json_names_create())) return hn_fail_memory(err, sizeof *c);
    return HN_OK;
}

void hn_local_constraint_end(hn_local_request *r) {
    hn_grammar_match_free(r->match);
    hn_json_names_free(r->names);
    if (r->constraint) r->constraint->n_users--;
    r->match = NULL;
    r->names = NULL;
    r->constraint = NULL;
}

hn_status hn_local_constraint_mask(hn_local *p, hn_local_request *r, const uint64_t **mask, hn_error *err) {
    const uint64_t *grammar;
    size_t n_own = ((size_t)hn_tokenizer_vocab_size(hn_model_tokenizer(p->model)) + 63) / 64;
    *mask = p->mask;
    if (!r->match) {
        hn_local_frames_mask(p, r);
        return HN_OK;
    }
    HN_TRY(hn_grammar_match_mask(r->match, &grammar, err));
    uint64_t may_end = !r->frame && hn_grammar_match_can_end(r->match) ? ~(uint64_t)0 : 0;
    for (size_t i = 0; i < p->mask_words; i++) {
        uint64_t ends = r->constraint->ends[i];
        p->mask[i] = ((i < n_own ? grammar[i] : 0) & ~ends & ~r->constraint->never[i]) | (ends & may_end);
    }
    return HN_OK;
}

hn_status hn_local_constraint_pick(hn_local *p, hn_local_request *r, const uint64_t *mask, int32_t *id, hn_error *err) {
    const hn_tokenizer *t = hn_model_tokenizer(p->model);
    for (bool repeated = true; repeated;) {
        repeated = false;
        *id = hn_sampler_pick_allowed(r->sampler, r->logits, mask, hn_sequence_tokens(r->sequence),
                                      (size_t)hn_sequence_length(r->sequence));
        if (*id < 0 || !mask || !r->names || !r->match || r->constraint->ends[*id / 64] >> (*id % 64) & 1) break;
        hn_str piece = hn_tokenizer_piece(t, *id);
        HN_TRY(hn_json_names_accept(r->names, piece.data, piece.len, &repeated, err));
        if (repeated) p->mask[*id / 64] &= ~((uint64_t)1 << (*id % 64));
    }
    return HN_OK;
}

hn_status hn_local_constraint_accept(hn_local *p, hn_local_request *r, int32_t id, bool *complete, hn_error *err) {
    *complete = false;
    if (r->constraint->n_frames) return hn_local_frames_accept(p, r, id, complete, err);
    if (r->constraint->ends[id / 64] >> (id % 64) & 1) return HN_OK;
    HN_TRY(hn_grammar_match_accept(r->match, id, err));
    *complete = hn_grammar_match_must_end(r->match);
    return HN_OK;
}

/* The match stands behind the stop text, which may have begun tokens ago: the text is read again. */
hn_status hn_local_constraint_holds(hn_local *p, const hn_local_request *r, bool *holds, hn_error *err) {
    hn_grammar_match *again;
    size_t n = r->text.text.len, accepted;
    *holds = false;
    if (!r->constraint->grammar) return HN_OK; /* a tool call ends by itself */
    HN_TRY(hn_grammar_match_create(r->constraint->grammar, p->vocab, &again, err));
    hn_status st = hn_grammar_match_bytes(again, hn_buf_str(&r->text.text), n, &accepted, err);
    *holds = st == HN_OK && accepted == n && hn_grammar_match_can_end(again);
    hn_grammar_match_free(again);
    return st;
}

void hn_local_constraint_hash(hn_sha256 *h, const hn_local_constraint *c) {
    if (c->grammar) hn_sha256_field_str(h, hn_grammar_hash(c->grammar));
    hn_local_frames_hash(h, c);
}

hn_status hn_local_constraint_fail(const hn_local_request *r, hn_error *err) {
    const char *text = hn_buf_str(&r->text.text);
    size_t n = r->text.text.len, from = n > 60 ? n - 60 : 0;
    while (from < n && ((unsigned char)text[from] & 0xC0) == 0x80) from++;
    return hn_fail(err, HN_ERR_UNSUPPORTED, "constraint",
                   "use a looser constraint, or take logit biases of -inf and stop texts away",
                   "no token of the model's vocabulary can go on behind \"%s%s\" as the constraint demands",
                   from ? "..." : "", text + from);
}

void hn_local_constraints_close(hn_local *p) {
    for (size_t i = 0; i < p->n_constraints; i++) constraint_free(p->constraints[i]);
    hn_free(p->constraints);
    hn_grammar_vocab_free(p->vocab);
    hn_free(p->mask);
}
