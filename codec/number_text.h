/* Numbers and bool; see type.h for the contract of render and write functions. NaN and the
 * infinities are JSON strings, and so is an oid, as to_json() has it. */
#ifndef CODEC_NUMBER_TEXT_H
#define CODEC_NUMBER_TEXT_H

#include "codec/type.h"

#define INTEGER_TEXT_MAX 20 /* "-9223372036854775808" */

/* Writes the number in decimal, unterminated, where there is room for INTEGER_TEXT_MAX bytes;
 * returns its length. */
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
