/* Cutting what pg_restore prints, and whose the pieces are. */
#include "pgclient/ddl_cut.h"
#include "pgclient/ddl_pieces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD                                                                                       \
    "--\n-- PostgreSQL database dump\n--\n\n\\restrict Ab1\n\n"                                    \
    "-- Dumped from database version 15.20\n-- Dumped by pg_dump version 15.20\n\n"
#define STARTED "-- Started on 2026-11-30 20:14:15 UTC\n\n"
#define SETTINGS "SET statement_timeout = 0;\nSET client_encoding = 'UTF8';\n\n"
#define COMPLETED "-- Completed on 2026-11-30 20:14:16 UTC\n\n"
#define TAIL "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict Ab1\n\n"
#define TABLESPACE "SET default_tablespace = '';\n\n"
#define METHOD "SET default_table_access_method = heap;\n\n"

/* An entry as pg_restore prints it with --verbose, as it does without, and as it lists it. */
struct sample {
    const char *settings; /* above it */
    int id, catalog, object;
    const char *needs; /* " 3 4" or "" */
    const char *name, *kind, *schema, *body;
};

static int put_verbose(struct buffer *text, const struct sample *entry)
{
    int rc = buffer_printf(text, "%s--\n-- TOC entry %d (class %d OID %d)\n", entry->settings,
                           entry->id, entry->catalog, entry->object);
    if (rc == 0 && entry->needs[0] != '\0')
        rc = buffer_printf(text, "-- Dependencies:%s\n", entry->needs);
    return rc == 0 ? buffer_printf(text, "-- Name: %s; Type: %s; Schema: %s; Owner: me\n%s--\n\n%s",
                                   entry->name, entry->kind, entry->schema,
                                   entry->id % 2 == 0 ? "-- Data Pos: 0\n" : "", entry->body)
                   : rc;
}

static void expect_entry(struct buffer *text, const char *settings, const struct sample *entry)
{
    assert_int_equal(buffer_printf(text,
                                   "%s--\n-- Name: %s; Type: %s; Schema: %s; Owner: me\n--\n\n%s",
                                   settings, entry->name, entry->kind, entry->schema, entry->body),
                     0);
}

static int cut_samples(const struct sample *entries, size_t count, struct ddl_cut **out)
{
    struct buffer text = {0}, list = {0};
    assert_int_equal(buffer_append_text(&text, HEAD STARTED SETTINGS), 0);
    assert_int_equal(buffer_append_text(&list, ";\n; Archive created at 2026\n;\n"), 0);
    for (size_t i = 0; i < count; i++) {
        const struct sample *entry = &entries[i];
        assert_int_equal(put_verbose(&text, entry), 0);
        assert_int_equal(buffer_printf(&list, "%d; %d %d %s %s %s me\n", entry->id, entry->catalog,
                                       entry->object, entry->kind, entry->schema, entry->name),
                         0);
    }
    assert_int_equal(buffer_append_text(&text, COMPLETED TAIL), 0);
    int rc = ddl_cut_new(&text, &list, out);
    buffer_clear(&list);
    return rc;
}

enum { T = 20001, OTHER = 20002, V = 20003, SEQUENCE = 20010, LOOSE = 20011, EXTENSION = 17000 };
enum { PARENT = 20004, PART = 20005 };
enum { NOTHING_OF = 2615 }; /* pg_namespace */

/* A table of everything, between what is others'. */
static const struct sample zoo[] = {
    {"", 2, CATALOG_EXTENSION, EXTENSION, "", "vector", "EXTENSION", "-",
     "CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;\n\n\n"},
    {"", 3000, 0, 0, " 2", "EXTENSION vector", "COMMENT", "-",
     "COMMENT ON EXTENSION vector IS 'vector data type';\n\n\n"},
    {TABLESPACE METHOD, 100, CATALOG_CLASS, OTHER, "", "other", "TABLE", "public",
     "CREATE TABLE public.other (\n    a integer\n);\n\n\nALTER TABLE public.other OWNER TO "
     "me;\n\n"},
    {"", 101, CATALOG_CLASS, T, " 2", "t", "TABLE", "public",
     "CREATE TABLE public.t (\n    id integer NOT NULL,\n    v public.vector(3)\n);\n\n\n"},
    {"", 3001, 0, 0, " 101", "COLUMN t.id", "COMMENT", "public",
     "COMMENT ON COLUMN public.t.id IS 'x';\n\n\n"},
    {"", 102, CATALOG_CLASS, SEQUENCE, " 101", "t_id_seq", "SEQUENCE", "public",
     "CREATE SEQUENCE public.t_id_seq\n    START WITH 1;\n\n\n"},
    {"", 3002, 0, 0, " 102", "t_id_seq", "SEQUENCE OWNED BY", "public",
     "ALTER SEQUENCE public.t_id_seq OWNED BY public.t.id;\n\n\n"},
    {"", 103, CATALOG_CLASS, V, " 101", "v", "VIEW", "public",
     "CREATE VIEW public.v AS\n SELECT t.id\n   FROM public.t;\n\n\n"},
    {"", 104, CATALOG_CLASS, LOOSE, "", "loose", "SEQUENCE", "public",
     "CREATE SEQUENCE public.loose;\n\n\n"},
    {"", 105, CATALOG_ATTRDEF, 20020, " 102 101 102", "t id", "DEFAULT", "public",
     "ALTER TABLE ONLY public.t ALTER COLUMN id SET DEFAULT nextval('public.t_id_seq');\n\n\n"},
    {"", 106, CATALOG_CONSTRAINT, 20021, " 101", "t t_check", "CHECK CONSTRAINT", "public",
     "ALTER TABLE public.t\n    ADD CONSTRAINT t_check CHECK ((id > 0)) NOT VALID;\n\n\n"},
    {"SET default_tablespace = fast;\n\n", 107, CATALOG_CONSTRAINT, 20022, " 101", "t t_pkey",
     "CONSTRAINT", "public",
     "ALTER TABLE ONLY public.t\n    ADD CONSTRAINT t_pkey PRIMARY KEY (id);\n\n\n"},
    {TABLESPACE, 108, CATALOG_CLASS, 20023, " 100", "other_a", "INDEX", "public",
     "CREATE INDEX other_a ON public.other USING btree (a);\n\n\n"},
    {"", 109, CATALOG_CLASS, 20024, " 101", "t_v", "INDEX", "public",
     "CREATE INDEX t_v ON public.t USING btree (v);\n\n\n"},
    {"", 110, 3381, 20025, " 101", "t_both", "STATISTICS", "public",
     "CREATE STATISTICS public.t_both ON id, v FROM public.t;\n\n\n"},
    {"", 111, CATALOG_TRIGGER, 20026, " 101", "t tell", "TRIGGER", "public",
     "CREATE TRIGGER tell AFTER INSERT ON public.t EXECUTE FUNCTION public.f();\n\n\n"},
    {"", 112, CATALOG_POLICY, 20027, " 101", "t mine", "POLICY", "public",
     "CREATE POLICY mine ON public.t;\n\n\n"},
    {"", 113, 0, T, " 101", "t", "ROW SECURITY", "public",
     "ALTER TABLE public.t ENABLE ROW LEVEL SECURITY;\n\n"},
    {"", 114, 6106, 20028, " 101", "news t", "PUBLICATION TABLE", "public",
     "ALTER PUBLICATION news ADD TABLE ONLY public.t;\n\n\n"},
    {"", 3003, 0, 0, " 5", "SCHEMA public", "ACL", "-",
     "GRANT ALL ON SCHEMA public TO PUBLIC;\n\n\n"},
    {"", 3004, 0, 0, " 101", "TABLE t", "ACL", "public",
     "GRANT SELECT ON TABLE public.t TO you;\n\n\n"},
};
enum { ZOO = sizeof zoo / sizeof *zoo };

static struct ddl_relation relations[] = {{.oid = T, .kind = 'r'},
                                          {.oid = OTHER, .kind = 'r'},
                                          {.oid = V, .kind = 'v'},
                                          {.oid = PARENT, .kind = 'p'},
                                          {.oid = PART, .kind = 'r', .parent = PARENT}};
static struct ddl_object objects[] = {
    {CATALOG_CLASS, T, T},           {CATALOG_CLASS, OTHER, OTHER}, {CATALOG_CLASS, V, V},
    {CATALOG_CLASS, PARENT, PARENT}, {CATALOG_CLASS, PART, PART},   {CATALOG_CLASS, SEQUENCE, T},
    {CATALOG_CLASS, LOOSE, 0},       {CATALOG_CLASS, 20023, OTHER}, {CATALOG_CLASS, 20024, T},
    {CATALOG_ATTRDEF, 20020, T},     {CATALOG_ATTRDEF, 20030, T},   {CATALOG_CONSTRAINT, 20021, T},
    {CATALOG_CONSTRAINT, 20022, T},  {CATALOG_REWRITE, 20040, V},   {CATALOG_TRIGGER, 20026, T},
    {CATALOG_POLICY, 20027, T},
};
static struct ddl_need needs[] = {{T, EXTENSION}};
static const struct ddl_facts facts = {.relations = relations,
                                       .relation_count = sizeof relations / sizeof *relations,
                                       .objects = objects,
                                       .object_count = sizeof objects / sizeof *objects,
                                       .needs = needs,
                                       .need_count = 1};

/* What is put together of a relation; NULL: nothing is. */
static char *text_of(const struct sample *entries, size_t count, uint32_t relation)
{
    struct ddl_cut *cut = NULL;
    struct ddl_pieces *pieces = NULL;
    struct buffer out = {0};
    assert_int_equal(cut_samples(entries, count, &cut), 0);
    assert_int_equal(ddl_pieces_new(cut, &facts, &pieces), 0);
    int rc = ddl_pieces_put(pieces, pieces, relation, &out);
    if (rc == 0)
        assert_int_equal(buffer_append_byte(&out, '\0'), 0);
    else
        assert_true(rc == -ENOENT && out.size == 0);
    if (rc < 0)
        buffer_clear(&out); /* empty, but not without room */
    ddl_pieces_free(pieces);
    return rc == 0 ? (char *)out.data : NULL;
}

static void expect_text(const char *text, struct buffer *expected)
{
    assert_int_equal(buffer_append(expected, TAIL, sizeof TAIL), 0);
    assert_non_null(text);
    assert_string_equal(text, (const char *)expected->data);
    buffer_clear(expected);
}

static void a_relation_has_all_that_is_its_and_nothing_else(void **state)
{
    (void)state;
    static const int of_t[] = {0, 1, 3, 4, 5, 6, 9, 10};
    static const int of_t_too[] = {15, 16, 17, 20};
    struct buffer expected = {0};
    assert_int_equal(buffer_append_text(&expected, HEAD SETTINGS), 0);
    for (size_t i = 0; i < sizeof of_t / sizeof *of_t; i++)
        expect_entry(&expected, of_t[i] == 3 ? TABLESPACE METHOD : "", &zoo[of_t[i]]);
    expect_entry(&expected, "SET default_tablespace = fast;\n\n", &zoo[11]);
    expect_entry(&expected, TABLESPACE, &zoo[13]);
    for (size_t i = 0; i < sizeof of_t_too / sizeof *of_t_too; i++)
        expect_entry(&expected, "", &zoo[of_t_too[i]]);
    char *text = text_of(zoo, ZOO, T);
    expect_text(text, &expected);
    free(text);

    assert_int_equal(buffer_append_text(&expected, HEAD SETTINGS), 0);
    expect_entry(&expected, "", &zoo[7]);
    text = text_of(zoo, ZOO, V);
    expect_text(text, &expected);
    free(text);

    assert_int_equal(buffer_append_text(&expected, HEAD SETTINGS), 0);
    expect_entry(&expected, TABLESPACE METHOD, &zoo[2]);
    expect_entry(&expected, "", &zoo[12]);
    text = text_of(zoo, ZOO, OTHER);
    expect_text(text, &expected);
    free(text);

    assert_null(text_of(zoo, ZOO, LOOSE));
    assert_null(text_of(zoo, ZOO, 4711));
}

/* Which of t, v and other are put together when one entry of the zoo is another, or comes
 * elsewhere. */
static void expect_others(const struct sample *entries, size_t count, bool t, bool v, bool other)
{
    char *texts[] = {text_of(entries, count, T), text_of(entries, count, V),
                     text_of(entries, count, OTHER)};
    assert_int_equal(texts[0] != NULL, t);
    assert_int_equal(texts[1] != NULL, v);
    assert_int_equal(texts[2] != NULL, other);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
}

static void copy_zoo(struct sample *entries) { memcpy(entries, zoo, sizeof zoo); }

static void what_pg_dump_may_print_otherwise_is_left_to_it(void **state)
{
    (void)state;
    struct sample entries[ZOO + 1];
    copy_zoo(entries);
    expect_others(entries, ZOO, true, true, true);

    /* A default that is not of a sequence of the same table, a constraint that holds: a circle. */
    entries[9].needs = " 104 101";
    expect_others(entries, ZOO, false, true, true);
    copy_zoo(entries);
    entries[10].body = "ALTER TABLE public.t\n    ADD CONSTRAINT t_check CHECK (f(id));\n\n\n";
    expect_others(entries, ZOO, false, true, true);
    /* So is a view whose query comes later, and then others that need functions. */
    copy_zoo(entries);
    entries[ZOO] = (struct sample){"",     120,      CATALOG_REWRITE,
                                   20040,  " 103",   "v _RETURN",
                                   "RULE", "public", "CREATE OR REPLACE VIEW public.v AS …;\n\n\n"};
    expect_others(entries, ZOO + 1, true, false, true);
    entries[8] = (struct sample){"",         104,      1255,
                                 20050,      "",       "f()",
                                 "FUNCTION", "public", "CREATE FUNCTION public.f() …;\n\n\n"};
    entries[3].needs = " 2 104";
    expect_others(entries, ZOO + 1, false, false, true);
    expect_others(entries, ZOO, true, true, true);
    /* But not the default of a column that is inherited. */
    copy_zoo(entries);
    entries[9].needs = " 101";
    entries[8] = (struct sample){"",         104,      1255,
                                 20050,      "",       "f()",
                                 "FUNCTION", "public", "CREATE FUNCTION public.f() …;\n\n\n"};
    entries[7].needs = " 101 104";
    expect_others(entries, ZOO, false, false, true);
    relations[0].parent = PARENT;
    expect_others(entries, ZOO, false, true, true);
    relations[0].parent = 0;

    /* Another order. */
    copy_zoo(entries);
    entries[10] = zoo[11];
    entries[11] = zoo[10];
    expect_others(entries, ZOO, false, true, true);
    /* A kind of which nothing is known here; and a part of what is not there itself. */
    copy_zoo(entries);
    entries[15].kind = "NOVELTY";
    expect_others(entries, ZOO, false, true, true);
    copy_zoo(entries);
    entries[3] = (struct sample){"", 101, NOTHING_OF, 20060, "", "s", "SCHEMA", "-", "…;\n\n\n"};
    expect_others(entries, ZOO, false, true, true);
    /* A grant on something of an extension's, which would come with the extension. */
    copy_zoo(entries);
    entries[19].name = "FUNCTION l2_distance(public.vector, public.vector)";
    entries[19].schema = "public";
    expect_others(entries, ZOO, false, true, true);
}

/* A partition with the index of a key, which has no entry of its own; the parent's entry may be in
 * another archive. */
static void what_attaches_is_the_partitions(void **state)
{
    (void)state;
    static const struct sample family[] = {
        {TABLESPACE, 100, CATALOG_CLASS, PARENT, "", "parent", "TABLE", "public",
         "CREATE TABLE public.parent (a integer) PARTITION BY RANGE (a);\n\n\n"},
        {METHOD, 101, CATALOG_CLASS, PART, "", "part", "TABLE", "public",
         "CREATE TABLE public.part (a integer);\n\n\n"},
        {"", 102, 0, 0, " 101 100", "part", "TABLE ATTACH", "public",
         "ALTER TABLE ONLY public.parent ATTACH PARTITION public.part DEFAULT;\n\n\n"},
        {"", 103, 0, 0, " 101 100", "part_pkey", "INDEX ATTACH", "public",
         "ALTER INDEX public.parent_pkey ATTACH PARTITION public.part_pkey;\n\n\n"},
    };
    struct buffer expected = {0};
    for (size_t alone = 0; alone < 2; alone++) {
        assert_int_equal(buffer_append_text(&expected, HEAD SETTINGS), 0);
        expect_entry(&expected, alone ? METHOD : TABLESPACE METHOD, &family[1]);
        expect_entry(&expected, "", &family[2]);
        expect_entry(&expected, "", &family[3]);
        char *text = text_of(family + alone, 4 - alone, PART);
        expect_text(text, &expected);
        free(text);
    }
    assert_int_equal(buffer_append_text(&expected, HEAD SETTINGS), 0);
    expect_entry(&expected, TABLESPACE, &family[0]);
    char *text = text_of(family, 4, PARENT);
    expect_text(text, &expected);
    free(text);
}

static void what_says_not_whose_it_is_spoils_all(void **state)
{
    (void)state;
    static const size_t places[] = {1, 4, 6, 20};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct sample entries[ZOO];
        struct ddl_cut *cut = NULL;
        struct ddl_pieces *pieces = NULL;
        copy_zoo(entries);
        entries[places[i]].needs = "";
        assert_int_equal(cut_samples(entries, ZOO, &cut), 0);
        assert_int_equal(ddl_pieces_new(cut, &facts, &pieces), -ESTALE);
    }
}

static void facts_keep_relations_out(void **state)
{
    (void)state;
    relations[0].member = true; /* nothing of it should be there */
    expect_others(zoo, ZOO, false, true, true);
    relations[0].member = false;
    relations[0].deep = true;
    expect_others(zoo, ZOO, false, true, true);
    relations[0].deep = false;
    relations[1].left_out = true;
    expect_others(zoo, ZOO, true, true, false);
    relations[1].left_out = false;
    expect_others(zoo, ZOO, true, true, true);
}

static void what_is_younger_than_the_facts_is_noticed(void **state)
{
    (void)state;
    struct sample entries[ZOO];
    struct ddl_cut *cut = NULL;
    struct ddl_pieces *pieces = NULL;
    copy_zoo(entries);
    entries[13].object = 30000;
    assert_int_equal(cut_samples(entries, ZOO, &cut), 0);
    assert_int_equal(ddl_pieces_new(cut, &facts, &pieces), -ESTALE);
}

/* An entry's line within another's text, which any user can write. */
static void a_line_that_is_there_twice_proves_nothing(void **state)
{
    (void)state;
    struct sample entries[ZOO];
    copy_zoo(entries);
    entries[4].body =
        "COMMENT ON COLUMN public.t.id IS 'x\n\n"
        "SET default_tablespace = mine;\n\n"
        "--\n-- TOC entry 103 (class 1259 OID 20003)\n"
        "-- Name: v; Type: VIEW; Schema: public; Owner: me\n--\n\nSELECT 1;\n';\n\n\n";
    expect_others(entries, ZOO, false, false, true);
    /* Of an entry that is not in the list it is any line. */
    entries[4].body = "COMMENT ON COLUMN public.t.id IS 'x\n\n"
                      "--\n-- TOC entry 103 (class 1259 OID 20004)\n"
                      "-- Name: v; Type: VIEW; Schema: public; Owner: me\n--\n\nSELECT 1;\n"
                      "-- Completed on 2026-11-30\n\n';\n\n\n";
    expect_others(entries, ZOO, true, true, true);
    char *text = text_of(entries, ZOO, T);
    assert_non_null(strstr(text, "OID 20004"));
    free(text);
}

static void titles_are_read_from_their_end(void **state)
{
    (void)state;
    static const struct sample entry = {"",      7,        CATALOG_CLASS,
                                        T,       " 1 2",   "a; Type: VIEW; Schema: x; Owner: y",
                                        "TABLE", "public", "…\n"};
    struct ddl_cut *cut = NULL;
    assert_int_equal(cut_samples(&entry, 1, &cut), 0);
    assert_int_equal(cut->count, 1);
    assert_true(slice_is(cut->entries[0].name, entry.name));
    assert_true(slice_is(cut->entries[0].kind, "TABLE"));
    assert_true(slice_is(cut->entries[0].schema, "public"));
    assert_int_equal(cut->entries[0].need_count, 2);
    assert_int_equal(cut->needs[1], 2);
    assert_ptr_equal(ddl_cut_entry(cut, 7), &cut->entries[0]);
    assert_null(ddl_cut_entry(cut, 8));
    ddl_cut_free(cut);
}

static int cut_texts(const char *text, const char *list)
{
    struct buffer bytes = {0}, lines = {0};
    struct ddl_cut *cut = NULL;
    assert_int_equal(buffer_append_text(&bytes, text), 0);
    assert_int_equal(buffer_append_text(&lines, list), 0);
    int rc = ddl_cut_new(&bytes, &lines, &cut);
    if (rc == 0)
        ddl_cut_free(cut);
    buffer_clear(&lines);
    return rc;
}

#define ONE                                                                                        \
    "--\n-- TOC entry 1 (class 2 OID 3)\n-- Name: a; Type: B; Schema: c; Owner: d\n--\n\nx;\n"

static void what_is_no_archive_is_refused(void **state)
{
    (void)state;
    assert_int_equal(cut_texts(HEAD ONE COMPLETED TAIL, "1; 2 3 B c a d\n"), 0);
    assert_int_equal(cut_texts(HEAD COMPLETED TAIL, ""), 0);
    assert_int_equal(cut_texts("", ""), -EBADMSG);
    assert_int_equal(cut_texts(HEAD ONE TAIL, "1; 2 3 B c a d\n"), -EBADMSG);
    assert_int_equal(cut_texts(HEAD COMPLETED TAIL, "1; 2 3 B c a d\n"), -EBADMSG);
    assert_int_equal(cut_texts(HEAD ONE COMPLETED TAIL, "1; 2 4 B c a d\n"), -EBADMSG);
    assert_int_equal(cut_texts(HEAD ONE COMPLETED TAIL, "1; 2 3 B c a d\n1; 2 3 B c a d\n"),
                     -EBADMSG);
    assert_int_equal(cut_texts(HEAD ONE COMPLETED TAIL, "1; 2\n"), -EBADMSG);
    assert_int_equal(cut_texts(HEAD ONE COMPLETED TAIL, "4294967297; 2 3 B c a d\n"), -EBADMSG);
}

/* Wherever it is cut off it is refused, or whole. */
static void every_beginning_is_refused(void **state)
{
    (void)state;
    static const char whole[] = HEAD STARTED SETTINGS TABLESPACE METHOD ONE COMPLETED TAIL;
    size_t end = sizeof HEAD STARTED SETTINGS TABLESPACE METHOD ONE - 1;
    for (size_t size = 0; size < sizeof whole; size++) {
        char *part = strndup(whole, size);
        assert_int_equal(cut_texts(part, "1; 2 3 B c a d\n") == 0,
                         size >= end + strlen("-- Completed on "));
        free(part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relation_has_all_that_is_its_and_nothing_else),
        cmocka_unit_test(what_pg_dump_may_print_otherwise_is_left_to_it),
        cmocka_unit_test(what_attaches_is_the_partitions),
        cmocka_unit_test(what_says_not_whose_it_is_spoils_all),
        cmocka_unit_test(facts_keep_relations_out),
        cmocka_unit_test(what_is_younger_than_the_facts_is_noticed),
        cmocka_unit_test(a_line_that_is_there_twice_proves_nothing),
        cmocka_unit_test(titles_are_read_from_their_end),
        cmocka_unit_test(what_is_no_archive_is_refused),
        cmocka_unit_test(every_beginning_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
