/* How ranks share the work: numbering, what auto takes, what is refused. */
#include "support/test_util.h"

#include "coordinator/layout.h"
#include "draw.h"

#include <string.h>

/* The demo model on one host: six layers, four shards, guidance. */
static hr_layout_request request_of(int n_ranks, int64_t n_windows)
{
    return (hr_layout_request){.n_ranks = n_ranks,
                               .ranks_per_host = n_ranks,
                               .n_windows = n_windows,
                               .n_layers = 6,
                               .n_shards = 4,
                               .n_branches = 2};
}

static void assert_layout(const hr_layout *l, int windows, int stages, int tensor,
                          int cfg)
{
    hr_layout expected = {windows, stages, tensor, cfg};
    char got_text[96], expected_text[96];

    assert_string_equal(hr_layout_text(l, got_text),
                        hr_layout_text(&expected, expected_text));
}

static void chooses(const hr_layout_request *r, int windows, int stages, int tensor,
                    int cfg)
{
    hr_layout got;

    hr_test_ok(hr_layout_choose(r, &got));
    assert_layout(&got, windows, stages, tensor, cfg);
}

static void refuses(const hr_layout_request *r, hr_status status, const char *line)
{
    hr_layout got = {7, 7, 7, 7};

    hr_test_catch_log();
    assert_int_equal(hr_layout_choose(r, &got), status);
    assert_int_equal(hr_test_log_lines(), 1);
    assert_string_equal(hr_test_log_line(0), line);
    hr_test_release_log();
    assert_layout(&got, 7, 7, 7, 7); /* out is left alone */
}

static void test_numbering(void **state)
{
    hr_layout l = {.windows = 2, .stages = 3, .tensor = 2, .cfg = 2};
    hr_place place;
    char text[96];
    int rank = 0;

    (void)state;
    assert_int_equal(hr_layout_size(&l), 24);
    for (int w = 0; w < 2; w++)
        for (int c = 0; c < 2; c++)
            for (int s = 0; s < 3; s++)
                for (int t = 0; t < 2; t++, rank++) {
                    place = hr_layout_place(&l, rank);
                    assert_false(place.is_idle);
                    assert_true(place.windows == w && place.cfg == c &&
                                place.stage == s && place.tensor == t);
                    assert_int_equal(hr_layout_rank(&l, &place), rank);
                }
    assert_true(hr_layout_place(&l, 24).is_idle);
    assert_string_equal(hr_layout_text(&l, text),
                        "2 windows x 3 stages x 2 tensor x 2 cfg");
    l = (hr_layout){1, 1, 4, 1};
    assert_string_equal(hr_layout_text(&l, text),
                        "1 window x 1 stage x 4 tensor x 1 cfg");
}

static void test_auto(void **state)
{
    hr_layout_request r = request_of(1, 10);

    (void)state;
    chooses(&r, 1, 1, 1, 1);
    r = request_of(2, 10);
    chooses(&r, 2, 1, 1, 1);
    r = request_of(4, 10);
    chooses(&r, 4, 1, 1, 1);
    r = request_of(3, 10);
    chooses(&r, 3, 1, 1, 1);
    r = request_of(40, 10); /* every window has its group, then what is left */
    chooses(&r, 10, 1, 2, 2);
    r = request_of(2, 1); /* a clip */
    chooses(&r, 1, 1, 1, 2);
    r = request_of(4, 1); /* stages would take turns at it */
    chooses(&r, 1, 1, 2, 2);
    r = request_of(7, 1); /* three stay idle: nothing divides by seven */
    chooses(&r, 1, 1, 2, 2);
    r = request_of(2, 1);
    r.n_branches = 1;
    chooses(&r, 1, 1, 2, 1);
}

static void test_auto_around_what_is_wanted(void **state)
{
    hr_layout_request r = request_of(8, 10);

    (void)state;
    r.wanted.stages = 2;
    chooses(&r, 4, 2, 1, 1);
    r = request_of(8, 10);
    r.wanted.tensor = 4;
    chooses(&r, 2, 1, 4, 1);
    r = request_of(8, 10);
    r.wanted.cfg = 2;
    chooses(&r, 4, 1, 1, 2);
    r = request_of(8, 10);
    r.wanted = (hr_layout){1, 2, 2, 1};
    chooses(&r, 1, 2, 2, 1);
    r = request_of(12, 3);
    r.wanted.windows = 12; /* more groups than windows: some wait */
    chooses(&r, 12, 1, 1, 1);
}

static void test_memory(void **state)
{
    hr_layout_request r = request_of(4, 10);

    (void)state;
    r.weight_bytes = 600;
    r.activation_bytes = 50;
    r.rank_memory = 650;
    chooses(&r, 4, 1, 1, 1);
    r.rank_memory = 649; /* does not fit as a whole: stages first, they gain more */
    chooses(&r, 2, 2, 1, 1);
    r.rank_memory = 200;
    chooses(&r, 1, 2, 2, 1);
    r.rank_memory = 199; /* six stages of a layer, or three of two in halves: 150 */
    refuses(
        &r, HR_ERR_NOMEM,
        "layout: the model needs 650 B of each rank, there are 199 B; it takes 6 ranks "
        "at least");
    r.rank_memory = 250;
    r.wanted.stages = 2;
    r.wanted.tensor = 1;
    refuses(
        &r, HR_ERR_NOMEM,
        "layout: the model needs 350 B of each rank, there are 250 B; nearest: stages "
        "3 (3 of 4 ranks)");
}

static void test_hosts(void **state)
{
    hr_layout_request r = request_of(12, 1);

    (void)state;
    r.ranks_per_host = 6; /* tensor 4 would cross */
    r.wanted.cfg = 1;
    r.wanted.stages = 1;
    r.wanted.windows = 3;
    chooses(&r, 3, 1, 2, 1);
    r.wanted.tensor = 4;
    refuses(&r, HR_ERR_ARG,
            "layout: groups of 4 tensor ranks do not fit hosts of 6 ranks; nearest: "
            "tensor 2 (6 of 12 ranks)");
    r = request_of(4, 1);
    r.ranks_per_host = 1; /* asked for: over whole hosts is even */
    r.wanted.tensor = 4;
    chooses(&r, 1, 1, 4, 1);
    r.wanted = (hr_layout){.windows = 1, .stages = 1, .cfg = 1}; /* not by itself */
    chooses(&r, 1, 1, 1, 1);
}

static void test_refused(void **state)
{
    hr_layout_request r = request_of(7, 10);

    (void)state;
    r.wanted = (hr_layout){.windows = 1, .stages = 1, .cfg = 1, .tensor = 3};
    refuses(&r, HR_ERR_ARG,
            "layout: 3 tensor ranks do not divide 4 shards; nearest: tensor 2 (2 of 7 "
            "ranks) or tensor 4 (4 of 7 ranks)");
    r.wanted = (hr_layout){.tensor = 3};
    refuses(&r, HR_ERR_ARG,
            "layout: 3 tensor ranks do not divide 4 shards; nearest: tensor 2 (6 of 7 "
            "ranks) or tensor 4 (4 of 7 ranks)");
    r.wanted = (hr_layout){.stages = 9};
    refuses(&r, HR_ERR_ARG,
            "layout: 9 stages for 6 layers; nearest: stages 6 (6 of 7 ranks)");
    r.wanted = (hr_layout){.cfg = 2};
    r.n_branches = 1;
    refuses(&r, HR_ERR_ARG,
            "layout: cfg 2 without guidance; nearest: cfg 1 (7 of 7 ranks)");
    r = request_of(6, 10);
    r.wanted = (hr_layout){.windows = 2, .stages = 2, .tensor = 2};
    refuses(&r, HR_ERR_ARG,
            "layout: 2 windows x 2 stages x 2 tensor x 1 cfg need 8 ranks, there are 6; "
            "nearest: windows 1 (4 of 6 ranks) or stages 1 (4 of 6 ranks)");
    r = request_of(1, 10);
    r.wanted = (hr_layout){.windows = 2, .stages = 2};
    refuses(&r, HR_ERR_ARG,
            "layout: 2 windows x 2 stages x 1 tensor x 1 cfg need 4 ranks, there is 1; "
            "what works: 1 window x 1 stage x 1 tensor x 1 cfg (1 of 1 ranks)");
    r = request_of(2, 10);
    r.wanted = (hr_layout){.windows = 65536, .stages = 1024, .tensor = 8, .cfg = 2};
    r.n_shards = 8;
    r.n_layers = 2000; /* the largest numbers that the keys take */
    refuses(&r, HR_ERR_ARG,
            "layout: 65536 windows x 1024 stages x 8 tensor x 2 cfg need 1073741824 "
            "ranks, there are 2; what works: 2 windows x 1 stage x 1 tensor x 1 cfg (2 "
            "of 2 ranks)");
}

/* Whatever is asked for: a layout that keeps every rule, or one line. */
static void test_random_requests(void **state)
{
    static const int shards[] = {1, 2, 4, 8};
    uint64_t x = 88172645463325252U;
    hr_layout_request r;
    hr_layout l;
    unsigned n_chosen = 0;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        r = request_of(1 + draw_below(&x, 40), 1 + draw_below(&x, 20));
        r.n_layers = 1 + draw_below(&x, 40);
        r.n_shards = shards[draw_below(&x, 4)];
        r.n_branches = 1 + draw_below(&x, 2);
        r.ranks_per_host = draw_below(&x, 2) != 0 ? 1 + draw_below(&x, 9) : r.n_ranks;
        r.rank_memory =
            draw_below(&x, 3) == 0 ? 0 : (uint64_t)(200 + draw_below(&x, 1200));
        r.weight_bytes = 1000;
        r.activation_bytes = 100;
        r.wanted = (hr_layout){
            draw_below(&x, 2) * draw_below(&x, 9), draw_below(&x, 2) * draw_below(&x, 9),
            draw_below(&x, 2) * draw_below(&x, 5), draw_below(&x, 2) * draw_below(&x, 3)};
        hr_test_catch_log();
        if (hr_layout_choose(&r, &l) != HR_OK) {
            assert_int_equal(hr_test_log_lines(), 1);
            continue;
        }
        assert_int_equal(hr_test_log_lines(), 0);
        n_chosen++;
        assert_in_range(hr_layout_size(&l), 1, r.n_ranks);
        assert_true(r.wanted.windows == 0 || r.wanted.windows == l.windows);
        assert_true(r.wanted.stages == 0 || r.wanted.stages == l.stages);
        assert_true(r.wanted.tensor == 0 || r.wanted.tensor == l.tensor);
        assert_true(r.wanted.cfg == 0 || r.wanted.cfg == l.cfg);
        assert_int_equal(r.n_shards % l.tensor, 0);
        assert_true(l.stages <= r.n_layers && l.cfg <= r.n_branches);
        for (int first = 0; first < hr_layout_size(&l); first += l.tensor)
            assert_true(l.tensor > r.ranks_per_host
                            ? l.tensor % r.ranks_per_host == 0
                            : first / r.ranks_per_host ==
                                  (first + l.tensor - 1) / r.ranks_per_host);
    }
    hr_test_release_log();
    assert_in_range(n_chosen, 500, 2500);
}

/* What one rank would take, over what these take together. */
static void test_efficiency(void **state)
{
    hr_layout_request r = request_of(1, 10);
    hr_layout l;
    double efficiency, fewer = 1;

    (void)state;
    assert_true(hr_layout_find(&r, &l, &efficiency));
    assert_true(efficiency == 1);
    for (int n = 2; n <= 64; n *= 2) {
        r = request_of(n, 10);
        assert_true(hr_layout_find(&r, &l, &efficiency));
        assert_true(efficiency > 0 && efficiency <= fewer);
        fewer = efficiency;
    }
    assert_true(fewer < 0.5);
    r.weight_bytes = r.activation_bytes = 100;
    r.rank_memory = 50;
    hr_test_catch_log();
    assert_false(hr_layout_find(&r, &l, &efficiency));
    assert_true(efficiency == 0);
    assert_int_equal(hr_test_log_lines(), 0);
    hr_test_release_log();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_numbering, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_auto, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_auto_around_what_is_wanted, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_memory, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_hosts, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_efficiency, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_random_requests, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests_name("coordinator/layout", tests, NULL, NULL);
}
