/* Dequantisation is exact, in every table: bytes that the reference quantiser wrote, and random blocks of each format
 * whose values a public implementation (gguf-py 0.19) gave. */
#include "kernel/kernel.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "kernel_cases.h"
#include "support.h"

#include <string.h>

enum { N_BLOCKS = 64 };

/* sha256 of the f32 values of random_blocks(64 blocks, seed 12345) */
static const struct {
    hn_dtype dtype;
    const char *sha256;
} known[] = {
    {HN_DTYPE_Q4_0, "51b90471aca636641aad84fa17aa3307b8508fddbf5afdc7b9a167e8e0a0fd50"},
    {HN_DTYPE_Q4_1, "2ce0662cca84f26b0e7273093aceeee24e2274c72c7e222f8e32e76e8c28e7e5"},
    {HN_DTYPE_Q5_0, "23d0153221ef0e5925671ddbb288b34281191a02dd42e2e3c8ad928d7b9c0de9"},
    {HN_DTYPE_Q5_1, "ee53b4deb9c3478a3c3b67b07c196ad222a16d8d261e572d5f1c0b9cd6b481d0"},
    {HN_DTYPE_Q8_0, "d5825572e648745b3326923ca5875f96aa6c8954922bd80516178cdea24a4461"},
    {HN_DTYPE_Q2_K, "7a8df222cbf72c7fa92e2f86515216dc94b95bac0276393fb578dd4890489335"},
    {HN_DTYPE_Q3_K, "f3018d845332a0d10d99ff8fef208f4db377a4bbd6d918f394426dda074ce42e"},
    {HN_DTYPE_Q4_K, "dd1f9b932f1a2c0e59c35acba89c1e3425d0129fb968084a02d5ea353ded9c0e"},
    {HN_DTYPE_Q5_K, "f26eacff75e5e0a05923220f683788ba48f3a517129aa1544adfba146eb9f416"},
    {HN_DTYPE_Q6_K, "c262807657672f7c04c593c8d303d01c8bad312ad7b1833c0a819b0e70796a2e"},
    {HN_DTYPE_F16, "70de24f8c295adb1361b570d9abdf1851b288d91f840ba563abd2ae2f27b3805"},
    {HN_DTYPE_BF16, "1dd39aace42ca90fd8b55668f2b0403c08e0bb705d0d6bb4d8a2aaa52b040ead"},
};

static void check_sha256(const float *values, size_t n, const char *expected) {
    char hex[HN_SHA256_HEX];
    assert_int_equal(hn_sha256_bytes(values, n * sizeof *values, hex), HN_OK);
    assert_string_equal(hex, expected);
}

static void random_blocks_are_exact(void **state) {
    (void)state;
    for (size_t d = 0; d < sizeof known / sizeof *known; d++) {
        hn_dtype_info info = hn_dtype_of(known[d].dtype);
        size_t n = N_BLOCKS * info.block_values;
        unsigned char *bytes = hn_alloc(N_BLOCKS * info.block_bytes);
        random_blocks(bytes, N_BLOCKS, known[d].dtype, 12345);
        const hn_kernels *k;
        for (int i = 0; (k = hn_kernels_available(i)); i++) {
            guarded g = guarded_create(n);
            k->dequantize(g.data, bytes, known[d].dtype, n);
            guarded_check(&g);
            check_sha256(g.data, n, known[d].sha256);
            guarded_free(&g);
        }
        hn_free(bytes);
    }
}

static void reference_files_are_exact(void **state) {
    (void)state;
    static const struct {
        const char *file;
        hn_dtype dtype;
        const char *sha256; /* dequant_sha256 in quant.json */
    } files[] = {
        {"goldens/quant/q4_1.bin", HN_DTYPE_Q4_1, "af11fd7dc9d4edf8d05d1fe857bbc2fb7f426cf55a567ce987b4eea677b5b143"},
        {"goldens/quant/q8_0.bin", HN_DTYPE_Q8_0, "f5d9a80aa9e3c9e3a708d0754db9491a04be4a7c1e9efcf08cfbde13a4f72d4a"},
        {"goldens/quant/q4_k.bin", HN_DTYPE_Q4_K, "f7aeee3a1640987578df7c7d26c720d807d20372aef923eef691e598d5a7e07d"},
        {"goldens/quant/q6_k.bin", HN_DTYPE_Q6_K, "4a6b99cdc74352ed7f142c22d79ed75ef03fbbfb76e7b89443617fa8fc9fe690"},
    };
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        char path[HN_PATH_MAX];
        size_t n_bytes, n = 256 * 512;
        if (!hn_test_shared(files[f].file, path)) skip();
        char *bytes = hn_test_read(path, &n_bytes);
        hn_dtype_info info = hn_dtype_of(files[f].dtype);
        assert_int_equal(n_bytes, n / info.block_values * info.block_bytes);
        const hn_kernels *k;
        for (int i = 0; (k = hn_kernels_available(i)); i++) {
            guarded g = guarded_create(n);
            k->dequantize(g.data, bytes, files[f].dtype, n);
            guarded_check(&g);
            check_sha256(g.data, n, files[f].sha256);
            guarded_free(&g);
        }
        hn_free(bytes);
    }
}

/* Every block format against ref, at one, two, three blocks and from any address, with every sign of scale and minimum. */
static void few_blocks_at_odd_addresses(void **state) {
    (void)state;
    const hn_kernels *k, *ref = hn_kernels_available(0);
    for (size_t d = 0; d < sizeof known / sizeof *known; d++) {
        hn_dtype_info info = hn_dtype_of(known[d].dtype);
        if (info.block_values == 1) continue; /* plain numbers are aligned, blocks need not be */
        for (size_t blocks = 1; blocks <= 3; blocks++) {
            size_t n = blocks * info.block_values, n_bytes = blocks * info.block_bytes;
            unsigned char *bytes = hn_alloc(n_bytes + 1); /* the last byte is the buffer's: reading on is found */
            float *expected = hn_alloc(n * sizeof *expected);
            for (uint32_t seed = 0; seed < 20; seed++) {
                random_blocks(bytes, blocks, known[d].dtype, seed);
                if (info.block_values == 32) bytes[1] ^= 0x80; /* a negative scale */
                memmove(bytes + 1, bytes, n_bytes);
                ref->dequantize(expected, bytes + 1, known[d].dtype, n);
                for (int i = 0; (k = hn_kernels_available(i)); i++) {
                    guarded g = guarded_create(n);
                    k->dequantize(g.data, bytes + 1, known[d].dtype, n);
                    guarded_check(&g);
                    assert_true(bits_equal(g.data, expected, n));
                    guarded_free(&g);
                }
            }
            hn_free(bytes);
            hn_free(expected);
        }
    }
}

static void f32_is_copied_and_odd_counts_stop_in_time(void **state) {
    (void)state;
    uint16_t f16[37], bf16[37];
    float f32[37];
    random_fill(f32, 37, 5);
    f32[36] = 65504.0f;
    f32[35] = 0x1.0p-24f;
    for (int i = 0; i < 37; i++) f16[i] = hn_f32_to_f16(f32[i]), bf16[i] = hn_f32_to_bf16(f32[i]);
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        for (size_t n = 0; n <= 37; n++) {
            guarded g = guarded_create(n);
            k->dequantize(g.data, f32, HN_DTYPE_F32, n);
            assert_true(bits_equal(g.data, f32, n));
            k->dequantize(g.data, f16, HN_DTYPE_F16, n);
            for (size_t i = 0; i < n; i++) assert_true(g.data[i] == hn_f16_to_f32(f16[i]));
            k->dequantize(g.data, bf16, HN_DTYPE_BF16, n);
            for (size_t i = 0; i < n; i++) assert_true(g.data[i] == hn_bf16_to_f32(bf16[i]));
            guarded_check(&g);
            guarded_free(&g);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_blocks_are_exact),
        cmocka_unit_test(reference_files_are_exact),
        cmocka_unit_test(few_blocks_at_odd_addresses),
        cmocka_unit_test(f32_is_copied_and_odd_counts_stop_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
