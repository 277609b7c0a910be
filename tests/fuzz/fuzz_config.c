/* The configs of a model folder (model_folder.h): model/config.h. */
#include "fuzz.h"
#include "model_folder.h"

#include "model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    hr_model_config config;
    hr_status status;

    hr_fuzz_model_folder(data, n);
    hr_fuzz_begin();
    status = hr_model_config_load(hr_fuzz_folder(), &config);
    hr_fuzz_end(status != HR_OK);
    return 0;
}
