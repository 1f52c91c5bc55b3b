/* Numbers in decimal notation, as the nearest float32, as strtof reads them in the C locale.
 * Pure. */
#ifndef CODEC_DECIMAL_H
#define CODEC_DECIMAL_H

/* Reads the number at `at`, and nothing from `end` on. Returns its end; NULL: there is no number.
 * It may be "nan" or "inf", and a number that is too large becomes infinite: the caller looks. */
const char *decimal_float(const char *at, const char *end, float *out);

#endif
