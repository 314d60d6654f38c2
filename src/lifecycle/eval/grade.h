/* Grading: whether one answer is right.
 *
 *     bool right = hn_grade_answer(&scope->contract, c->target, answer->value);
 *
 * choice, text, regex: the value equals the target (white space around both aside). number: both are numbers and equal to 9
 * significant digits. json: the same value (1 equals 1.0, the order of properties does not matter). No valid answer (NULL) is wrong. Threading: pure functions. */
#ifndef HN_LIFECYCLE_GRADE_H
#define HN_LIFECYCLE_GRADE_H

#include "project/project.h"

/* "1,250.0" as a table may hold it: commas are thousands separators, white space around is left out. */
bool hn_grade_read_number(const char *text, double *value);

bool hn_grade_answer(const hn_contract *contract, const char *target, const char *value);

#endif
