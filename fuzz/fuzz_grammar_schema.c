/* Any JSON as a schema: made into a grammar or refused with a reason. What the grammar writes in short walks, led by a hash of
 * the input, is JSON that the validator accepts. */
#include "base/hash.h"
#include "base/rng.h"
#include "engine/grammar_match_parts.h"
#include "format/json_schema.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static hn_grammar_vocab *all_bytes(void) {
    static hn_grammar_vocab *vocab;
    static char bytes[256];
    hn_str pieces[256];
    hn_error err;
    if (vocab) return vocab;
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        pieces[i] = (hn_str){&bytes[i], 1};
    }
    if (hn_grammar_vocab_from_pieces(pieces, 256, &vocab, &err) != HN_OK) abort();
    return vocab;
}

static int choose(const uint64_t *mask, hn_rng *rng, int step) {
    static const char closing[] = "\"}]";
    int n = 0, all[256];
    for (const char *c = closing; *c && step > 40; c++)
        if (mask[*c / 64] >> (*c % 64) & 1) return *c;
    for (int i = 0; i < 256; i++)
        if (mask[i / 64] >> (i % 64) & 1) all[n++] = i;
    return n ? all[hn_rng_below(rng, (uint64_t)n)] : -1;
}

/* One text into `text`; false: none within the steps. */
static bool walk(const hn_grammar *grammar, hn_rng *rng, hn_buf *text) {
    hn_grammar_match *match;
    hn_error err = {0};
    bool ended = false;
    if (hn_grammar_match_create(grammar, all_bytes(), &match, &err) != HN_OK) return false;
    for (int step = 0; step < 200 && !ended; step++) {
        const uint64_t *mask;
        bool can_end = hn_grammar_match_can_end(match);
        ended = can_end && (step > 40 || hn_grammar_match_must_end(match));
        if (ended || hn_grammar_match_mask(match, &mask, &err) != HN_OK) break;
        int c = choose(mask, rng, step);
        if (c < 0 && !can_end) abort();
        ended = c < 0;
        if (ended) break;
        if (hn_grammar_match_accept(match, c, &err) != HN_OK) abort();
        hn_buf_append_char(text, (char)c);
    }
    hn_grammar_match_free(match);
    return ended;
}

static void check(const json_t *json, const hn_buf *text) {
    hn_json_schema *schema;
    hn_json_schema_result result;
    json_t *value;
    hn_error err = {0};
    if (hn_json_parse(hn_buf_str(text), text->len, "text", HN_JSON_ANY | HN_JSON_NUL, &value, &err) != HN_OK) {
        if (!strstr(err.message, "duplicate") && !strstr(err.message, "NUL") && !strstr(err.message, "NULL")) abort();
        return;
    }
    if (hn_json_schema_create(json, NULL, &schema, &err) != HN_OK) abort();
    if (hn_json_schema_validate(schema, value, &result, &err) == HN_OK && !result.valid) abort();
    hn_json_schema_free(schema);
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *json;
    hn_grammar *grammar;
    hn_error err = {0};
    hn_rng rng;
    hn_buf text;
    hn_json_init();
    if (size > 4096) return 0;
    if (hn_json_parse((const char *)data, size, "schema", HN_JSON_ANY, &json, &err) != HN_OK) return 0;
    hn_status st = hn_grammar_from_schema(json, &grammar, &err);
    if (st != HN_OK && (!err.message[0] || err.code != st || st == HN_ERR_INTERNAL)) abort();
    hn_rng_seed(&rng, hn_hash64(data, size, 0), 0);
    hn_buf_init(&text, 0);
    for (int i = 0; i < 3 && st == HN_OK; i++) {
        hn_buf_clear(&text);
        if (walk(grammar, &rng, &text)) check(json, &text);
    }
    hn_buf_free(&text);
    if (st == HN_OK) hn_grammar_free(grammar);
    json_decref(json);
    return 0;
}
