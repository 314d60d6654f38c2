/* Lines typed by a person (with editing and a history that is kept) or coming through a pipe.
 *
 *     hn_line_input *input;
 *     HN_TRY(hn_line_input_open("chat", "> ", &input, &err));
 *     while (hn_line_input_next(input, &line) == HN_LINE_TEXT) ...
 *     hn_line_input_close(input);
 *
 * The history lies in $XDG_STATE_HOME/hone/NAME_history (else ~/.local/state/hone) and is written for its owner only. Ownership: a line is
 * valid until the next call. Threading: main thread. */
#ifndef HN_CLI_LINE_INPUT_H
#define HN_CLI_LINE_INPUT_H

#include "base/status.h"

#include <stdbool.h>

typedef struct hn_line_input hn_line_input;
typedef enum hn_line_kind { HN_LINE_TEXT, HN_LINE_CANCELLED /* Ctrl-C at the prompt */, HN_LINE_END } hn_line_kind;

hn_status hn_line_input_open(const char *name, const char *prompt, hn_line_input **input, hn_error *err) HN_MUST_CHECK;
/* The next line without its end. */
hn_line_kind hn_line_input_next(hn_line_input *input, const char **line);
bool hn_line_input_is_terminal(const hn_line_input *input);
void hn_line_input_close(hn_line_input *input);

#endif
