/* HTML5's named character references. Local, pure. */
#ifndef HR_MODEL_HTML_ENTITIES_H
#define HR_MODEL_HTML_ENTITIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hr_html_entity {
    const char *name; /* without "&" and ";" */
    bool bare;        /* also a reference without ";" */
    uint32_t code[3]; /* the text; zeros behind it */
} hr_html_entity;

/* The reference of that name (exact, `length` >= 1 bytes), or NULL. */
const hr_html_entity *hr_html_entity_find(const char *name, size_t length);

/* The same among the all-capital spellings that ftfy accepts besides ("EACUTE"). */
const hr_html_entity *hr_html_capital_find(const char *name, size_t length);

#endif
