#include "pgclient/trust.h"

#include <errno.h>
#include <stdio.h>

/* Functions of the server that are volatile, but only tell something. */
#define HARMLESS                                                                                   \
    "'^(random(_normal)?|clock_timestamp|timeofday|gen_random_uuid|uuidv[47]|currval|lastval"      \
    "|pg_((total_)?relation|table|indexes|database|tablespace)_size"                               \
    "|pg_partition_(tree|ancestors)|pg_is_in_recovery)$'"

/* Functions that are volatile and run what they are given, in a text or in a function's body. */
#define TOLD_TO_RUN "'(_to_xml|^ts_stat$|^ts_rewrite$|_validator$)'"

/* Functions that change nothing, are given a text, a name, the oid of an object or a value of any
 * type, and do no more than look that up, write it down or render it. Not among them, although they
 * are declared not volatile: pg_input_is_valid and pg_input_error_info (a type's input),
 * fmgr_sql_validator (constants in a body), pg_get_partition_constraintdef and
 * satisfies_hash_partition (constants in a partition key), table_to_xml and its like. A function
 * that a later server brings is added only after a developer has looked at it. json_populate_record
 * is judged by the row that it fills. */
#define TOLD_HARMLESSLY                                                                            \
    "'^(has_[a-z_]+_privilege|row_security_active|(col|obj|shobj)_description|format(_type)?"      \
    "|pg_(typeof|basetype|collation_for|column_(size|compression|is_updatable|toast_chunk_id)"     \
    "|has_role|describe_object|identify_object(_as_address)?|[a-z_]+_is_visible"                   \
    "|relation_(filenode|filepath|is_publishable|is_updatable)|filenode_relation|partition_root"   \
    "|(index|indexam|index_column)_has_property|indexam_progress_phasename|stat_get_[a-z_]+"       \
    "|is_other_temp_schema|options_to_table|sequence_parameters|settings_get_flags"                \
    "|tablespace_(databases|location)|char_to_encoding|get_(viewdef|ruledef|triggerdef|expr"       \
    "|indexdef|constraintdef|statisticsobjdef(_columns|_expressions)?|partkeydef|functiondef"      \
    "|function_(arguments|identity_arguments|result|arg_default|sqlbody)|userbyid|acl"             \
    "|serial_sequence|replica_identity_index))"                                                    \
    "|acldefault|makeaclitem|to_reg[a-z]+|current_setting|convert(_from|_to)?|length|concat(_ws)?" \
    "|quote_(literal|nullable)|timezone|date_(part|trunc|add|subtract)|extract|make_timestamptz"   \
    "|generate_series|to_(char|date|number|timestamp)|enum_(first|last|range)"                     \
    "|array_to_(json|string)|array_sort|row_to_json|to_jsonb?|any_value"                           \
    "|jsonb?_(build_(array|object)|(object_)?agg(_[a-z]+)?|populate_record(set)?)"                 \
    "|(phraseto_|plainto_|websearch_to_|to_)tsquery|(jsonb?_)?to_tsvector"                         \
    "|ts_(debug|headline|lexize|parse|token_type)|xml_is_well_formed)$'"

/* $1: the relation, or 0 for all. The question goes from relations down to functions, so that one
 * relation costs little in a large catalog.
 *
 * $2: the tree of a statement about the relation, or NULL. It is treated as a view that the role
 * owns, with the oid 0; but only its text tells what it depends on. */
static const char question[] =
    /* The roles whose functions may run. A role that can become a superuser gains nothing from its
     * own functions. */
    "WITH RECURSIVE trusted AS MATERIALIZED ("
    " SELECT oid FROM pg_roles WHERE rolsuper OR rolname = session_user),"
    " seed AS MATERIALIZED (SELECT c.oid, c.relkind AS kind FROM"
    "  (SELECT oid, relkind, relpersistence FROM pg_class WHERE $1::oid = 0"
    "   UNION ALL SELECT oid, relkind, relpersistence FROM pg_class WHERE oid = $1::oid) AS c"
    "  WHERE " TRUST_IS_SUPERUSER " AND c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    "   AND c.relpersistence <> 't'),"

    /* Every number of the tree that may be an oid: new kinds of nodes have new fields. A column's
     * type (`named` is false) is not the target of a cast. */
    " statement(tree) AS MATERIALIZED (SELECT regexp_replace($2::text, '\\s+', ' ', 'g')"
    "  WHERE $2::text IS NOT NULL),"
    " word(oid, named) AS MATERIALIZED (SELECT n.oid::oid, bool_or(n.named) FROM ("
    "  SELECT m[1]::int8 AS oid, k.named FROM statement s,"
    "   (VALUES (false, ''), (true, '|:vartype \\d+')) AS k(named, too), LATERAL regexp_matches("
    "    regexp_replace(s.tree, ':\\w*(?:typmod|location|len) -?\\d+|[(][ib] [^()]*[)]' || k.too,"
    "     ' ', 'g'), '\\m(\\d{5,10})\\M', 'g') AS m) AS n"
    "  WHERE n.oid BETWEEN 16384 AND 4294967295 GROUP BY n.oid),"

    /* Which other relations are read with a relation: by a view, as a child, by a policy. A
     * materialized view is read as a table. Most tables bring nothing along. If an extension may
     * keep a table's rows in its children, it is not known yet whether they are read: then they
     * count. (EXISTS of a union is looked for by index, relation by relation.) */
    " reach(root, oid, kind, inside) AS ("
    " SELECT oid, oid, kind, false FROM seed s WHERE kind IN ('v', 'p', 'f') OR EXISTS ("
    "   SELECT FROM pg_index WHERE indrelid = s.oid"
    "    AND (indexprs IS NOT NULL OR indpred IS NOT NULL)"
    "   UNION ALL SELECT FROM pg_statistic_ext WHERE stxrelid = s.oid"
    "   UNION ALL SELECT FROM pg_inherits WHERE inhparent = s.oid"
    "   UNION ALL SELECT FROM pg_policy WHERE polrelid = s.oid)"
    " UNION ALL SELECT $1::oid, 0, 'v', true FROM statement"
    " UNION ALL SELECT $1::oid, c.oid, c.relkind, true FROM word w JOIN pg_class c ON c.oid = w.oid"
    "  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.oid <> $1::oid"
    " UNION SELECT r.root, e.oid, c.relkind, true FROM reach r, LATERAL ("
    "  SELECT d.refobjid FROM pg_rewrite w JOIN pg_depend d"
    "   ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid"
    "   WHERE r.kind = 'v' AND w.ev_class = r.oid AND d.refclassid = 'pg_class'::regclass"
    "  UNION ALL SELECT i.inhrelid FROM pg_inherits i"
    "   WHERE i.inhparent = r.oid AND (r.inside OR r.kind <> 'r' OR EXISTS ("
    "    SELECT FROM pg_extension WHERE extname IN ('timescaledb', 'citus')))"
    "  UNION ALL SELECT d.refobjid FROM pg_policy p JOIN pg_depend d"
    "   ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid"
    "   WHERE r.inside AND p.polrelid = r.oid AND d.refclassid = 'pg_class'::regclass"
    "  ) AS e(oid) JOIN pg_class c ON c.oid = e.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    "  WHERE e.oid <> r.oid),"
    " reached AS MATERIALIZED (SELECT DISTINCT r.oid, r.kind, r.inside, c.relowner AS owner,"
    "  c.relrowsecurity AS policies FROM reach r JOIN pg_class c ON c.oid = r.oid),"

    /* The expressions that a relation brings along, as objects that depend on what they use.
     * Before PostgreSQL 14 statistics have none. */
    " code(relation, owner, class, object, body) AS MATERIALIZED ("
    " SELECT r.oid, r.owner, 'pg_rewrite'::regclass, w.oid, w.ev_action::text"
    "  FROM reached r JOIN pg_rewrite w ON w.ev_class = r.oid WHERE r.kind = 'v'"
    " UNION ALL SELECT r.oid, r.owner, 'pg_class'::regclass, i.indexrelid,"
    "   concat(i.indexprs::text, i.indpred::text)"
    "  FROM reached r JOIN pg_index i ON i.indrelid = r.oid"
    "  WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL"
    " UNION ALL SELECT r.oid, r.owner, 'pg_statistic_ext'::regclass, s.oid,"
    "   to_jsonb(s) ->> 'stxexprs'"
    "  FROM reached r JOIN pg_statistic_ext s ON s.stxrelid = r.oid WHERE 'e' = ANY (s.stxkind)"
    " UNION ALL SELECT r.oid, r.owner, 'pg_class'::regclass, p.partrelid, p.partexprs::text"
    "  FROM reached r JOIN pg_partitioned_table p ON p.partrelid = r.oid"
    "  WHERE p.partexprs IS NOT NULL"
    " UNION ALL SELECT r.oid, r.owner, 'pg_policy'::regclass, p.oid, p.polqual::text"
    "  FROM reached r JOIN pg_policy p ON p.polrelid = r.oid"
    "  WHERE r.inside AND r.policies AND (p.polcmd IN ('r', '*') OR p.polcmd = 'w' AND EXISTS ("
    "   SELECT FROM reach i JOIN reach v ON v.root = i.root AND v.kind = 'v' JOIN pg_rewrite w"
    "    ON w.ev_class = v.oid WHERE i.oid = r.oid"
    "    AND strpos(w.ev_action::text, ':hasForUpdate true') > 0)"
    "   OR p.polcmd = 'w' AND EXISTS ("
    "    SELECT FROM statement WHERE strpos(tree, ':hasForUpdate true') > 0))"
    " UNION ALL SELECT 0, 0, NULL, 0, s.tree FROM statement s),"

    /* And the checks of domains that they cast to. A function that makes a row from JSON or the
     * like casts to the types of the row's columns, and so does a foreign table. */
    " filler AS MATERIALIZED (SELECT string_agg(p.oid::text, '|') AS oids FROM pg_proc p"
    "  WHERE EXISTS (SELECT FROM pg_constraint k WHERE k.contypid <> 0 AND k.oid >= 16384)"
    "   AND (p.proname ~ 'populate_record' OR p.oid >= 16384 AND EXISTS (SELECT FROM pg_type t"
    "    WHERE t.oid = p.prorettype AND t.typtype = 'p' AND t.typname ~ '^any'))),"
    " fills AS MATERIALIZED (SELECT DISTINCT c.relation FROM code c, filler f"
    "  WHERE c.body ~ (':(?:funcid|opfuncid|aggfnoid|winfnoid) (?:' || f.oids || ') ')),"
    " target(relation, type) AS MATERIALIZED (SELECT c.relation, d.refobjid FROM code c"
    "  JOIN pg_depend d ON d.classid = c.class AND d.objid = c.object"
    "   AND d.refclassid = 'pg_type'::regclass"
    /* No dependency is recorded for the type that JSON_VALUE and its like return, before a cast. */
    " UNION SELECT c.relation, t.oid FROM code c,"
    "  LATERAL regexp_matches(c.body, '[{]JSONRETURNING [^}]*[}]? ?:typid (\\d{5,10})', 'g') AS m"
    "  JOIN pg_type t ON t.oid = m[1]::oid"
    " UNION SELECT 0, t.oid FROM word w JOIN pg_type t ON t.oid = w.oid WHERE w.named"
    " UNION SELECT f.relation, a.atttypid FROM (SELECT f.relation, e.oid FROM fills f"
    "   JOIN reach i ON i.oid = f.relation JOIN reach e ON e.root = i.root"
    "   UNION SELECT oid, oid FROM reached WHERE kind = 'f') AS f"
    "  JOIN pg_attribute a ON a.attrelid = f.oid AND a.attnum > 0 AND NOT a.attisdropped),"
    " part(root, oid) AS ("
    " SELECT type, type FROM target"
    " UNION SELECT p.root, e.oid FROM part p JOIN pg_type t ON t.oid = p.oid, LATERAL ("
    "  SELECT t.typelem WHERE t.typelem <> 0"
    "  UNION ALL SELECT t.typbasetype WHERE t.typbasetype <> 0"
    "  UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = t.typrelid"
    "   AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped"
    "  UNION ALL SELECT g.rngsubtype FROM pg_range g WHERE g.rngtypid = t.oid"
    "  UNION ALL SELECT g.rngtypid FROM pg_range g"
    "   WHERE t.typtype = 'm' AND (to_jsonb(g) ->> 'rngmultitypid')::oid = t.oid"
    "  UNION ALL SELECT d.refobjid FROM pg_constraint k JOIN pg_depend d"
    "   ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid"
    "    AND d.refclassid = 'pg_type'::regclass WHERE k.contypid = t.oid) AS e(oid)),"
    " body AS MATERIALIZED (SELECT * FROM code"
    "  UNION ALL SELECT g.relation, t.typowner, 'pg_constraint'::regclass, k.oid, k.conbin::text"
    "   FROM target g JOIN part p ON p.root = g.type JOIN pg_type t ON t.oid = p.oid"
    "   JOIN pg_constraint k ON k.contypid = p.oid WHERE k.conbin IS NOT NULL),"

    /* The planner may replace an operator by its negator or commutator. */
    " operator(relation, owner, oid) AS (SELECT b.relation, b.owner, d.refobjid FROM body b"
    "  JOIN pg_depend d ON d.classid = b.class AND d.objid = b.object"
    "   AND d.refclassid = 'pg_operator'::regclass"
    " UNION SELECT b.relation, b.owner, o.oid FROM body b, word w JOIN pg_operator o"
    "  ON o.oid = w.oid WHERE b.relation = 0 AND b.class IS NULL"
    " UNION SELECT p.relation, p.owner, e.oid FROM operator p JOIN pg_operator o ON o.oid = p.oid,"
    "  LATERAL unnest(ARRAY[o.oprcom, o.oprnegate]) AS e(oid) WHERE e.oid <> 0),"

    /* The functions of all that. The catalog records no dependency on functions that come with the
     * server: these are in the expression's own text alone, and are looked for only in expressions
     * of untrusted owners. `written`: called with arguments that a user has written, not by the
     * server for a type or an estimate.
     *
     * In expressions that are only planned, a function whose first argument is a bare column is not
     * evaluated; if it is not written in SQL, nothing in it is, either. */
    " named(relation, owner, function, written) AS MATERIALIZED ("
    " SELECT b.relation, b.owner, d.refobjid, true FROM body b JOIN pg_depend d"
    "  ON d.classid = b.class AND d.objid = b.object AND d.refclassid = 'pg_proc'::regclass"
    "  JOIN pg_proc p ON p.oid = d.refobjid JOIN pg_language l ON l.oid = p.prolang"
    "  WHERE NOT (b.class IN ('pg_class'::regclass, 'pg_statistic_ext'::regclass)"
    "   AND (l.lanname <> 'sql' OR p.prosecdef OR p.proconfig IS NOT NULL)"
    "   AND regexp_replace(b.body, '[{]FUNCEXPR :funcid ' || p.oid || ' [^{}()]*:args [(][{]'"
    "    || '(VAR|RELABELTYPE :arg [{]VAR) ', '', 'g') !~ ('id ' || p.oid || ' '))"
    " UNION SELECT b.relation, b.owner, p.oid, true FROM body b, word w"
    "  JOIN pg_proc p ON p.oid = w.oid WHERE b.relation = 0 AND b.class IS NULL"
    " UNION SELECT p.relation, p.owner, f.oid, f.written FROM operator p"
    "  JOIN pg_operator o ON o.oid = p.oid, LATERAL (VALUES (o.oprcode::oid, true),"
    "   (o.oprrest::oid, false), (o.oprjoin::oid, false)) AS f(oid, written) WHERE f.oid <> 0"
    " UNION SELECT g.relation, t.typowner, f, false FROM target g JOIN part p ON p.root = g.type"
    "  JOIN pg_type t ON t.oid = p.oid, LATERAL (SELECT t.typinput::oid AS f"
    "   UNION ALL SELECT t.typoutput UNION ALL SELECT n.rngcanonical FROM pg_range n"
    "   WHERE n.rngtypid = t.oid AND n.rngcanonical::oid <> 0) AS i"
    " UNION SELECT b.relation, b.owner, m[1]::oid, true FROM body b,"
    "  LATERAL regexp_matches(b.body, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\\d+)', 'g') m"
    "  WHERE b.owner NOT IN (SELECT oid FROM trusted) AND m[1]::oid < 16384),"
    " call AS MATERIALIZED (SELECT * FROM named"
    "  UNION SELECT n.relation, n.owner, f, false FROM named n JOIN pg_aggregate a"
    "   ON a.aggfnoid = n.function, LATERAL unnest(ARRAY[a.aggtransfn, a.aggfinalfn,"
    "   a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn,"
    "   a.aggmfinalfn]::oid[]) f),"

    /* Functions that look for a cast by the value's type when they run: those that make JSON, and
     * functions in SQL that take any type, such as text || any. */
    " by_cast AS MATERIALIZED (SELECT c.castsource AS type, c.casttarget AS target,"
    "   CASE WHEN c.casttarget = 'json'::regtype THEN 'json' ELSE 'cast' END AS way,"
    "   p.oid AS function, p.proowner AS owner"
    "  FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc"
    "  WHERE EXISTS (SELECT FROM seed) AND p.proowner NOT IN (SELECT oid FROM trusted)"
    "   AND c.casttarget < 16384),"
    " maker(way, oids) AS MATERIALIZED (SELECT 'json', string_agg(oid::text, '|') FROM pg_proc"
    "  WHERE pronamespace = 'pg_catalog'::regnamespace"
    "   AND EXISTS (SELECT FROM by_cast WHERE way = 'json')"
    "   AND proname ~ '^(to_jsonb?|row_to_json|array_to_json|jsonb?_(build_|agg|object_agg).*)$'"
    " UNION ALL SELECT 'cast', string_agg(p.oid::text, '|') FROM pg_proc p"
    "  JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'sql'"
    "  WHERE EXISTS (SELECT FROM by_cast WHERE way = 'cast')"
    "   AND EXISTS (SELECT FROM unnest(p.proargtypes) AS i(type) JOIN pg_type t ON t.oid = i.type"
    "    WHERE t.typtype = 'p')),"

    /* Functions that the columns' types, and the types they are made of, run by themselves: with
     * each row, in JSON, in a cast that is looked for, in what the planner estimates of a range. */
    " own(type, way, reason) AS ("
    " SELECT t.oid, 'rows', format('function %s of %I, who is no superuser', p.oid::regprocedure,"
    "   pg_get_userbyid(p.proowner)) FROM pg_type t JOIN pg_proc p"
    "   ON p.oid IN (t.typoutput, t.typsend) WHERE EXISTS (SELECT FROM seed)"
    "   AND p.oid >= 16384 AND p.proowner NOT IN (SELECT oid FROM trusted)"
    " UNION ALL SELECT type, way, format('function %s of %I, who is no superuser: type %s has it"
    " as its cast to %s', function::regprocedure, pg_get_userbyid(owner), type::regtype,"
    "   target::regtype) FROM by_cast"
    " UNION ALL SELECT g.rngtypid, 'range', format('function %s of %I, who is no superuser: type %s"
    " has it as its subtype_diff', p.oid::regprocedure, pg_get_userbyid(p.proowner),"
    "   g.rngtypid::regtype) FROM pg_range g JOIN pg_proc p ON p.oid = g.rngsubdiff"
    "  WHERE EXISTS (SELECT FROM seed) AND p.proowner NOT IN (SELECT oid FROM trusted)),"
    " whole(part, type) AS MATERIALIZED (SELECT * FROM ("
    "  SELECT typelem, oid FROM pg_type WHERE typelem <> 0"
    "  UNION ALL SELECT typbasetype, oid FROM pg_type WHERE typbasetype <> 0"
    "  UNION ALL SELECT rngsubtype, rngtypid FROM pg_range"
    "  UNION ALL SELECT rngtypid, (to_jsonb(g) ->> 'rngmultitypid')::oid FROM pg_range g"
    "   WHERE to_jsonb(g) ? 'rngmultitypid'"
    "  UNION ALL SELECT a.atttypid, c.reltype FROM pg_attribute a JOIN pg_class c"
    "   ON c.oid = a.attrelid WHERE a.atttypid >= 16384 AND NOT a.attisdropped AND c.reltype <> 0"
    "  ) AS w WHERE EXISTS (SELECT FROM own)),"
    " made(type, way, reason) AS ("
    " SELECT * FROM own"
    " UNION SELECT w.type, m.way, m.reason FROM made m JOIN whole w ON w.part = m.type),"

    /* Functions that must not be called: those of an untrusted owner; and, in an untrusted owner's
     * expression, those that this owner may not call, those that do more than compute, and those
     * that may be told to run something, in a text, by a name or by the oid of an object. The
     * server's own functions that are told such a thing are known to be harmless, or not called. A
     * function that only the server calls, or a type's input, must not be written in an expression
     * at all: given the oid of a type it runs a domain's check, and no dependency on that is seen.
     * A statement (owner 0) may call the rest, at the role's will. */
    " judged AS MATERIALIZED (SELECT DISTINCT owner, function, written FROM call),"
    " told AS MATERIALIZED (SELECT p.oid FROM pg_proc p"
    "  JOIN pg_namespace n ON n.oid = p.pronamespace"
    "  WHERE p.oid IN (SELECT function FROM judged WHERE written"
    "    AND owner NOT IN (SELECT oid FROM trusted))"
    "   AND (EXISTS (SELECT FROM unnest(p.proargtypes) AS i(type)"
    "     WHERE i.type IN ('cstring'::regtype, 'internal'::regtype))"
    "    OR p.provolatile = 'v' AND p.oid < 16384 AND p.proname ~ " TOLD_TO_RUN
    "    OR p.provolatile <> 'v' AND p.oid < 16384 AND n.nspname <> 'information_schema'"
    "     AND EXISTS (SELECT FROM unnest(p.proargtypes) AS i(type)"
    "      JOIN pg_type t ON t.oid = i.type WHERE t.typname ~ '^_?(oid|reg.*)$'"
    "       OR p.provolatile <> 'i'"
    "        AND (t.typname ~ '^_?(text|name|varchar|refcursor)$' OR t.typtype = 'p'))"
    "     AND NOT EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid AND o.oid < 16384)"
    "     AND NOT EXISTS (SELECT FROM pg_cast k WHERE k.castfunc = p.oid AND k.oid < 16384)"
    "     AND p.proname !~ " TOLD_HARMLESSLY
    "    OR EXISTS (SELECT FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid"
    "     WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'"
    "      AND d.refclassid = 'pg_extension'::regclass"
    "      AND x.extname IN ('dblink', 'tablefunc', 'xml2')))),"
    " forbidden(owner, function, written, reason) AS MATERIALIZED ("
    " SELECT c.owner, p.oid, c.written, CASE WHEN p.proowner NOT IN (SELECT oid FROM trusted)"
    "   THEN format('function %s of %I, who is no superuser', p.oid::regprocedure,"
    "    pg_get_userbyid(p.proowner))"
    "   WHEN c.owner = 0 THEN format('function %s, which may run those of who is no superuser',"
    "    p.oid::regprocedure)"
    "   ELSE format('function %s at the will of %I, who is no superuser', p.oid::regprocedure,"
    "    pg_get_userbyid(c.owner)) END"
    "  FROM judged c JOIN pg_proc p ON p.oid = c.function"
    "  WHERE p.proowner NOT IN (SELECT oid FROM trusted)"
    "   OR c.owner NOT IN (SELECT oid FROM trusted)"
    "   AND (c.written AND p.oid IN (SELECT oid FROM told)"
    "    OR c.owner <> 0 AND (NOT has_function_privilege(c.owner, p.oid, 'EXECUTE')"
    "     OR p.provolatile = 'v' AND NOT (p.oid < 16384 AND p.proname ~ " HARMLESS ")))),"
    " bad(relation, reason) AS MATERIALIZED ("
    " SELECT c.relation, f.reason FROM forbidden f JOIN call c"
    "  ON c.owner = f.owner AND c.function = f.function AND c.written = f.written"
    /* A foreign table's functions run on its own server, which may be this one, as the user that
     * its owner has chosen. */
    " UNION ALL SELECT r.oid, format('foreign server %I for %I, who is no superuser', s.srvname,"
    "   pg_get_userbyid(CASE WHEN r.owner IN (SELECT oid FROM trusted) THEN s.srvowner"
    "    ELSE r.owner END)) FROM reached r JOIN pg_foreign_table f ON f.ftrelid = r.oid"
    "   JOIN pg_foreign_server s ON s.oid = f.ftserver"
    "  WHERE r.owner NOT IN (SELECT oid FROM trusted)"
    "   OR s.srvowner NOT IN (SELECT oid FROM trusted)),"

    /* No expression names a cast that is looked for when it runs: a view that may look for one must
     * not have such a type at hand. Estimates are possible for any view. */
    " makes(relation, way) AS MATERIALIZED (SELECT DISTINCT b.relation, m.way FROM body b, maker m"
    "  WHERE b.body ~ (':(?:funcid|opfuncid|aggfnoid|winfnoid) (?:' || m.oids || ') ')"
    "   OR m.way = 'json' AND b.body ~ '[{]JSONCONSTRUCTOREXPR'"
    " UNION SELECT oid, 'range' FROM reached WHERE kind = 'v'),"
    " holds(relation, way, reason) AS MATERIALIZED ("
    " SELECT r.oid, m.way, m.reason FROM made m JOIN pg_attribute a ON a.atttypid = m.type"
    "  JOIN reached r ON r.oid = a.attrelid"
    "  WHERE m.way <> 'rows' AND a.attnum > 0 AND NOT a.attisdropped"
    " UNION ALL SELECT g.relation, m.way, m.reason FROM made m JOIN part p ON p.oid = m.type"
    "  JOIN target g ON g.type = p.root WHERE m.way <> 'rows'),"

    " verdict(relation, rows, reason) AS ("
    " SELECT r.root, true, b.reason FROM reach r JOIN bad b ON b.relation = r.oid"
    " UNION ALL SELECT $1::oid, true, m.reason FROM made m JOIN word w ON w.oid = m.type"
    "  WHERE m.way IN ('rows', 'range') OR EXISTS (SELECT FROM makes k"
    "   WHERE k.relation = 0 AND k.way = m.way)"
    " UNION ALL SELECT r.root, true, h.reason FROM reach r JOIN makes m ON m.relation = r.oid"
    "   AND m.relation <> 0"
    "  JOIN reach e ON e.root = r.root JOIN holds h ON h.relation = e.oid AND h.way = m.way"
    " UNION ALL SELECT s.oid, m.way = 'rows', m.reason FROM made m JOIN pg_attribute a"
    "  ON a.atttypid = m.type AND a.attnum > 0 AND NOT a.attisdropped"
    "  JOIN seed s ON s.oid = a.attrelid WHERE EXISTS (SELECT FROM own)"
    "   AND m.way IN ('rows', 'json'))"
    " SELECT DISTINCT ON (relation, rows) relation, rows, 'reading it would need ' || reason ||"
    "  '; a mount by a superuser runs none of his (see trust=all)'"
    " FROM verdict ORDER BY relation, rows, reason";

int trust_ask(struct connection *connection, uint32_t relation, const char *tree, PGresult **out,
              struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", relation);
    const char *parameters[] = {oid, tree};
    return connection_ask(connection, question, 2, parameters, ROWS_OF("nbT"), out, error);
}

int trust_check(struct connection *connection, uint32_t relation, const char *tree, bool json,
                struct error *error)
{
    PGresult *rows = NULL;
    int rc = trust_ask(connection, relation, tree, &rows, error);
    for (int i = 0; rc == 0 && i < PQntuples(rows); i++)
        if (json || PQgetvalue(rows, i, TRUST_ROWS)[0] == 't')
            rc = error_set(error, -EACCES, "%s", PQgetvalue(rows, i, TRUST_REASON));
    PQclear(rows);
    return rc;
}

int trust_is_asked(struct connection *connection, bool *out, struct error *error)
{
    *out = false;
    if (connection_reading(connection).trust_all)
        return 0;
    PGresult *row = NULL;
    int rc =
        connection_question(connection, "SELECT " TRUST_IS_SUPERUSER, ONE_ROW_OF("b"), &row, error);
    if (rc == 0)
        *out = PQgetvalue(row, 0, 0)[0] == 't';
    PQclear(row);
    return rc;
}
