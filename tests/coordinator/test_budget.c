/* When a run is saved and when it stops: decisions one by one, and whole runs played
 * against a clock. */
#include "draw.h"
#include "support/test_util.h"

#include "coordinator/budget.h"

static const hr_budget every_5_min = {
    .every_seconds = 300, .reserve_seconds = 5, .guess_save_seconds = 2};

static void decides(const hr_budget *budget, hr_budget_now now, hr_decision expected)
{
    assert_int_equal(hr_budget_decide(budget, &now), expected);
}

static void test_by_the_clock(void **state)
{
    hr_budget_now now = {.left_seconds = -1, .round_seconds = 3, .late_round_seconds = 4};

    (void)state;
    now.since_save_seconds = 299;
    decides(&every_5_min, now, HR_GO_ON);
    now.since_save_seconds = 300;
    decides(&every_5_min, now, HR_SAVE);
    now.save_seconds = 10; /* so that it takes 2 % at most */
    decides(&every_5_min, now, HR_GO_ON);
    now.since_save_seconds = 500;
    decides(&every_5_min, now, HR_SAVE);
    now.steps_since_save = 1000; /* steps do not count */
    now.since_save_seconds = 1;
    decides(&every_5_min, now, HR_GO_ON);
}

static void test_by_steps(void **state)
{
    const hr_budget budget = {.every_steps = 10}, never = {0};
    hr_budget_now now = {
        .left_seconds = -1, .since_save_seconds = 1e6, .save_seconds = 9};

    (void)state;
    now.steps_since_save = 9;
    decides(&budget, now, HR_GO_ON);
    now.steps_since_save = 10;
    decides(&budget, now, HR_SAVE);
    decides(&never, now, HR_GO_ON);
}

/* left: two rounds of 4 s, each and a quarter, a checkpoint of 2 s and a half, 5 s. */
static void test_time_limit(void **state)
{
    hr_budget_now now = {.round_seconds = 3, .late_round_seconds = 4, .save_seconds = 2};

    (void)state;
    assert_true(hr_budget_margin(&every_5_min, &now) == 10 + 3 + 5);
    assert_true(hr_budget_stop_seconds(&every_5_min, &now) == 6);
    now.left_seconds = 18;
    decides(&every_5_min, now, HR_GO_ON);
    now.left_seconds = 17.9;
    decides(&every_5_min, now, HR_SAVE_AND_STOP);
    now.left_seconds = 0;
    decides(&every_5_min, now, HR_SAVE_AND_STOP);
    now.late_round_seconds = 1; /* the mean is longer */
    assert_true(hr_budget_margin(&every_5_min, &now) == 7.5 + 3 + 5);
    now.save_seconds = 0; /* a guess */
    assert_true(hr_budget_margin(&every_5_min, &now) == 7.5 + 3 + 5);
    now.late_round_seconds = 100; /* it adapts */
    now.left_seconds = 250;
    decides(&every_5_min, now, HR_SAVE_AND_STOP);
}

/* A save that is due shortly before the end is the last one. */
static void test_one_save_at_the_end(void **state)
{
    hr_budget_now now = {.left_seconds = 19,
                         .round_seconds = 4,
                         .late_round_seconds = 4,
                         .save_seconds = 2,
                         .since_save_seconds = 301};

    (void)state;
    decides(&every_5_min, now, HR_SAVE_AND_STOP);
    now.left_seconds = 21;
    decides(&every_5_min, now, HR_SAVE);
}

/* Before anything was measured: a limit that is far away says nothing. */
static void test_nothing_measured(void **state)
{
    hr_budget_now now = {.left_seconds = 9};

    (void)state;
    decides(&every_5_min, now, HR_GO_ON);
    now.left_seconds = 7;
    decides(&every_5_min, now, HR_SAVE_AND_STOP);
    now.left_seconds = -1;
    decides(&every_5_min, now, HR_GO_ON);
}

static double unit(uint64_t *draw)
{
    return draw_below(draw, 1000) / 1000.0;
}

/* Rounds and saves of uneven length up to a limit. Returns the seconds that were left
 * when the last checkpoint was there. */
static double play(uint64_t *draw, double round, double spread, double limit)
{
    double clock = 0, saved = 0, saving = 0, last[8] = {0}, sum = 0;
    hr_budget_now now = {0};
    hr_decision decision;

    for (int n = 0;; n++) {
        now.left_seconds = limit - clock;
        now.since_save_seconds = clock - saved;
        decision = hr_budget_decide(&every_5_min, &now);
        if (decision != HR_GO_ON) {
            double others = round * unit(draw); /* in the middle of theirs */

            now.save_seconds = 1 + 0.4 * unit(draw);
            clock += others + now.save_seconds;
            saving += now.save_seconds;
            saved = clock;
        }
        if (decision == HR_SAVE_AND_STOP) {
            if (clock > 1000)
                assert_true(saving <= 0.02 * clock);
            return limit - clock;
        }
        last[n % 8] = round * (1 - spread * unit(draw));
        clock += last[n % 8];
        sum += last[n % 8];
        now.round_seconds = sum / (n + 1);
        now.late_round_seconds = 0;
        for (int i = 0; i < 8; i++)
            if (last[i] > now.late_round_seconds)
                now.late_round_seconds = last[i];
    }
}

static void test_runs_end_in_time(void **state)
{
    uint64_t draw = 1;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        double round = 1 + 60 * unit(&draw);
        double left = play(&draw, round, 0.3, 20 * round + 4000 * unit(&draw));

        assert_true(left >= 0);
        assert_true(left < 2.5 * round + 3 + 5 + round); /* and not much too early */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_the_clock),
        cmocka_unit_test(test_by_steps),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_one_save_at_the_end),
        cmocka_unit_test(test_nothing_measured),
        cmocka_unit_test(test_runs_end_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
