/* Lines by libedit, or by getline where standard input is no terminal; see line_input.h.
 * Surprise: while a line is edited Ctrl-C is a key, not a signal, so that it cancels the line and leaves the terminal in order. */
#include "cli/line_input.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/interrupt.h"

#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HISTORY_LINES = 1000 };

struct hn_line_input {
    bool terminal, cancelled;
    EditLine *editor;
    History *history;
    char prompt[64], history_path[HN_PATH_MAX];
    char *line; /* getline's */
    size_t capacity;
};

static char *show_prompt(EditLine *editor) {
    hn_line_input *input = NULL;
    static char none[] = "";
    return el_get(editor, EL_CLIENTDATA, &input) == 0 && input ? input->prompt : none;
}

static unsigned char on_cancel(EditLine *editor, int key) {
    hn_line_input *input = NULL;
    (void)key;
    if (el_get(editor, EL_CLIENTDATA, &input) == 0 && input) input->cancelled = true;
    return CC_NEWLINE;
}

/* $XDG_STATE_HOME/hone/NAME_history; empty where there is no home or the folder cannot be made: then the history is not kept. */
static void find_history(const char *name, char out[HN_PATH_MAX]) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char folder[HN_PATH_MAX], file[80];
    hn_status st = HN_ERR_NOT_FOUND;
    out[0] = 0;
    snprintf(file, sizeof file, "%s_history", name);
    if (state && *state == '/')
        st = hn_path_join(folder, state, "hone", NULL);
    else if (home && *home)
        st = hn_path_join(folder, home, ".local/state/hone", NULL);
    if (st != HN_OK || hn_dir_create(folder, NULL) != HN_OK || hn_path_join(out, folder, file, NULL) != HN_OK)
        out[0] = 0;
}

static bool open_editor(hn_line_input *input, const char *name) {
    HistEvent event;
    input->history = history_init();
    input->editor = el_init("hone", stdin, stdout, stderr);
    if (!input->history || !input->editor) return false;
    history(input->history, &event, H_SETSIZE, HISTORY_LINES);
    history(input->history, &event, H_SETUNIQUE, 1);
    find_history(name, input->history_path);
    if (*input->history_path) history(input->history, &event, H_LOAD, input->history_path);
    el_set(input->editor, EL_CLIENTDATA, input);
    el_set(input->editor, EL_PROMPT, show_prompt);
    el_set(input->editor, EL_EDITOR, "emacs");
    el_set(input->editor, EL_HIST, history, input->history);
    el_set(input->editor, EL_ADDFN, "hone-cancel", "cancel the line", on_cancel);
    el_set(input->editor, EL_BIND, "^C", "hone-cancel", NULL);
    el_set(input->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(input->editor, EL_SETTY, "-d", "-isig", NULL);
    el_source(input->editor, NULL); /* the user's ~/.editrc */
    return true;
}

hn_status hn_line_input_open(const char *name, const char *prompt, hn_line_input **input, hn_error *err) {
    hn_line_input *made = hn_calloc(1, sizeof *made);
    *input = NULL;
    if (!made) return hn_fail_memory(err, sizeof *made);
    made->terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    snprintf(made->prompt, sizeof made->prompt, "%s", prompt);
    if (made->terminal && !open_editor(made, name)) {
        hn_line_input_close(made);
        return hn_fail_memory(err, 0);
    }
    *input = made;
    return HN_OK;
}

static hn_line_kind next_plain(hn_line_input *input, const char **line) {
    ssize_t n = getline(&input->line, &input->capacity, stdin);
    if (n < 0) return hn_interrupted() ? HN_LINE_CANCELLED : HN_LINE_END;
    if (n > 0 && input->line[n - 1] == '\n') input->line[--n] = 0;
    if (n > 0 && input->line[n - 1] == '\r') input->line[--n] = 0;
    *line = input->line;
    return HN_LINE_TEXT;
}

hn_line_kind hn_line_input_next(hn_line_input *input, const char **line) {
    HistEvent event;
    int n = 0;
    if (!input->terminal) return next_plain(input, line);
    input->cancelled = false;
    const char *typed = el_gets(input->editor, &n);
    if (input->cancelled) {
        fputc('\n', stdout);
        return HN_LINE_CANCELLED;
    }
    if (!typed || n <= 0) return HN_LINE_END;
    hn_free(input->line);
    input->line = hn_strndup(typed, (size_t)n - (typed[n - 1] == '\n'));
    if (!input->line) return HN_LINE_END;
    if (*input->line) history(input->history, &event, H_ENTER, typed);
    *line = input->line;
    return HN_LINE_TEXT;
}

bool hn_line_input_is_terminal(const hn_line_input *input) { return input->terminal; }

void hn_line_input_close(hn_line_input *input) {
    HistEvent event;
    if (!input) return;
    if (input->history && *input->history_path) {
        mode_t old = umask(077);
        history(input->history, &event, H_SAVE, input->history_path);
        umask(old);
    }
    if (input->editor) el_end(input->editor);
    if (input->history) history_end(input->history);
    hn_free(input->line);
    hn_free(input);
}
