/* The pieces in which a video is decoded: every frame once, in order, borders blended. */
#include "support/test_util.h"

#include "worker/pieces.h"

#include <stdbool.h>

static void check(int64_t n_frames, int64_t length)
{
    hr_pieces s = hr_pieces_make(n_frames, length);
    int64_t next = 0, held = 0;

    for (int64_t i = 0; i < s.n_pieces; i++) {
        hr_piece piece = hr_pieces_at(&s, i);
        int64_t anchor = i > 0 ? 1 : 0;

        assert_true(anchor + piece.n <= length);
        assert_true(piece.first >= anchor);
        assert_int_equal(piece.blended, held); /* with what is there */
        assert_int_equal(piece.first + piece.dropped, next);
        assert_true(piece.n > piece.dropped + piece.blended);
        assert_true(piece.dropped + piece.blended + piece.held <= piece.n);
        next = piece.first + piece.n - piece.held;
        held = piece.held;
    }
    assert_int_equal(next, n_frames);
    assert_int_equal(held, 0);
}

static void test_every_frame_once(void **state)
{
    (void)state;
    for (int64_t length = 2; length < 24; length++)
        for (int64_t n_frames = 1; n_frames < 120; n_frames++)
            check(n_frames, length);
}

static void test_one_piece(void **state)
{
    static const int64_t lengths[] = {0, 1, 7, 8}; /* streamed, too short, long enough */

    (void)state;
    for (int i = 0; i < 4; i++) {
        hr_pieces s = hr_pieces_make(7, lengths[i]);
        hr_piece piece = hr_pieces_at(&s, 0);

        assert_int_equal(s.n_pieces, 1);
        assert_int_equal(piece.first, 0);
        assert_int_equal(piece.n, 7);
        assert_int_equal(piece.dropped + piece.blended + piece.held, 0);
    }
}

/* 41 latent frames in windows of 6: three new ones a piece. */
static void test_the_demo_model(void **state)
{
    hr_pieces s = hr_pieces_make(41, 6);
    hr_piece second = hr_pieces_at(&s, 1), last = hr_pieces_at(&s, 12);

    (void)state;
    assert_int_equal(s.n_pieces, 13);
    assert_int_equal(second.first, 4);
    assert_int_equal(second.n, 5);
    assert_int_equal(last.first + last.n, 41);
    assert_int_equal(last.n, 4);
}

/* From the piece that makes a frame, or the one before it where they are blended. */
static void check_starts(int64_t n_frames, int64_t length)
{
    hr_pieces s = hr_pieces_make(n_frames, length);

    for (int64_t i = 0; i < s.n_pieces; i++) {
        hr_piece piece = hr_pieces_at(&s, i);

        for (int64_t f = piece.first + piece.dropped;
             f < piece.first + piece.n - piece.held; f++) {
            bool is_blended = f < piece.first + piece.dropped + piece.blended;

            assert_int_equal(hr_pieces_start(&s, f), is_blended ? i - 1 : i);
        }
    }
}

static void test_where_to_start(void **state)
{
    (void)state;
    for (int64_t length = 0; length < 12; length++)
        for (int64_t n_frames = 1; n_frames < 60; n_frames++)
            check_starts(n_frames, length);
}

static void test_weights_rise(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 4; i++)
        assert_true(hr_pieces_weight(i, 4) == (float)(i + 1) / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_frame_once), cmocka_unit_test(test_one_piece),
        cmocka_unit_test(test_the_demo_model),   cmocka_unit_test(test_where_to_start),
        cmocka_unit_test(test_weights_rise),
    };

    return cmocka_run_group_tests_name("worker/pieces", tests, NULL, NULL);
}
