/* All nodes of a mount, what is open, and what waits: mount->tree.
 *
 * Threads: guarded by mount->lock, except for what is atomic.
 */
#ifndef FS_TREE_TREE_H
#define FS_TREE_TREE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ask;
struct call;
struct mount;
struct node;
struct opened;
struct piece_measure;
struct query_session;
struct read;
struct result;
struct first_seen;
struct row;
struct row_layouts;
struct row_task;
struct user_statement;
struct user_statement_task;

enum { NODE_BUCKETS = 16384 };

struct tree {
    struct node *root;
    struct node *nodes[NODE_BUCKETS];       /* by nodeid */
    struct node *directories[NODE_BUCKETS]; /* by ino, which stands for the path */
    size_t node_count;
    size_t unbounded_count; /* number of nodes that any user can name (class.h) */
    uint64_t next_nodeid;
    struct call *parked; /* all calls that wait */
    size_t parked_count; /* the number of those */
    struct read *reads;  /* READs that wait */
    struct opened *opened;
    struct piece_measure *piece_measures; /* under way */
    int streams;               /* open files that were opened before their size was known */
    atomic_bool groups_matter; /* a mode lets a group do more, or less, than others (permit.h) */

    struct query_session *query_sessions;
    int query_session_count;
    struct user_statement *user_statements;
    int user_statement_count;
    struct user_statement_task *user_statement_tasks; /* under way */
    uint64_t asked_number;                            /* number of the last question of a session */
    struct result *results; /* those that are kept, or open; the last used first */
    int result_count;
    uint64_t result_bytes, result_number;
    _Atomic uint64_t answer_bytes; /* bytes of all results, kept or not */
    uint64_t open_answer_bytes;    /* bytes of results of which a file is open */
    struct row *rows;              /* those that are kept; the last used first */
    int row_count;
    uint64_t row_bytes;
    struct row_task *row_tasks;      /* questions about rows that are under way */
    struct row_layouts *row_layouts; /* with the next one: NULL until a row is looked up */
    struct first_seen *rows_seen;    /* the paths of rows, and their contents */
    struct ask *asks;                /* open conversations */
    int ask_count;
    /* unread bytes of their answers, and bytes kept free for answers that are about to be made */
    uint64_t unread;
    int64_t unread_ms; /* clock_ms() when these last became fewer */
};

#endif
