/* Prompt cleaning, as diffusers does it. Local, pure. */
#ifndef HR_MODEL_PROMPT_H
#define HR_MODEL_PROMPT_H

#include "base/text.h"

/* Appends the cleaned prompt to *out: the simple fixes of ftfy (docs/text.md says
 * which), HTML-unescape twice (Python's html.unescape), every run of Unicode white space
 * to one blank, strip. The input must be valid UTF-8: else HR_ERR_ARG, logged with the
 * offset. */
hr_status hr_prompt_clean(const char *prompt, hr_text *out);

/* The same without ftfy's fixes (diffusers where ftfy is not installed). */
hr_status hr_prompt_clean_plain(const char *prompt, hr_text *out);

#endif
