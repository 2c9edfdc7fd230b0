/* distric_plugin.h: what a DistriC plugin is made of. ABI version 1.
 *
 * A plugin is a shared library NAME.so that exports one function,
 *
 *     const distric_plugin_interface *get_plugin_interface(void);
 *
 * and, if it needs more than the defaults, a manifest NAME.yaml beside it. Its tasks run on threads
 * of child processes of the node: what a plugin does wrong ends such a process, never the node.
 * docs/PLUGINS.md is the guide.
 *
 * Rules that hold for all of it:
 *  - Every table and struct below begins with `abi_version` and `struct_size`. Whoever makes one
 *    fills in DISTRIC_PLUGIN_ABI_VERSION and sizeof of the struct as it knew it; whoever reads one
 *    reads nothing beyond `struct_size`. Later releases of ABI version 1 only append members.
 *  - A distric_text is not terminated by a zero; what is handed to the plugin is UTF-8, and lives
 *    until the called function returns. So do all structs that are handed in.
 *  - Memory is never handed over: the plugin gives its output away by calling `write`, which copies.
 *  - No exception, longjmp or panic may leave a function of the plugin.
 *  - execute is called by several threads at once, with the same handle. init comes before the first
 *    execute of a handle, cleanup after the last. What belongs to different handles, and
 *    validate_config, may run at the same time. With `threads: 1` in the manifest nothing does.
 */
#ifndef DISTRIC_PLUGIN_H
#define DISTRIC_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DISTRIC_PLUGIN_ABI_VERSION 1u

/* What a function of a plugin returns. Any other number counts as DISTRIC_FAILED. */
#define DISTRIC_OK 0           /* done; what was written is the output                          */
#define DISTRIC_FAILED 1       /* failed, and another attempt would fail too                    */
#define DISTRIC_FAILED_RETRY 2 /* failed, and another attempt could do better                   */

/* Levels of a log line. */
#define DISTRIC_LOG_DEBUG 1
#define DISTRIC_LOG_INFO 2
#define DISTRIC_LOG_WARN 3
#define DISTRIC_LOG_ERROR 4

/* Bytes of a text. This one never changes, and so has no version. */
typedef struct distric_text {
    const char *data; /* may be NULL where length is 0 */
    size_t length;
} distric_text;

/* Where a function of the plugin leaves its result. Made by the host. Of the calling thread alone: only
 * the thread that the function was called on may use it, and only until the function returns. */
typedef struct distric_plugin_output {
    uint32_t abi_version;
    uint32_t struct_size;
    void *host; /* the host's own: not to be touched */

    /* Appends to the output: one JSON value in the end. Returns DISTRIC_OK, or DISTRIC_FAILED once
     * the output is longer than the manifest allows: the task then fails with `output_too_large`,
     * whatever execute returns. Where `data` is NULL and `length` is not 0, it appends nothing and
     * returns DISTRIC_FAILED. */
    int32_t (*write)(const struct distric_plugin_output *self, const char *data, size_t length);

    /* Says why it failed, before DISTRIC_FAILED or DISTRIC_FAILED_RETRY is returned. `code` is for
     * programs (a workflow's `retry` may name it): [a-z][a-z0-9_]{0,63}; an empty one, any other
     * text, and the host's own codes become `plugin_failed`. `message` is for people. */
    void (*fail)(const struct distric_plugin_output *self, distric_text code, distric_text message);
} distric_plugin_output;

/* The configuration of a task: the `config` of its workflow. Made by the host. */
typedef struct distric_plugin_config {
    uint32_t abi_version;
    uint32_t struct_size;
    distric_text json; /* one JSON value; `{}` where the workflow has no config */
} distric_plugin_config;

/* Which task it is. Made by the host. */
typedef struct distric_plugin_task {
    uint32_t abi_version;
    uint32_t struct_size;
    distric_text instance;        /* the workflow's instance                                     */
    distric_text workflow;        /* its definition                                              */
    distric_text task;            /* the task's id in it                                         */
    distric_text idempotency_key; /* the same for every attempt: pass it on to what has effects  */
    distric_text trace;           /* a W3C traceparent, or empty                                 */
    uint32_t attempt;             /* 1, 2, ...                                                   */
    uint32_t reserved;            /* 0                                                           */
    uint64_t timeout_ms;          /* what is left when execute is called; 0: no limit            */
} distric_plugin_task;

/* What execute may ask for while it runs. Made by the host. Of the calling thread alone. */
typedef struct distric_plugin_context {
    uint32_t abi_version;
    uint32_t struct_size;
    void *host; /* the host's own: not to be touched */

    /* 1 when the result is not wanted any more (stopped, or out of time): whoever returns within
     * the manifest's `stop_grace` saves its process from being killed. Cheap: ask in every loop. */
    int32_t (*is_cancelled)(const struct distric_plugin_context *self);

    /* Writes a line to the node's log. */
    void (*log)(const struct distric_plugin_context *self, int32_t level, distric_text line);
} distric_plugin_context;

/* What the plugin offers. Made by the plugin, and lives as long as its library. */
typedef struct distric_plugin_interface {
    uint32_t abi_version;
    uint32_t struct_size;

    /* The plugin's name, the same as its file's: [a-z][a-z0-9_]{0,63}. The `type` of its tasks. */
    const char *(*get_name)(void);

    /* Its version, for people: at most 64 bytes. */
    const char *(*get_version)(void);

    /* Whether a configuration is legal. May be asked at any time, also where no task ever runs, and is
     * asked in front of every init: what it refuses never comes to init or execute. Must have no
     * effects. On failure `output->fail` says what is wrong with it. */
    int32_t (*validate_config)(const distric_plugin_config *config,
                               const distric_plugin_output *output);

    /* Makes a handle for a configuration that validate_config has taken in this process, once per
     * process and configuration, in front of its first task. What costs time (reading a model, connecting) belongs here. `*handle` may stay NULL. */
    int32_t (*init)(const distric_plugin_config *config, const distric_plugin_output *output,
                    void **handle);

    /* Runs one task. */
    int32_t (*execute)(void *handle, const distric_plugin_task *task, distric_text input,
                       const distric_plugin_output *output, const distric_plugin_context *context);

    /* Gives a handle back. Not called where the process is killed. */
    void (*cleanup)(void *handle);
} distric_plugin_interface;

/* The one function that a plugin exports. Returns a table whose every function is there. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const distric_plugin_interface *
get_plugin_interface(void);

#ifdef __cplusplus
}
#endif

#endif /* DISTRIC_PLUGIN_H */
