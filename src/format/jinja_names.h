/* Which names a template uses that nobody gives it: found by reading its syntax tree, so that a typing mistake in a branch that rarely runs
 * is found as well.
 *
 *     hn_jinja_known known = {.names = names, .n_names = n, .list = "examples", .fields = fields, .n_fields = m};
 *     hn_jinja_stray stray;
 *     if (hn_jinja_find_stray(t, &known, &stray)) printf("%d:%d: %s\n", stray.line, stray.column, stray.name);
 *
 * A name counts as given where it is in the list, a function of the language, or assigned anywhere in the template.
 * Ownership: texts are the template's. Threading: read-only. */
#ifndef HN_FORMAT_JINJA_NAMES_H
#define HN_FORMAT_JINJA_NAMES_H

#include "format/jinja.h"

typedef struct hn_jinja_known {
    const char *const *names; /* variables */
    size_t n_names;
    const char
        *list; /* the variable whose elements have just `fields` (`for x in list`: x.field is checked); NULL: none */
    const char *const *fields;
    size_t n_fields;
} hn_jinja_known;

typedef struct hn_jinja_stray {
    const char *name;
    const char *of;   /* `list`, where it is a field of its elements; NULL: a variable */
    int line, column; /* in the template, from 1 */
} hn_jinja_stray;

/* The first unknown name in the order of the text; false: all are known. */
bool hn_jinja_find_stray(const hn_jinja *t, const hn_jinja_known *known, hn_jinja_stray *stray);

#endif
