/* Counting words; see bpe_count.h. */
#include "model/bpe_count.h"

#include "base/alloc.h"
#include "model/pretokenize.h"

struct hn_bpe_counter {
    hn_pretokenizer cutter;
    hn_words spans; /* of the text at hand */
    hn_bpe_words words;
};

const char *hn_word_cut_name(hn_word_cut cut) { return cut == HN_CUT_GPT2 ? "gpt-2" : "smollm"; }

hn_status hn_bpe_counter_create(hn_word_cut cut, hn_bpe_counter **counter, hn_error *err) {
    hn_pretokenizer_traits traits;
    *counter = NULL;
    hn_bpe_counter *c = hn_calloc(1, sizeof *c);
    if (!c) return hn_fail_memory(err, sizeof *c);
    hn_status st = hn_pretokenizer_named(hn_str_of(hn_word_cut_name(cut)), &c->cutter, &traits, err);
    if (st == HN_OK)
        *counter = c;
    else
        hn_bpe_counter_free(c);
    return st;
}

hn_status hn_bpe_counter_add(hn_bpe_counter *c, const char *text, size_t n, hn_error *err) {
    if (n == 0) return HN_OK;
    if (n > (size_t)1 << 30)
        return hn_fail(err, HN_ERR_LIMIT, NULL, "cut it into documents", "a text of %zu bytes, the limit is 1 GiB", n);
    HN_TRY(hn_pretokenize(&c->cutter, text, n, true, &c->spans, err));
    for (size_t i = 0; i < c->spans.n; i++)
        for (size_t at = c->spans.spans[i].start; at < c->spans.spans[i].end;) {
            size_t len = c->spans.spans[i].end - at;
            if (len > HN_BPE_WORD_BYTES) len = HN_BPE_WORD_BYTES;
            HN_TRY(hn_bpe_words_add(&c->words, c->spans.text + at, len, 1, NULL, err));
            at += len;
        }
    return HN_OK;
}

const hn_bpe_words *hn_bpe_counter_words(const hn_bpe_counter *c) { return &c->words; }

void hn_bpe_counter_free(hn_bpe_counter *c) {
    if (!c) return;
    hn_bpe_words_free(&c->words);
    hn_words_free(&c->spans);
    hn_pretokenizer_free(&c->cutter);
    hn_free(c);
}
