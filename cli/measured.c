#include "cli/measured.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>

enum { MAX_LINES = 10000 }; /* of ranks; a receipt holds some more */

hr_status hr_measured_gather(const hr_ranks *ranks, const hr_render_times *times,
                             hr_measured **out)
{
    const hr_measured mine = {.memory_bytes = hr_mem_peak_bytes(), .times = *times};
    void *all;

    HR_TRY(hr_ranks_collect(ranks, HR_OK, &mine, sizeof mine, &all));
    *out = all;
    return HR_OK;
}

static hr_status set_line(hr_receipt *receipt, const char *key, hr_text *value)
{
    hr_status status = hr_receipt_set(receipt, "machine", key, value->s);

    value->length = 0;
    return status;
}

static hr_status add_rank(const hr_measured *m, const char *host, hr_text *line)
{
    const hr_traffic_stats *denoise = &m->times.stage_traffic[HR_STAGE_DENOISE];
    const hr_traffic_stats sum = hr_outlook_sum(m->times.stage_traffic);
    double flops = 0;

    for (int s = 0; s < HR_STAGE_COUNT; s++)
        flops += m->times.stage_flops[s];
    HR_TRY(hr_text_printf(
        line, "host=%s memory_bytes=%" PRIu64 " weight_bytes_read=%" PRIu64 " flops=%.0f",
        host, m->memory_bytes, m->times.weight_bytes_read, flops));
    for (int k = 0; k < HR_TRAFFIC_COUNT; k++) {
        const char *name = hr_traffic_name((hr_traffic)k);
        HR_TRY(hr_text_printf(line,
                              " %s_bytes=%" PRIu64 " %s_bytes_between_hosts=%" PRIu64
                              " denoise_%s_wait_seconds=%.3f",
                              name, sum.bytes[k], name, sum.bytes_between_hosts[k], name,
                              denoise->wait_seconds[k]));
    }
    for (int s = 0; s < HR_STAGE_COUNT; s++)
        HR_TRY(hr_text_printf(line, " %s_seconds=%.3f", hr_stage_name((hr_stage)s),
                              m->times.seconds[s]));
    return HR_OK;
}

static hr_status add_lines(const hr_render_call *call, const hr_measured *measured,
                           hr_receipt *receipt, hr_text *line)
{
    const hr_ranks *ranks = &call->ranks;
    char layout[HR_LAYOUT_TEXT_BYTES], key[32];

    HR_TRY(hr_text_printf(line, "%s", hr_device_description(call->device)));
    HR_TRY(set_line(receipt, "device", line));
    HR_TRY(hr_text_printf(line, "%s", hr_device_has_bf16(call->device) ? "yes" : "no"));
    HR_TRY(set_line(receipt, "native bf16", line));
    HR_TRY(hr_text_printf(line, "%s", hr_layout_text(&call->outlook.layout, layout)));
    HR_TRY(set_line(receipt, "layout", line));
    HR_TRY(hr_text_printf(line, "%d", ranks->n));
    HR_TRY(set_line(receipt, "ranks", line));
    HR_TRY(hr_text_printf(line, "%d", hr_world_n_hosts(ranks->world)));
    HR_TRY(set_line(receipt, "hosts", line));
    HR_TRY(hr_text_printf(line, "n=%d seconds=%.3f", measured->times.n_saves,
                          measured->times.save_seconds));
    HR_TRY(set_line(receipt, "checkpoints", line));
    for (int r = 0; r < ranks->n && r < MAX_LINES; r++) {
        snprintf(key, sizeof key, "rank %d", r);
        HR_TRY(add_rank(&measured[r], hr_world_rank_info(ranks->world, r)->host, line));
        HR_TRY(set_line(receipt, key, line));
    }
    return HR_OK;
}

hr_status hr_measured_to_receipt(const hr_render_call *call, const hr_measured *measured,
                                 hr_receipt *receipt)
{
    hr_text line = {0};
    hr_status status = add_lines(call, measured, receipt, &line);

    hr_text_free(&line);
    return status;
}

double hr_measured_wait(const hr_measured *measured, int n_ranks, hr_traffic traffic)
{
    double waited = 0, all = 0;

    for (int r = 0; r < n_ranks; r++) {
        waited += measured[r].times.stage_traffic[HR_STAGE_DENOISE].wait_seconds[traffic];
        all += measured[r].times.seconds[HR_STAGE_DENOISE];
    }
    return all > 0 ? waited / all : 0;
}
