/* Tests that run on several ranks (tests/CMakeLists.txt: a file that names HR_TEST_RANKS
 * runs at 1, 2, 3 and 4).
 *
 * All ranks run the same tests in the same order. A rank whose test fails gives up, so
 * that no other is left waiting in its own; afterwards all agree, each of them counts the
 * test as failed, and the world recovers for the next test. Rank 0 writes what CMocka
 * says; that of another rank is shown at the end, with the rank in front, when something
 * has failed there. */
#ifndef HR_TESTS_RANKS_H
#define HR_TESTS_RANKS_H

#include "comm/group.h"
#include "support/test_util.h"

typedef void (*hr_rank_test_fn)(hr_group *all);

typedef struct hr_rank_test {
    const char *name;
    hr_rank_test_fn run;
} hr_rank_test;

#define HR_RANK_TEST(function)                                                           \
    {                                                                                    \
#        function, function                                                              \
    }

/* What main returns. Waits end after 30 seconds; nothing of base/memory.h may be alive at
 * the end. */
int hr_test_run_on_ranks(const char *title, const hr_rank_test *tests, size_t n);

/* Collective: asserts that `condition` holds on every rank. */
#define hr_test_on_all(all, condition)                                                   \
    hr_test_check_on_all(all, condition, #condition, __FILE__, __LINE__)
void hr_test_check_on_all(hr_group *all, bool condition, const char *text,
                          const char *file, int line);

#endif
