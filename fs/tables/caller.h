/* Who sends a request. The kernel names the thread; what counts is its process.
 *
 * Of a process in a PID namespace that is not below ours the kernel says nothing but the user: all
 * of a user's are one caller.
 *
 * A /proc that is of another PID namespace than this process (a container's that was given the
 * host's) says nothing of these numbers: then each thread is a process of its own, and no signals
 * can be seen. Which it is is looked at once, so not before a fork.
 *
 * Threads: any.
 */
#ifndef FS_TABLES_CALLER_H
#define FS_TABLES_CALLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A process by its id; negative: all of a user's whose ids are unknown. 0: nobody. */
typedef int64_t caller_id;

/* `thread` as the request says it; 0: unknown. Looks into /proc once a second for each thread. */
caller_id caller_find(pid_t thread, uid_t user);

static inline bool caller_is_process(caller_id caller) { return caller > 0; }

enum caller_fate {
    CALLER_LIVES,
    CALLER_DIES,   /* a signal that ends a program is pending */
    CALLER_UNKNOWN /* its signals cannot be seen */
};

/* The kernel raises an interrupt for every signal, window changes and timers included: this tells
 * which it was. */
enum caller_fate caller_fate(pid_t thread);

#endif
