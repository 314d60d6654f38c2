/* JUnit XML of an evaluation; see eval_output.h. The form is that of the Jenkins schema (tests/fixtures/junit.xsd). Text comes from data and
 * models: what XML 1.0 cannot hold (control characters, broken UTF-8) becomes U+FFFD. */
#include "base/utf8.h"
#include "lifecycle/eval/eval_output.h"

#include <math.h>
#include <string.h>

static void xml_text(const char *text, hn_buf *out) {
    size_t n = text ? strlen(text) : 0;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        i += hn_utf8_decode(text + i, n - i, &cp);
        bool allowed = cp == 9 || cp == 10 || cp == 13 || (cp >= 0x20 && cp <= 0xD7FF) ||
                       (cp >= 0xE000 && cp <= 0xFFFD) || (cp >= 0x10000 && cp <= 0x10FFFF);
        switch (cp) {
        case '&': hn_buf_append_str(out, "&amp;"); break;
        case '<': hn_buf_append_str(out, "&lt;"); break;
        case '>': hn_buf_append_str(out, "&gt;"); break;
        case '"': hn_buf_append_str(out, "&quot;"); break;
        case 9:
        case 10:
        case 13: hn_buf_appendf(out, "&#%u;", cp); break; /* attributes would make a space of it */
        default: hn_buf_append_codepoint(out, allowed ? cp : 0xFFFD);
        }
    }
}

static void attribute(const char *name, const char *value, hn_buf *out) {
    hn_buf_appendf(out, " %s=\"", name);
    xml_text(value, out);
    hn_buf_append_char(out, '"');
}

static void property(const char *name, const char *value, hn_buf *out) {
    hn_buf_append_str(out, "      <property");
    attribute("name", name, out);
    attribute("value", value ? value : "", out);
    hn_buf_append_str(out, "/>\n");
}

static double seconds_of(const hn_prediction *p) {
    double ms = p->prefill_ms + p->decode_ms;
    return isfinite(ms) ? ms / 1000 : 0;
}

/* What counts of a run: with a gate its wrong answers are skipped tests. */
typedef struct counts {
    size_t tests, failures, errors, skipped;
    double seconds;
} counts;

static counts count_cell(const hn_cell *cell, bool gated) {
    counts c = {.tests = cell->result.predictions.n};
    for (size_t i = 0; i < c.tests; i++) {
        const hn_prediction *p = &cell->result.predictions.rows[i];
        bool wrong = !p->error && !p->correct;
        c.errors += p->error && !gated;
        c.failures += wrong && !gated;
        c.skipped += gated && (p->error || wrong);
        c.seconds += seconds_of(p);
    }
    return c;
}

static void write_message(const hn_prediction *p, hn_buf *out) {
    hn_buf_append_str(out, " message=\"");
    if (p->error) {
        hn_buf_append_str(out, "not answered: ");
        xml_text(p->error, out);
    } else {
        hn_buf_append_str(out, "answered ");
        xml_text(p->value ? p->value : "nothing valid", out);
        hn_buf_append_str(out, ", target ");
        xml_text(p->target, out);
    }
    hn_buf_append_char(out, '"');
}

/* What the graders said of an answer, a line each. */
static void write_grades(const hn_eval_output *f, size_t cell, size_t row, hn_buf *out) {
    if (!f->grades || f->grades->n == 0) return;
    hn_buf_append_str(out, "\n      <system-out>");
    for (size_t k = 0; k < f->grades->n; k++) {
        double value = hn_output_grade(f->grades, cell, k, row);
        xml_text(f->grades->names[k], out);
        if (isfinite(value))
            hn_buf_appendf(out, ": %.6g\n", value);
        else
            hn_buf_append_str(out, ": -\n");
    }
    hn_buf_append_str(out, "</system-out>");
}

static void write_case(const hn_eval_output *f, size_t cell, size_t row, const char *class_name, hn_buf *out) {
    const hn_prediction *p = &f->matrix->cells[cell].result.predictions.rows[row];
    bool gated = f->gate != NULL, graded = f->grades && f->grades->n;
    hn_buf_append_str(out, "    <testcase");
    attribute("name", p->case_id, out);
    attribute("classname", class_name, out);
    hn_buf_appendf(out, " time=\"%.6f\"", seconds_of(p));
    if (!p->error && p->correct) {
        hn_buf_append_str(out, graded ? ">" : "/>\n");
        write_grades(f, cell, row, out);
        if (graded) hn_buf_append_str(out, "\n    </testcase>\n");
        return;
    }
    const char *element = gated ? "skipped" : p->error ? "error" : "failure";
    hn_buf_appendf(out, ">\n      <%s", element);
    write_message(p, out);
    if (gated) {
        hn_buf_append_str(out, "/>");
    } else {
        attribute("type", p->error ? "not answered" : "wrong", out);
        hn_buf_append_char(out, '>');
        xml_text(p->text, out);
        hn_buf_appendf(out, "</%s>", element);
    }
    write_grades(f, cell, row, out);
    hn_buf_append_str(out, "\n    </testcase>\n");
}

/* "grade bleu": "0.313 [0.280, 0.347]" */
static void write_grade_means(const hn_eval_output *f, size_t cell, hn_buf *out) {
    for (size_t k = 0; f->grades && k < f->grades->n; k++) {
        const hn_grade_line *line = f->grades->lines[cell * f->grades->n + k];
        char name[300], text[80];
        if (!line) continue;
        snprintf(name, sizeof name, "grade %.280s", line->name);
        property(name, hn_grade_text(line, text), out);
    }
}

static void write_properties(const hn_eval_output *f, size_t index, const char *parameters, hn_buf *out) {
    const hn_cell *cell = &f->matrix->cells[index];
    const hn_run_spec *s = &cell->result.run->spec;
    char text[64];
    hn_buf_append_str(out, "    <properties>\n");
    snprintf(text, sizeof text, "r%lld", (long long)cell->result.run->id);
    property("run", text, out);
    property("id", cell->result.run->content_id, out);
    property("model", s->model_name, out);
    property("parameters", parameters, out);
    property("split", s->split, out);
    snprintf(text, sizeof text, "%.6f", cell->result.report.accuracy.value);
    property("accuracy", text, out);
    snprintf(text, sizeof text, "%.6f %.6f", cell->result.report.accuracy.low, cell->result.report.accuracy.high);
    property("accuracy interval 95 %", text, out);
    property("numeric path", s->numeric_path, out);
    write_grade_means(f, index, out);
    hn_buf_append_str(out, "    </properties>\n");
}

static void write_suite(const hn_eval_output *f, size_t candidate, size_t index, hn_buf *out) {
    const hn_cell *cell = &f->matrix->cells[index];
    counts c = count_cell(cell, f->gate != NULL);
    hn_buf name;
    hn_buf_init(&name, 0);
    hn_buf_append_str(&name, f->matrix->candidates[candidate].name);
    if (cell->repeat > 1) hn_buf_appendf(&name, ", again %d", cell->repeat);
    hn_buf_append_str(out, "  <testsuite");
    attribute("name", hn_buf_str(&name), out);
    hn_buf_appendf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.6f\">\n", c.tests,
                   c.failures, c.errors, c.skipped, c.seconds);
    write_properties(f, index, f->matrix->candidates[candidate].parameters, out);
    for (size_t i = 0; i < c.tests; i++) write_case(f, index, i, hn_buf_str(&name), out);
    hn_buf_append_str(out, "  </testsuite>\n");
    hn_buf_free(&name);
}

/* A clause fails its test only where the gate as a whole does: in `a or b` one may. */
static counts count_gate(const hn_eval_output *f) {
    counts c = {0};
    for (size_t i = 0; f->gate && i < f->matrix->n_cells; i++)
        for (size_t k = 0; k < f->gates[i].n; k++) {
            bool held = f->gates[i].clauses[k].holds;
            c.tests++;
            c.failures += !held && !f->gates[i].passed;
            c.skipped += !held && f->gates[i].passed;
        }
    return c;
}

static void write_gate(const hn_eval_output *f, hn_buf *out) {
    counts c = count_gate(f);
    hn_buf_appendf(
        out, "  <testsuite name=\"gate\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\" time=\"0\">\n",
        c.tests, c.failures, c.skipped);
    for (size_t i = 0; i < f->matrix->n_cells; i++)
        for (size_t k = 0; k < f->gates[i].n; k++) {
            const hn_gate_clause *clause = &f->gates[i].clauses[k];
            hn_buf_appendf(out, "    <testcase name=\"r%lld: ", (long long)f->matrix->cells[i].result.run->id);
            xml_text(clause->text, out);
            hn_buf_append_str(out, "\" classname=\"gate\" time=\"0\">\n      <");
            hn_buf_append_str(out, clause->holds ? "system-out>" : f->gates[i].passed ? "skipped" : "failure");
            if (clause->holds)
                xml_text(clause->outcome, out);
            else
                attribute("message", clause->outcome, out);
            if (!clause->holds && !f->gates[i].passed) attribute("type", "gate", out);
            hn_buf_append_str(out, clause->holds ? "</system-out>\n    </testcase>\n" : "/>\n    </testcase>\n");
        }
    hn_buf_append_str(out, "  </testsuite>\n");
}

hn_status hn_eval_output_junit(const hn_eval_output *f, hn_buf *out, hn_error *err) {
    const hn_eval_matrix *m = f->matrix;
    counts all = count_gate(f);
    for (size_t i = 0; i < m->n_cells; i++) {
        counts c = count_cell(&m->cells[i], f->gate != NULL);
        all.tests += c.tests;
        all.failures += c.failures;
        all.errors += c.errors;
        all.seconds += c.seconds;
    }
    hn_buf_append_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    hn_buf_appendf(out, "<testsuites name=\"hone eval\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" time=\"%.6f\">\n",
                   all.tests, all.failures, all.errors, all.seconds);
    if (f->gate) write_gate(f, out);
    for (size_t i = 0; i < m->n_candidates; i++)
        for (size_t k = 0; k < m->candidates[i].n_cells; k++) write_suite(f, i, m->candidates[i].first + k, out);
    hn_buf_append_str(out, "</testsuites>\n");
    return hn_buf_check(out, "the results", err);
}
