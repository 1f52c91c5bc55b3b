/* What pg_restore prints of an archive, and its list: a NUL between them. Whatever is taken lies
 * within the text, in order, and a relation's text has nothing that is not there. */
#include "pgclient/ddl_cut.h"

#include "pgclient/ddl_pieces.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>

enum { RELATION = 20001, EXTENSION = 17000 };
enum { CUT, PUT_TOGETHER, DOUBTFUL, KINDS };
unsigned long fuzz_taken[FUZZ_KINDS_MOST];

const char *fuzz_kind(unsigned kind)
{
    static const char *const kinds[] = {"entries", "a relation's entries", "doubtful entries"};
    return kind < KINDS ? kinds[kind] : NULL;
}

#define HEAD                                                                                       \
    "--\n-- PostgreSQL database dump\n--\n\n-- Dumped by pg_dump version 15.20\n\n"                \
    "-- Started on 2026-11-30 20:14:15 UTC\n\nSET statement_timeout = 0;\n\n"
#define TAIL                                                                                       \
    "-- Completed on 2026-11-30 20:14:16 UTC\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
#define MARK "--\n-- TOC entry 3 (class 1259 OID 20001)\n"
#define TITLE "-- Name: t; Type: TABLE; Schema: public; Owner: me\n--\n\n"
#define EXTENSION_ENTRY                                                                            \
    "--\n-- TOC entry 2 (class 3079 OID 17000)\n"                                                  \
    "-- Name: vector; Type: EXTENSION; Schema: -; Owner: \n--\n\nCREATE EXTENSION vector;\n\n\n"
#define TABLE_ENTRY                                                                                \
    "SET default_tablespace = '';\n\nSET default_table_access_method = heap;\n\n" MARK             \
    "-- Dependencies: 2\n" TITLE "CREATE TABLE public.t ();\n\n\n"
#define COMMENT_ENTRY                                                                              \
    "--\n-- TOC entry 4 (class 0 OID 0)\n-- Dependencies: 3\n"                                     \
    "-- Name: TABLE t; Type: COMMENT; Schema: public; Owner: me\n--\n\nCOMMENT ON TABLE t IS '"
#define LIST "; x\n2; 3079 17000 EXTENSION - vector \n3; 1259 20001 TABLE public t me\n"

static void put_both(fuzz_put *put, const char *text, const char *list)
{
    fuzz_put_behind(put, (const uint8_t *)text, strlen(text) + 1, list, strlen(list));
}

void fuzz_seeds(fuzz_put *put)
{
    put_both(put, HEAD EXTENSION_ENTRY TABLE_ENTRY TAIL, LIST);
    put_both(put, HEAD EXTENSION_ENTRY TABLE_ENTRY COMMENT_ENTRY "x';\n\n\n" TAIL,
             LIST "4; 0 0 COMMENT public TABLE t me\n");
    put_both(put, HEAD EXTENSION_ENTRY TABLE_ENTRY COMMENT_ENTRY "\n" MARK TITLE "';\n\n\n" TAIL,
             LIST "4; 0 0 COMMENT public TABLE t me\n");
}

static void must(bool good)
{
    if (!good)
        abort();
}

static bool within(const struct ddl_cut *cut, struct slice slice)
{
    const char *begin = (const char *)cut->text.data, *end = begin + cut->text.size;
    return slice.size == 0 ||
           (slice.at >= begin && slice.at <= end && slice.size <= (size_t)(end - slice.at));
}

static void check_cut(const struct ddl_cut *cut)
{
    const char *last = cut->head.at;
    fuzz_taken[CUT]++;
    must(within(cut, cut->head) && within(cut, cut->head_rest) && within(cut, cut->tail));
    for (size_t i = 0; i < cut->count; i++) {
        const struct ddl_entry *entry = &cut->entries[i];
        must(within(cut, entry->title) && within(cut, entry->body) && within(cut, entry->kind) &&
             within(cut, entry->name));
        must(within(cut, entry->schema) && within(cut, entry->tablespace) &&
             within(cut, entry->method));
        must(entry->title.at >= last && entry->body.at > entry->title.at && entry->body.size > 0);
        must(ddl_cut_entry(cut, entry->id) != NULL);
        last = entry->body.at + entry->body.size;
        fuzz_taken[DOUBTFUL] += entry->doubtful;
    }
    must(cut->tail.at >= last);
}

/* Takes the cut. */
static void check_pieces(struct ddl_cut *cut)
{
    struct ddl_relation relation = {.oid = RELATION, .kind = 'r'};
    struct ddl_object object = {CATALOG_CLASS, RELATION, RELATION};
    struct ddl_need need = {RELATION, EXTENSION};
    const struct ddl_facts facts = {.relations = &relation,
                                    .relation_count = 1,
                                    .objects = &object,
                                    .object_count = 1,
                                    .needs = &need,
                                    .need_count = 1};
    struct ddl_pieces *pieces;
    struct buffer out = {0};
    size_t size = cut->text.size;
    int rc = ddl_pieces_new(cut, &facts, &pieces);
    must(rc == 0 || rc == -ESTALE);
    if (rc < 0)
        return;
    rc = ddl_pieces_put(pieces, pieces, RELATION, &out);
    must((rc == 0 && out.size > 0 && out.size <= size) || (rc == -ENOENT && out.size == 0));
    fuzz_taken[PUT_TOGETHER] += rc == 0;
    buffer_clear(&out);
    ddl_pieces_free(pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    struct buffer text = {0}, list = {0};
    struct ddl_cut *cut;
    if (nul == NULL)
        return 0;
    must(buffer_append(&text, data, (size_t)(nul - data)) == 0);
    must(buffer_append(&list, nul + 1, (size_t)(data + size - nul - 1)) == 0);
    int rc = ddl_cut_new(&text, &list, &cut);
    buffer_clear(&list);
    must(rc == 0 || rc == -EBADMSG);
    if (rc == 0) {
        check_cut(cut);
        check_pieces(cut);
    }
    return 0;
}
