/* What following a grammar costs a token: the mask and the step, on five typical grammars, while a given answer is written.
 *
 *     build/bench_grammar MODEL.gguf [VOCABULARY_SIZE]
 *
 * The answer is tokenized as the model would write it. `first` is the first answer after the start: every state is met for
 * the first time. `later` is the same grammar in a later request. With VOCABULARY_SIZE the model's tokens are joined in
 * pairs until there are so many, as larger vocabularies have longer tokens. Times are microseconds for one token. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/rng.h"
#include "engine/grammar_match_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ticket[] =
    "root ::= \"{\" ws \"\\\"team\\\":\" ws team \",\" ws \"\\\"urgency\\\":\" ws [1-5] \",\" ws \"\\\"customer\\\":\" "
    "ws string50 \",\" ws"
    " \"\\\"summary\\\":\" ws string200 \",\" ws \"\\\"refund\\\":\" ws (number | \"null\") ws \"}\"\n"
    "team ::= \"\\\"billing\\\"\" | \"\\\"login\\\"\" | \"\\\"shipping\\\"\" | \"\\\"other\\\"\"\n"
    "string50 ::= \"\\\"\" char{1,50} \"\\\"\"\n"
    "string200 ::= \"\\\"\" char{0,200} \"\\\"\"\n"
    "char ::= [^\"\\\\\\x00-\\x1F] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" [0-9a-fA-F]{4})\n"
    "number ::= \"-\"? (\"0\" | [1-9] [0-9]*) (\".\" [0-9]+)?\n"
    "ws ::= [ \\n]{0,8}\n";
static const char ticket_answer[] = "{\"team\": \"shipping\", \"urgency\": 4, \"customer\": \"Zo\xC3\xAB "
                                    "M\xC3\xBCller\", \"summary\": \"The parcel from order 4711 was "
                                    "left at the wrong address, and the neighbour (no. 12) says that it was never "
                                    "there.\\nAsks for a refund.\", \"refund\": 129.95}";

static const char json[] =
    "root ::= value\n"
    "value ::= object | array | string | number | \"true\" | \"false\" | \"null\"\n"
    "object ::= \"{\" ws (string ws \":\" ws value ws (\",\" ws string ws \":\" ws value ws)*)? \"}\"\n"
    "array ::= \"[\" ws (value ws (\",\" ws value ws)*)? \"]\"\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1F] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" [0-9a-fA-F]{4}))* \"\\\"\"\n"
    "number ::= \"-\"? (\"0\" | [1-9] [0-9]*) (\".\" [0-9]+)? ([eE] [-+]? [0-9]+)?\n"
    "ws ::= [ \\t\\n\\r]*\n";
static const char json_answer[] =
    "{\n  \"name\": \"hone\",\n  \"tags\": [\"native\", \"fast\", \"offline\"],\n  \"limits\": {\"latency_ms\": 200, "
    "\"memory_mb\": 600.5},\n"
    "  \"releases\": [\n    {\"version\": \"0.1.0\", \"stable\": false, \"notes\": null},\n    {\"version\": "
    "\"0.2.0\", \"stable\": true, "
    "\"notes\": \"Answers that keep their shape, whatever the model would rather say.\"}\n  ]\n}";

static const char list[] =
    "root ::= \"[\" ws (item (\",\" ws item){0,19})? \"]\"\n"
    "item ::= \"{\" ws \"\\\"from\\\":\" ws date \",\" ws \"\\\"to\\\":\" ws date \",\" ws \"\\\"place\\\":\" ws "
    "\"\\\"\" char{1,80} \"\\\"\" (\",\" ws \"\\\"seats\\\":\" ws [1-9] [0-9]{0,3})? ws \"}\"\n"
    "date ::= \"\\\"\" [0-9]{4} \"-\" [01] [0-9] \"-\" [0-3] [0-9] \"\\\"\"\n"
    "char ::= [^\"\\\\\\x00-\\x1F] | \"\\\\\" [\"\\\\/bfnrt]\n"
    "ws ::= \" \"?\n";
static const char list_answer[] =
    "[{\"from\": \"2026-11-24\", \"to\": \"2026-11-25\", \"place\": \"The old town hall of Bremen\", \"seats\": 120}, "
    "{\"from\": \"2027-01-02\", "
    "\"to\": \"2027-01-02\", \"place\": \"A room with a view\"}, {\"from\": \"2027-03-10\", \"to\": \"2027-03-14\", "
    "\"place\": \"Online, in two parts\", \"seats\": 9}]";

static const char email[] = "Name: [A-Z][a-z]{1,20}( [A-Z][a-z]{1,20}){0,3}\\nE-mail: "
                            "[a-z0-9._%+-]{1,64}@[a-z0-9-]{1,63}(\\.[a-z]{2,10}){1,3}\\nTelephone: \\+?[0-9 "
                            "()-]{7,20}\\n(Note: [\\p{L}\\p{N}\\p{P} ]{0,300}\\n)?";
static const char email_answer[] =
    "Name: Ada Lovelace King\nE-mail: ada.lovelace+engine@analytical-society.example.org\nTelephone: +44 (20) "
    "7946-0018\nNote: She asks "
    "whether the caf\xC3\xA9 near the station, open until six, would suit everybody; otherwise the library.\n";

static const char *const labels[] = {"activate my card",
                                     "age limit",
                                     "apple pay or google pay",
                                     "card arrival",
                                     "card delivery estimate",
                                     "card not working",
                                     "cash withdrawal charge",
                                     "cash withdrawal not recognised",
                                     "declined transfer",
                                     "exchange rate",
                                     "lost or stolen card",
                                     "pending transfer",
                                     "refund not showing up",
                                     "top up failed",
                                     "transfer not received by recipient",
                                     "verify my identity",
                                     "why verify identity",
                                     "wrong amount of cash received"};
static const char labels_answer[] = "transfer not received by recipient";

static hn_error err;

static void must(hn_status st, const char *what) {
    if (st == HN_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, err.where, err.message);
    exit(hn_status_exit(st));
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One answer, token by token, greedily cut into the longest tokens; us[i]: for token i. */
static size_t write_answer(const hn_grammar *g, hn_grammar_vocab *v, const hn_tokens *ids, double *us,
                           double *create_ms) {
    hn_grammar_match *m;
    const uint64_t *mask;
    double start = hn_clock_seconds();
    must(hn_grammar_match_create(g, v, &m, &err), "match");
    *create_ms = 1e3 * (hn_clock_seconds() - start);
    for (size_t i = 0; i < ids->n; i++) {
        start = hn_clock_seconds();
        must(hn_grammar_match_mask(m, &mask, &err), "mask");
        must(hn_grammar_match_accept(m, ids->ids[i], &err), "accept");
        us[i] = 1e6 * (hn_clock_seconds() - start);
        if (!(mask[ids->ids[i] / 64] >> (ids->ids[i] % 64) & 1)) {
            fprintf(stderr, "token %zu is not in its mask\n", i);
            exit(1);
        }
    }
    if (!hn_grammar_match_can_end(m)) fprintf(stderr, "the answer is not complete\n");
    hn_grammar_match_free(m);
    return ids->n;
}

static void report(const char *name, double *us, size_t n, double build_ms, double first_ms) {
    double total = 0, first = us[0];
    for (size_t i = 0; i < n; i++) total += us[i];
    qsort(us, n, sizeof *us, by_value);
    printf("| %-29s | %6zu | %8.2f | %8.2f | %8.1f | %8.1f | %8.1f | %8.1f |\n", name, n, build_ms,
           first_ms + first / 1e3, us[n / 2], us[(n * 99) / 100], us[n - 1], total / (double)n);
}

static void bench_one(const char *name, hn_grammar *g, double build_ms, hn_grammar_vocab *v, const hn_tokenizer *t,
                      const char *answer) {
    hn_tokens ids = {0};
    char label[64];
    double create_ms;
    must(hn_tokenizer_encode(t, answer, strlen(answer), 0, &ids, &err), "answer");
    double *us = hn_calloc(ids.n + 1, sizeof *us);
    if (!us) return;
    size_t n = write_answer(g, v, &ids, us, &create_ms);
    snprintf(label, sizeof label, "%s, first", name);
    report(label, us, n, build_ms, create_ms);
    n = write_answer(g, v, &ids, us, &create_ms);
    snprintf(label, sizeof label, "%s, later", name);
    report(label, us, n, 0, create_ms);
    hn_free(us);
    hn_tokens_free(&ids);
    hn_grammar_free(g);
}

static hn_grammar_vocab *open_vocab(const hn_tokenizer *t, int32_t size) {
    hn_grammar_vocab *v;
    int32_t n = hn_tokenizer_vocab_size(t), made = n;
    double start = hn_clock_seconds();
    if (size <= n) {
        must(hn_grammar_vocab_create(t, &v, &err), "vocabulary");
    } else {
        hn_str *pieces = hn_calloc((size_t)size, sizeof *pieces);
        hn_buf joined;
        hn_rng rng;
        hn_buf_init(&joined, 0);
        hn_rng_seed(&rng, 1, 0);
        if (!pieces) exit(1);
        for (int32_t i = 0; i < n; i++)
            if (hn_tokenizer_kind(t, i) == HN_TOKEN_NORMAL) pieces[i] = hn_tokenizer_piece(t, i);
        for (; made < size; made++)
            for (int k = 0; k < 2; k++) {
                hn_str p = hn_tokenizer_piece(t, 300 + (int32_t)hn_rng_below(&rng, (uint64_t)n / (k ? 8 : 1) - 300));
                hn_buf_append(&joined, p.data, p.len);
                pieces[made].len += p.len;
            }
        size_t at = 0;
        for (int32_t i = n; i < size; at += pieces[i++].len) pieces[i].data = joined.data + at;
        start = hn_clock_seconds();
        must(hn_grammar_vocab_from_pieces(pieces, size, &v, &err), "vocabulary");
        hn_free(pieces);
        hn_buf_free(&joined);
    }
    printf("vocabulary of %d tokens, %u nodes: %.1f ms\n\n", (int)v->n_tokens, v->n_nodes,
           1e3 * (hn_clock_seconds() - start));
    return v;
}

int main(int argc, char **argv) {
    hn_gguf *gguf;
    hn_tokenizer *t;
    hn_grammar *g;
    if (argc < 2) {
        fprintf(stderr, "usage: bench_grammar MODEL.gguf [VOCABULARY_SIZE]\n");
        return 2;
    }
    must(hn_gguf_open(argv[1], &gguf, &err), "model");
    must(hn_tokenizer_from_gguf(gguf, &t, &err), "tokenizer");
    hn_grammar_vocab *v = open_vocab(t, argc > 2 ? (int32_t)strtol(argv[2], NULL, 10) : 0);
    printf("| %-29s | tokens | build ms | start ms |   median |      p99 |      max |     mean "
           "|\n|---|---|---|---|---|---|---|---|\n",
           "grammar");
    static const struct {
        const char *name, *text, *answer;
    } texts[] = {{"ticket (GBNF)", ticket, ticket_answer},
                 {"any JSON (GBNF)", json, json_answer},
                 {"list of objects (GBNF)", list, list_answer}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double start = hn_clock_seconds();
        must(hn_grammar_from_gbnf(texts[i].text, texts[i].name, &g, &err), "grammar");
        bench_one(texts[i].name, g, 1e3 * (hn_clock_seconds() - start), v, t, texts[i].answer);
    }
    double start = hn_clock_seconds();
    must(hn_grammar_from_regex(email, &g, &err), "regex");
    bench_one("contact (regex)", g, 1e3 * (hn_clock_seconds() - start), v, t, email_answer);
    start = hn_clock_seconds();
    must(hn_grammar_from_choices(labels, sizeof labels / sizeof *labels, &g, &err), "choices");
    bench_one("18 labels (choices)", g, 1e3 * (hn_clock_seconds() - start), v, t, labels_answer);
    hn_grammar_vocab_free(v);
    hn_tokenizer_free(t);
    hn_gguf_close(gguf);
    return 0;
}
