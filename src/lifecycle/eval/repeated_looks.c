/* Looking while it runs; see sequence.h. */
#include "lifecycle/eval/repeated_looks.h"

#include "base/alloc.h"
#include "stats/sequential.h"

#include <math.h>

static void look(hn_sequential *test, double alpha, hn_repeated_looks *out) {
    hn_sequential_look(test, out->only_a, out->only_b);
    out->n_looks++;
    out->p = test->p;
    if (out->only_a + out->only_b == 0) return;
    hn_interval i = hn_sequential_share(out->only_a, out->only_b, alpha);
    out->share.value = (double)out->only_b / (double)(out->only_a + out->only_b);
    out->share.low = fmax(out->share.low, i.low);
    out->share.high = fmin(out->share.high, i.high);
    if (test->p <= alpha) out->kind = out->only_b > out->only_a ? HN_VERDICT_BETTER : HN_VERDICT_WORSE;
}

hn_status hn_repeated_looks_judge(const double *a, const double *b, const uint32_t *groups, size_t n, size_t every,
                                  double alpha, hn_repeated_looks *out, hn_error *err) {
    *out = (hn_repeated_looks){.kind = HN_VERDICT_CANNOT_TELL, .p = 1, .share = {(double)NAN, 0, 1}};
    hn_sequential test = hn_sequential_start();
    uint32_t top = 0;
    for (size_t i = 0; groups && i < n; i++) top = groups[i] > top ? groups[i] : top;
    unsigned char *counted = groups ? hn_calloc((size_t)top + 1, 1) : NULL;
    if (groups && !counted) return hn_fail_memory(err, top);
    for (size_t i = 0; i < n && out->kind == HN_VERDICT_CANNOT_TELL; i++) {
        if (a[i] != b[i] && !(counted && counted[groups[i]])) {
            *(b[i] > a[i] ? &out->only_b : &out->only_a) += 1;
            if (counted) counted[groups[i]] = 1;
        }
        out->n_used = i + 1;
        if ((i + 1) % every == 0 || i + 1 == n) look(&test, alpha, out);
    }
    hn_free(counted);
    if (out->only_a + out->only_b == 0) out->share = (hn_estimate){(double)NAN, (double)NAN, (double)NAN};
    return HN_OK;
}
