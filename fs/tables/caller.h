/* The process that sends a request. The kernel names the thread; what counts is its process.
 *
 * If a process is in a PID namespace that is not below ours, the kernel names only its user: all
 * such processes of a user are one caller.
 *
 * If /proc is of another PID namespace than this process (in a container that was given the
 * host's), it says nothing about these numbers: then each thread counts as a process of its own,
 * and no signals can be seen. This is looked at once, so it must not be before a fork.
 *
 * Threads: any.
 */
#ifndef FS_TABLES_CALLER_H
#define FS_TABLES_CALLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A process, by its id; negative: all processes of a user whose ids are unknown. 0: none. */
typedef int64_t caller_id;

/* `thread` as the request names it; 0: unknown. Looks into /proc once a second for each thread. */
caller_id caller_find(pid_t thread, uid_t user);

static inline bool caller_is_process(caller_id caller) { return caller > 0; }

enum caller_fate {
    CALLER_LIVES,
    CALLER_DIES,   /* a signal that ends a program is pending */
    CALLER_UNKNOWN /* its signals cannot be seen */
};

/* The kernel raises an interrupt for every signal, window changes and timers included: this tells
 * whether the signal ends the program. */
enum caller_fate caller_fate(pid_t thread);

#endif
