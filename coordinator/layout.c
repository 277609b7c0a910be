#include "coordinator/layout.h"

#include "base/assert.h"

#include <stdio.h>

int hr_layout_size(const hr_layout *layout)
{
    return layout->windows * layout->stages * layout->tensor * layout->cfg;
}

hr_place hr_layout_place(const hr_layout *layout, int rank)
{
    hr_place place = {.is_idle = rank >= hr_layout_size(layout)};

    HR_ASSERT(rank >= 0);
    if (place.is_idle)
        return place;
    place.tensor = rank % layout->tensor;
    rank /= layout->tensor;
    place.stage = rank % layout->stages;
    rank /= layout->stages;
    place.cfg = rank % layout->cfg;
    place.windows = rank / layout->cfg;
    return place;
}

int hr_layout_rank(const hr_layout *layout, const hr_place *place)
{
    HR_ASSERT(!place->is_idle);
    return ((place->windows * layout->cfg + place->cfg) * layout->stages + place->stage) *
               layout->tensor +
           place->tensor;
}

char *hr_layout_text(const hr_layout *layout, char out[96])
{
    snprintf(out, 96, "%d window%s x %d stage%s x %d tensor x %d cfg", layout->windows,
             layout->windows == 1 ? "" : "s", layout->stages,
             layout->stages == 1 ? "" : "s", layout->tensor, layout->cfg);
    return out;
}
