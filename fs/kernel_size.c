#include "fs/kernel_size.h"

#include <stdbool.h>
#include <unistd.h>

/* If the last byte is the first of its page, the kernel then takes the page for complete. That is
 * right: zeros follow it. */
int kernel_size_tell(const struct kernel *kernel, uint64_t nodeid, uint64_t size, uint8_t last)
{
    return kernel_store(kernel, nodeid, size - 1, &last, 1);
}

/* Stores no byte at the beginning of a page, for the same reason. */
int kernel_size_raise(const struct kernel *kernel, uint64_t nodeid, uint64_t size)
{
    bool begins = size % (uint64_t)sysconf(_SC_PAGESIZE) == 0;
    return kernel_store(kernel, nodeid, begins ? size + 1 : size, "", 1);
}
