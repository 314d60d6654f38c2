/* The Lua child; see grader_lua.h. It is a fork of hone, so it touches nothing of the parent but the script's text. Order in it: a Lua state with
 * counted memory, the system calls closed, the script run once, then a line in, a line out. */
#include "lifecycle/eval/grader_lua.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "format/json.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

enum { STEPS_A_LOOK = 10000, DEPTH_MAX = 32, REPLY_MAX = 256 << 10, ITEMS_MAX = 10000 };

typedef struct child {
    const hn_lua_script *script;
    lua_State *lua;
    size_t used; /* bytes that Lua holds */
    double deadline;
} child;

static child *the_child; /* one a process: hooks and allocators have no room for more */

/* ---- closing the doors ---- */

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#ifdef __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* What is not listed fails with EPERM. */
static void close_system_calls(void) {
    static struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(read),
        ALLOW(write),
        ALLOW(exit),
        ALLOW(exit_group),
        ALLOW(rt_sigreturn),
        ALLOW(brk),
        ALLOW(mmap),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(madvise),
        ALLOW(futex),
        ALLOW(clock_gettime),
        ALLOW(restart_syscall),
        ALLOW(sigaltstack), /* what sanitizers ask at a longjmp */
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (EPERM & SECCOMP_RET_DATA)),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) (void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
#else
static void close_system_calls(void) {}
#endif

/* Nothing more can be opened, started or written to disk, also where there is no seccomp. */
static void set_limits(void) {
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_NOFILE, &none);
    (void)setrlimit(RLIMIT_FSIZE, &none);
    (void)setrlimit(RLIMIT_CORE, &none);
#ifdef RLIMIT_NPROC
    (void)setrlimit(RLIMIT_NPROC, &none);
#endif
#ifdef __linux__
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
#endif
}

/* ---- memory and time ---- */

static void *counted(void *user, void *block, size_t old, size_t size) {
    child *c = user;
    size_t before = block ? old : 0;
    if (size == 0) {
        hn_free(block);
        c->used -= before;
        return NULL;
    }
    if (size > before && size - before > c->script->memory_bytes - c->used) return NULL;
    void *grown = hn_realloc(block, size);
    if (grown) c->used = c->used - before + size;
    return grown;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void look_at_clock(lua_State *lua, lua_Debug *unused) {
    (void)unused;
    if (now() > the_child->deadline) luaL_error(lua, "took longer than %d ms", the_child->script->timeout_ms);
}

/* ---- values ---- */

static void push_json(lua_State *lua, const json_t *value, int depth) {
    const char *key;
    json_t *item;
    size_t i;
    if (depth > DEPTH_MAX || !lua_checkstack(lua, 4)) {
        lua_pushnil(lua);
        return;
    }
    switch (json_typeof(value)) {
    case JSON_STRING: lua_pushlstring(lua, json_string_value(value), json_string_length(value)); return;
    case JSON_INTEGER: lua_pushinteger(lua, (lua_Integer)json_integer_value(value)); return;
    case JSON_REAL: lua_pushnumber(lua, json_real_value(value)); return;
    case JSON_TRUE: lua_pushboolean(lua, 1); return;
    case JSON_FALSE: lua_pushboolean(lua, 0); return;
    case JSON_NULL: lua_pushnil(lua); return;
    case JSON_ARRAY:
        lua_newtable(lua);
        json_array_foreach((json_t *)(uintptr_t)value, i, item) {
            push_json(lua, item, depth + 1);
            lua_rawseti(lua, -2, (lua_Integer)i + 1);
        }
        return;
    case JSON_OBJECT:
        lua_newtable(lua);
        json_object_foreach((json_t *)(uintptr_t)value, key, item) {
            lua_pushstring(lua, key);
            push_json(lua, item, depth + 1);
            lua_rawset(lua, -3);
        }
        return;
    }
}

static json_t *to_json(lua_State *lua, int at, int depth, size_t *n_items);

/* 1 to n without gaps is a list; anything else an object of its text keys. */
static json_t *table_to_json(lua_State *lua, int at, int depth, size_t *n_items) {
    size_t n = lua_rawlen(lua, at);
    bool list = n > 0;
    json_t *made = list ? json_array() : json_object();
    for (lua_Integer i = 1; list && made && i <= (lua_Integer)n; i++) {
        lua_rawgeti(lua, at, i);
        json_array_append_new(made, to_json(lua, lua_gettop(lua), depth + 1, n_items));
        lua_pop(lua, 1);
    }
    if (list || !made) return made;
    lua_pushnil(lua);
    while (lua_next(lua, at)) {
        if (lua_type(lua, -2) == LUA_TSTRING)
            json_object_set_new(made, lua_tostring(lua, -2), to_json(lua, lua_gettop(lua), depth + 1, n_items));
        lua_pop(lua, 1);
    }
    return made;
}

static json_t *to_json(lua_State *lua, int at, int depth, size_t *n_items) {
    size_t n;
    const char *text;
    if (depth > DEPTH_MAX || ++*n_items > ITEMS_MAX || !lua_checkstack(lua, 6)) return json_null();
    switch (lua_type(lua, at)) {
    case LUA_TBOOLEAN: return json_boolean(lua_toboolean(lua, at));
    case LUA_TNUMBER:
        if (lua_isinteger(lua, at)) return json_integer((json_int_t)lua_tointeger(lua, at));
        return isfinite(lua_tonumber(lua, at)) ? json_real(lua_tonumber(lua, at)) : json_null();
    case LUA_TSTRING: text = lua_tolstring(lua, at, &n); return json_stringn_nocheck(text, n);
    case LUA_TTABLE: return table_to_json(lua, at, depth, n_items);
    default: return json_null();
    }
}

/* ---- the script ---- */

static void write_all(int fd, const char *bytes, size_t n) {
    while (n) {
        ssize_t put = write(fd, bytes, n);
        if (put <= 0) _exit(3);
        bytes += put;
        n -= (size_t)put;
    }
}

static int print_to_errors(lua_State *lua) {
    int n = lua_gettop(lua);
    for (int i = 1; i <= n; i++) {
        size_t length;
        const char *text = luaL_tolstring(lua, i, &length);
        if (i > 1) write_all(STDERR_FILENO, " ", 1);
        write_all(STDERR_FILENO, text, length);
        lua_pop(lua, 1);
    }
    write_all(STDERR_FILENO, "\n", 1);
    return 0;
}

/* Whatever reads files, loads code or changes what is measured. */
static void open_libraries(lua_State *lua) {
    static const char *const banned[] = {"dofile", "loadfile", "load", "require", "collectgarbage", "warn"};
    luaL_requiref(lua, LUA_GNAME, luaopen_base, 1);
    luaL_requiref(lua, LUA_TABLIBNAME, luaopen_table, 1);
    luaL_requiref(lua, LUA_STRLIBNAME, luaopen_string, 1);
    luaL_requiref(lua, LUA_UTF8LIBNAME, luaopen_utf8, 1);
    luaL_requiref(lua, LUA_MATHLIBNAME, luaopen_math, 1);
    lua_settop(lua, 0);
    for (size_t i = 0; i < sizeof banned / sizeof *banned; i++) {
        lua_pushnil(lua);
        lua_setglobal(lua, banned[i]);
    }
    lua_getglobal(lua, LUA_STRLIBNAME);
    lua_pushnil(lua);
    lua_setfield(lua, -2, "dump");
    lua_pop(lua, 1);
    lua_pushcfunction(lua, print_to_errors);
    lua_setglobal(lua, "print");
    lua_getglobal(lua, LUA_MATHLIBNAME); /* the same draws in every run */
    lua_getfield(lua, -1, "randomseed");
    lua_pushinteger(lua, 7);
    lua_call(lua, 1, 0);
    lua_pop(lua, 1);
}

/* In a protected call, since opening may run out of the counted memory. */
static int prepare(lua_State *lua) {
    const hn_lua_script *script = the_child->script;
    char name[256];
    open_libraries(lua);
    snprintf(name, sizeof name, "@%s", script->name);
    if (luaL_loadbufferx(lua, script->text, script->n, name, "t") != LUA_OK) return lua_error(lua);
    lua_call(lua, 0, 0);
    if (lua_getglobal(lua, "grade") != LUA_TFUNCTION)
        return luaL_error(lua, "%s defines no function grade(case)", script->name);
    return 0;
}

/* [case as light userdata] -> [the reply's JSON as light userdata] */
static int grade_case(lua_State *lua) {
    const json_t *value = lua_touserdata(lua, 1);
    size_t n_items = 0;
    lua_settop(lua, 0);
    lua_getglobal(lua, "grade");
    push_json(lua, value, 0);
    lua_call(lua, 1, 1);
    json_t *reply = to_json(lua, 1, 0, &n_items);
    lua_pushlightuserdata(lua, reply);
    return 1;
}

static void start_clock(child *c) { c->deadline = now() + c->script->timeout_ms / 1e3; }

static json_t *error_json(lua_State *lua) {
    const char *text = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : "an error that is no text";
    char cut[400];
    snprintf(cut, sizeof cut, "%s", text);
    return json_pack("{s:o}", "error", json_stringn_nocheck(cut, strlen(cut)));
}

static json_t *answer_line(child *c, const char *line, size_t n) {
    json_t *value = NULL, *reply;
    if (hn_json_parse(line, n, "case", HN_JSON_ANY | HN_JSON_NUL, &value, NULL) != HN_OK) return NULL;
    start_clock(c);
    lua_settop(c->lua, 0);
    lua_pushcfunction(c->lua, grade_case);
    lua_pushlightuserdata(c->lua, value);
    if (lua_pcall(c->lua, 1, 1, 0) == LUA_OK)
        reply = lua_touserdata(c->lua, -1);
    else
        reply = error_json(c->lua);
    lua_settop(c->lua, 0);
    json_decref(value);
    return reply;
}

static bool send_reply(json_t *reply) {
    hn_buf text;
    hn_buf_init(&text, REPLY_MAX);
    hn_json_write(reply, NULL, &text);
    if (hn_buf_status(&text) != HN_OK) {
        hn_buf_clear(&text);
        hn_buf_append_str(&text, "{\"error\":\"what grade(case) returned is longer than 256 KiB\"}");
    }
    hn_buf_append_char(&text, '\n');
    bool fine = hn_buf_status(&text) == HN_OK;
    if (fine) write_all(STDOUT_FILENO, text.data, text.len);
    hn_buf_free(&text);
    return fine;
}

static int answer_lines(child *c) {
    hn_buf input;
    char bytes[65536];
    hn_buf_init(&input, 0);
    for (;;) {
        ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
        if (got <= 0) return 0;
        hn_buf_append(&input, bytes, (size_t)got);
        if (hn_buf_status(&input) != HN_OK) return 4;
        const char *end = memchr(input.data, '\n', input.len);
        if (!end) continue; /* one question at a time: nothing stands behind its end */
        json_t *reply = answer_line(c, input.data, (size_t)(end - input.data));
        bool sent = reply && send_reply(reply);
        json_decref(reply);
        if (!sent) return 5;
        hn_buf_clear(&input);
    }
}

int hn_lua_child(void *user) {
    child c = {.script = user};
    the_child = &c;
    set_limits();
    c.lua = lua_newstate(counted, &c);
    if (!c.lua) return 6;
    close_system_calls();
    lua_sethook(c.lua, look_at_clock, LUA_MASKCOUNT, STEPS_A_LOOK);
    start_clock(&c);
    lua_pushcfunction(c.lua, prepare);
    if (lua_pcall(c.lua, 0, 0, 0) != LUA_OK) {
        const char *text = lua_tostring(c.lua, -1);
        write_all(STDERR_FILENO, text ? text : "?", text ? strlen(text) : 1);
        return 1;
    }
    return answer_lines(&c);
}
