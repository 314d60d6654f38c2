/* How far the engine's answers are from f32 arithmetic, per weight file and KV cache type.
 *
 *     build/bench_accuracy PROMPTS.jsonl F32.gguf FILE.gguf...      (HONE_ISA chooses the kernels)
 *
 * PROMPTS.jsonl has {"ids": [...], "next_logprob": [...]} per line (../shared/goldens/smollm2/logits.jsonl). The
 * reference is F32.gguf through the ref kernels with an f32 cache; the first line of output says how far that itself is
 * from the file's recorded log-probabilities. Then, for each file and cache type, over all positions of all prompts: the
 * mean Kullback-Leibler divergence of the next token's distribution from the reference's, the rms of the prompt's own
 * next tokens' log-probabilities (over all, and of the worst prompt), and how often the most likely token is the same. */
#include "base/alloc.h"
#include "engine/engine.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROMPTS_MAX = 256 };

typedef struct prompt {
    int32_t *ids;  /* (n) */
    double *known; /* (n-1) recorded log-probabilities of ids[1..] */
    int n;
    size_t first; /* row of its first position */
} prompt;

typedef struct accuracy {
    prompt prompts[PROMPTS_MAX];
    int n_prompts;
    size_t n_rows, V;
    float *reference; /* (n_rows, V) log-probabilities */
    float *logits;    /* (V) */
} accuracy;

typedef struct figures {
    double divergence, squares, worst;
    size_t n_same, n_next;
} figures;

static bool read_prompt(accuracy *a, const json_t *row) {
    const json_t *ids = json_object_get(row, "ids"), *known = json_object_get(row, "next_logprob");
    size_t n = json_array_size(ids);
    if (a->n_prompts == PROMPTS_MAX || n == 0 || n > 1 << 20 || json_array_size(known) + 1 != n) return false;
    prompt *p = &a->prompts[a->n_prompts++];
    *p = (prompt){
        .ids = hn_calloc(n, sizeof *p->ids), .known = hn_calloc(n, sizeof *p->known), .n = (int)n, .first = a->n_rows};
    if (!p->ids || !p->known) return false;
    for (size_t i = 0; i < n; i++) p->ids[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    for (size_t i = 0; i + 1 < n; i++) p->known[i] = json_number_value(json_array_get(known, i));
    a->n_rows += n;
    return true;
}

static bool read_prompts(accuracy *a, const char *path) {
    FILE *f = fopen(path, "r");
    bool ok = f != NULL;
    json_t *row;
    while (ok && (row = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL))) {
        ok = read_prompt(a, row);
        json_decref(row);
    }
    if (f) fclose(f);
    return ok && a->n_prompts > 0;
}

/* Logits (V) into log-probabilities, in place. */
static void to_logprobs(const hn_kernels *k, float *x, size_t V) {
    double total = k->logsumexp(x, V, NULL);
    for (size_t i = 0; i < V; i++) x[i] = (float)((double)x[i] - total);
}

static size_t largest(const float *x, size_t V) {
    size_t best = 0;
    for (size_t i = 1; i < V; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static void compare_row(figures *f, const float *reference, const float *got, size_t V) {
    double sum = 0;
    for (size_t i = 0; i < V; i++) sum += exp((double)reference[i]) * ((double)reference[i] - (double)got[i]);
    f->divergence += sum;
    f->n_same += largest(reference, V) == largest(got, V);
}

static double rms(double squares, size_t n) { return n ? sqrt(squares / (double)n) : 0; }

/* One prompt, token by token. `f` NULL: fills the reference. */
static hn_status run_prompt(accuracy *a, hn_engine *e, const prompt *p, figures *f, hn_error *err) {
    const hn_kernels *ref;
    hn_sequence *s;
    double squares = 0;
    HN_TRY(hn_kernels_choose("ref", &ref, err));
    HN_TRY(hn_sequence_create(e, &s, err));
    hn_status st = HN_OK;
    for (int t = 0; t < p->n && st == HN_OK; t++) {
        float *reference = a->reference + (p->first + (size_t)t) * a->V, *to = f ? a->logits : reference;
        hn_step_item item = {.sequence = s, .tokens = p->ids + t, .n_tokens = 1, .want = HN_WANT_LOGITS, .logits = to};
        st = hn_engine_step(e, &item, 1, err);
        if (st != HN_OK) break;
        to_logprobs(ref, to, a->V);
        if (f) compare_row(f, reference, to, a->V);
        if (!f || t + 1 == p->n) continue;
        double d = (double)to[p->ids[t + 1]] - (double)reference[p->ids[t + 1]];
        squares += d * d;
    }
    if (f) {
        f->squares += squares;
        f->n_next += (size_t)p->n - 1;
        f->worst = fmax(f->worst, rms(squares, (size_t)p->n - 1));
    }
    hn_sequence_free(s);
    return st;
}

static hn_status run_engine(accuracy *a, const hn_model *m, const hn_engine_options *o, figures *f, char path[96],
                            hn_error *err) {
    hn_engine *e;
    HN_TRY(hn_engine_create(m, o, &e, err));
    snprintf(path, 96, "%s", hn_engine_numeric_path(e));
    hn_status st = HN_OK;
    for (int i = 0; i < a->n_prompts && st == HN_OK; i++) st = run_prompt(a, e, &a->prompts[i], f, err);
    hn_engine_free(e);
    return st;
}

static hn_status make_reference(accuracy *a, const char *file, hn_error *err) {
    hn_model *m;
    char path[96];
    HN_TRY(hn_model_open(file, HN_MODEL_IDS_ONLY, &m, err));
    a->V = (size_t)hn_model_shape(m)->n_vocab;
    size_t bytes;
    if (hn_mul_size(a->n_rows * sizeof(float), a->V, &bytes)) a->reference = hn_alloc(bytes);
    a->logits = hn_calloc(a->V, sizeof(float));
    hn_status st = a->reference && a->logits ? HN_OK : hn_fail_memory(err, a->n_rows * a->V * sizeof(float));
    if (st == HN_OK) st = run_engine(a, m, &(hn_engine_options){.isa = "ref"}, NULL, path, err);
    hn_model_close(m);
    if (st != HN_OK) return st;
    double squares = 0;
    size_t n = 0;
    for (int i = 0; i < a->n_prompts; i++) {
        const prompt *p = &a->prompts[i];
        for (int t = 0; t + 1 < p->n; t++, n++) {
            double d = (double)a->reference[(p->first + (size_t)t) * a->V + (size_t)p->ids[t + 1]] - p->known[t];
            squares += d * d;
        }
    }
    printf("reference: %s, rms %.1e of the recorded log-probabilities of %zu tokens\n\n", path, rms(squares, n), n);
    printf("| numeric path | KL, mean, nat | rms of log-probabilities | worst prompt | same top token |\n"
           "|---|---|---|---|---|\n");
    return HN_OK;
}

static hn_status measure_file(accuracy *a, const char *file, hn_error *err) {
    static const hn_kv_type types[] = {HN_KV_F16, HN_KV_Q8_0};
    hn_model *m;
    HN_TRY(hn_model_open(file, HN_MODEL_IDS_ONLY, &m, err));
    hn_status st = HN_OK;
    if ((size_t)hn_model_shape(m)->n_vocab != a->V)
        st = hn_fail(err, HN_ERR_INPUT, file, NULL, "its vocabulary is not the reference's");
    for (size_t i = 0; i < 2 && st == HN_OK; i++) {
        figures f = {0};
        char path[96];
        st = run_engine(a, m, &(hn_engine_options){.kv_type = types[i]}, &f, path, err);
        if (st == HN_OK)
            printf("| %s | %.1e | %.4f | %.4f | %.2f %% |\n", path, f.divergence / (double)a->n_rows,
                   rms(f.squares, f.n_next), f.worst, 100.0 * (double)f.n_same / (double)a->n_rows);
        fflush(stdout);
    }
    hn_model_close(m);
    return st;
}

int main(int argc, char **argv) {
    static accuracy a;
    hn_error err = {0};
    if (argc < 4 || !read_prompts(&a, argv[1])) {
        fprintf(stderr, "%s\n",
                argc < 4 ? "bench_accuracy PROMPTS.jsonl F32.gguf FILE.gguf..." : "the prompts cannot be read");
        return 2;
    }
    hn_status st = make_reference(&a, argv[2], &err);
    for (int i = 3; i < argc && st == HN_OK; i++) st = measure_file(&a, argv[i], &err);
    if (st != HN_OK) fprintf(stderr, "%s: %s\n", err.where, err.message);
    for (int i = 0; i < a.n_prompts; i++) hn_free(a.prompts[i].ids), hn_free(a.prompts[i].known);
    hn_free(a.reference), hn_free(a.logits);
    return st == HN_OK ? 0 : 2;
}
