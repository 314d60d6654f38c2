/* The table of methods; see tune_method.h. */
#include "lifecycle/tune/tune_method.h"

#include <stdio.h>
#include <string.h>

const hn_tune_method *const hn_tune_methods[] = {&hn_tune_method_lora,
                                                 &hn_tune_method_full,
                                                 &hn_tune_method_scratch,
                                                 &hn_tune_method_dpo,
                                                 &hn_tune_method_orpo,
                                                 &hn_tune_method_distill,
                                                 NULL};

hn_status hn_tune_method_find(const char *name, const hn_tune_method **method, hn_error *err) {
    char known[128] = "";
    *method = hn_tune_methods[0];
    if (!name) return HN_OK;
    for (size_t i = 0; hn_tune_methods[i]; i++) {
        size_t at = strlen(known);
        *method = hn_tune_methods[i];
        if (strcmp((*method)->name, name) == 0) return HN_OK;
        snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", (*method)->name);
    }
    return hn_fail(err, HN_ERR_USAGE, "method", known, "there is no method of training called %.40s", name);
}
