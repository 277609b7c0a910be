/* HR_TEST_RANKS: saves that fail, on one rank or on all: one status on every rank, what
 * was there before is there still, and nothing else. */
#include "io/checkpoint_case.h"

#include "base/fault.h"
#include "base/memory.h"
#include "io/checkpoint_seal.h"

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FAULTS = 1000 };

static const checkpoint_case plain = {.n_frames = 9,
                                      .channels = 3,
                                      .height = 5,
                                      .width = 4,
                                      .n_history = 1,
                                      .n_steps = 4,
                                      .n_pending = 6,
                                      .n_rounds = 2,
                                      .bad_frame = -1,
                                      .bad_pending = -1};

/* A folder with an older checkpoint of the name that is to be written. */
typedef struct scene {
    hr_group *all;
    const char *folder, *path;
    checkpoint_case old, now;
    struct stat before;
} scene;

static void begin(scene *s, hr_group *all)
{
    *s = (scene){.all = all, .folder = checkpoint_case_folder(all), .old = plain};
    s->path = hr_test_path(s->folder, "step-0002-00010.h5");
    s->now = plain;
    s->now.n_pending = 11;
    checkpoint_case_begin(&s->old, all);
    checkpoint_case_begin(&s->now, all);
    hr_test_ok(hr_checkpoint_save(all, s->path, &s->old.head, &s->old.source));
    assert_int_equal(stat(s->path, &s->before), 0);
    hr_test_on_all(all, true);
}

static void untouched(scene *s)
{
    struct stat after;

    hr_test_on_all(s->all, true); /* rank 0 has cleaned up */
    assert_int_equal(stat(s->path, &after), 0);
    assert_int_equal(after.st_ino, s->before.st_ino);
    assert_int_equal(after.st_mtime, s->before.st_mtime);
    assert_int_equal(hr_test_count_entries(s->folder), 1);
    hr_test_on_all(s->all, true);
}

static void end(scene *s)
{
    checkpoint_case_check(&s->old, s->path);
    checkpoint_case_end(&s->old);
    checkpoint_case_end(&s->now);
    hr_test_on_all(s->all, true);
}

/* Rank 0 has one line with all of `parts` (NULL: two parts); others may have their own.
 */
static void fails(scene *s, hr_status expected, const char *part, const char *also)
{
    hr_status status;

    hr_test_catch_log();
    status = hr_checkpoint_save(s->all, s->path, &s->now.head, &s->now.source);
    hr_test_limit_files(UINT64_MAX);
    assert_int_equal(status, expected);
    if (hr_group_rank(s->all) == 0) {
        assert_int_equal(hr_test_log_lines(), 1);
        if (strstr(hr_test_log_line(0), part) == NULL ||
            strstr(hr_test_log_line(0), also) == NULL)
            fail_msg("expected \"%s\" and \"%s\" in: %s", part, also,
                     hr_test_log_line(0));
    }
    hr_test_release_log();
    untouched(s);
}

static void a_source_fails_on_one_rank(hr_group *all)
{
    char who[32] = "";
    scene s;

    begin(&s, all);
    if (hr_group_size(all) > 1) /* shares are rounded up */
        snprintf(who, sizeof who, "rank %d (host ",
                 8 / ((9 + hr_group_size(all) - 1) / hr_group_size(all)));
    s.now.bad_frame = 8;
    fails(&s, HR_ERR_IO, "frame 8 cannot be had", who);
    s.now.bad_frame = -1;
    s.now.bad_pending = 10;
    fails(&s, HR_ERR_IO, "entry 10 cannot be had", "");
    end(&s);
}

static void what_a_source_gives_is_checked(hr_group *all)
{
    const int last = hr_group_size(all) - 1;
    scene s;

    begin(&s, all);
    s.now.head.n_rounds = 1;
    s.now.rounds[0].window = 9;
    fails(&s, HR_ERR_INTERNAL, "round 0 is out of range", "");
    s.now.rounds[0].window = 0;
    s.now.head.channels = 0;
    fails(&s, HR_ERR_UNSUPPORTED, "the shape of a frame is out of range", "");
    s.now.head.channels = 3;
    if (hr_group_rank(all) == last)
        s.now.source.n_frames--;
    fails(&s, HR_ERR_INTERNAL, "has not one owner", "");
    s.now.source.n_frames += hr_group_rank(all) == last;
    if (hr_group_rank(all) == last && last > 0)
        s.now.head.n_steps++;
    if (last > 0)
        fails(&s, HR_ERR_INTERNAL, "has other sizes than rank 0", "");
    end(&s);
}

static void a_folder_that_is_not_there(hr_group *all)
{
    scene s;

    begin(&s, all);
    s.path = hr_test_path(s.folder, "gone/step-0002-00010.h5");
    hr_test_catch_log();
    assert_int_equal(hr_checkpoint_save(all, s.path, &s.now.head, &s.now.source),
                     HR_ERR_IO);
    assert_true(hr_group_rank(all) != 0 ||
                strstr(hr_test_log_line(0), "No such file") != NULL);
    s.path = "/proc/step-0002-00010.h5"; /* nobody may write there, root neither */
    assert_int_equal(hr_checkpoint_save(all, s.path, &s.now.head, &s.now.source),
                     HR_ERR_IO);
    hr_test_release_log();
    s.path = hr_test_path(s.folder, "step-0002-00010.h5");
    end(&s);
}

/* A folder of each rank's own, as /tmp of several hosts. */
static void a_folder_that_is_not_shared(hr_group *all)
{
    scene s;

    begin(&s, all);
    if (hr_group_size(all) > 1) {
        const char *own = hr_test_folder();

        assert_int_equal(chdir(own), 0);
        s.path = "step-0002-00010.h5";
        hr_test_catch_log();
        assert_int_equal(hr_checkpoint_save(all, s.path, &s.now.head, &s.now.source),
                         HR_ERR_IO);
        assert_true(hr_group_rank(all) != 0 ||
                    strstr(hr_test_log_line(0), "rank 1 (host ") != NULL);
        hr_test_release_log();
        assert_int_equal(hr_test_count_entries(own), 0);
        hr_test_write(".step-0002-00010.h5.part", "mine", hr_group_rank(all) > 0 ? 4 : 0);
        hr_test_catch_log();
        assert_int_equal(hr_checkpoint_save(all, s.path, &s.now.head, &s.now.source),
                         HR_ERR_IO);
        assert_true(hr_group_rank(all) != 0 ||
                    strstr(hr_test_log_line(0), "is another file here") != NULL);
        hr_test_release_log();
        s.path = hr_test_path(s.folder, "step-0002-00010.h5");
        assert_int_equal(chdir("/"), 0);
    }
    untouched(&s);
    end(&s);
}

static void no_room_is_known_before(hr_group *all)
{
    scene s;

    begin(&s, all);
    hr_test_limit_files(10000);
    fails(&s, HR_ERR_NOMEM, s.path, "it needs ");
    end(&s);
}

/* The disk that is reserved shrinks, so to say, while the ranks write. */
static hr_status give_less_room(void *user, int64_t frame, hr_checkpoint_frame *out)
{
    checkpoint_case *c = user;

    if (frame == c->bad_frame) {
        c->bad_frame = -1;
        hr_test_limit_files(6000);
    }
    return c->give_frame(user, frame, out);
}

static void a_write_fails(hr_group *all)
{
    scene s;

    begin(&s, all);
    for (int64_t frame = 0; frame < s.now.n_frames; frame += 4) {
        s.now.bad_frame = frame;
        s.now.source.frame = give_less_room;
        fails(&s, HR_ERR_IO, "cannot write ", " of disk are free)");
    }
    end(&s);
}

static void a_small_disk(hr_group *all)
{
    char mounted = 0, disk[4096];
    scene s;

    begin(&s, all);
    snprintf(disk, sizeof disk, "%s", hr_test_folder());
    hr_test_ok(hr_group_broadcast(all, 0, disk, sizeof disk));
    if (hr_group_rank(all) == 0)
        mounted = mount("none", disk, "tmpfs", 0, "size=1m") == 0;
    hr_test_ok(hr_group_broadcast(all, 0, &mounted, 1));
    if (mounted) {
        s.path = hr_test_path(disk, "step-0002-00010.h5");
        s.now.width = s.now.head.width = 4000;
        hr_test_catch_log();
        assert_int_equal(hr_checkpoint_save(all, s.path, &s.now.head, &s.now.source),
                         HR_ERR_NOMEM);
        if (hr_group_rank(all) == 0) {
            assert_non_null(strstr(hr_test_log_line(0), "it needs 7."));
            assert_non_null(strstr(hr_test_log_line(0), " MB of disk, 1.0 MB are free"));
        }
        hr_test_release_log();
        hr_test_on_all(all, true); /* rank 0 has cleaned up */
        assert_int_equal(hr_test_count_entries(disk), 0);
        hr_test_on_all(all, true);
        if (hr_group_rank(all) == 0)
            assert_int_equal(umount(disk), 0);
        s.path = hr_test_path(s.folder, "step-0002-00010.h5");
    } else if (hr_group_rank(all) == 0) {
        print_message("no small disk: mount is for root\n");
    }
    untouched(&s);
    end(&s);
}

/* After a save that may have left the ranks unable to talk. */
static hr_status meet_again(hr_group *all, hr_status status)
{
    hr_fault_set(NULL);
    status = hr_group_agree(all, status);
    if (status != HR_OK)
        hr_test_ok(hr_world_recover(hr_group_world(all)));
    return status;
}

/* One save with this rule on one rank: at most one file, and it is whole. */
static hr_status save_with_fault(scene *s, int rank, const char *rule)
{
    hr_status status;

    hr_test_catch_log();
    hr_fault_set(hr_group_rank(s->all) == rank ? rule : NULL);
    status = hr_checkpoint_save(s->all, s->path, &s->now.head, &s->now.source);
    status = meet_again(s->all, status);
    /* Without any memory the agreement has none either, and says so. */
    if (status != HR_OK && hr_group_rank(s->all) == rank && hr_test_log_lines() != 1 &&
        (strncmp(rule, "memory", 6) != 0 || strchr(rule, '+') == NULL))
        fail_msg("%s: %zu lines: %s, %s", rule, hr_test_log_lines(), hr_test_log_line(0),
                 hr_test_log_line(1));
    hr_test_release_log();
    assert_int_equal(hr_test_count_entries(s->folder), 1);
    hr_test_ok(hr_checkpoint_verify(s->all, s->path));
    hr_test_ok(hr_group_agree(s->all, HR_OK)); /* nobody fails before all are here */
    return status;
}

/* Each pass of a point fails, once or from then on; returns how many did. */
static int walk(scene *s, int rank, const char *point, const char *stays)
{
    hr_status status = HR_ERR_IO;
    char rule[64];
    int n = 0;

    while (status != HR_OK && n < MAX_FAULTS) {
        snprintf(rule, sizeof rule, "%s:%d%s", point, ++n, stays);
        status = save_with_fault(s, rank, rule);
    }
    assert_int_equal(status, HR_OK);
    return n - 1;
}

static void every_call_fails(hr_group *all)
{
    static const char *const points[] = {
        "memory.alloc",   "file.open",     "file.read",     "file.stat",
        "file.statvfs",   "file.truncate", "file.reserve",  "file.write",
        "file.sync",      "file.close",    "file.rename",   "hdf5.create",
        "hdf5.attribute", "hdf5.group",    "hdf5.set",      "hdf5.close_created",
        "hdf5.prepare",   "hdf5.open",     "hdf5.open_set", "hdf5.select",
        "hdf5.write",     "hdf5.close"};
    int n[2] = {0};
    scene s;

    begin(&s, all);
    for (int rank = 0; rank < hr_group_size(all) && rank < 2; rank++)
        for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
            n[rank] += walk(&s, rank, points[i], "");
            /* Of ranks without any memory comm/ leaves messages behind, alive. */
            if (hr_group_size(all) == 1 || (hr_group_size(all) == 2 && i > 0))
                n[rank] += walk(&s, rank, points[i], "+");
        }
    if (hr_group_rank(all) == 0)
        print_message("%d faults on rank 0, %d on rank 1\n", n[0], n[1]);
    assert_in_range(n[0], 180, 2 * MAX_FAULTS);
    assert_true(hr_group_size(all) == 1 || n[1] >= 50);
    checkpoint_case_check(&s.now, s.path);
    checkpoint_case_end(&s.old);
    checkpoint_case_end(&s.now);
    hr_test_on_all(all, true);
}

int main(void)
{
    static const hr_rank_test tests[] = {
        HR_RANK_TEST(a_source_fails_on_one_rank),
        HR_RANK_TEST(what_a_source_gives_is_checked),
        HR_RANK_TEST(a_folder_that_is_not_there),
        HR_RANK_TEST(a_folder_that_is_not_shared),
        HR_RANK_TEST(no_room_is_known_before),
        HR_RANK_TEST(a_small_disk),
        HR_RANK_TEST(a_write_fails),
        HR_RANK_TEST(every_call_fails),
    };

    return hr_test_run_on_ranks("failures of checkpoints", tests,
                                sizeof tests / sizeof tests[0]);
}
