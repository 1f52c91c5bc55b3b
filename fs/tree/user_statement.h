/* A statement that a user has written into .sql/NAME/query.sql, and the relation that it is.
 *
 * Each text that is set is another relation, with a number of its own (statement_number.h): what is
 * open of the one before goes on. A text is set once the server has taken it
 * (user_statement_task.h); no text, or an empty one, is no relation.
 *
 * Lifetime: reference-counted: the list of the mount (until rmdir ends it), its directory, open
 * files and tasks have references. Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_USER_STATEMENT_H
#define FS_TREE_USER_STATEMENT_H

#include "fs/tree/value_holder.h"
#include "pgclient/catalog.h"

enum { USER_STATEMENTS_AT_MOST = 64, STATEMENT_TEXT_MOST = 1 << 20 };
enum { STATEMENT_QUERY, STATEMENT_ERROR, STATEMENT_FIELDS };

struct user_statement {
    struct value_holder values;
    atomic_uint refs;
    struct user_statement *next; /* in the mount's list */
    struct node *directory;      /* NULL once ended */
    char *name;
    char *text;               /* a shared text, as query.sql shows it; NULL: none is set */
    struct relation relation; /* of that text; oid 0: none. It owns its strings */
    unsigned hidden;          /* mask of the faces whose file was removed since it was set */
    /* numbers of the last text that was written, and of the one that is set */
    uint64_t written, set;
    struct error error; /* "": the last text was taken */
};

/* Makes one. -ENOSPC: there are too many. */
MUST_CHECK int user_statement_new(struct mount *mount, struct node *directory,
                                  struct user_statement **out);
struct user_statement *user_statement_ref(struct user_statement *statement);
void user_statement_unref(struct user_statement *statement); /* NULL is fine */

/* Ends it: it is no relation any more, and what checks a text of it stops. Takes the list's
 * reference. */
void user_statement_end(struct user_statement *statement);

/* The number of the value with a file of this name; -1: none. */
int user_statement_field(const char *name);

/* A text of this number was judged. user_statement_take: it was taken, as this relation, whose
 * strings, and a reference to the text, it takes; unless a later one is set, or the statement has
 * ended. */
void user_statement_take(struct user_statement *statement, uint64_t number, char *text,
                         struct relation *relation);
void user_statement_answered(struct user_statement *statement, uint64_t number, int rc,
                             const struct error *error);

/* The relation that a text of the statement would be, without a number, with strings of its own: free
 * it with user_statement_clear. */
MUST_CHECK int user_statement_relation(const struct user_statement *statement, const char *text,
                                       struct relation *out);
void user_statement_clear(struct relation *relation);

#endif
