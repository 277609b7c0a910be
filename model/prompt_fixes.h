/* The fixes of ftfy that change ordinary prompts (docs/text.md). Local, pure. */
#ifndef HR_MODEL_PROMPT_FIXES_H
#define HR_MODEL_PROMPT_FIXES_H

#include "base/text.h"

/* Appends to *out what ftfy.fix_text (6.3.1, defaults) makes of `text`, which is valid
 * UTF-8, but for its repair of wrongly decoded text. */
hr_status hr_prompt_fix(const char *text, hr_text *out);

#endif
