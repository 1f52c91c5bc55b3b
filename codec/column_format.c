#include "codec/column_format.h"

const struct format *const column_formats[COLUMN_FORMAT_COUNT] = {
    &format_npy,         &format_null_npy, &format_fvecs,       &format_indptr_npy,
    &format_indices_npy, &format_data_npy, &format_column_arrow};

int column_format_find(const char *name, size_t size)
{
    for (int i = 0; i < COLUMN_FORMAT_COUNT; i++)
        if (strlen(column_formats[i]->name) == size &&
            memcmp(column_formats[i]->name, name, size) == 0)
            return i;
    return -1;
}
