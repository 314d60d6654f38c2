/* Follows JSON text while it is being written and notices the byte that would give an object the same name twice, or nest deeper
 * than JSON is read. No grammar can say that names differ which no schema declares, nor how deep a recursive one may go, so the
 * writer asks here before it takes a token.
 *
 *     hn_json_names *names = hn_json_names_create();
 *     HN_TRY(hn_json_names_accept(names, piece, n_bytes, &refused, &err));    // refused: nothing was taken, choose another
 *     hn_json_names_free(names);
 *
 * The text must be the beginning of a JSON value otherwise (a grammar sees to that); what is not is followed as well as
 * it goes and never an error. Names are compared as they read, escapes undone. Threading: one thread at a time. */
#ifndef HN_FORMAT_JSON_NAMES_H
#define HN_FORMAT_JSON_NAMES_H

#include "base/status.h"

#include <stdbool.h>

typedef struct hn_json_names hn_json_names;

hn_json_names *hn_json_names_create(void); /* NULL: memory is used up */
void hn_json_names_free(hn_json_names *names);
/* Goes on by these bytes, unless they repeat a name of the object that is open or open more than HN_JSON_DEPTH_MAX objects and arrays:
 * then *refused, and nothing has changed. HN_ERR_LIMIT: names of more than 64 MiB; HN_ERR_MEMORY. */
hn_status hn_json_names_accept(hn_json_names *names, const char *bytes, size_t n, bool *refused,
                               hn_error *err) HN_MUST_CHECK;

#endif
