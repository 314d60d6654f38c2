/* The one function of tests/support that the kernel tests need, without the libraries behind the others. */
#include "support.h"

void hn_test_ok(hn_status st, const hn_error *err) {
    if (st != HN_OK) fail_msg("%s: %s %s (%s)", hn_status_name(st), err->where, err->message, err->hint);
}
