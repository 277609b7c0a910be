#include "support/test_util.h"

#include "io/scratch.h"

#include <stdint.h>
#include <string.h>

enum { RECORD = 1000, N_RECORDS = 7 };

static void test_records_come_back(void **state)
{
    unsigned char record[RECORD], back[RECORD], zeros[RECORD] = {0};
    const char *folder = hr_test_folder();
    hr_scratch *scratch;

    (void)state;
    hr_test_ok(hr_scratch_open(folder, RECORD, N_RECORDS, &scratch));
    assert_int_equal(hr_test_count_entries(folder), 0); /* no name to leave behind */
    for (int i = N_RECORDS - 1; i >= 0; i -= 2) {
        memset(record, i + 1, RECORD);
        hr_test_ok(hr_scratch_write(scratch, i, record));
    }
    memset(record, 99, RECORD);
    hr_test_ok(hr_scratch_write(scratch, 4, record)); /* over the old one */
    for (int i = 0; i < N_RECORDS; i++) {
        memset(back, 55, RECORD);
        hr_test_ok(hr_scratch_read(scratch, i, back));
        memset(record, i == 4 ? 99 : i + 1, RECORD);
        assert_memory_equal(back, i % 2 == 0 ? record : zeros, RECORD);
    }
    hr_scratch_close(scratch);
    hr_scratch_close(NULL);
}

static void test_nothing_to_keep(void **state)
{
    hr_scratch *scratch;

    (void)state;
    hr_test_ok(hr_scratch_open(hr_test_folder(), RECORD, 0, &scratch));
    hr_scratch_close(scratch);
}

static void test_no_folder(void **state)
{
    hr_scratch *scratch = NULL;

    (void)state;
    hr_test_fails(
        HR_ERR_IO, "none: No such file",
        hr_scratch_open(hr_test_path(hr_test_folder(), "none"), RECORD, 1, &scratch));
    assert_null(scratch);
}

/* Room is asked for at once: what does not fit is refused before any work. */
static void test_no_room(void **state)
{
    hr_scratch *scratch = NULL;

    (void)state;
    hr_test_limit_files(65536);
    hr_test_fails(HR_ERR_NOMEM, "needs 1.0 MB of disk",
                  hr_scratch_open(hr_test_folder(), RECORD, 1000, &scratch));
    hr_test_limit_files(UINT64_MAX);
    hr_test_fails(HR_ERR_NOMEM, "", /* not a number of bytes at all */
                  hr_scratch_open(hr_test_folder(), SIZE_MAX / 2, 3, &scratch));
    assert_null(scratch);
    hr_test_release_log();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_records_come_back, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_nothing_to_keep, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_no_folder, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_no_room, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
