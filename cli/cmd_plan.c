/* haloreel plan: what a render would take, without rendering. */
#include "cli/cli.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/batch.h"
#include "cli/calibrate.h"
#include "cli/outlook.h"
#include "cli/request.h"
#include "io/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* All that is found out. */
typedef struct forecast {
    hr_render_options options;
    hr_model_entry entry;
    hr_model *model;
    hr_plan plan;
    hr_batch batch; /* of one video: its prompt is what is encoded */
    hr_machine machine;
    hr_device *device;
    hr_outlook outlook;
    hr_schedule_result played; /* seconds are units */
    hr_speed speed;
    double flops[HR_STAGE_COUNT];         /* of all ranks */
    double stage_seconds[HR_STAGE_COUNT]; /* on this machine */
} forecast;

static hr_status look(forecast *f)
{
    const hr_video *video = &f->batch.videos[0];
    const hr_job *job = &video->job;
    int per_host = f->options.ranks_per_host;
    hr_render render = hr_request_render(job, &f->plan, video->prompt);
    hr_outlook_args args = {
        .worker = {.model = f->model, .numerics = hr_request_numerics(job)},
        .render = &render,
        .machine = &f->machine,
        .n_ranks = f->options.ranks};

    args.ranks_per_host =
        per_host > 0 && per_host < args.n_ranks ? per_host : args.n_ranks;
    HR_TRY(hr_machine_share(&f->options.job, args.ranks_per_host, &f->machine));
    HR_TRY(hr_machine_open_device(&f->machine, job, &f->device));
    args.worker.device = f->device;
    HR_TRY(hr_outlook_choose(&args, &f->outlook));
    HR_TRY(hr_outlook_look(&args, &f->outlook));
    HR_TRY(hr_outlook_simulate(&f->outlook, &f->played));
    HR_TRY(hr_speed_measure(&args.worker, &render, &f->speed));
    for (int s = 0; s < HR_STAGE_COUNT; s++)
        f->flops[s] = hr_outlook_flops(&f->outlook, (hr_stage)s);
    hr_speed_seconds(&f->speed, &f->outlook, &f->played, f->stage_seconds);
    return HR_OK;
}

static void print_video(const forecast *f)
{
    const hr_plan *p = &f->plan;
    const hr_windows *w = &p->windows;

    printf("video     %" PRId64 "x%" PRId64 ", %" PRId64 " frames (%" PRId64
           " latent), %d steps, guidance %g, model %s\n",
           p->width, p->height, p->frames, p->latent_frames, p->n_steps, p->guidance,
           f->options.job.model);
    if (f->outlook.most_windows == 1)
        printf("windows   one: the whole video\n");
    else
        printf("windows   %" PRId64 " to %" PRId64 " a step, of %" PRId64
               " latent frames, overlap %" PRId64 "\n",
               f->outlook.fewest_windows, f->outlook.most_windows, w->length, w->overlap);
}

static void print_layout(const forecast *f)
{
    const hr_outlook *o = &f->outlook;
    int n_idle = o->n_ranks - hr_layout_size(&o->layout);
    char text[HR_LAYOUT_TEXT_BYTES];

    printf("layout    %s; %d rank%s on %d host%s", hr_layout_text(&o->layout, text),
           o->n_ranks, o->n_ranks > 1 ? "s" : "", o->n_hosts, o->n_hosts > 1 ? "s" : "");
    if (n_idle > 0)
        printf("; idle: the last %d", n_idle);
    printf("\nat work   %.1f %% of the denoising, the least busy stage %.1f %%\n",
           100 * f->played.utilisation, 100 * f->played.least_utilisation);
}

static void print_memory(const forecast *f)
{
    int largest = hr_outlook_largest(&f->outlook);
    const hr_estimate *e = &f->outlook.estimates[largest];
    char all[16], weights[16], rest[16], host[16], there[16];

    printf("memory    at most %s on a rank (%d): transformer %s, other weights and "
           "activations %s, host %s; here %s a rank\n",
           hr_format_bytes(hr_estimate_bytes(e), all), f->outlook.ranks[largest],
           hr_format_bytes(e->weight_bytes, weights),
           hr_format_bytes(e->device_bytes - e->weight_bytes, rest),
           hr_format_bytes(e->host_bytes, host),
           hr_format_bytes(f->machine.memory, there));
}

static void print_traffic(const forecast *f)
{
    hr_step_traffic t = hr_outlook_traffic(&f->outlook);
    char a[16], b[16];

    printf("traffic  ");
    for (int k = 0; k < HR_DENOISE_TRAFFIC_COUNT; k++)
        printf("%s %s %s (between hosts %s)", k > 0 ? "," : "",
               hr_traffic_name((hr_traffic)k), hr_format_bytes((uint64_t)t.bytes[k], a),
               hr_format_bytes((uint64_t)t.bytes_between_hosts[k], b));
    printf(" a step\n");
}

static void print_work(const forecast *f)
{
    double seconds = 0, flops = 0;
    char text[24];

    for (int s = 0; s < HR_STAGE_COUNT; s++) {
        seconds += f->stage_seconds[s];
        flops += f->flops[s];
    }
    printf("work      %.3g TFLOP: ", flops * 1e-12);
    for (int s = 0; s < HR_STAGE_COUNT; s++)
        printf("%s%s %.3g", s > 0 ? ", " : "", hr_stage_name((hr_stage)s),
               f->flops[s] * 1e-12);
    printf("\ntime      about %s on hosts like this one: ",
           hr_format_duration(seconds, text));
    for (int s = 0; s < HR_STAGE_COUNT; s++)
        printf("%s%s %s", s > 0 ? ", " : "", hr_stage_name((hr_stage)s),
               hr_format_duration(f->stage_seconds[s], text));
    printf("\nmeasured  %s: %s\n", hr_device_description(f->device), f->speed.what);
}

static hr_status add_traffic(const hr_traffic_stats stages[HR_STAGE_COUNT], hr_text *out)
{
    const hr_traffic_stats sum = hr_outlook_sum(stages);

    for (int k = 0; k < HR_TRAFFIC_COUNT; k++)
        HR_TRY(hr_text_printf(
            out, ", \"%s_bytes\": %" PRIu64 ", \"%s_bytes_between_hosts\": %" PRIu64,
            hr_traffic_name((hr_traffic)k), sum.bytes[k], hr_traffic_name((hr_traffic)k),
            sum.bytes_between_hosts[k]));
    return HR_OK;
}

static hr_status add_ranks(const hr_outlook *o, hr_text *out)
{
    HR_TRY(hr_text_add(out, "  \"per_rank\": ["));
    for (int i = 0; i < o->n_estimates; i++) {
        const hr_estimate *e = &o->estimates[i];

        HR_TRY(hr_text_printf(
            out,
            "%s\n    {\"rank\": %d, \"stands_for\": %d, \"memory_bytes\": %" PRIu64
            ", \"weight_bytes\": %" PRIu64 ", \"host_bytes\": %" PRIu64
            ", \"flops\": %.0f",
            i > 0 ? "," : "", o->ranks[i], o->stands_for[i], hr_estimate_bytes(e),
            e->weight_bytes, e->host_bytes, e->flops));
        HR_TRY(add_traffic(e->stage_traffic, out));
        HR_TRY(hr_text_add(out, "}"));
    }
    return hr_text_add(out, "\n  ],\n");
}

static hr_status add_stages(const char *name, const double values[HR_STAGE_COUNT],
                            hr_text *out)
{
    HR_TRY(hr_text_printf(out, "  \"%s\": {", name));
    for (int s = 0; s < HR_STAGE_COUNT; s++)
        HR_TRY(hr_text_printf(out, "%s\"%s\": %.6g", s > 0 ? ", " : "",
                              hr_stage_name((hr_stage)s), values[s]));
    return hr_text_add(out, "},\n");
}

static hr_status add_step_traffic(const hr_outlook *o, hr_text *out)
{
    hr_step_traffic t = hr_outlook_traffic(o);

    HR_TRY(hr_text_add(out, "  \"step_traffic\": {"));
    for (int k = 0; k < HR_TRAFFIC_COUNT; k++)
        HR_TRY(
            hr_text_printf(out, "%s\"%s_bytes\": %.0f, \"%s_bytes_between_hosts\": %.0f",
                           k > 0 ? ", " : "", hr_traffic_name((hr_traffic)k), t.bytes[k],
                           hr_traffic_name((hr_traffic)k), t.bytes_between_hosts[k]));
    return hr_text_add(out, "},\n");
}

static hr_status add_head(const forecast *f, hr_text *out)
{
    const hr_plan *p = &f->plan;
    const hr_outlook *o = &f->outlook;

    HR_TRY(hr_text_add(out, "{\n  \"model\": "));
    HR_TRY(hr_json_add_string(out, f->options.job.model));
    HR_TRY(hr_text_printf(
        out,
        ",\n  \"width\": %" PRId64 ", \"height\": %" PRId64 ", \"frames\": %" PRId64
        ", \"latent_frames\": %" PRId64 ", \"steps\": %d, \"guidance\": %g,\n",
        p->width, p->height, p->frames, p->latent_frames, p->n_steps, p->guidance));
    HR_TRY(hr_text_printf(
        out,
        "  \"windows\": {\"fewest\": %" PRId64 ", \"most\": %" PRId64
        ", \"latent_frames\": %" PRId64 ", \"overlap\": %" PRId64 "},\n",
        o->fewest_windows, o->most_windows, p->windows.length, p->windows.overlap));
    return hr_text_printf(out,
                          "  \"ranks\": %d, \"ranks_per_node\": %d, \"hosts\": %d,\n"
                          "  \"layout\": {\"windows\": %d, \"stages\": %d, \"tensor\": "
                          "%d, \"cfg\": %d},\n",
                          o->n_ranks, o->ranks_per_host, o->n_hosts, o->layout.windows,
                          o->layout.stages, o->layout.tensor, o->layout.cfg);
}

static hr_status add_forecast(const forecast *f, hr_text *out)
{
    HR_TRY(add_head(f, out));
    HR_TRY(hr_text_printf(out,
                          "  \"utilisation\": %.4f, \"least_utilisation\": %.4f,\n"
                          "  \"memory_available_bytes\": %" PRIu64 ",\n",
                          f->played.utilisation, f->played.least_utilisation,
                          f->machine.memory));
    HR_TRY(add_ranks(&f->outlook, out));
    HR_TRY(add_step_traffic(&f->outlook, out));
    HR_TRY(add_stages("flops", f->flops, out));
    HR_TRY(add_stages("seconds", f->stage_seconds, out));
    HR_TRY(add_stages("flops_per_second", f->speed.flops, out));
    HR_TRY(hr_text_add(out, "  \"device\": "));
    HR_TRY(hr_json_add_string(out, hr_device_description(f->device)));
    HR_TRY(hr_text_add(out, ",\n  \"measured\": "));
    HR_TRY(hr_json_add_string(out, f->speed.what));
    return hr_text_add(out, "\n}\n");
}

static hr_status print_json(const forecast *f)
{
    hr_text text = {0};
    hr_status status = add_forecast(f, &text);

    if (status == HR_OK)
        fputs(text.s, stdout);
    hr_text_free(&text);
    return status;
}

static hr_status run(forecast *f)
{
    hr_job *job = &f->options.job;

    HR_TRY(hr_request_resolve(job, &f->entry, &f->model, &f->plan));
    if (!job->is_set[HR_KEY_PROMPT])
        HR_TRY(hr_job_set(job, "default", "prompt="));
    HR_TRY(hr_batch_make(&f->options, &f->entry, job, 0, &f->batch));
    HR_TRY(look(f));
    if (f->options.json)
        return print_json(f);
    print_video(f);
    print_layout(f);
    print_memory(f);
    print_traffic(f);
    print_work(f);
    return HR_OK;
}

int hr_cmd_plan(int argc, char **argv)
{
    const hr_command_line line = {.argc = argc, .argv = argv, .call = HR_CALL_PLAN};
    forecast f = {0};
    hr_status status = hr_render_options_parse(&line, &f.options);

    if (status == HR_OK && !f.options.is_help)
        status = run(&f);
    hr_outlook_free(&f.outlook);
    hr_device_close(f.device);
    hr_batch_free(&f.batch);
    hr_model_close(f.model);
    hr_model_entry_free(&f.entry);
    hr_render_options_free(&f.options);
    return hr_exit_code(status);
}
