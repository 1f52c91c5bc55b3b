/* Numbers and bool; see type.h for the contract of render functions. NaN and the infinities are
 * JSON strings, and so is an oid, as to_json() has it. */
#ifndef CODEC_NUMBER_TEXT_H
#define CODEC_NUMBER_TEXT_H

#include "codec/type.h"

#define INTEGER_TEXT_MAX 20 /* "-9223372036854775808" */

/* Writes the number in decimal, unterminated; returns its length. */
size_t integer_text(int64_t number, char *out);

render_value bool_render, bool_render_json;
render_value int2_render, int4_render, int8_render;
render_value oid_render, oid_render_json;
render_value float4_render, float4_render_json;
render_value float8_render, float8_render_json;

#endif
