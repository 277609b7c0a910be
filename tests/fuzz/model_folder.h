/* A model folder with the configs of the demo model, some of them replaced by the
 * input: parts with a zero byte between, the first byte of each says which file the rest
 * is. */
#ifndef HR_TESTS_FUZZ_MODEL_FOLDER_H
#define HR_TESTS_FUZZ_MODEL_FOLDER_H

#include <stddef.h>
#include <stdint.h>

/* In hr_fuzz_folder(). */
void hr_fuzz_model_folder(const uint8_t *data, size_t n);

#endif
