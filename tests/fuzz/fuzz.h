/* What the fuzz targets share. A target is one reader of a stranger's bytes: each input
 * has to end with HR_OK, or with a status and exactly one line in the log, and with no
 * memory of ours alive. Crashes, overruns and undefined behaviour are the sanitizers'. */
#ifndef HR_TESTS_FUZZ_FUZZ_H
#define HR_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max_n);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max_n, unsigned seed);

/* For mutators of texts: another number in place of one that is there. Returns the new
 * size. */
size_t hr_fuzz_change_number(uint8_t *data, size_t n, size_t max_n, unsigned seed);

/* Stand around the call of a reader and the freeing of what it gave. The log has to have
 * one line for each failure. */
void hr_fuzz_begin(void);
void hr_fuzz_end(size_t n_failures);

/* The bytes as a plain file in memory: its path, valid until the next call of the same
 * slot (0 or 1). */
const char *hr_fuzz_file(int slot, const uint8_t *data, size_t n);

/* A folder in memory where there is one, removed at the end of the process. */
const char *hr_fuzz_folder(void);
/* Makes or replaces the file `name`, whose folders below hr_fuzz_folder are made. */
void hr_fuzz_write(const char *name, const void *data, size_t n);
/* Copies a file of the repository there. */
void hr_fuzz_copy(const char *from, const char *name);

#endif
