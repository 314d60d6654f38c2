/* Parameters tried in an evaluation: `-p temperature=0,0.7 -p top_p=0.9` as a grid, and one point of it set on a prompt.
 *
 *     hn_grid grid;
 *     HN_TRY(hn_grid_parse(texts, n_texts, &grid, &err));           // grid.n_points = 2
 *     for (size_t i = 0; i < grid.n_points; i++)
 *         HN_TRY(hn_grid_apply(&grid, i, prompt, &set, &err));      // prompt->temperature = 0 or 0.7; set = {"temperature": 0.7}
 *     hn_grid_free(&grid);
 *
 * What a prompt has no use for (a temperature where labels are compared) and what its file says anyway is not in `set`, so such a
 * point is the prompt's own run. Ownership: the grid owns its values. Threading: read-only once parsed. */
#ifndef HN_LIFECYCLE_PARAMETER_GRID_H
#define HN_LIFECYCLE_PARAMETER_GRID_H

#include "project/prompt.h"

enum { HN_GRID_AXES_MAX = 8, HN_GRID_VALUES_MAX = 64, HN_GRID_POINTS_MAX = 1000 };

typedef struct hn_grid_axis {
    size_t parameter; /* index of its name */
    double values[HN_GRID_VALUES_MAX];
    size_t n;
} hn_grid_axis;

typedef struct hn_grid {
    hn_grid_axis *axes;      /* (n_axes) */
    size_t n_axes, n_points; /* without axes one point: the prompt as it is */
} hn_grid;

/* Each text is NAME=VALUE[,VALUE...]. HN_ERR_USAGE: an unknown name (the nearest is named), one given twice, a value out of its range. */
hn_status hn_grid_parse(const char *const *texts, size_t n, hn_grid *grid, hn_error *err) HN_MUST_CHECK;
void hn_grid_free(hn_grid *grid);
/* Sets the point's values on the prompt, whose hash then is another. *set: a new reference to an object of what differs from the file, perhaps
 * empty. */
hn_status hn_grid_apply(const hn_grid *grid, size_t point, hn_prompt *prompt, json_t **set,
                        hn_error *err) HN_MUST_CHECK;
/* The name of an axis's parameter. */
const char *hn_grid_name(const hn_grid_axis *axis);
/* Whether the prompt has a use for the axis at all. */
bool hn_grid_matters(const hn_grid_axis *axis, const hn_prompt *prompt);
/* "temperature 0.7, top_p 0.9" of a set; "" of an empty one. */
hn_status hn_grid_text(const json_t *set, hn_buf *out, hn_error *err) HN_MUST_CHECK;

#endif
