/* Rotary scaling as GGUF metadata spells it: small files written here, the frequencies worked out beside them. The
 * same variants were compared with llama.cpp's logits when this was written. */
#include "support.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "model/shape.h"
#include "model/weights.h"

#include <math.h>
#include <string.h>

static void put_u32(hn_buf *b, uint32_t v) { hn_buf_append(b, &v, 4); }
static void put_u64(hn_buf *b, uint64_t v) { hn_buf_append(b, &v, 8); }

static void put_str(hn_buf *b, const char *text) {
    put_u64(b, strlen(text));
    hn_buf_append_str(b, text);
}

static void put_int(hn_buf *b, const char *key, uint32_t v) {
    put_str(b, key);
    put_u32(b, HN_GGUF_U32);
    put_u32(b, v);
}

static void put_float(hn_buf *b, const char *key, float v) {
    put_str(b, key);
    put_u32(b, HN_GGUF_F32);
    hn_buf_append(b, &v, 4);
}

static void put_text(hn_buf *b, const char *key, const char *v) {
    put_str(b, key);
    put_u32(b, HN_GGUF_STRING);
    put_str(b, v);
}

/* What a case adds to a plain model of head size 16 and context 128. */
typedef struct rope_keys {
    const char *type;
    float factor, old_factor, attn_factor, beta_fast, beta_slow;
    uint32_t original;
    const char *tensor;  /* of 8 factors 1, 1.5, 2, ... */
    const char *tensor2; /* of 8 factors 1, 1.1, 1.2, ... */
} rope_keys;

static void put_keys(hn_buf *b, const rope_keys *k) {
    put_text(b, "general.architecture", "llama");
    put_int(b, "llama.block_count", 1);
    put_int(b, "llama.embedding_length", 64);
    put_int(b, "llama.feed_forward_length", 96);
    put_int(b, "llama.attention.head_count", 4);
    put_int(b, "llama.context_length", 128);
    if (k->type) put_text(b, "llama.rope.scaling.type", k->type);
    if (k->factor > 0) put_float(b, "llama.rope.scaling.factor", k->factor);
    if (k->old_factor > 0) put_float(b, "llama.rope.scale_linear", k->old_factor);
    if (k->attn_factor > 0) put_float(b, "llama.rope.scaling.attn_factor", k->attn_factor);
    if (k->beta_fast > 0) put_float(b, "llama.rope.scaling.yarn_beta_fast", k->beta_fast);
    if (k->beta_slow > 0) put_float(b, "llama.rope.scaling.yarn_beta_slow", k->beta_slow);
    if (k->original) put_int(b, "llama.rope.scaling.original_context_length", k->original);
}

static uint64_t count_keys(const rope_keys *k) {
    return 6u + (k->type != NULL) + (k->factor > 0) + (k->old_factor > 0) + (k->attn_factor > 0) + (k->beta_fast > 0) +
           (k->beta_slow > 0) + (k->original > 0);
}

static void write_file(hn_buf *b, const rope_keys *k) {
    hn_buf_append(b, "GGUF", 4);
    put_u32(b, 3);
    put_u64(b, 1u + (k->tensor != NULL) + (k->tensor2 != NULL));
    put_u64(b, count_keys(k));
    put_keys(b, k);
    put_str(b, "token_embd.weight");
    put_u32(b, 2);
    put_u64(b, 64);
    put_u64(b, 4);
    put_u32(b, HN_DTYPE_F32);
    put_u64(b, 0);
    const char *names[2] = {k->tensor, k->tensor2};
    uint64_t offset = 64 * 4 * 4;
    for (int i = 0; i < 2; i++) {
        if (!names[i]) continue;
        put_str(b, names[i]);
        put_u32(b, 1);
        put_u64(b, 8);
        put_u32(b, HN_DTYPE_F32);
        put_u64(b, offset);
        offset += 32;
    }
    while (b->len % 32) hn_buf_append_char(b, 0);
    hn_buf_append_repeat(b, 0, 64 * 4 * 4);
    for (int t = 0; t < 2; t++) {
        for (int i = 0; names[t] && i < 8; i++) {
            float f = 1 + (t ? 0.1f : 0.5f) * (float)i;
            hn_buf_append(b, &f, 4);
        }
    }
}

static hn_shape read_shape(const rope_keys *k) {
    hn_error err = {0};
    hn_buf b;
    hn_gguf *g;
    hn_shape s;
    hn_rope_source rope;
    hn_buf_init(&b, 0);
    write_file(&b, k);
    hn_test_ok(hn_gguf_open_memory(b.data, b.len, "written", &g, &err), &err);
    hn_test_ok(hn_shape_from_gguf(g, &s, &rope, &err), &err);
    hn_tensor_source source = hn_tensor_source_gguf(g);
    const hn_architecture *a = hn_architecture_find("llama");
    hn_test_ok(hn_weights_read_vector(&source, a, HN_TENSOR_ROPE_FACTORS, &s, &rope.factors, &err), &err);
    hn_test_ok(hn_weights_read_vector(&source, a, HN_TENSOR_ROPE_LONG, &s, &rope.long_factors, &err), &err);
    hn_test_ok(hn_weights_read_vector(&source, a, HN_TENSOR_ROPE_SHORT, &s, &rope.short_factors, &err), &err);
    hn_test_ok(hn_shape_set_rope(&s, &rope, &err), &err);
    hn_rope_source_free(&rope);
    hn_gguf_close(g);
    hn_buf_free(&b);
    return s;
}

static double plain(int i) { return pow(10000, -i / 8.0); }

static void expect(const float *freq, int i, double expected) {
    if (!(fabs((double)freq[i] / expected - 1) < 1e-6))
        fail_msg("pair %d turns by %.9g, expected %.9g", i, (double)freq[i], expected);
}

static void no_scaling(void **state) {
    (void)state;
    const rope_keys cases[] = {{.type = NULL}, {.type = "none", .factor = 4}, {.factor = 1}};
    for (int c = 0; c < 3; c++) {
        hn_shape s = read_shape(&cases[c]);
        for (int i = 0; i < 8; i++) expect(s.rope_frequencies, i, plain(i));
        assert_true(s.rope_magnitude == 1 && s.n_context_max == 128 && !s.rope_frequencies_short);
        hn_shape_free(&s);
    }
}

static void linear_scaling_in_both_spellings(void **state) {
    (void)state;
    const rope_keys cases[] = {{.type = "linear", .factor = 4}, {.old_factor = 4}, {.factor = 4}};
    for (int c = 0; c < 3; c++) {
        hn_shape s = read_shape(&cases[c]);
        for (int i = 0; i < 8; i++) expect(s.rope_frequencies, i, plain(i) / 4);
        assert_true(s.rope_magnitude == 1 && s.n_context_max == 512);
        hn_shape_free(&s);
    }
}

static void llama3_comes_as_a_tensor_of_factors(void **state) {
    (void)state;
    hn_shape s = read_shape(&(rope_keys){.tensor = "rope_freqs.weight"});
    for (int i = 0; i < 8; i++) expect(s.rope_frequencies, i, plain(i) / (1 + 0.5 * i));
    hn_shape_free(&s);
    s = read_shape(&(rope_keys){.tensor = "rope_freqs.weight", .type = "linear", .factor = 2});
    for (int i = 0; i < 8; i++) expect(s.rope_frequencies, i, plain(i) / (1 + 0.5 * i) / 2);
    hn_shape_free(&s);
}

static void yarn_blends_and_scales_its_magnitude(void **state) {
    (void)state;
    const rope_keys cases[] = {{.type = "yarn", .factor = 4, .original = 64},
                               {.type = "yarn", .factor = 4, .original = 64, .attn_factor = 0.9f},
                               {.type = "yarn", .factor = 4, .original = 64, .beta_fast = 16, .beta_slow = 2}};
    for (int c = 0; c < 3; c++) {
        hn_shape s = read_shape(&cases[c]);
        double fast = c == 2 ? 16 : 32, slow = c == 2 ? 2 : 1, turn = 2 * 3.14159265358979324;
        double low = fmax(floor(16 * log(64 / (fast * turn)) / (2 * log(10000))), 0);
        double high = fmin(ceil(16 * log(64 / (slow * turn)) / (2 * log(10000))), 15);
        for (int i = 0; i < 8; i++) {
            double share = fmin(fmax((i - low) / fmax(high - low, 0.001), 0), 1);
            expect(s.rope_frequencies, i, plain(i) * (1 - share) + plain(i) / 4 * share);
        }
        double magnitude = (1 + 0.1 * log(4)) * (c == 1 ? 0.9 : 1);
        assert_true(fabs((double)s.rope_magnitude - magnitude) < 1e-6);
        assert_int_equal(s.n_context_max, 256);
        hn_shape_free(&s);
    }
}

static void longrope_has_two_sets(void **state) {
    (void)state;
    hn_shape s = read_shape(&(rope_keys){.type = "longrope",
                                         .original = 64,
                                         .attn_factor = 1.19f,
                                         .tensor = "rope_factors_long.weight",
                                         .tensor2 = "rope_factors_short.weight"});
    for (int i = 0; i < 8; i++) {
        expect(s.rope_frequencies, i, plain(i) / (1 + 0.5 * i));
        expect(s.rope_frequencies_short, i, plain(i) / (double)(1 + 0.1f * (float)i));
    }
    assert_true(s.rope_magnitude == 1.19f && s.n_context_original == 64 && s.n_context_max == 128);
    hn_shape_free(&s);
}

static void other_scalings_are_refused(void **state) {
    (void)state;
    const struct {
        rope_keys keys;
        hn_status status;
    } cases[] = {{{.type = "su"}, HN_ERR_INPUT},
                 {{.type = "dynamic"}, HN_ERR_UNSUPPORTED},
                 {{.type = "longrope"}, HN_ERR_INPUT},
                 {{.type = "yarn", .factor = INFINITY}, HN_ERR_INPUT}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        hn_error err = {0};
        hn_buf b;
        hn_gguf *g;
        hn_shape s;
        hn_rope_source rope;
        hn_buf_init(&b, 0);
        write_file(&b, &cases[c].keys);
        hn_test_ok(hn_gguf_open_memory(b.data, b.len, "written", &g, &err), &err);
        hn_status st = hn_shape_from_gguf(g, &s, &rope, &err);
        if (st == HN_OK) {
            st = hn_shape_set_rope(&s, &rope, &err);
            hn_shape_free(&s);
        }
        if (st != cases[c].status) fail_msg("case %zu: %s", c, hn_status_name(st));
        hn_gguf_close(g);
        hn_buf_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_scaling),
        cmocka_unit_test(linear_scaling_in_both_spellings),
        cmocka_unit_test(llama3_comes_as_a_tensor_of_factors),
        cmocka_unit_test(yarn_blends_and_scales_its_magnitude),
        cmocka_unit_test(longrope_has_two_sets),
        cmocka_unit_test(other_scalings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
