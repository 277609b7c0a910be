/* Which changes of a weight file its fingerprint sees. */
#include "support/test_util.h"

#include "io/fingerprint.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const int64_t mib = 1 << 20;

static hr_hash of(const char *path)
{
    hr_hash hash;

    hr_test_ok(hr_fingerprint_file(path, &hash));
    return hash;
}

/* One changed byte, which is then put back. */
static bool sees(const char *path, int64_t at)
{
    hr_hash before = of(path);
    int fd = open(path, O_RDWR);
    char old, other;
    bool seen;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &old, 1, at), 1);
    other = (char)(old ^ 1);
    assert_int_equal(pwrite(fd, &other, 1, at), 1);
    seen = !hr_hash_equal(before, of(path));
    assert_int_equal(pwrite(fd, &old, 1, at), 1);
    assert_true(hr_hash_equal(before, of(path)));
    close(fd);
    return seen;
}

static const char *make_file(int64_t size, uint64_t header)
{
    const char *path = hr_test_path(hr_test_folder(), "w.safetensors");
    unsigned char length[8];

    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(header >> 8 * i);
    hr_test_write(path, length, sizeof length);
    assert_int_equal(truncate(path, size), 0);
    return path;
}

/* docs/run-folder.md gives the rule; worked out here by hand for two blocks. */
static void test_rule(void **state)
{
    static char zeros[1 << 20];
    char digits[2][HR_HASH_TEXT_BYTES], text[200];
    const char *path = make_file(mib + 5, 0);

    (void)state;
    snprintf(text, sizeof text, "%d %s %s", (1 << 20) + 5,
             hr_hash_text(hr_hash_bytes(zeros, sizeof zeros), digits[0]),
             hr_hash_text(hr_hash_bytes(zeros, 5), digits[1]));
    assert_true(hr_hash_equal(of(path), hr_hash_bytes(text, strlen(text))));
}

static void test_short_file(void **state)
{
    const char *path = make_file(40 * mib + 7, 100), *empty = make_file(0, 0);

    (void)state;
    assert_true(sees(path, 0) && sees(path, 20 * mib + 3) && sees(path, 40 * mib + 6));
    hr_test_write(empty, "", 0);
    assert_false(hr_hash_equal(of(empty), of(path)));
}

static void test_long_file(void **state)
{
    const int64_t size = 1025 * mib + 9;
    const char *path = make_file(size, 3 * (uint64_t)mib);
    hr_hash before = of(path);

    (void)state;
    assert_true(sees(path, 2 * mib) && sees(path, 3 * mib + 7)); /* of the header */
    assert_true(sees(path, 16 * mib) && sees(path, 17 * mib - 1) &&
                sees(path, 1024 * mib));
    assert_true(sees(path, size - 1));
    assert_false(sees(path, 17 * mib)); /* what a quick look misses */
    assert_int_equal(truncate(path, size + 1), 0);
    assert_false(hr_hash_equal(before, of(path)));
    path = make_file(size, UINT64_MAX); /* no header at all */
    assert_true(sees(path, 0) && sees(path, 16 * mib));
    assert_false(sees(path, mib));
}

static void test_unreadable(void **state)
{
    const char *folder = hr_test_folder();
    hr_hash hash;

    (void)state;
    hr_test_fails(HR_ERR_IO, "none: No such file",
                  hr_fingerprint_file(hr_test_path(folder, "none"), &hash));
    hr_test_fails(HR_ERR_IO, "not a plain file", hr_fingerprint_file(folder, &hash));
    hr_test_release_log();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_rule, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_short_file, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_long_file, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_unreadable, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
