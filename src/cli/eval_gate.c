/* --gate and --out of `hone eval`; see eval_tables.h. */
#include "base/str.h"
#include "cli/eval_tables.h"
#include "lifecycle/eval/eval_output.h"

#include <string.h>

hn_status hn_cli_eval_gate_open(hn_cli_eval *e, const hn_reference_source *source, hn_error *err) {
    const char *text = hn_cli_string(e->cli, "gate");
    e->outs = hn_cli_list(e->cli, "out", &e->n_outs);
    for (size_t i = 0; i < e->n_outs; i++) {
        hn_eval_format format;
        char dir[HN_PATH_MAX];
        HN_TRY(hn_eval_output_format(e->outs[i], &format, err));
        hn_path_dir(e->outs[i], dir);
        if (!hn_file_is_dir(dir))
            return hn_fail(err, HN_ERR_NOT_FOUND, e->outs[i], "make it first", "the folder %.200s is not there", dir);
    }
    if (!text) return HN_OK;
    HN_TRY(hn_gate_parse(text, &e->gate, err));
    const char *name;
    for (size_t i = 0; (name = hn_gate_reference(e->gate, i)); i++) {
        hn_reference ref;
        HN_TRY(hn_reference_load(source, name, &ref, err));
        hn_reference_free(&ref);
    }
    return HN_OK;
}

hn_status hn_cli_eval_gate_check(hn_cli_eval *e, const hn_reference_source *source, hn_error *err) {
    if (!e->gate) return HN_OK;
    e->gates = hn_calloc(e->matrix->n_cells, sizeof *e->gates);
    if (!e->gates) return hn_fail_memory(err, e->matrix->n_cells * sizeof *e->gates);
    for (size_t i = 0; i < e->matrix->n_cells; i++) {
        const hn_eval_result *r = &e->matrix->cells[i].result;
        hn_gate_facts facts = {r->run, &r->predictions, &r->report, *source};
        HN_TRY(hn_gate_check(e->gate, &facts, &e->gates[i], err));
    }
    return HN_OK;
}

void hn_cli_eval_gate_print(const hn_cli_eval *e) {
    const hn_output *out = e->cli->out;
    if (!e->gates) return;
    hn_output_print(e->cli->out, "\nGate: %s\n", hn_gate_text(e->gate));
    for (size_t i = 0; i < e->matrix->n_cells; i++)
        for (size_t k = 0; k < e->gates[i].n; k++) {
            const hn_gate_clause *c = &e->gates[i].clauses[k];
            hn_output_print(e->cli->out, "  %s%-5s%s  r%lld  %s  (%s)\n",
                            hn_output_style(out, c->holds ? HN_STYLE_GOOD : HN_STYLE_BAD), c->holds ? "holds" : "fails",
                            hn_output_style(out, HN_STYLE_NONE), (long long)e->matrix->cells[i].result.run->id, c->text,
                            c->outcome);
        }
    bool passed = hn_cli_eval_gate_passed(e);
    hn_output_print(e->cli->out, "%s%s%s\n", hn_output_style(out, passed ? HN_STYLE_GOOD : HN_STYLE_BAD),
                    passed ? "the gate is passed" : "the gate is not passed", hn_output_style(out, HN_STYLE_NONE));
}

bool hn_cli_eval_gate_passed(const hn_cli_eval *e) {
    for (size_t i = 0; e->gates && i < e->matrix->n_cells; i++)
        if (!e->gates[i].passed) return false;
    return true;
}

hn_status hn_cli_eval_gate_status(const hn_cli_eval *e, hn_error *err) {
    size_t n = 0;
    if (hn_cli_eval_gate_passed(e)) return HN_OK;
    for (size_t i = 0; i < e->matrix->n_cells; i++) n += !e->gates[i].passed;
    return hn_fail(err, HN_ERR_GATE, "--gate", "the conditions above say what is missing",
                   "%zu of %zu runs did not pass the gate", n, e->matrix->n_cells);
}

hn_status hn_cli_eval_out_write(const hn_cli_eval *e, const json_t *json, hn_error *err) {
    hn_output_grades grades;
    hn_status st = HN_OK;
    if (e->n_outs == 0) return HN_OK;
    HN_TRY(hn_output_grades_load(e->matrix, &grades, err));
    hn_eval_output facts = {e->matrix, &e->report, &e->baselines, e->gate, e->gates, json, &grades};
    for (size_t i = 0; i < e->n_outs && st == HN_OK; i++) {
        st = hn_eval_output_write(e->outs[i], &facts, err);
        if (st == HN_OK) hn_output_print(e->cli->out, "written: %s\n", e->outs[i]);
    }
    hn_output_grades_free(&grades);
    return st;
}

void hn_cli_eval_gate_close(hn_cli_eval *e) {
    for (size_t i = 0; e->gates && i < e->matrix->n_cells; i++) hn_gate_result_free(&e->gates[i]);
    hn_free(e->gates);
    hn_gate_free(e->gate);
    e->gates = NULL;
    e->gate = NULL;
}
