/* One thread's tokenizing rate: bench_tokenizer MODEL.gguf TEXT IDS [ROUNDS]
 *
 * Prints one JSON line with the seconds of each round and writes the ids of the text to IDS as int32, so that other programs' ids can be
 * compared. bench/tokenizer runs it beside tiktoken and Hugging Face's tokenizers. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>

static hn_status measure(const char *model_path, const char *text_path, const char *ids_path, int rounds,
                         hn_error *err) {
    hn_model *model;
    char *text;
    size_t n;
    hn_tokens ids = {0};
    HN_TRY(hn_model_open(model_path, HN_MODEL_VOCAB_ONLY, &model, err));
    hn_status st = hn_file_read(text_path, (size_t)1 << 30, &text, &n, err);
    if (st != HN_OK) {
        hn_model_close(model);
        return st;
    }
    printf("{\"bytes\": %zu, \"seconds\": [", n);
    for (int i = 0; i < rounds && st == HN_OK; i++) {
        ids.n = 0;
        double start = hn_clock_seconds();
        st = hn_tokenizer_encode(hn_model_tokenizer(model), text, n, 0, &ids, err);
        printf("%s%.6f", i ? ", " : "", hn_clock_seconds() - start);
    }
    printf("], \"tokens\": %zu}\n", ids.n);
    if (st == HN_OK) st = hn_file_write_atomic(ids_path, ids.ids, ids.n * sizeof *ids.ids, err);
    hn_tokens_free(&ids);
    hn_free(text);
    hn_model_close(model);
    return st;
}

int main(int argc, char **argv) {
    hn_error err = {0};
    long rounds = argc > 4 ? strtol(argv[4], NULL, 10) : 5;
    if (argc < 4 || rounds < 1 || rounds > 1000) {
        fprintf(stderr, "usage: bench_tokenizer MODEL.gguf TEXT IDS [ROUNDS]\n");
        return 2;
    }
    if (measure(argv[1], argv[2], argv[3], (int)rounds, &err) == HN_OK) return 0;
    fprintf(stderr, "bench_tokenizer: %s: %s\n", err.where, err.message);
    return 1;
}
