#include "model/html_entities.h"

#include <stdlib.h>
#include <string.h>

#include "model/html_entities.inc"

typedef struct key {
    const char *name;
    size_t length;
} key;

static int compare(const void *wanted, const void *entry)
{
    const key *k = wanted;
    const char *name = ((const hr_html_entity *)entry)->name;
    int order = strncmp(k->name, name, k->length);

    return order != 0 ? order : -(name[k->length] != '\0');
}

const hr_html_entity *hr_html_entity_find(const char *name, size_t length)
{
    const key k = {name, length};

    return bsearch(&k, entities, sizeof entities / sizeof *entities, sizeof *entities,
                   compare);
}

const hr_html_entity *hr_html_capital_find(const char *name, size_t length)
{
    const key k = {name, length};

    return bsearch(&k, capitals, sizeof capitals / sizeof *capitals, sizeof *capitals,
                   compare);
}
