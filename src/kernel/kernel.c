/* The choice of a kernel table; see kernel.h. Tables stand from the plainest to the fastest, so the best is the last
 * that runs. */
#include "kernel/kernel.h"

#include "kernel/kv_q8.h"
#include "kernel/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const hn_kernels *table;
    unsigned needs;  /* CPU features */
    const char *isa; /* what HONE_ISA calls it; of several with one name the last that runs is taken */
} entries[] = {
    {&hn_kernels_ref, 0, "ref"},
#if defined(__x86_64__)
    {&hn_kernels_avx2, HN_CPU_AVX2, "avx2"},
    {&hn_kernels_avx512vnni, HN_CPU_AVX512VNNI,
     "avx512vnni"}, /* never the default: avx512 serves other formats faster */
    {&hn_kernels_avx512, HN_CPU_AVX512, "avx512"},
    {&hn_kernels_avx512bf16, HN_CPU_AVX512BF16, "avx512"},
#elif defined(__aarch64__)
    {&hn_kernels_neon, HN_CPU_NEON, "neon"},
#endif
};
enum { N_ENTRIES = sizeof entries / sizeof *entries };

static bool runs_here(int i) { return (hn_cpu_features() & entries[i].needs) == entries[i].needs; }

const hn_kernels *hn_kernels_available(int i) {
    for (int entry = 0; entry < N_ENTRIES; entry++)
        if (runs_here(entry) && i-- == 0) return entries[entry].table;
    return NULL;
}

/* "ref, avx2, avx512" */
static void list_available(char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < N_ENTRIES; i++) {
        if (!runs_here(i) || (i && strcmp(entries[i].isa, entries[i - 1].isa) == 0)) continue;
        int n = snprintf(text + used, size - used, "%s%s", used ? ", " : "", entries[i].isa);
        if (n < 0 || (size_t)n >= size - used) return;
        used += (size_t)n;
    }
}

static bool name_fits(int i, const char *isa) {
    if (strcmp(isa, "avx512f32") == 0) return strcmp(entries[i].table->name, "avx512") == 0;
    return strcmp(isa, entries[i].isa) == 0 || strcmp(isa, entries[i].table->name) == 0;
}

hn_status hn_kernels_choose(const char *isa, const hn_kernels **kernels, hn_error *err) {
    if (!isa) isa = getenv("HONE_ISA");
    bool any = !isa || !*isa;
    *kernels = NULL;
    for (int i = 0; i < N_ENTRIES; i++)
        if (runs_here(i) && (any || name_fits(i, isa))) *kernels = entries[i].table;
    if (*kernels) return HN_OK;
    char names[80];
    list_available(names, sizeof names);
    return hn_fail(err, HN_ERR_UNSUPPORTED, "HONE_ISA", "unset HONE_ISA to take the best that this CPU has",
                   "instruction set \"%.40s\" is not one that this CPU can run; it has %s", isa, names);
}

static const char *const kv_names[] = {[HN_KV_F16] = "f16", [HN_KV_F32] = "f32", [HN_KV_Q8_0] = "q8_0"};

const char *hn_kv_type_name(hn_kv_type type) { return kv_names[type]; }

bool hn_kv_type_named(const char *name, hn_kv_type *type) {
    for (size_t i = 0; i < sizeof kv_names / sizeof *kv_names; i++) {
        if (strcmp(name, kv_names[i]) != 0) continue;
        *type = (hn_kv_type)i;
        return true;
    }
    return false;
}

size_t hn_kv_row_bytes(hn_kv_type type, int n_kv_heads, int HS) {
    return (size_t)n_kv_heads * hn_kv_head_bytes(type, HS);
}
