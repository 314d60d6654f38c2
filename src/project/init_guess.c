/* Guessing what a table's columns are for: the target has few values that repeat, the inputs are the longest texts, id and group go by name and
 * repetition. A guess is shown to the user, who can name the columns instead; so it may be simple, but never silent. */
#include "project/init_parts.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is known of one column, over all rows of all tables. */
typedef struct column_facts {
    const char *name;
    size_t n_filled, n_distinct;
    double mean_length; /* of filled cells */
    bool numeric, taken;
} column_facts;

typedef struct guesser {
    hn_data_table *const *tables;
    size_t n_tables, n_rows;
    column_facts *columns; /* of the first table */
    size_t n_columns;
    const char **cells; /* (n_rows) room for sorting a column */
    const hn_init_options *options;
    hn_init_result *r;
    hn_error *err;
} guesser;

enum { MAX_GUESSED_LABELS = 200, MAX_NUMERIC_LABELS = 20 };

static int compare_cells(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The filled cells of a column over all tables, sorted, into g->cells. */
static size_t sort_cells(const guesser *g, const char *name) {
    size_t n = 0;
    for (size_t t = 0; t < g->n_tables; t++) {
        int at = hn_data_table_column(g->tables[t], name);
        for (size_t i = 0; at >= 0 && i < g->tables[t]->n_rows; i++) {
            const char *cell = g->tables[t]->rows[i].cells[at];
            if (cell && *cell) g->cells[n++] = cell;
        }
    }
    qsort(g->cells, n, sizeof *g->cells, compare_cells);
    return n;
}

static void look_at(const guesser *g, column_facts *c) {
    size_t n = sort_cells(g, c->name), length = 0;
    double number;
    c->n_filled = n;
    c->numeric = n > 0;
    for (size_t i = 0; i < n; i++) {
        length += strlen(g->cells[i]);
        c->n_distinct += i == 0 || strcmp(g->cells[i], g->cells[i - 1]) != 0;
        c->numeric = c->numeric && hn_parse_double(g->cells[i], &number);
    }
    c->mean_length = n ? (double)length / (double)n : 0;
}

static column_facts *find(const guesser *g, const char *name) {
    for (size_t i = 0; name && i < g->n_columns; i++)
        if (strcmp(g->columns[i].name, name) == 0) return &g->columns[i];
    return NULL;
}

/* A column that the user named: it must be there. */
static hn_status take_named(const guesser *g, const char *option, const char *name, column_facts **column) {
    *column = find(g, name);
    if (*column) {
        (*column)->taken = true;
        return HN_OK;
    }
    char hint[384];
    hn_data_table_suggest(g->tables[0], name, hint, sizeof hint);
    return hn_fail(g->err, HN_ERR_INPUT, g->tables[0]->name, hint, "--%s: the file has no column `%s`", option, name);
}

/* The place of a column's name in a list of words (0: the best); n where none fits. Case does not matter. */
static size_t rank_of_name(const char *name, const char *const *words, size_t n, bool part) {
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(name, words[i]) == 0) return i;
        if (part && strcasestr(name, words[i])) return i;
    }
    return n;
}

static void guess_id(const guesser *g) {
    static const char *const words[] = {"id",        "uuid",   "guid",       "key",        "case_id",
                                        "ticket_id", "row_id", "message_id", "example_id", "_id"};
    column_facts *best = NULL;
    size_t best_rank = 10;
    for (size_t i = 0; i < g->n_columns; i++) {
        column_facts *c = &g->columns[i];
        size_t rank = rank_of_name(c->name, words, 10, false);
        if (c->taken || c->n_distinct < g->n_rows || rank >= best_rank) continue;
        best = c;
        best_rank = rank;
    }
    if (!best) return;
    best->taken = true;
    g->r->id = (char *)best->name;
}

static hn_status choose_group(const guesser *g) {
    static const char *const words[] = {"group",    "customer", "client",  "account",      "user",
                                        "author",   "sender",   "session", "conversation", "thread",
                                        "document", "patient",  "company", "household"};
    column_facts *named;
    if (g->options->group) {
        HN_TRY(take_named(g, "group", g->options->group, &named));
        g->r->group = (char *)named->name;
        return HN_OK;
    }
    for (size_t i = 0; i < g->n_columns && !g->r->group; i++) {
        column_facts *c = &g->columns[i];
        bool repeats = c->n_distinct < c->n_filled && c->n_distinct * 20 > c->n_filled; /* two to twenty rows a group */
        if (c->taken || !repeats || c->mean_length > 60 || rank_of_name(c->name, words, 14, true) == 14) continue;
        c->taken = true;
        g->r->group = (char *)c->name;
        g->r->guessed_group = true;
    }
    return HN_OK;
}

static const char *const target_words[] = {"target", "label",     "category", "class",  "intent", "team",
                                           "topic",  "sentiment", "answer",   "output", "tag",    "y"};
enum { N_TARGET_WORDS = sizeof target_words / sizeof *target_words, ROWS_TO_GUESS = 6 };

/* Says what kept a column from being taken for the target: the file may be too short, or the likely column has gaps. */
static hn_status fail_no_target(const guesser *g) {
    const char *file = g->tables[0]->name;
    if (g->n_rows == 0)
        return hn_fail(g->err, HN_ERR_INPUT, file, "add cases, one a row", "the file has column names and no rows");
    if (g->n_rows < ROWS_TO_GUESS)
        return hn_fail(g->err, HN_ERR_INPUT, file, "name the columns: --target COLUMN --input COLUMN",
                       "%zu row%s too few to guess which column holds the right answers", g->n_rows,
                       g->n_rows == 1 ? " is" : "s are");
    for (size_t i = 0; i < g->n_columns; i++) {
        const column_facts *c = &g->columns[i];
        if (c->taken || c->n_filled == g->n_rows ||
            rank_of_name(c->name, target_words, N_TARGET_WORDS, false) == N_TARGET_WORDS)
            continue;
        return hn_fail(g->err, HN_ERR_INPUT, file,
                       "label those rows or take them out; if it is another column, name it: --target COLUMN",
                       "the column `%s` looks like the right answers, but %zu of %zu rows have none", c->name,
                       g->n_rows - c->n_filled, g->n_rows);
    }
    return hn_fail(g->err, HN_ERR_INPUT, file, "name it: --target COLUMN",
                   "no column looks like the right answers: filled in every row, with a few values that repeat");
}

static hn_status choose_target(const guesser *g) {
    column_facts *best = NULL;
    size_t best_rank = N_TARGET_WORDS + 1;
    if (g->options->target) {
        HN_TRY(take_named(g, "target", g->options->target, &best));
        g->r->target = (char *)best->name;
        return HN_OK;
    }
    for (size_t i = 0; i < g->n_columns; i++) {
        column_facts *c = &g->columns[i];
        size_t rank = rank_of_name(c->name, target_words, N_TARGET_WORDS, false);
        bool few = c->n_distinct >= 2 && c->n_distinct <= MAX_GUESSED_LABELS && c->n_distinct * 3 <= c->n_filled;
        if (c->taken || !few || c->n_filled < g->n_rows || c->mean_length > 60 || rank > best_rank) continue;
        best = c; /* of two alike the later: targets tend to stand last */
        best_rank = rank;
    }
    if (!best) return fail_no_target(g);
    best->taken = true;
    g->r->target = (char *)best->name;
    g->r->guessed_target = true;
    return HN_OK;
}

static bool is_text(const guesser *g, const column_facts *c, double longest) {
    return !c->taken && !c->numeric && c->n_filled * 2 >= g->n_rows && c->mean_length >= longest * 0.05 &&
           (c->n_distinct * 10 >= c->n_filled || c->mean_length >= 20);
}

static hn_status choose_inputs(const guesser *g) {
    hn_init_result *r = g->r;
    size_t room = g->options->n_inputs > g->n_columns ? g->options->n_inputs : g->n_columns;
    double longest = 0;
    column_facts *named;
    r->inputs = hn_arena_calloc(r->arena, room, sizeof *r->inputs);
    if (!r->inputs) return hn_fail_memory(g->err, room * sizeof *r->inputs);
    for (size_t i = 0; i < g->options->n_inputs; i++) {
        HN_TRY(take_named(g, "input", g->options->inputs[i], &named));
        r->inputs[r->n_inputs++] = (char *)named->name;
    }
    if (r->n_inputs) return HN_OK;
    r->guessed_inputs = true;
    for (size_t i = 0; i < g->n_columns; i++)
        if (!g->columns[i].taken && g->columns[i].mean_length > longest) longest = g->columns[i].mean_length;
    for (size_t i = 0; i < g->n_columns; i++)
        if (is_text(g, &g->columns[i], longest)) r->inputs[r->n_inputs++] = (char *)g->columns[i].name;
    for (size_t i = 0; i < g->n_columns && r->n_inputs == 0; i++) /* no text at all: then everything that is left */
        if (!g->columns[i].taken) r->inputs[r->n_inputs++] = (char *)g->columns[i].name;
    if (r->n_inputs) return HN_OK;
    return hn_fail(g->err, HN_ERR_INPUT, g->tables[0]->name, "add a column with the text to be judged",
                   "no column is left to be an input");
}

/* ---- labels ---- */

typedef struct label_count {
    const char *name;
    size_t n;
} label_count;

static int compare_counts(const void *a, const void *b) {
    const label_count *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return strcmp(x->name, y->name);
}

static hn_status check_filled(const guesser *g) {
    for (size_t t = 0; t < g->n_tables; t++) {
        const hn_data_table *table = g->tables[t];
        int at = hn_data_table_column(table, g->r->target);
        char where[384];
        for (size_t i = 0; at >= 0 && i < table->n_rows; i++) {
            if (table->rows[i].cells[at] && *table->rows[i].cells[at]) continue;
            snprintf(where, sizeof where, "%s:%d", table->name, table->rows[i].line);
            return hn_fail(g->err, HN_ERR_INPUT, where, "label the row, or take it out of the file",
                           "the row has no target in column `%s`", g->r->target);
        }
    }
    return HN_OK;
}

static hn_status list_labels(const guesser *g, const column_facts *c) {
    hn_init_result *r = g->r;
    size_t n = sort_cells(g, c->name);
    label_count *counts = hn_calloc(c->n_distinct, sizeof *counts);
    r->labels = hn_arena_calloc(r->arena, c->n_distinct, sizeof *r->labels);
    hn_status st = counts && r->labels ? HN_OK : hn_fail_memory(g->err, c->n_distinct * sizeof *counts);
    size_t at = 0;
    for (size_t i = 0; st == HN_OK && i < n; i++) {
        if (i && strcmp(g->cells[i], g->cells[i - 1]) != 0) at++;
        counts[at] = (label_count){g->cells[i], counts[at].n + 1};
    }
    if (st == HN_OK) qsort(counts, c->n_distinct, sizeof *counts, compare_counts);
    for (size_t i = 0; st == HN_OK && i < c->n_distinct; i++)
        if (!(r->labels[r->n_labels++] = hn_arena_strdup(r->arena, counts[i].name))) st = hn_fail_memory(g->err, 64);
    hn_free(counts);
    return st;
}

static hn_status choose_contract(const guesser *g) {
    hn_init_result *r = g->r;
    const column_facts *c = find(g, r->target);
    HN_TRY(check_filled(g));
    bool repeats = c->n_distinct >= 2 && c->n_distinct * 2 <= c->n_filled;
    if (c->numeric && (c->n_distinct > MAX_NUMERIC_LABELS || !repeats))
        r->kind = HN_CONTRACT_NUMBER;
    else
        r->kind = repeats ? HN_CONTRACT_CHOICE : HN_CONTRACT_TEXT;
    return r->kind == HN_CONTRACT_CHOICE ? list_labels(g, c) : HN_OK;
}

/* ---- all of it ---- */

/* The result keeps text of its own: the tables go. */
static hn_status keep(const guesser *g, char **text) {
    if (!*text) return HN_OK;
    *text = hn_arena_strdup(g->r->arena, *text);
    return *text ? HN_OK : hn_fail_memory(g->err, 64);
}

static hn_status guess_all(guesser *g) {
    hn_init_result *r = g->r;
    for (size_t i = 0; i < g->n_columns; i++) {
        g->columns[i].name = g->tables[0]->columns[i];
        look_at(g, &g->columns[i]);
    }
    column_facts *named;
    for (size_t i = 0; i < g->options->n_inputs; i++) HN_TRY(take_named(g, "input", g->options->inputs[i], &named));
    if (g->options->target) HN_TRY(take_named(g, "target", g->options->target, &named));
    if (g->options->group) HN_TRY(take_named(g, "group", g->options->group, &named));
    guess_id(g);
    HN_TRY(choose_group(g));
    HN_TRY(choose_target(g));
    HN_TRY(choose_inputs(g));
    HN_TRY(choose_contract(g));
    for (size_t i = 0; i < r->n_inputs; i++) HN_TRY(keep(g, &r->inputs[i]));
    HN_TRY(keep(g, &r->target));
    HN_TRY(keep(g, &r->group));
    return keep(g, &r->id);
}

hn_status hn_init_guess(hn_data_table *const *tables, size_t n_tables, const hn_init_options *options,
                        hn_init_result *result, hn_error *err) {
    guesser g = {.tables = tables,
                 .n_tables = n_tables,
                 .n_columns = tables[0]->n_columns,
                 .options = options,
                 .r = result,
                 .err = err};
    for (size_t t = 0; t < n_tables; t++) g.n_rows += tables[t]->n_rows;
    g.columns = hn_calloc(g.n_columns, sizeof *g.columns);
    g.cells = hn_calloc(g.n_rows, sizeof *g.cells);
    hn_status st = g.columns && g.cells ? guess_all(&g) : hn_fail_memory(err, g.n_rows * sizeof *g.cells);
    hn_free(g.columns);
    hn_free(g.cells);
    return st;
}
