/* What the files of the store share: the handle, and reading text columns safely.
 *
 *     char *name;
 *     HN_TRY(hn_column_copy(q, 0, arena, &name, err));     // NULL for null; out of memory is a status, not a null
 *
 * Ownership: copies belong to the arena. Threading: as the store. */
#ifndef HN_STORE_STORE_INTERNAL_H
#define HN_STORE_STORE_INTERNAL_H

#include "store/db.h"
#include "store/store.h"

struct hn_store {
    hn_db *db;
    char *objects; /* the objects' folder */
};

hn_status hn_column_copy(hn_stmt *stmt, int column, hn_arena *arena, char **text, hn_error *err) HN_MUST_CHECK;
/* hn_column_copy into a `const char *`. */
hn_status hn_column_copy_const(hn_stmt *stmt, int column, hn_arena *arena, const char **text,
                               hn_error *err) HN_MUST_CHECK;

#endif
