/* The child process that runs a grader written in Lua: reads a case a line, answers with what the script's grade(case) returns.
 *
 *     hn_lua_script script = {.name = "graders/polite.lua", .text = bytes, .n = n, .memory_bytes = 64 << 20, .timeout_ms = 5000};
 *     HN_TRY(hn_line_child_fork(script.name, hn_lua_child, &script, &child, &err));
 *
 * The script has Lua's tables, strings, utf8 and math, and print (to standard error); no files, no programs, no network, no loading of code,
 * no bytecode. Its memory is counted and limited; a case that takes too long ends in an error, as does any mistake: {"error": "..."} is the
 * answer then. Linux also refuses every system call but those of reading, writing and memory (seccomp), where the kernel can.
 * Ownership: the script is borrowed. Threading: runs in a process of its own. */
#ifndef HN_LIFECYCLE_GRADER_LUA_H
#define HN_LIFECYCLE_GRADER_LUA_H

#include <stddef.h>

typedef struct hn_lua_script {
    const char *name, *text;
    size_t n, memory_bytes;
    int timeout_ms; /* of each case, and of the script's own lines */
} hn_lua_script;

/* An hn_line_body; `user` is an hn_lua_script. Returns when its input ends. */
int hn_lua_child(void *user);

#endif
