/* Numbers and bool; value.h has the contract of render and write functions. In JSON NaN, the
 * infinities and an oid are strings, as to_json() makes them. */
#ifndef CODEC_NUMBER_TEXT_H
#define CODEC_NUMBER_TEXT_H

#include "codec/value.h"

#define INTEGER_TEXT_MAX 20 /* "-9223372036854775808" */

/* Writes the number in decimal, without a NUL, into a room of INTEGER_TEXT_MAX bytes. Returns its
 * length. */
size_t integer_text(int64_t number, char *out);

render_value bool_render;
render_value int2_render, int4_render, int8_render;
render_value oid_render;
render_value float4_render;
render_value float8_render;

write_value bool_write, bool_write_json;
write_value int2_write, int4_write, int8_write;
write_value oid_write, oid_write_json;
write_value float4_write, float4_write_json;
write_value float8_write, float8_write_json;

#endif
