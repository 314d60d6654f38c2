/* Groups: cases that belong together (tickets of one customer), listed group by group.
 *
 *     hn_groups g;
 *     HN_TRY(hn_groups_build(ids, n, &g, err));            // ids NULL: each case is a group of its own
 *     for (uint32_t i = g.start[k]; i < g.start[k + 1]; i++) use(g.cases[i]);
 *     hn_groups_free(&g);
 *
 * Groups are ordered by their first case, so results do not depend on what the ids happen to be.
 * Ownership: the arrays belong to the struct. Threading: read-only once built. */
#ifndef HN_STATS_GROUPS_H
#define HN_STATS_GROUPS_H

#include "base/status.h"

#include <stdint.h>

typedef struct hn_groups {
    uint32_t *start; /* n_groups + 1 offsets into `cases` */
    uint32_t *cases; /* n case indices, rising within a group */
    size_t n, n_groups;
} hn_groups;

/* Errors: HN_ERR_LIMIT past 2^31 cases, HN_ERR_MEMORY. */
hn_status hn_groups_build(const uint32_t *ids, size_t n, hn_groups *out, hn_error *err) HN_MUST_CHECK;
void hn_groups_free(hn_groups *groups);

#endif
