#!/usr/bin/env bats
# Every type: what stands in .csv, .tsv, .bin and .jsonl is what the server says.

load helper
load exact

# Every base, range and multirange type of pg_catalog that a column may have gets a table built_in.TYPE (id, v TYPE, a
# TYPE[]), with the samples below; a type without any has NULLs only.
samples() {
    cat <<'END'
CREATE TABLE public.sample (type regtype, text text);
INSERT INTO sample SELECT 'bool', unnest(ARRAY['t', 'f']);
INSERT INTO sample SELECT 'bytea', unnest(ARRAY['', '\x00', '\xdeadbeef', '\x5c2e', '\x0d0a2c22']);
INSERT INTO sample SELECT '"char"', unnest(ARRAY['', 'a', '"', ',', E'\n', E'\r', '\', ' ', E'\x7f']);
INSERT INTO sample SELECT 'name', unnest(ARRAY['', 'a,b', 'q"q', '漢字', repeat('x', 63)]);
INSERT INTO sample SELECT 'int8', unnest(ARRAY['0', '-1', '9223372036854775807', '-9223372036854775808', '10000000000']);
INSERT INTO sample SELECT 'int4', unnest(ARRAY['0', '-1', '2147483647', '-2147483648', '100']);
INSERT INTO sample SELECT 'int2', unnest(ARRAY['0', '-1', '32767', '-32768']);
INSERT INTO sample SELECT 'int2vector', unnest(ARRAY['', '1', '1 -2 3']);
INSERT INTO sample SELECT 'oidvector', unnest(ARRAY['', '1', '1 4294967295']);
INSERT INTO sample SELECT 'oid', unnest(ARRAY['0', '4294967295']);
INSERT INTO sample SELECT t::regtype, s FROM unnest(ARRAY['text', 'varchar', 'bpchar']) t,
    unnest(ARRAY['', ' ', '  trailing  ', 'plain', 'a,b', 'q"q', '"', '""', E'\n', E'\r', E'\r\n', 'line' || E'\n', '\.', '\\.', '\N', '\',
                 'NULL', 'null', '{}', '{a,b}', '(1,2)', 'é', '漢字', '😀', U&'\FEFF', U&'\2028', E'\x01\x02\x1f\x7f\t\b\f\v', repeat('longer than 16 bytes "', 9)]) s;
INSERT INTO sample SELECT 'tid', unnest(ARRAY['(0,0)', '(4294967295,65535)']);
INSERT INTO sample SELECT 'xid', unnest(ARRAY['0', '4294967295']);
INSERT INTO sample SELECT 'cid', unnest(ARRAY['0', '4294967295']);
INSERT INTO sample SELECT 'xid8', unnest(ARRAY['0', '18446744073709551615']);
INSERT INTO sample SELECT 'json', unnest(ARRAY['{"a":1,"a":2}', '  {"b" : [1,  2.50, 1e400], "a":null}', E'{\n\t"x":\r\n"y"\n}', 'null', '"\n\u0000"', '""', '1.0', E'[1,\n2]']);
INSERT INTO sample SELECT 'jsonb', unnest(ARRAY['{"a":1,"a":2}', '{"b": [1, 2.50, 1e40]}', 'null', '"\n\"é"', '[]', '1.0', '"\u2028"']);
INSERT INTO sample SELECT 'jsonpath', unnest(ARRAY['$', '$.a ? (@ > 1)', 'strict $."x y"[*]']);
INSERT INTO sample SELECT 'xml', unnest(ARRAY['<a/>', E'<a>\n"x",</a>', '<?xml version="1.0" encoding="latin1"?><a>é</a>', 'text', '']);
INSERT INTO sample SELECT 'point', unnest(ARRAY['(1,2)', '(-0,1e300)', '(NaN,Infinity)', '(0.1,-1e-300)']);
INSERT INTO sample SELECT 'lseg', unnest(ARRAY['[(1,2),(3,4)]']);
INSERT INTO sample SELECT 'path', unnest(ARRAY['[(1,2),(3,4)]', '((1,2),(3,4))']);
INSERT INTO sample SELECT 'box', unnest(ARRAY['(1,2),(3,4)', '(0.1,0.2),(-3,4)']);
INSERT INTO sample SELECT 'polygon', unnest(ARRAY['((1,2),(3,4),(5,6))']);
INSERT INTO sample SELECT 'line', unnest(ARRAY['{1,2,3}', '{0,-1,0.1}']);
INSERT INTO sample SELECT 'circle', unnest(ARRAY['<(1,2),3>']);
INSERT INTO sample SELECT 'float4', unnest(ARRAY['0', '-0', '1', '0.1', 'NaN', 'Infinity', '-Infinity', '3.4028235e38', '-3.4028235e38', '1e-45', '1.1754944e-38', '1.1754942e-38', '999999', '1e6', '1234567', '0.0001', '0.00001', '16777216', '8388609.5']);
INSERT INTO sample SELECT 'float8', unnest(ARRAY['0', '-0', '1', '0.1', 'NaN', 'Infinity', '-Infinity', '1.7976931348623157e308', '-1.7976931348623157e308', '5e-324', '2.2250738585072014e-308', '2.225073858507201e-308', '999999999999999', '1e15', '123456789012345.6', '1e16', '0.0001', '0.00001', '9007199254740993', '1e22', '1e23', '0.3']);
INSERT INTO sample SELECT 'money', unnest(ARRAY['0', '-1.23', '92233720368547758.07', '-92233720368547758.08', '1234567.89']);
INSERT INTO sample SELECT 'macaddr', unnest(ARRAY['08:00:2b:01:02:03', 'ff:ff:ff:ff:ff:ff']);
INSERT INTO sample SELECT 'macaddr8', unnest(ARRAY['08:00:2b:01:02:03:04:05']);
INSERT INTO sample SELECT 'inet', unnest(ARRAY['127.0.0.1', '10.1.2.3/8', '0.0.0.0/0', '::1', '2001:db8::1/64', '::ffff:1.2.3.4']);
INSERT INTO sample SELECT 'cidr', unnest(ARRAY['127.0.0.1', '10.0.0.0/8', '0.0.0.0/0', '::1', '2001:db8::/64']);
INSERT INTO sample SELECT 'date', unnest(ARRAY['2000-01-01', '1999-12-31', '0001-01-01', '0001-12-31 BC', '4714-11-24 BC', '5874897-12-31', '10000-01-01', 'infinity', '-infinity', '2024-02-29', '1900-02-28']);
INSERT INTO sample SELECT 'time', unnest(ARRAY['00:00', '24:00', '23:59:59.999999', '12:34:56.7']);
INSERT INTO sample SELECT 'timetz', unnest(ARRAY['00:00+00', '24:00-15:59', '23:59:59.999999+15:59:59', '12:34:56.7+05:30']);
INSERT INTO sample SELECT t::regtype, s FROM unnest(ARRAY['timestamp', 'timestamptz']) t,
    unnest(ARRAY['2000-01-01 00:00', '1999-12-31 23:59:59.999999', '4714-11-24 00:00:00 BC', '0001-12-31 23:59:59.5 BC', '294276-12-31 23:59:59.999999', 'infinity', '-infinity', '2024-02-29 12:34:56.000001', '10000-01-01 00:00:00.1']) s;
INSERT INTO sample VALUES ('timestamptz', '2024-03-31 02:30:00+05:45'), ('timestamptz', '1880-01-01 00:00 Europe/Amsterdam');
INSERT INTO sample SELECT 'interval', unnest(ARRAY['0', '1 year 2 mons -3 days 04:05:06.789', '-1 mon +1 day', '-00:00:00.000001', '178000000 years', '@ 1 day ago', '100:00:00']);
INSERT INTO sample SELECT 'numeric', unnest(ARRAY['0', '-0', '0.00', 'NaN', 'Infinity', '-Infinity', '1e10', '1e-20', '10000', '0.0001', '123456789.123456789000', '-1']);
INSERT INTO sample SELECT 'numeric', unnest(ARRAY[repeat('9', 1000), '-' || repeat('1', 1000) || '.' || repeat('7', 1000), '0.' || repeat('0', 1000) || '1', '1e131071']);
INSERT INTO sample SELECT 'bit', unnest(ARRAY['0', '1']);
INSERT INTO sample SELECT 'varbit', unnest(ARRAY['', '0', '1', '10101010', '101010101', repeat('110', 100)]);
INSERT INTO sample SELECT 'uuid', unnest(ARRAY['00000000-0000-0000-0000-000000000000', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'ffffffff-ffff-ffff-ffff-ffffffffffff']);
INSERT INTO sample SELECT 'pg_lsn', unnest(ARRAY['0/0', 'FFFFFFFF/FFFFFFFF', '16/B374D848']);
INSERT INTO sample SELECT 'pg_snapshot', unnest(ARRAY['10:20:10,14,15']);
INSERT INTO sample SELECT 'txid_snapshot', unnest(ARRAY['10:20:10,14,15']);
INSERT INTO sample SELECT 'tsvector', unnest(ARRAY['', 'a:1 fat:2,4A ''it''''s'':3', 'é "x"']);
INSERT INTO sample SELECT 'tsquery', unnest(ARRAY['a & b', 'a <-> !b | ''c d'':*A']);
INSERT INTO sample SELECT 'refcursor', unnest(ARRAY['', 'c', 'a"b,']);
INSERT INTO sample SELECT 'aclitem', unnest(ARRAY['postgres=r*w/postgres']);
INSERT INTO sample SELECT 'regclass', unnest(ARRAY['pg_class', 'sample', '-', '12345678', 'odd."Na,me"']);
INSERT INTO sample SELECT 'regtype', unnest(ARRAY['int4', 'timestamptz', 'vector', '-', 'float8[]']);
INSERT INTO sample SELECT 'regproc', unnest(ARRAY['now', '-', 'vector_in']);
INSERT INTO sample SELECT 'regprocedure', unnest(ARRAY['abs(int4)', '-', 'l2_distance(vector,vector)']);
INSERT INTO sample SELECT 'regoper', unnest(ARRAY['||/', '0']);
INSERT INTO sample SELECT 'regoperator', unnest(ARRAY['+(int4,int4)', '0', '<=>(vector,vector)']);
INSERT INTO sample SELECT 'regrole', unnest(ARRAY['postgres', '-', '"odd role"']);
INSERT INTO sample SELECT 'regnamespace', unnest(ARRAY['pg_catalog', 'odd', '-']);
INSERT INTO sample SELECT 'regconfig', unnest(ARRAY['simple', 'english']);
INSERT INTO sample SELECT 'regdictionary', unnest(ARRAY['simple', 'english_stem']);
INSERT INTO sample SELECT 'regcollation', unnest(ARRAY['"C"', '"default"']);
INSERT INTO sample SELECT 'int4range', unnest(ARRAY['empty', '[1,3)', '(,)', '[5,)', '(,7]']);
INSERT INTO sample SELECT 'int8range', unnest(ARRAY['empty', '[1,3)']);
INSERT INTO sample SELECT 'numrange', unnest(ARRAY['empty', '[1.50,NaN]', '(-Infinity,2)']);
INSERT INTO sample SELECT 'tsrange', unnest(ARRAY['empty', '[2000-01-01,2000-02-01)', '[-infinity,infinity]']);
INSERT INTO sample SELECT 'tstzrange', unnest(ARRAY['empty', '[2000-01-01 00:00+02,)']);
INSERT INTO sample SELECT 'daterange', unnest(ARRAY['empty', '[2000-01-01,2000-02-01]']);
INSERT INTO sample SELECT t::regtype, s FROM unnest(ARRAY['int4multirange', 'int8multirange', 'nummultirange']) t, unnest(ARRAY['{}', '{[1,3),[5,)}']) s;
INSERT INTO sample SELECT t::regtype, s FROM unnest(ARRAY['tsmultirange', 'tstzmultirange', 'datemultirange']) t, unnest(ARRAY['{}', '{[2000-01-01,2000-02-01),[2001-01-01,)}']) s;
END
}

setup_file() {
    server_start
    sql <<'END'
CREATE SCHEMA odd;
CREATE TABLE odd."Na,me" ();
CREATE ROLE "odd role";
END
    samples | sql
    sql <<'END'
CREATE SCHEMA built_in;
DO $$
DECLARE t record; s record; made int := 0;
BEGIN
    FOR t IN SELECT oid, 'pg_catalog.' || quote_ident(typname) AS type, typname, CASE typcategory WHEN 'A' THEN 0 ELSE typarray END AS typarray FROM pg_type
             WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND NOT starts_with(typname, '_') LOOP
        EXECUTE format('CREATE TABLE built_in.%I (id int, v %s%s)', t.typname, t.type,
                       CASE WHEN t.typarray <> 0 THEN format(', a %s[]', t.type) ELSE '' END);
        FOR s IN SELECT row_number() OVER () AS id, text FROM public.sample WHERE type = t.oid LOOP
            EXECUTE format('INSERT INTO built_in.%I (id, v) VALUES (%s, %L)', t.typname, s.id, s.text);
        END LOOP;
        IF t.typarray <> 0 THEN
            EXECUTE format('UPDATE built_in.%1$I SET a = ARRAY[v, NULL, v]', t.typname);
            EXECUTE format('INSERT INTO built_in.%1$I SELECT -1, NULL, array_agg(v) FROM built_in.%1$I WHERE v IS NOT NULL', t.typname);
            EXECUTE format('INSERT INTO built_in.%1$I SELECT -2, NULL, ARRAY[array_agg(v), array_agg(v)] FROM built_in.%1$I WHERE v IS NOT NULL', t.typname);
            EXECUTE format('INSERT INTO built_in.%1$I VALUES (-3, NULL, ''{}'')', t.typname);
        END IF;
        EXECUTE format('INSERT INTO built_in.%I VALUES (0)', t.typname);
        made := made + 1;
    END LOOP;
    ASSERT made > 70, made;
END $$;
END
    mount_start
}

teardown_file() { teardown_all; }

@test "every type of pg_catalog, and arrays of it" {
    [ "$(sql "SELECT count(*) FROM pg_class WHERE relnamespace = 'built_in'::regnamespace")" -gt 70 ]
    assert_schema_exact built_in
}

@test "each of them as the only column" {
    sql <<'END'
CREATE SCHEMA alone;
DO $$
DECLARE t record;
BEGIN
    FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'built_in'::regnamespace AND relkind = 'r' LOOP
        EXECUTE format('CREATE TABLE alone.%1$I AS SELECT v FROM built_in.%1$I', t.relname);
    END LOOP;
END $$;
END
    assert_schema_exact alone
}

@test "\\. alone is quoted in a table of one column only" {
    sql <<'END'
CREATE SCHEMA dot;
CREATE TABLE dot.one (t text);
INSERT INTO dot.one VALUES ('\.'), ('\.x'), (''), (NULL), ('\');
CREATE TABLE dot.two (t text, u text);
INSERT INTO dot.two VALUES ('\.', NULL), (NULL, '\.'), ('\.', '\.');
CREATE TABLE dot.with_generated (t text, u text GENERATED ALWAYS AS (t) STORED);
INSERT INTO dot.with_generated VALUES ('\.');
CREATE TABLE dot.header ("\." int);
CREATE TABLE dot.header2 ("\." int, "a,b" int, " " int);
CREATE DOMAIN dot.domain AS text;
CREATE TABLE dot.of_domain (t dot.domain);
INSERT INTO dot.of_domain VALUES ('\.');
CREATE TYPE dot.enum AS ENUM ('\.', '', 'a,b', E'\n', '"');
CREATE TABLE dot.of_enum (t dot.enum);
INSERT INTO dot.of_enum SELECT unnest(enum_range(NULL::dot.enum));
CREATE TABLE dot.of_name (t name);
INSERT INTO dot.of_name VALUES ('\.');
CREATE VIEW dot.view AS SELECT t FROM dot.one;
END
    assert_schema_exact dot
}

@test "domains" {
    sql <<'END'
CREATE SCHEMA domains;
SET search_path = domains, public;
CREATE DOMAIN d_int AS int CHECK (VALUE <> 7);
CREATE DOMAIN d_text AS text;
CREATE DOMAIN d_d_text AS d_text NOT NULL;
CREATE DOMAIN d_char AS char(5);
CREATE DOMAIN d_array AS int[];
CREATE DOMAIN d_vector AS vector(3);
CREATE DOMAIN d_d_vector AS d_vector;
CREATE DOMAIN d_halfvec AS halfvec;
CREATE DOMAIN d_sparsevec AS sparsevec(9);
CREATE DOMAIN d_json AS json;
CREATE DOMAIN d_bool AS bool;
CREATE DOMAIN d_range AS int4range;
CREATE DOMAIN d_timestamptz AS timestamptz(0);
CREATE TABLE t (a d_int, b d_text, c d_d_text, d d_char, e d_array, f d_vector, g d_d_vector, h d_halfvec, i d_sparsevec,
                j d_json, k d_bool, l d_range, m d_timestamptz, n d_int[], o d_vector[], p d_json[], q d_text[]);
INSERT INTO t VALUES (1, 'a,b', 'c', 'd', '{1,NULL}', '[1,2,3]', '[-0,1e-40,3e38]', '[1,65504]', '{1:2,9:-1}/9',
                      E'{"a":\n1}', true, '[1,3)', '2000-01-01 12:00+03', '{1,2}', ARRAY['[1,2,3]', NULL]::vector[],
                      ARRAY[E'[1,\n2]']::json[], '{"\"",NULL,""}');
INSERT INTO t (c) VALUES ('');
END
    assert_schema_exact domains
}

@test "enums, composites, ranges and multiranges" {
    sql <<'END'
CREATE SCHEMA made;
SET search_path = made, public;
CREATE TYPE mood AS ENUM ('sad', 'o,k', 'ha"ppy', '', E'new\nline', 'é', '\.');
CREATE TABLE enums AS SELECT m, ARRAY[m, NULL, m] AS a FROM unnest(enum_range(NULL::mood)) m UNION ALL SELECT NULL, NULL;
CREATE TYPE pair AS (a int, b text);
CREATE TYPE deep AS (p pair, j json, jb jsonb, v vector, m mood, "odd ""name," pair[], x xml, d date, t timestamptz, n numeric, f float8);
CREATE TYPE nothing AS ();
CREATE TABLE composites (p pair, q deep, r pair[], s nothing, t deep[]);
INSERT INTO composites VALUES
    (ROW(1, 'x'), NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL), (ROW(NULL, NULL), NULL, '{}', ROW(), NULL),
    (ROW(1, NULL), ROW(ROW(NULL, NULL), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), ARRAY[NULL, ROW(NULL, NULL)]::pair[], NULL, '{}'),
    (ROW(-1, E'a,"\n)('), ROW(ROW(1, '\'), E'{"k":\n\r\n [1,\n2]}', '{"a": 1, "b": null}', '[1,2.5]', 'ha"ppy', ARRAY[ROW(1, 'y'), NULL]::pair[],
        E'<a>\n</a>', '0044-03-15 BC', '2020-02-02 02:02:02.02+02', 'NaN', '-Infinity'), ARRAY[ROW(1, 'a b'), ROW(2, '')]::pair[], ROW(),
        ARRAY[ROW(NULL, E'[\n]', NULL, NULL, NULL, NULL, NULL, 'infinity', NULL, 1.50, 0.1)]::deep[]);
CREATE TABLE whole_rows AS SELECT c AS row FROM composites c;
CREATE TYPE textrange AS RANGE (subtype = text, collation = "C");
CREATE TYPE moodrange AS RANGE (subtype = mood);
CREATE TYPE pairrange AS RANGE (subtype = pair);
CREATE TABLE ranges (a textrange, b textmultirange, c moodrange, d textrange[], e pairrange);
INSERT INTO ranges VALUES ('["a,b",c)', '{[a,b),["d""",)}', '[sad,"ha""ppy"]', ARRAY['(,x]', 'empty', NULL]::textrange[], pairrange(ROW(1, 'a'), ROW(2, NULL))),
    ('["",""]', '{}', 'empty', '{}', 'empty'), (NULL, NULL, NULL, NULL, NULL);
END
    assert_schema_exact made
}

@test "base types of users" {
    sql <<'END'
CREATE SCHEMA own;
SET search_path = own, public;
SET client_min_messages = error;
CREATE TYPE whole;
CREATE FUNCTION whole_in(cstring) RETURNS whole IMMUTABLE STRICT LANGUAGE internal AS 'int4in';
CREATE FUNCTION whole_out(whole) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'int4out';
CREATE FUNCTION whole_send(whole) RETURNS bytea IMMUTABLE STRICT LANGUAGE internal AS 'int4send';
CREATE TYPE whole (INPUT = whole_in, OUTPUT = whole_out, SEND = whole_send, LIKE = int4);
CREATE TYPE mute;
CREATE FUNCTION mute_in(cstring) RETURNS mute IMMUTABLE STRICT LANGUAGE internal AS 'textin';
CREATE FUNCTION mute_out(mute) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'textout';
CREATE TYPE mute (INPUT = mute_in, OUTPUT = mute_out, LIKE = text);
-- called like built-in types, and not them
CREATE TYPE own.vector;
CREATE FUNCTION list_in(cstring) RETURNS own.vector IMMUTABLE STRICT LANGUAGE internal AS 'textin';
CREATE FUNCTION list_out(own.vector) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'textout';
CREATE FUNCTION list_send(own.vector) RETURNS bytea IMMUTABLE STRICT LANGUAGE internal AS 'textsend';
CREATE TYPE own.vector (INPUT = list_in, OUTPUT = list_out, SEND = list_send, LIKE = text);
CREATE TYPE own.bool AS ENUM ('maybe', 'true');
CREATE TYPE own.int4 AS (a int);
CREATE DOMAIN own.text AS pg_catalog.int8;
CREATE TABLE own.types (a whole, b whole[], c mute, d mute[], e own.bool, f own.int4, g own.text);
INSERT INTO types VALUES ('1', '{1,NULL,3}', 'x,"y', '{"a b",NULL}', 'maybe', ROW(5), 9), (NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE own.mutes (id pg_catalog.int4, m mute);
CREATE TABLE own.mute_arrays (id pg_catalog.int4, m mute[]);
INSERT INTO own.mute_arrays VALUES (1, '{a,b}');
CREATE TABLE own.no_mutes (id pg_catalog.int4, a whole);
INSERT INTO own.no_mutes VALUES (1, '-5');
CREATE TABLE own.pretenders (e own.bool, f own.int4, g own.text);
INSERT INTO own.pretenders VALUES ('maybe', ROW(NULL), -1), (NULL, NULL, NULL);
CREATE EXTENSION hstore SCHEMA public;
CREATE EXTENSION citext SCHEMA public;
CREATE EXTENSION ltree SCHEMA public;
CREATE EXTENSION cube SCHEMA public;
CREATE EXTENSION isn SCHEMA public;
CREATE EXTENSION seg SCHEMA public;
CREATE TABLE own.extensions (a public.hstore, b citext, c ltree, e public.cube, f isbn, h citext[], i public.hstore[]);
INSERT INTO own.extensions VALUES ('a=>1, "b,"=>NULL, c=>"x\"y"', 'Ab,c', 'a.b.c', '(1,2),(3,4)', '978-0-393-04002-9', '{A,b}', ARRAY['x=>1'::public.hstore]),
    ('', '', '', '(1)', NULL, '{}', '{}');
CREATE TABLE own.segs (g seg);
INSERT INTO own.segs VALUES ('1.0 .. 2');
-- a cast to json is what to_json uses
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE FUNCTION colour_json(colour) RETURNS json IMMUTABLE LANGUAGE sql AS $$ SELECT json_build_object('colour', $1::pg_catalog.text) $$;
CREATE CAST (colour AS json) WITH FUNCTION colour_json(colour);
CREATE TABLE own.cast_to_json (c colour, d colour[]);
INSERT INTO own.cast_to_json VALUES ('red', '{green,red}'), (NULL, NULL);
END
    assert_exact_where "n.nspname = 'own' AND c.relname <> 'vectors'"
    sql "CREATE TABLE own.vectors (v own.vector, w public.vector, x own.vector[]);
         INSERT INTO own.vectors VALUES ('not [1,2]', '[1,2]', '{a,NULL}'), (NULL, NULL, NULL)"
    cat "$MNT/own/vectors/vectors.csv"
    diff <(reference_csv own.vectors) "$MNT/own/vectors/vectors.csv"
    diff <(reference_bin own.vectors | md5sum) <(md5sum <"$MNT/own/vectors/vectors.bin")
    diff - "$MNT/own/vectors/vectors.jsonl" <<'END'
{"v":"not [1,2]","w":[1,2],"x":["a",null]}
{"v":null,"w":null,"x":null}
END
}

@test "vector, halfvec, sparsevec and bit" {
    sql <<'END'
CREATE SCHEMA vectors;
SET search_path = vectors, public;
CREATE TABLE v (a vector, b vector(3), c vector[], d halfvec, e halfvec(2), f halfvec[], g sparsevec, h sparsevec(5), i sparsevec[], j bit(9), k bit varying(20), l bit(8)[]);
INSERT INTO v VALUES
    ('[1]', '[1,2,3]', ARRAY['[1]', NULL, '[1,2]']::vector[], '[1]', '[1,2]', ARRAY['[1]', NULL]::halfvec[], '{}/1', '{1:1,5:2}/5', ARRAY['{1:1}/2', NULL]::sparsevec[], B'101010101', B'', ARRAY[B'11110000', NULL]),
    ('[-0]', '[-0,0,1e-45]', '{}', '[-0]', '[6e-8,65504]', '{}', '{1000000000:1}/1000000000', '{}/5', '{}', B'000000000', B'1', '{}'),
    ('[3.4028235e38,-3.4028235e38,1.1754944e-38,0.1,1e6,999999,0.0001,0.00001,1234567.8]', '[0.1,0.2,0.3]', NULL, '[0.1,-6.1035e-05,0.00006097,1e-7,123.4,2048]', '[-1,3.5]', NULL, '{1:0.1,7:-3e38,300:1e-45}/300', '{2:-1.5}/5', NULL, B'111111111', B'11111111111111111111', NULL),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE one (v vector(1));
INSERT INTO one SELECT ARRAY[i / 7.0]::vector FROM generate_series(-50, 50) i;
CREATE TABLE wide (id int, v vector(16000), h halfvec(16000), s sparsevec);
ALTER TABLE wide ALTER v SET STORAGE EXTERNAL;
INSERT INTO wide SELECT n, array_agg(sin(i * n))::vector, array_agg(cos(i * n)::real)::real[]::vector::halfvec, array_agg(tan(i * n)::real)::real[]::vector(16000)::sparsevec
    FROM generate_series(1, 16000) i, generate_series(1, 5) n GROUP BY n;
CREATE TABLE halves AS SELECT array_agg((i * 8 - 65504)::real)::vector::halfvec AS h FROM generate_series(0, 15999) i;
CREATE TABLE bits AS SELECT g.n, repeat('1', g.n)::varbit AS ones, (repeat('10', g.n))::varbit AS both FROM generate_series(0, 40) g(n);
CREATE VIEW view AS SELECT v, h, s, (v, h)::text AS t, v <-> v AS distance FROM wide WHERE id < 3;
END
    assert_schema_exact vectors
}

@test "numbers, dates and intervals by the thousand" {
    sql <<'END'
CREATE SCHEMA many;
SELECT setseed(0.5);
CREATE TABLE many.numbers AS SELECT i, ((random() - 0.5) * 10 ^ (random() * 74 - 36))::float4 AS f4, (random() - 0.5) * 10 ^ (random() * 590 - 290) AS f8,
    ((random() - 0.5) * 2 ^ (random() * 63))::int8 AS i8, (random() * 10 ^ (random() * 20))::numeric AS n, random() < 0.5 AS b,
    nullif((random() * 65535 - 32768)::int2, 0) AS i2 FROM generate_series(1, 20000) i;
CREATE TABLE many.times AS SELECT '4714-11-24 BC'::date + (random() * 2147483)::int * 1000 AS d,
    '4714-11-24 BC'::timestamp + random() * interval '299000 years' AS t, '1970-01-01'::timestamptz + random() * interval '100 years' AS tz,
    (random() - 0.5) * interval '1000 years 30 days 5 hours' AS i, '00:00'::time + random() * interval '1 day' AS ti FROM generate_series(1, 5000);
END
    assert_schema_exact many
}

@test "fields of 50 MB" {
    local others
    others=$(often 10000000 50000000)
    sql <<END
CREATE SCHEMA huge;
SET search_path = huge, public;
SET synchronous_commit = off;
CREATE TABLE t (id int, t text);
INSERT INTO t VALUES (1, repeat('0123456789abcdef",' || E'\n', 50000000 / 18)), (2, NULL), (3, 'small');
CREATE TABLE b (b bytea);
INSERT INTO b SELECT convert_to(repeat('0123456789abcdef,', $others / 17), 'UTF8');
CREATE TABLE j (j jsonb);
INSERT INTO j SELECT to_jsonb(repeat('0123456789abcdef"', $others / 17));
CREATE TABLE a (a text[]);
INSERT INTO a SELECT ARRAY[repeat('x"', $others / 10), NULL];
END
    assert_schema_exact huge
}
