#include "pgclient/ddl_pieces.h"

#include <errno.h>
#include <stdlib.h>

/* What an entry belongs to: a relation, an extension, or nothing that matters here. */
struct owner {
    uint32_t catalog; /* CATALOG_CLASS, CATALOG_EXTENSION; 0: it belongs to neither */
    uint32_t oid;
};

struct ddl_pieces {
    struct ddl_cut *cut;
    const struct ddl_facts *facts;
    struct owner *owners; /* of the entries, by their places */
    size_t *order;        /* their places, by owner, then as in the text */
    bool *split;          /* entries that are parts of a definition that pg_dump had to split */
    bool tangled;         /* there are such entries */
    bool strays;          /* there are grants and the like on parts of an extension */
};

/* ---- kinds of entries ---- */

/* In the order in which pg_dump prints a relation's entries, unless something makes it change that.
 * Entries of one place are ordered by name, if `sorted`. */
static const struct kind {
    const char *name;
    int place;
    bool sorted;
    /* it stands behind the object that it belongs to, or in the last part, that of grants */
    bool follows;
    bool defines; /* it is the relation itself */
    bool has_tablespace;
} kinds[] = {
    {"TABLE", 0, false, false, true, true},
    {"VIEW", 0, false, false, true, false},
    {"MATERIALIZED VIEW", 0, false, false, true, true},
    {"FOREIGN TABLE", 0, false, false, true, false},
    {"SEQUENCE", 1, true, false, false, false},
    {"SEQUENCE OWNED BY", 0, false, true, false, false},
    {"TABLE ATTACH", 2, false, false, false, false},
    {"DEFAULT", 3, false, false, false, false},
    {"CONSTRAINT", 4, true, false, false, true},
    {"CHECK CONSTRAINT", 4, true, false, false, false},
    {"INDEX", 5, true, false, false, true},
    {"INDEX ATTACH", 6, true, false, false, false},
    {"RULE", 7, true, false, false, false},
    {"TRIGGER", 8, true, false, false, false},
    {"FK CONSTRAINT", 9, true, false, false, false},
    {"POLICY", 10, false, false, false, false},
    {"ROW SECURITY", 10, false, false, false, false},
    {"COMMENT", 0, false, true, false, false},
    {"SECURITY LABEL", 0, false, true, false, false},
    {"ACL", 0, false, true, false, false},
};

static const struct kind *kind_of(const struct ddl_entry *entry)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (slice_is(entry->kind, kinds[i].name))
            return &kinds[i];
    return NULL;
}

static bool is(const struct ddl_entry *entry, const char *kind)
{
    return slice_is(entry->kind, kind);
}

static bool begins(struct slice slice, const char *with)
{
    size_t n = strlen(with);
    return slice.size >= n && memcmp(slice.at, with, n) == 0;
}

static bool ends(struct slice slice, const char *with)
{
    size_t n = strlen(with);
    return slice.size >= n && memcmp(slice.at + slice.size - n, with, n) == 0;
}

/* ---- what an entry belongs to ---- */

static size_t place_of(const struct ddl_pieces *pieces, const struct ddl_entry *entry)
{
    return (size_t)(entry - pieces->cut->entries);
}

static const struct ddl_entry *need_of(const struct ddl_pieces *pieces,
                                       const struct ddl_entry *entry, size_t i)
{
    return i < entry->need_count
               ? ddl_cut_entry(pieces->cut, pieces->cut->needs[entry->first_need + i])
               : NULL;
}

static struct owner owner_of(const struct ddl_pieces *pieces, const struct ddl_entry *entry)
{
    return entry != NULL ? pieces->owners[place_of(pieces, entry)] : (struct owner){0};
}

static bool is_parent(const struct ddl_pieces *pieces, const struct ddl_entry *entry, uint32_t oid)
{
    for (size_t i = 0; i < entry->need_count; i++)
        if (owner_of(pieces, need_of(pieces, entry, i)).oid == oid)
            return true;
    return false;
}

/* The owner of an entry that attaches a partition, or its index, to the parent: the entry needs
 * both, if both are in this archive, and belongs to the partition. */
static struct owner owner_of_attached(const struct ddl_pieces *pieces,
                                      const struct ddl_entry *entry)
{
    struct owner any = {0};
    bool several = false;
    for (size_t i = 0; i < entry->need_count; i++) {
        struct owner owner = owner_of(pieces, need_of(pieces, entry, i));
        const struct ddl_relation *relation =
            owner.catalog == CATALOG_CLASS ? ddl_facts_relation(pieces->facts, owner.oid) : NULL;
        if (relation == NULL || relation->parent == 0)
            continue;
        if (is_parent(pieces, entry, relation->parent))
            return owner;
        several |= any.oid != 0 && any.oid != owner.oid;
        any = owner;
    }
    return several ? (struct owner){0} : any;
}

/* Whether this grant or label, whose object has no entry, is or may be on a part of an extension.
 * All others are on objects that every database has. */
static bool is_stray(const struct ddl_entry *entry)
{
    return (is(entry, "ACL") || is(entry, "SECURITY LABEL")) &&
           !slice_is(entry->schema, "pg_catalog") &&
           !slice_is(entry->schema, "information_schema") &&
           !slice_is(entry->name, "SCHEMA public") && !begins(entry->name, "DATABASE ") &&
           !begins(entry->name, "LANGUAGE ");
}

/* Finds the owner of an entry without an oid of its own. The entry's needs name its object; if they
 * do not, the whole archive is not understood. */
static int find_owner_by_needs(struct ddl_pieces *pieces, const struct ddl_entry *entry,
                               struct owner *out)
{
    bool owned = is(entry, "SEQUENCE OWNED BY");
    if (is(entry, "TABLE ATTACH") || is(entry, "INDEX ATTACH")) {
        *out = owner_of_attached(pieces, entry);
        return out->oid != 0 ? 0 : -ESTALE;
    }
    if (!owned && !is(entry, "COMMENT") && !is(entry, "SECURITY LABEL") && !is(entry, "ACL"))
        return 0;
    const struct ddl_entry *of = need_of(pieces, entry, 0);
    if (of == NULL)
        pieces->strays |= is_stray(entry);
    *out = owner_of(pieces, of);
    return entry->need_count == 0 || (owned && out->oid == 0) ? -ESTALE : 0;
}

static bool is_of_relations(uint32_t catalog)
{
    return catalog == CATALOG_CLASS || catalog == CATALOG_ATTRDEF ||
           catalog == CATALOG_CONSTRAINT || catalog == CATALOG_REWRITE ||
           catalog == CATALOG_TRIGGER || catalog == CATALOG_POLICY;
}

static int find_owner(struct ddl_pieces *pieces, const struct ddl_entry *entry, struct owner *out)
{
    if (entry->catalog == 0 && entry->object == 0) {
        return find_owner_by_needs(pieces, entry, out);
    } else if (is(entry, "ROW SECURITY")) {
        *out = (struct owner){CATALOG_CLASS, entry->object};
    } else if (entry->catalog == CATALOG_EXTENSION) {
        *out = (struct owner){CATALOG_EXTENSION, entry->object};
    } else if (is_of_relations(entry->catalog)) {
        const struct ddl_object *object =
            ddl_facts_object(pieces->facts, entry->catalog, entry->object);
        if (object == NULL)
            return -ESTALE;
        if (object->relation != 0)
            *out = (struct owner){CATALOG_CLASS, object->relation};
    }
    return 0;
}

/* ---- what pg_dump has broken up ---- */

/* If objects need each other in a circle, pg_dump takes something out of a definition. When it
 * dumps one relation alone it knows fewer objects, and might not have to. Two things it takes out
 * in any case: a default that takes values from a sequence of the same table, and a constraint that
 * is not valid yet. */
static bool is_split(const struct ddl_pieces *pieces, const struct ddl_entry *entry)
{
    const struct owner *owners = pieces->owners, owner = owners[place_of(pieces, entry)];
    if (is(entry, "RULE"))
        return ends(entry->name, " _RETURN");
    if (is(entry, "CHECK CONSTRAINT"))
        return !ends(entry->body, " NOT VALID;\n\n\n");
    if (!is(entry, "DEFAULT"))
        return false;
    const struct ddl_relation *relation = ddl_facts_relation(pieces->facts, owner.oid);
    if (relation != NULL && relation->kind == 'v')
        return false; /* a view's defaults always stand by themselves */
    for (size_t i = 0; i < entry->need_count; i++) {
        const struct ddl_entry *need = need_of(pieces, entry, i);
        if (need != NULL && is(need, "SEQUENCE") && owners[place_of(pieces, need)].oid == owner.oid)
            return false;
    }
    return true;
}

static int find_owners(struct ddl_pieces *pieces)
{
    struct ddl_cut *cut = pieces->cut;
    for (size_t i = 0; i < cut->count; i++) {
        int rc = find_owner(pieces, &cut->entries[i], &pieces->owners[i]);
        if (rc < 0)
            return rc;
        if (pieces->owners[i].catalog != CATALOG_CLASS)
            continue;
        const struct ddl_relation *relation =
            ddl_facts_relation(pieces->facts, pieces->owners[i].oid);
        pieces->strays |= relation != NULL && relation->member;
        pieces->split[i] = is_split(pieces, &cut->entries[i]);
        /* The default of an inherited column may stand by itself for this reason alone. */
        bool of_column =
            relation != NULL && relation->parent != 0 && is(&cut->entries[i], "DEFAULT");
        pieces->tangled |= pieces->split[i] && !of_column;
    }
    return 0;
}

static int by_owner(const void *a, const void *b, void *context)
{
    const struct owner *owners = context;
    size_t i = *(const size_t *)a, k = *(const size_t *)b;
    if (owners[i].catalog != owners[k].catalog)
        return owners[i].catalog < owners[k].catalog ? -1 : 1;
    if (owners[i].oid != owners[k].oid)
        return owners[i].oid < owners[k].oid ? -1 : 1;
    return (i > k) - (i < k);
}

int ddl_pieces_new(struct ddl_cut *cut, const struct ddl_facts *facts, struct ddl_pieces **out)
{
    struct ddl_pieces *pieces = calloc(1, sizeof *pieces);
    if (pieces == NULL) {
        ddl_cut_free(cut);
        return -ENOMEM;
    }
    pieces->cut = cut;
    pieces->facts = facts;
    pieces->owners = calloc(cut->count + 1, sizeof *pieces->owners);
    pieces->order = calloc(cut->count + 1, sizeof *pieces->order);
    pieces->split = calloc(cut->count + 1, sizeof *pieces->split);
    bool room = pieces->owners != NULL && pieces->order != NULL && pieces->split != NULL;
    int rc = room ? find_owners(pieces) : -ENOMEM;
    if (rc < 0) {
        ddl_pieces_free(pieces);
        return rc;
    }
    for (size_t i = 0; i < cut->count; i++)
        pieces->order[i] = i;
    qsort_r(pieces->order, cut->count, sizeof *pieces->order, by_owner, pieces->owners);
    *out = pieces;
    return 0;
}

void ddl_pieces_free(struct ddl_pieces *pieces)
{
    if (pieces == NULL)
        return;
    ddl_cut_free(pieces->cut);
    free(pieces->owners);
    free(pieces->order);
    free(pieces->split);
    free(pieces);
}

/* ---- one relation's entries ---- */

struct run { /* the entries of one owner, in `order` */
    size_t first, count;
};

static struct run find_run(const struct ddl_pieces *pieces, uint32_t catalog, uint32_t oid)
{
    size_t low = 0, high = pieces->cut->count, end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct owner owner = pieces->owners[pieces->order[middle]];
        if (owner.catalog < catalog || (owner.catalog == catalog && owner.oid < oid))
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low; end < pieces->cut->count; end++) {
        struct owner owner = pieces->owners[pieces->order[end]];
        if (owner.catalog != catalog || owner.oid != oid)
            break;
    }
    return (struct run){low, end - low};
}

static const struct ddl_entry *entry_at(const struct ddl_pieces *pieces, size_t i)
{
    return &pieces->cut->entries[pieces->order[i]];
}

/* If one circle has been broken up, others through the same functions may have been, too. */
static bool needs_function(const struct ddl_pieces *pieces, const struct ddl_entry *entry)
{
    for (size_t i = 0; i < entry->need_count; i++) {
        const struct ddl_entry *need = need_of(pieces, entry, i);
        if (need != NULL && (is(need, "FUNCTION") || is(need, "PROCEDURE") ||
                             is(need, "AGGREGATE") || is(need, "OPERATOR")))
            return true;
    }
    return false;
}

static bool is_plain(const struct ddl_pieces *pieces, size_t i)
{
    const struct ddl_entry *entry = entry_at(pieces, i);
    const struct kind *kind = kind_of(entry);
    return kind != NULL && !entry->doubtful && !pieces->split[pieces->order[i]] &&
           !(kind->has_tablespace && entry->unsure_of_tablespace) &&
           !(kind->defines && entry->unsure_of_method) &&
           !(pieces->tangled && kind->defines && needs_function(pieces, entry));
}

/* Compares as pg_dump does: first the schemas, then the names without their schemas. */
static bool in_order(const struct ddl_entry *before, const struct ddl_entry *after)
{
    const struct kind *a = kind_of(before), *b = kind_of(after);
    if (a->place != b->place || !a->sorted)
        return a->place <= b->place;
    int order = slice_order(before->schema, after->schema);
    return order < 0 || (order == 0 && slice_order(before->name, after->name) <= 0);
}

static bool run_is_plain(const struct ddl_pieces *pieces, struct run run, uint32_t relation)
{
    const struct ddl_entry *last = NULL;
    for (size_t i = run.first; i < run.first + run.count; i++) {
        const struct ddl_entry *entry = entry_at(pieces, i);
        if (!is_plain(pieces, i))
            return false;
        const struct kind *kind = kind_of(entry);
        bool is_it = entry->catalog == CATALOG_CLASS && entry->object == relation;
        if ((i == run.first) != kind->defines || kind->defines != is_it)
            return false;
        if (kind->follows)
            continue;
        if (last != NULL && !in_order(last, entry))
            return false;
        last = entry;
    }
    return run.count > 0;
}

/* ---- putting it together ---- */

struct putting {
    struct buffer *out;
    struct slice tablespace, method; /* the SET lines that hold now */
    char kind;                       /* of the relation */
};

static int put_slice(struct buffer *out, struct slice slice)
{
    return buffer_append(out, slice.at, slice.size);
}

static int put_setting(struct putting *putting, struct slice wanted, struct slice *held)
{
    if (wanted.size == 0 || slice_same(wanted, *held))
        return 0;
    *held = wanted;
    int rc = put_slice(putting->out, wanted);
    return rc == 0 ? buffer_append_text(putting->out, "\n\n") : rc;
}

static int put_entry(struct putting *putting, const struct ddl_entry *entry)
{
    const struct kind *kind = kind_of(entry);
    bool method = kind != NULL && kind->defines && (putting->kind == 'r' || putting->kind == 'm');
    int rc = kind != NULL && kind->has_tablespace
                 ? put_setting(putting, entry->tablespace, &putting->tablespace)
                 : 0;
    if (rc == 0 && method)
        rc = put_setting(putting, entry->method, &putting->method);
    if (rc == 0)
        rc = buffer_append_text(putting->out, "--\n");
    if (rc == 0)
        rc = put_slice(putting->out, entry->title);
    return rc == 0 ? put_slice(putting->out, entry->body) : rc;
}

static int by_place(const void *a, const void *b)
{
    size_t left = *(const size_t *)a, right = *(const size_t *)b;
    return (left > right) - (left < right);
}

/* Finds the places of the entries of all these extensions, in the order of the text. */
static int find_extensions(const struct ddl_pieces *pieces, const struct ddl_need *needs,
                           size_t count, size_t **out, size_t *found)
{
    size_t *places = NULL;
    *found = 0;
    for (size_t i = 0; i < count; i++) {
        struct run run = find_run(pieces, CATALOG_EXTENSION, needs[i].extension);
        size_t *more = run.count == 0 || pieces->strays
                           ? NULL
                           : reallocarray(places, *found + run.count, sizeof *places);
        if (more == NULL) {
            free(places);
            return run.count == 0 || pieces->strays ? -ENOENT : -ENOMEM;
        }
        places = more;
        memcpy(places + *found, pieces->order + run.first, run.count * sizeof *places);
        *found += run.count;
    }
    if (*found > 0)
        qsort(places, *found, sizeof *places, by_place);
    *out = places;
    return 0;
}

static int put_extensions(struct putting *putting, const struct ddl_pieces *pieces,
                          uint32_t relation)
{
    size_t count, found, *places = NULL;
    const struct ddl_need *needs = ddl_facts_needs(pieces->facts, relation, &count);
    int rc = find_extensions(pieces, needs, count, &places, &found);
    for (size_t i = 0; rc == 0 && i < found; i++) {
        const struct ddl_entry *entry = &pieces->cut->entries[places[i]];
        rc = entry->doubtful ? -ENOENT : put_entry(putting, entry);
    }
    free(places);
    return rc;
}

int ddl_pieces_put(const struct ddl_pieces *pieces, const struct ddl_pieces *extensions,
                   uint32_t relation, struct buffer *out)
{
    const struct ddl_relation *known = ddl_facts_relation(pieces->facts, relation);
    struct run run = find_run(pieces, CATALOG_CLASS, relation);
    /* A dump of some relations alone lacks the functions through which a circle may go. */
    bool unsure = pieces->tangled && extensions != pieces;
    /* Whether the setting of the tablespace holds for a foreign table depends on pg_dump's version. */
    bool foreign = known != NULL && known->kind == 'f';
    if (known == NULL || known->member || known->deep || known->left_out || unsure || foreign ||
        !run_is_plain(pieces, run, relation))
        return -ENOENT;
    struct putting putting = {.out = out, .kind = known->kind};
    size_t before = out->size;
    int rc = put_slice(out, pieces->cut->head);
    if (rc == 0)
        rc = put_slice(out, pieces->cut->head_rest);
    if (rc == 0)
        rc = put_extensions(&putting, extensions, relation);
    for (size_t i = run.first; rc == 0 && i < run.first + run.count; i++)
        rc = put_entry(&putting, entry_at(pieces, i));
    if (rc == 0)
        rc = put_slice(out, pieces->cut->tail);
    if (rc < 0)
        out->size = before;
    return rc;
}
