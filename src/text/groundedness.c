/* Support of an answer's sentences; see groundedness.h. */
#include "text/groundedness.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "text/bag.h"
#include "text/grounding.h"
#include "text/wordlist.h"

#include <math.h>
#include <string.h>

enum { GRAM_WORDS = 3 };
static const size_t CONTEXT_BYTES_MAX = (size_t)1 << 20;

size_t hn_sentence_end(hn_str text, size_t from) {
    for (size_t i = from; i < text.len; i++) {
        char c = text.data[i];
        if (c == '\n') return i + 1;
        bool ends = c == '.' || c == '!' || c == '?';
        if (ends && (i + 1 == text.len || strchr(" \t\r\n\"')", text.data[i + 1]))) return i + 1;
    }
    return text.len;
}

/* The context as sets of words, one a sentence, behind each other. */
typedef struct context_words {
    uint64_t *items;
    size_t n, capacity;
    size_t *ends; /* (n_sentences) */
    size_t n_sentences, ends_capacity;
    hn_bag all; /* every word of it */
} context_words;

static hn_status take_context(hn_str context, context_words *c, hn_error *err) {
    hn_wordlist words = {0};
    hn_bag bag = {0};
    hn_status st = HN_OK;
    for (size_t from = 0, end; from < context.len && st == HN_OK; from = end) {
        end = hn_sentence_end(context, from);
        HN_GOTO(hn_wordlist_plain(&words, (hn_str){context.data + from, end - from}, err), done);
        if (words.n == 0) continue;
        HN_GOTO(hn_bag_fill(&bag, words.hashes, words.n, err), done);
        hn_bag_to_set(&bag);
        if (!hn_grow((void **)&c->items, &c->capacity, c->n + bag.n, sizeof *c->items) ||
            !hn_grow((void **)&c->ends, &c->ends_capacity, c->n_sentences + 1, sizeof *c->ends)) {
            st = hn_fail_memory(err, c->n * sizeof *c->items);
            goto done;
        }
        memcpy(c->items + c->n, bag.items, bag.n * sizeof *c->items);
        c->n += bag.n;
        c->ends[c->n_sentences++] = c->n;
    }
    HN_GOTO(hn_bag_fill(&c->all, c->items, c->n, err), done);
    hn_bag_to_set(&c->all);
done:
    hn_wordlist_free(&words);
    hn_bag_free(&bag);
    return st;
}

static double best_cosine(const hn_bag *set, const context_words *c) {
    double best = 0;
    for (size_t s = 0, from = 0; s < c->n_sentences; from = c->ends[s++]) {
        hn_bag part = {.items = c->items + from, .n = c->ends[s] - from};
        double cosine = (double)hn_bag_overlap(set, &part) / sqrt((double)set->n * (double)part.n);
        if (cosine > best) best = cosine;
    }
    return best;
}

static bool has_digit(hn_str word) {
    for (size_t i = 0; i < word.len; i++)
        if (word.data[i] >= '0' && word.data[i] <= '9') return true;
    return false;
}

/* Whether a number of the sentence is nowhere in the context. */
static hn_status invents_number(const hn_wordlist *words, const context_words *c, hn_bag *one, bool *invents,
                                hn_error *err) {
    *invents = false;
    for (size_t i = 0; i < words->n && !*invents; i++) {
        if (!has_digit(words->items[i])) continue;
        HN_TRY(hn_bag_fill(one, &words->hashes[i], 1, err));
        *invents = hn_bag_overlap(one, &c->all) == 0;
    }
    return HN_OK;
}

static hn_status judge(hn_str sentence, hn_str context, const context_words *c, hn_wordlist *words, hn_bag *set,
                       double *support, hn_error *err) {
    hn_grounding grams;
    bool invents;
    HN_TRY(invents_number(words, c, set, &invents, err));
    *support = 0;
    if (invents) return HN_OK;
    HN_TRY(hn_grounding_check(sentence, &context, 1, GRAM_WORDS, &grams, err));
    HN_TRY(hn_bag_fill(set, words->hashes, words->n, err));
    hn_bag_to_set(set);
    *support = fmax(grams.support, best_cosine(set, c));
    return HN_OK;
}

static hn_status check_all(hn_str answer, hn_str context, double threshold, const context_words *c, hn_groundedness *g,
                           hn_error *err) {
    hn_wordlist words = {0};
    hn_bag set = {0};
    hn_status st = HN_OK;
    double sum = 0;
    size_t n_words = 0;
    for (size_t from = 0, end; from < answer.len && st == HN_OK; from = end) {
        end = hn_sentence_end(answer, from);
        hn_str sentence = {answer.data + from, end - from};
        hn_grounded_sentence item = {.from = from, .to = end};
        HN_GOTO(hn_wordlist_plain(&words, sentence, err), done);
        if (words.n == 0) continue;
        HN_GOTO(judge(sentence, context, c, &words, &set, &item.support, err), done);
        item.n_words = words.n;
        if (!hn_grow((void **)&g->items, &g->capacity, g->n + 1, sizeof *g->items)) {
            st = hn_fail_memory(err, g->n * sizeof *g->items);
            goto done;
        }
        g->items[g->n++] = item;
        g->n_unsupported += item.support < threshold;
        sum += item.support * (double)words.n;
        n_words += words.n;
    }
    if (n_words) g->support = sum / (double)n_words;
done:
    hn_wordlist_free(&words);
    hn_bag_free(&set);
    return st;
}

hn_status hn_groundedness_check(hn_str answer, hn_str context, double threshold, hn_groundedness *out, hn_error *err) {
    context_words c = {0};
    *out = (hn_groundedness){.support = (double)NAN};
    if (context.len > CONTEXT_BYTES_MAX) context.len = hn_utf8_prefix(context.data, context.len, CONTEXT_BYTES_MAX);
    hn_status st = take_context(context, &c, err);
    if (st == HN_OK) st = check_all(answer, context, threshold, &c, out, err);
    hn_free(c.items);
    hn_free(c.ends);
    hn_bag_free(&c.all);
    if (st != HN_OK) hn_groundedness_free(out);
    return st;
}

void hn_groundedness_free(hn_groundedness *g) {
    hn_free(g->items);
    *g = (hn_groundedness){.support = (double)NAN};
}
