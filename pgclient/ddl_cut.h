/* What pg_restore prints of an archive of DDL, cut into the archive's entries.
 *
 * With --verbose it prints above each entry which one it is:
 *
 *   SET default_tablespace = '';                   only if the entry needs another than the last
 *
 *   SET default_table_access_method = heap;        the same
 *
 *   --
 *   -- TOC entry 214 (class 1259 OID 16385)        these lines are left out of its text
 *   -- Dependencies: 3 4
 *   -- Name: t; Type: TABLE; Schema: public; Owner: postgres
 *   -- Data Pos: 0                                 this one, too
 *   --
 *
 *   CREATE TABLE …                                 down to the next entry's first line
 *
 * What users wrote, a comment or the body of a function, may look like that, too. So the entries
 * are those of the archive's own list (pg_restore --list). An entry whose line is there more than
 * once is doubtful, and so is each entry that may contain such a line.
 *
 * Lifetime: ddl_cut_new, ddl_cut_free; then immutable. Errors: -ENOMEM, -EBADMSG the text is not
 * what pg_restore prints of that list.
 */
#ifndef PGCLIENT_DDL_CUT_H
#define PGCLIENT_DDL_CUT_H

#include "codec/buffer.h"

#include <stdbool.h>

/* Catalogs by their oids, which are the same on all servers. */
enum {
    CATALOG_CLASS = 1259,
    CATALOG_ATTRDEF = 2604,
    CATALOG_CONSTRAINT = 2606,
    CATALOG_REWRITE = 2618,
    CATALOG_TRIGGER = 2620,
    CATALOG_EXTENSION = 3079,
    CATALOG_POLICY = 3256
};

struct slice { /* of the text */
    const char *at;
    size_t size;
};

bool slice_is(struct slice slice, const char *text);
bool slice_same(struct slice a, struct slice b);
int slice_order(struct slice a, struct slice b); /* by bytes, as strcmp */

struct ddl_entry {
    uint32_t id;                     /* in its archive */
    uint32_t catalog, object;        /* oids on the server; 0: the entry has none */
    struct slice kind, name, schema; /* "TABLE", "t", "public" ("-": none) */
    struct slice title;              /* its line "-- Name: …"; "--\n" comes before it, */
    struct slice body;               /* from the "--\n" behind it on */
    struct slice tablespace, method; /* the two SET lines that hold for it, without a newline;
                                          size 0: there has been none */
    /* the lines stand above this entry, not above an earlier one */
    bool has_tablespace, has_method;
    bool unsure_of_tablespace, unsure_of_method; /* which line holds for it is not certain */
    bool doubtful;
    size_t first_need, need_count; /* in the cut's `needs` */
};

struct ddl_cut {
    struct buffer text;
    /* what comes before the first entry, without the time between the two */
    struct slice head, head_rest;
    struct slice tail;
    struct ddl_entry *entries; /* in the order of the text */
    size_t count;
    uint32_t *needs; /* ids of the entries that each entry needs */
    size_t *by_id;   /* places of the entries, by their ids */
};

/* Takes the text, also on failure. */
MUST_CHECK int ddl_cut_new(struct buffer *text, const struct buffer *list, struct ddl_cut **out);
void ddl_cut_free(struct ddl_cut *cut);

/* NULL: there is none with this id. */
const struct ddl_entry *ddl_cut_entry(const struct ddl_cut *cut, uint32_t id);

#endif
