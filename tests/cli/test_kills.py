"""Kills of ranks at random moments, a few of them. Many: scripts/kill_test.py."""
import os
import sys
import unittest

from harness import SANITIZED, SOURCE, main

sys.path.insert(0, os.path.join(SOURCE, "scripts"))

from kill_test import Test  # noqa: E402


class Kills(unittest.TestCase):
    @unittest.skipIf(SANITIZED, "slow")
    def test_twenty(self):
        said = []
        test = Test(seed=20, tell=said.append)
        self.addCleanup(test.close)
        try:
            test.run(20)
        except AssertionError:
            print(*said, sep="\n")
            raise
        print(said[-1], flush=True)
        self.assertGreaterEqual(test.n_kills, 20)
        self.assertGreater(test.n_resumed, 0)


if __name__ == "__main__":
    main()
