/* Checkpoints that are whole but do not fit together are refused, so that no rank waits
 * for what never comes. */
#include "worker/long_jobs.h"

#include "base/memory.h"
#include "io/checkpoint.h"
#include "io/checkpoint_folder.h"

#include <stdio.h>
#include <string.h>

static hr_wish save_always(void *user, const hr_pace *pace)
{
    (void)user;
    return pace != NULL ? HR_WISH_SAVE : HR_WISH_NONE;
}

static hr_status render(hr_world *world, const char *folder, const hr_checkpointing *c,
                        const hr_worker_hooks *hooks)
{
    hr_golden *golden = hr_golden_open("wan21-tiny");
    hr_status got = HR_ERR_INTERNAL;
    const hr_pipeline_options options = {.threads = 1,
                                         .change = hr_long_job,
                                         .folder = folder,
                                         .group = hr_world_group(world),
                                         .latents_only = true,
                                         .checkpointing = c,
                                         .hooks = hooks,
                                         .got = &got};

    hr_pipeline_render(golden, hr_golden_run_at(golden, 0), &options);
    hr_golden_close(golden);
    return got;
}

/* A copy of a checkpoint with something else in it. */
typedef struct copy {
    hr_checkpoint *from;
    int64_t no_pending; /* the one that is left out; -1: none */
    int64_t other_pending;
    int pending_step_more;
    int64_t other_frame; /* -1: none */
    int frame_step_more;
    float x_more;
} copy;

static const copy same = {.no_pending = -1, .other_pending = -1, .other_frame = -1};

static hr_status give_frame(void *user, int64_t frame, hr_checkpoint_frame *out)
{
    const copy *c = user;

    HR_TRY(hr_checkpoint_read_frame(c->from, frame, out));
    if (frame == c->other_frame) {
        out->step += c->frame_step_more;
        out->x[0] += c->x_more;
    }
    return HR_OK;
}

static hr_status give_pending(void *user, int64_t i, hr_pending *head, float *data)
{
    const copy *c = user;

    if (c->no_pending >= 0 && i >= c->no_pending)
        i++;
    *head = hr_checkpoint_get_pending(c->from)[i];
    if (i == c->other_pending)
        head->step += c->pending_step_more;
    return hr_checkpoint_read_pending(c->from, i, data);
}

typedef struct setting {
    const char *folder, *path;
    hr_world *world;
    hr_checkpoint *good;
} setting;

/* What a render does with the copy. */
static hr_status try_copy(const setting *s, const copy *with,
                          const hr_checkpoint_head *head)
{
    char *bad = NULL;
    copy c = *with;
    const hr_checkpoint_source source = {.n_frames = head->n_frames,
                                         .n_pending =
                                             head->n_pending - (with->no_pending >= 0),
                                         .frame = give_frame,
                                         .pending = give_pending,
                                         .user = &c};
    hr_checkpointing from = {0};
    hr_status status;

    c.from = s->good;
    hr_test_ok(hr_checkpoint_path(s->folder, 99, 99, &bad));
    hr_test_ok(hr_checkpoint_save(hr_world_group(s->world), bad, head, &source));
    from.resume = bad;
    hr_test_catch_log();
    status = render(s->world, s->folder, &from, NULL);
    assert_int_equal(hr_test_log_lines(), status == HR_OK ? 0 : 1);
    if (status != HR_OK)
        hr_test_ok(hr_world_recover(s->world));
    hr_test_release_log();
    hr_free(bad);
    return status;
}

static const hr_checkpoint_head *good_head(const setting *s)
{
    return hr_checkpoint_get_head(s->good);
}

static int64_t find_pending(const setting *s, int32_t kind)
{
    const hr_pending *list = hr_checkpoint_get_pending(s->good);

    for (int64_t i = 0; i < good_head(s)->n_pending; i++)
        if (list[i].kind == kind)
            return i;
    return -1;
}

/* A checkpoint with something of each kind. */
static void open_setting(setting *s)
{
    hr_checkpointing c = {.keep = 1000,
                          .job = "seed\t1\n",
                          .model = "name\ttoy\n",
                          .job_yaml = "seed: 1\n"};
    const hr_worker_hooks hooks = {.wish = save_always};
    char **paths;
    size_t n;

    s->folder = c.folder = hr_test_folder();
    hr_test_ok(hr_world_open_alone(&s->world));
    hr_test_ok(render(s->world, s->folder, &c, &hooks));
    hr_test_ok(hr_checkpoint_list(s->folder, &paths, &n));
    s->good = NULL;
    for (size_t i = 0; i < n && s->good == NULL; i++) {
        hr_test_ok(hr_checkpoint_open(paths[i], &s->good));
        if (find_pending(s, HR_PENDING_SAMPLE) >= 0 &&
            find_pending(s, HR_PENDING_PREDICTION) >= 0 && good_head(s)->n_rounds > 1 &&
            good_head(s)->steps_done > 0)
            break;
        hr_checkpoint_close(s->good);
        s->good = NULL;
    }
    hr_checkpoint_list_free(paths, n);
    assert_non_null(s->good);
}

static void close_setting(setting *s)
{
    hr_checkpoint_close(s->good);
    hr_world_close(s->world);
}

static void test_a_copy_is_as_good(void **state)
{
    setting s;

    (void)state;
    open_setting(&s);
    hr_test_ok(try_copy(&s, &same, good_head(&s)));
    close_setting(&s);
    hr_test_no_leaks();
}

static void test_something_is_missing(void **state)
{
    setting s;

    (void)state;
    open_setting(&s);
    for (int32_t kind = HR_PENDING_SAMPLE; kind <= HR_PENDING_PREDICTION; kind++) {
        copy c = same;

        c.no_pending = find_pending(&s, kind);
        assert_int_equal(try_copy(&s, &c, good_head(&s)), HR_ERR_CHECKPOINT);
        c = same;
        c.other_pending = find_pending(&s, kind);
        c.pending_step_more = 1;
        assert_int_equal(try_copy(&s, &c, good_head(&s)), HR_ERR_CHECKPOINT);
    }
    close_setting(&s);
    hr_test_no_leaks();
}

static void test_frames_are_elsewhere(void **state)
{
    setting s;

    (void)state;
    open_setting(&s);
    for (int64_t f = 0; f < good_head(&s)->n_frames; f++)
        for (int more = -1; more <= 1; more++) {
            copy c = same;

            c.other_frame = f;
            c.frame_step_more = more;
            c.x_more = more == 0 ? 1 : 0;
            assert_int_equal(try_copy(&s, &c, good_head(&s)), HR_ERR_CHECKPOINT);
        }
    close_setting(&s);
    hr_test_no_leaks();
}

static void test_rounds_are_others(void **state)
{
    setting s;
    hr_checkpoint_head head;
    hr_round rounds[64];

    (void)state;
    open_setting(&s);
    head = *good_head(&s);
    assert_true(head.n_rounds > 1 && head.n_rounds < 60);
    memcpy(rounds, head.rounds, (size_t)head.n_rounds * sizeof *rounds);
    head.rounds = rounds;
    for (int64_t i = 0; i < head.n_rounds; i++) { /* one is not done; or twice */
        hr_round one = rounds[i];

        rounds[i] = rounds[i == 0 ? 1 : 0];
        assert_int_equal(try_copy(&s, &same, &head), HR_ERR_CHECKPOINT);
        rounds[i] = one;
    }
    rounds[head.n_rounds++] = (hr_round){.step = head.n_steps - 1, .window = 2};
    assert_int_equal(try_copy(&s, &same, &head), HR_ERR_CHECKPOINT);
    rounds[head.n_rounds - 1].window = 10; /* there are 6 at most */
    assert_int_equal(try_copy(&s, &same, &head), HR_ERR_CHECKPOINT);
    close_setting(&s);
    hr_test_no_leaks();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_copy_is_as_good),
        cmocka_unit_test(test_something_is_missing),
        cmocka_unit_test(test_frames_are_elsewhere),
        cmocka_unit_test(test_rounds_are_others),
    };

    return cmocka_run_group_tests_name("worker/resume_bad", tests, NULL, NULL);
}
