#include "pgclient/policies.h"

#include <stdio.h>

/* A function that reads a table does so as the role, whatever the owner of the view that calls it.
 * These are known not to read tables: built-in functions, except for those that run SQL given as
 * text (in `runner`); compiled functions that are declared immutable. The declaration of an
 * aggregate tells nothing about what it calls. */
#define MAY_READ(p)                                                                                \
    p ".oid >= 16384 AND " p ".prokind <> 'a' AND (" p ".provolatile <> 'i'"                       \
      " OR " p ".prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('c', 'internal')))"

/* $1: the view. */
static const char question[] =
    /* What the view reads: by its definition, by those of the views in it, by the policies of their
     * tables. */
    "WITH RECURSIVE reach(oid, kind, policies) AS ("
    " SELECT oid, relkind, relrowsecurity FROM pg_class WHERE oid = $1::oid"
    " UNION SELECT c.oid, c.relkind, c.relrowsecurity FROM reach r, LATERAL ("
    "  SELECT 'pg_rewrite'::regclass AS class, w.oid FROM pg_rewrite w"
    "   WHERE r.kind = 'v' AND w.ev_class = r.oid"
    "  UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p"
    "   WHERE r.policies AND p.polrelid = r.oid) AS e"
    "  JOIN pg_depend d ON d.classid = e.class AND d.objid = e.oid"
    "   AND d.refclassid = 'pg_class'::regclass"
    "  JOIN pg_class c ON c.oid = d.refobjid),"
    " body(class, oid, source) AS ("
    " SELECT 'pg_rewrite'::regclass, w.oid, w.ev_action::text FROM reach r"
    "  JOIN pg_rewrite w ON w.ev_class = r.oid WHERE r.kind = 'v'"
    " UNION ALL SELECT 'pg_policy'::regclass, p.oid, p.polqual::text FROM reach r"
    "  JOIN pg_policy p ON p.polrelid = r.oid WHERE r.policies),"

    /* What the view calls. Checks of domains, and casts that are found by a value's type, are not
     * named in it: all of the database count. */
    " named(function) AS ("
    " SELECT d.refobjid FROM body b JOIN pg_depend d ON d.classid = b.class AND d.objid = b.oid"
    "  WHERE d.refclassid = 'pg_proc'::regclass"
    " UNION SELECT o.oprcode FROM body b JOIN pg_depend d ON d.classid = b.class"
    "   AND d.objid = b.oid AND d.refclassid = 'pg_operator'::regclass"
    "  JOIN pg_operator n ON n.oid = d.refobjid"
    "  JOIN pg_operator o ON o.oid IN (n.oid, n.oprcom, n.oprnegate)"
    " UNION SELECT castfunc FROM pg_cast WHERE oid >= 16384"
    " UNION SELECT f.oid FROM pg_constraint k"
    "  JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid"
    "  LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid"
    "  JOIN pg_proc f ON f.oid = CASE d.refclassid WHEN 'pg_proc'::regclass THEN d.refobjid"
    "   ELSE o.oprcode END WHERE k.contypid >= 16384),"
    " called(function) AS (SELECT function FROM named"
    "  UNION SELECT f FROM named n JOIN pg_aggregate a ON a.aggfnoid = n.function,"
    "   LATERAL unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn,"
    "    a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[]) f),"
    " runner(oids) AS (SELECT string_agg(oid::text, '|') FROM pg_proc"
    "  WHERE pronamespace = 'pg_catalog'::regnamespace"
    "   AND proname ~ '^((table|query|cursor|schema|database)_to_xml|ts_stat$|ts_rewrite$)'),"
    " source(text) AS (SELECT source FROM body"
    "  UNION ALL SELECT conbin::text FROM pg_constraint WHERE contypid >= 16384)"

    " SELECT CASE"
    /* There are no policies: row_security is of no use. */
    "  WHEN NOT EXISTS (SELECT FROM reach WHERE policies) THEN false"
    /* A view that the role owns, or a security_invoker view, at any depth. */
    "  WHEN EXISTS (SELECT FROM reach v JOIN pg_class c ON c.oid = v.oid"
    "   JOIN pg_rewrite w ON w.ev_class = v.oid JOIN pg_depend d"
    "    ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid"
    "   WHERE v.kind = 'v' AND d.refclassid = 'pg_class'::regclass"
    "    AND row_security_active(d.refobjid) AND (pg_get_userbyid(c.relowner) = current_user"
    "     OR EXISTS (SELECT FROM pg_options_to_table(c.reloptions)"
    "      WHERE option_name = 'security_invoker' AND option_value::bool))) THEN false"
    /* No table that the role may read has policies for it: then it does not matter what is called.
     */
    "  WHEN NOT EXISTS (SELECT FROM pg_class c WHERE c.relrowsecurity"
    "   AND row_security_active(c.oid) AND has_any_column_privilege(c.oid, 'SELECT')) THEN true"
    "  ELSE NOT EXISTS (SELECT FROM called n JOIN pg_proc p ON p.oid = n.function"
    "    WHERE " MAY_READ(
        "p") ")"
             "   AND NOT EXISTS (SELECT FROM source s, runner r"
             "    WHERE s.text ~ (':(?:funcid|opfuncid) (?:' || r.oids || ') ')) END";

int policies_bind_owners_only(struct connection *connection, uint32_t view, bool *out,
                              struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", view);
    const char *parameter = oid;
    PGresult *row = NULL;
    int rc = connection_ask(connection, question, 1, &parameter, ONE_ROW_OF("b"), &row, error);
    if (rc == 0)
        *out = PQgetvalue(row, 0, 0)[0] == 't';
    PQclear(row);
    return rc;
}
