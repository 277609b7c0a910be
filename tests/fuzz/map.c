/* In place of mmap for io/safetensors.c (CMakeLists.txt): the same bytes in memory of
 * exactly that size, so that the sanitizer sees every byte that is read behind the end.
 */
#include "base/assert.h"
#include "base/memory.h"

#include <sys/mman.h> /* where mmap is hr_fuzz_mmap, and so on */
#include <unistd.h>

void *mmap(void *address, size_t n, int protection, int flags, int fd, off_t offset)
{
    void *memory = hr_alloc(n);
    ssize_t got;

    (void)address;
    HR_ASSERT(protection == PROT_READ && (flags & MAP_PRIVATE) != 0);
    HR_ASSERT(memory != NULL);
    got = pread(fd, memory, n, offset);
    HR_ASSERT(got == (ssize_t)n);
    return memory;
}

int munmap(void *address, size_t n)
{
    (void)n;
    hr_free(address);
    return 0;
}

int madvise(void *address, size_t n, int advice)
{
    (void)address;
    (void)n;
    (void)advice;
    return 0;
}
