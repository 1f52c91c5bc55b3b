/* Types whose bytes are text or opaque: text and its like, json, jsonb, bytea, uuid; value.h has the
 * contract of render and write functions. The server answers for text being valid in the database's
 * encoding, and json being JSON. Refused is only what it could never send: a NUL byte, empty json,
 * another version of jsonb. */
#ifndef CODEC_STRING_TEXT_H
#define CODEC_STRING_TEXT_H

#include "codec/value.h"

render_value text_render; /* text, varchar, bpchar with its padding, name */
render_value json_render;
render_value jsonb_render;
render_value bytea_render;
render_value uuid_render;

write_value text_write_json; /* in CSV the pen quotes it */
write_value json_write_csv, json_write_json;
write_value jsonb_write_csv, jsonb_write_json;
write_value bytea_write, bytea_write_json;
write_value uuid_write, uuid_write_json;

#endif
